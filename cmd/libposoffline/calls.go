//go:build cgo

package main

// #include <stdlib.h>
// #include <string.h>
// #include "sdk.h"
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"unsafe"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

const (
	// version is what get_version answers, and what records of version 2 carry as software version.
	version = C.SDK_VERSION

	maxPathSize = 4096
	maxKeySize  = 4096
	maxKeyText  = 128 // of master_pub_key
)

// sdk is the process's one gate: the C interface has no handle that could name another.
var sdk = newGate(clock)

// lean trades some percent of time for memory, once: 15 MB instead of 18 after ten thousand codes.
var lean = sync.OnceFunc(func() { debug.SetGCPercent(50) })

//export sdkInit
func sdkInit(keyList, cardTypes *C.char) (verdict C.int) {
	defer rescue(&verdict)
	if keyList == nil || cardTypes == nil {
		return illegal("key_list or card_type_list is null (document 2 §4.1.2.6)")
	}
	lean()
	return outcome(sdk.initialise(text(keyList, maxListSize), text(cardTypes, maxListSize), environment()))
}

//export sdkInitInstitution
func sdkInitInstitution(keyList, cardTypes, institution *C.char) (verdict C.int) {
	defer rescue(&verdict)
	if keyList == nil || cardTypes == nil || institution == nil {
		return illegal("key_list, card_type_list or institution_no is null")
	}
	lean()
	code := ridecode.Quad(C.GoBytes(unsafe.Pointer(institution), 4))
	return outcome(sdk.initialiseFor(code, text(keyList, maxListSize), text(cardTypes, maxListSize), environment()))
}

//export sdkFree
func sdkFree() (verdict C.int) {
	defer rescue(&verdict)
	err := sdk.free()
	debug.FreeOSMemory()
	return outcome(err)
}

//export sdkInfo
func sdkInfo(request *C.INFO_REQUEST, response *C.INFO_RESPONSE) (verdict C.int) {
	defer rescue(&verdict)
	if !sdk.isInitialized() {
		return say(notInitialized())
	}
	if request == nil || response == nil {
		return illegal("request or response is null (document 2 §4.1.3.6)")
	}
	to := outputs{
		uidTo(response.uid, &response.uid_len),
		cardNoTo(response.card_no, &response.card_no_len),
		cardDataTo(response.card_data, &response.card_data_len),
		cardTypeTo(response.card_type, &response.card_type_len),
	}
	code, fault := codeOf(request.qrcode, request.qrcode_len)
	if err := cmp.Or(fault, to.fault()); err != nil {
		return illegal(err.Error())
	}
	got := sdk.inspect(code, room{cardNo: to[1].room(), cardData: to[2].room()})
	return to.answer(got)
}

//export sdkVerifyV2
func sdkVerifyV2(request *C.VERIFY_REQUEST_V2, response *C.VERIFY_RESPONSE_V2) (verdict C.int) {
	defer rescue(&verdict)
	if !sdk.isInitialized() {
		return say(notInitialized())
	}
	if request == nil || response == nil {
		return illegal("request_v2 or response_v2 is null (document 2 §4.1.4.6)")
	}
	to := outputs{
		uidTo(response.uid, &response.uid_len),
		recordTo(response.record, &response.record_len),
		cardNoTo(response.card_no, &response.card_no_len),
		cardDataTo(response.card_data, &response.card_data_len),
		cardTypeTo(response.card_type, &response.card_type_len),
	}
	given, fault := tapOf(request.qrcode, request.qrcode_len, request.pos_param, request.amount_cent)
	if err := cmp.Or(fault, to.fault()); err != nil {
		return illegal(err.Error())
	}
	given.room = room{record: to[1].room(), cardNo: to[2].room(), cardData: to[3].room()}
	return to.answer(sdk.accept(given))
}

//export sdkVerifyV1
func sdkVerifyV1(request *C.VERIFY_REQUEST, response *C.VERIFY_RESPONSE) (verdict C.int) {
	defer rescue(&verdict)
	if request == nil || response == nil || request.master_pub_key == nil {
		return illegal("request, response or master_pub_key is null")
	}
	to := outputs{
		uidTo(response.uid, &response.uid_len),
		recordTo(response.record, &response.record_len),
	}
	given, fault := tapOf(request.qrcode, request.qrcode_len, request.pos_param, request.amount_cent)
	key, keyFault := parseOneKey(string(text(request.master_pub_key, maxKeyText)))
	if err := cmp.Or(fault, to.fault(), keyFault); err != nil {
		return illegal(err.Error())
	}
	given.room = room{record: to[1].room(), cardNo: ridecode.MaxCardSize, cardData: ridecode.MaxCardSize}
	return to.answer(sdk.acceptOneKey(key, given))
}

//export sdkKeyID
func sdkKeyID(qrcode *C.uchar) (id C.int) {
	defer rescue(&id)
	if qrcode == nil {
		return illegal("qrcode is null")
	}
	header := C.GoBytes(unsafe.Pointer(qrcode), 3)
	if header[0] != ridecode.Version || header[1] != ridecode.Algorithm1 {
		return say(answer{verdict: ridecode.ProtoUnsupported, reason: "protocol: only version 2 with algorithm 1 is known here (document 1 §6.3.1)"})
	}
	return C.int(header[2])
}

//export sdkSetSigner
func sdkSetSigner(algorithm *C.char, key *C.uchar, keySize C.int) (verdict C.int) {
	defer rescue(&verdict)
	if algorithm == nil || keySize < 0 || keySize > maxKeySize || key == nil && keySize > 0 {
		return illegal("algorithm or key is null, or key_len is not from 0 to 4096")
	}
	copied := C.GoBytes(unsafe.Pointer(key), keySize)
	defer clear(copied)
	made, err := parseSigner(string(text(algorithm, maxKeyText)), copied)
	if err != nil {
		return illegal(err.Error())
	}
	sdk.setSigner(made)
	return C.SUCCESS
}

//export sdkSetJournal
func sdkSetJournal(path *C.char) (verdict C.int) {
	defer rescue(&verdict)
	if path == nil {
		return outcome(sdk.setJournal(""))
	}
	named := text(path, maxPathSize)
	if len(named) > maxPathSize {
		return illegal("path is longer than 4096 bytes")
	}
	return outcome(sdk.setJournal(string(named)))
}

// tapOf copies a request: the caller's memory may change while a code is looked at, and what was
// checked must be what is recorded.
func tapOf(qrcode *C.uchar, qrcodeSize C.int, posParam *C.char, amountCent C.int) (tap, error) {
	code, err := codeOf(qrcode, qrcodeSize)
	switch {
	case err != nil:
		return tap{}, err
	case posParam == nil:
		return tap{}, errors.New("pos_param is null (document 2 §4.1.4.6)")
	case amountCent < 0:
		return tap{}, errors.New("amount_cent is negative (document 2 §4.1.4.6)")
	}
	return tap{code: code, posParam: text(posParam, maxPOSParamSize), amountFen: money.Fen(amountCent)}, nil
}

// codeOf copies no more than shows that a code is too long.
func codeOf(qrcode *C.uchar, size C.int) ([]byte, error) {
	if qrcode == nil || size <= 0 {
		return nil, errors.New("qrcode is null or empty (document 2 §4.1.4.6)")
	}
	return C.GoBytes(unsafe.Pointer(qrcode), min(size, ridecode.MaxSize+1)), nil
}

// text copies a string of the caller, at most one byte more than max: enough to see that it is too
// long, and no further into memory that may have no NUL.
func text(s *C.char, max C.size_t) []byte {
	return C.GoBytes(unsafe.Pointer(s), C.int(C.strnlen(s, max+1)))
}

// environment asks the C library: Go's own copy is from when the library was loaded, and firmware may
// have called setenv since.
func environment() files {
	return files{signer: getenv("POS_SIGNER_FILE"), journal: getenv("POS_JOURNAL_FILE")}
}

func getenv(name string) string {
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	if value := C.getenv(cName); value != nil {
		return C.GoString(value)
	}
	return ""
}

func outcome(err error) C.int {
	var caller misuse
	switch {
	case err == nil:
		return C.SUCCESS
	case errors.As(err, &caller):
		return illegal(err.Error())
	}
	return say(answer{verdict: ridecode.SystemError, reason: err.Error()})
}

func illegal(why string) C.int {
	return say(answer{verdict: ridecode.IllegalParam, reason: "arguments: " + why})
}

// say keeps the reason as the thread's last error, and gives the verdict.
func say(a answer) C.int {
	if a.reason != "" {
		C.sdk_explain((*C.char)(unsafe.Pointer(unsafe.StringData(a.reason))), C.int(len(a.reason)))
	}
	return C.int(a.verdict)
}

// rescue turns a fault of this library into an answer: the firmware is not to die of it, and a gate
// that answers −7 stays shut.
func rescue(verdict *C.int) {
	if fault := recover(); fault != nil {
		*verdict = say(answer{verdict: ridecode.SystemError, reason: fmt.Sprintf("libposoffline: internal error: %v", fault)})
	}
}
