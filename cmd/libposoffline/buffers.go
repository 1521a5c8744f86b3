//go:build cgo

package main

// #include "sdk.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/shuama/shuama/protocol/ridecode"
)

// output is one buffer of the caller with its length.
type output struct {
	name   string
	buffer unsafe.Pointer
	size   int    // of the buffer in bytes, as it was when the call came
	least  int    // bytes that the document asks for (document 2 §4.1.3.6 and §4.1.4.6)
	length *C.int // to be set to what was written
	value  func(answer) string
}

// outputs are the buffers of one call.
type outputs []output

func uidTo(buffer *C.char, length *C.int) output {
	return output{"uid", unsafe.Pointer(buffer), int(*length), 17, length, func(a answer) string { return string(a.code.Grant.UserID) }}
}

func recordTo(buffer *C.char, length *C.int) output {
	return output{"record", unsafe.Pointer(buffer), int(*length), 2048, length, func(a answer) string {
		return upperHex(a.record)
	}}
}

func cardNoTo(buffer *C.char, length *C.int) output {
	return output{"card_no", unsafe.Pointer(buffer), int(*length), 17, length, func(a answer) string { return string(a.code.Grant.CardNo) }}
}

func cardDataTo(buffer *C.uchar, length *C.int) output {
	return output{"card_data", unsafe.Pointer(buffer), int(*length), 65, length, func(a answer) string { return string(a.code.Grant.CardData) }}
}

// An empty card type stands for the plain payment code (document 2 §4.1.3.6).
func cardTypeTo(buffer *C.char, length *C.int) output {
	return output{"card_type", unsafe.Pointer(buffer), int(*length), 9, length, func(a answer) string {
		if a.code.Grant.CardType == ridecode.PlainCardType {
			return ""
		}
		return string(a.code.Grant.CardType)
	}}
}

func upperHex(b []byte) string {
	const digits = "0123456789ABCDEF"
	text := make([]byte, 0, 2*len(b))
	for _, octet := range b {
		text = append(text, digits[octet>>4], digits[octet&15])
	}
	return string(text)
}

// fault names the first buffer that is missing or smaller than the document asks.
func (outs outputs) fault() error {
	for _, out := range outs {
		switch {
		case out.buffer == nil:
			return fmt.Errorf("%s is null (document 2 §4.1.4.6)", out.name)
		case out.size < out.least:
			return fmt.Errorf("%s_len is %d, less than %d (document 2 §4.1.4.6)", out.name, out.size, out.least)
		}
	}
	return nil
}

// room is what fits in front of the NUL, in bytes.
func (o output) room() int { return o.size - 1 }

// answer fills the buffers on success, and leaves them as they are otherwise.
func (outs outputs) answer(a answer) C.int {
	if a.verdict == ridecode.Success {
		for _, out := range outs {
			out.write(out.value(a))
		}
	}
	return say(a)
}

// write puts the value and a NUL. That the value fits was asked before the code was accepted; were it
// not so, the firmware's memory is worth more than this answer.
func (o output) write(value string) {
	if len(value) > o.room() {
		panic(o.name + " does not fit")
	}
	to := unsafe.Slice((*byte)(o.buffer), o.size)
	copy(to, value)
	to[len(value)] = 0
	*o.length = C.int(len(value))
}
