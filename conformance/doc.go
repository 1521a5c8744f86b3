// Package conformance is the conformance suite for verifiers of two-level codes (双层签名码一致性测试): attacks and
// genuine codes, each with the verdict that document 2 §4.1.5 gives it, for any verifier in any language.
//
// Every case is a file in vectors/, in the form that Vector describes. ReadVectors gives them; Run puts
// them to a Verifier: a command, an HTTP address, a shared library with the interface of document 2 §4.1,
// or anything else that can answer a Question.
//
// The keys are fixed and public, signatures are made as RFC 6979 has it, so the files are the same bytes
// every time. A verifier that takes its clock from nowhere but the system is asked with Live: the same
// cases, signed anew for the present moment.
package conformance
