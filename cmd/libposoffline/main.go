//go:build cgo

// Command libposoffline (离线验证 SDK, document 2 §4.1) is the terminal SDK: role/terminal behind the C interface that
// the field's firmware is compiled against. It is built as a shared library, see build.sh;
// pos_crypto.h says what each call does.
//
// calls.go is the C side: pointers, lengths, buffers. gate.go and its neighbours are the Go side and know
// nothing of C. sdk.c stands in front of both and keeps the firmware's signals away from Go's stacks.
package main

// main is never called: a shared library has none of its own.
func main() {}
