package openapi

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
)

// writer writes a message, without the brace that ends it. What is optional and empty is left out.
type writer struct{ dst []byte }

var _ members = (*writer)(nil)

func (w *writer) text(m member, value *string) {
	text := *value
	if m.cut {
		text = Shorten(text, m.max)
	}
	if m.required || text != "" {
		w.dst = appendMember(w.dst, m.name, text)
	}
}

func (w *writer) amount(m member, value *money.Fen) {
	w.dst = appendMember(w.dst, m.name, value.Yuan())
}

func (w *writer) moment(m member, value *time.Time) {
	if m.required || !value.IsZero() {
		w.dst = appendMember(w.dst, m.name, FormatTime(*value))
	}
}

func (w *writer) flag(m member, value *bool) {
	w.dst = strconv.AppendBool(appendName(w.dst, m.name), *value)
}

func (w *writer) number(m member, value *int64) {
	w.dst = strconv.AppendInt(appendName(w.dst, m.name), *value, 10)
}

func (w *writer) bytes(m member, value *[]byte) {
	if m.required || *value != nil {
		w.dst = appendHex(appendName(w.dst, m.name), *value)
	}
}

func (w *writer) texts(m member, values *[]string) {
	w.dst = append(appendName(w.dst, m.name), '[')
	for i, value := range *values {
		w.dst = form.AppendJSONString(appendComma(w.dst, i), value)
	}
	w.dst = append(w.dst, ']')
}

func (w *writer) blobs(m member, values *[][]byte) {
	w.dst = append(appendName(w.dst, m.name), '[')
	for i, value := range *values {
		w.dst = appendHex(appendComma(w.dst, i), value)
	}
	w.dst = append(w.dst, ']')
}

func (w *writer) list(m member, e entries) {
	if !m.required && e.count() == 0 {
		return
	}
	w.dst = append(appendName(w.dst, m.name), '[')
	for i := range e.count() {
		w.dst = append(appendComma(w.dst, i), '{')
		e.tell(i, w)
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, ']')
}

// part writes an object as the text of one where the row says so: clients hold such members in texts.
func (w *writer) part(m member, tell func(members)) {
	inner := writer{[]byte{'{'}}
	tell(&inner)
	if inner.dst = append(inner.dst, '}'); m.json {
		w.dst = appendMember(w.dst, m.name, string(inner.dst))
		return
	}
	w.dst = append(appendName(w.dst, m.name), inner.dst...)
}

func (w *writer) own(m member, v ownValue) {
	if v.present {
		w.dst = v.append(appendName(w.dst, m.name))
	}
}

func (w *writer) has(_ member, value bool) bool { return value }

func (w *writer) demand(bool, string, string) {}

// appendMember writes ,"name":"value", without the comma behind an opening brace. Names are ours and
// need no escape.
func appendMember(dst []byte, name, value string) []byte {
	return form.AppendJSONString(appendName(dst, name), value)
}

func appendName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(append(dst, '"'), name...)
	return append(dst, '"', ':')
}

func appendComma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

func appendHex(dst, b []byte) []byte { return append(hex.AppendEncode(append(dst, '"'), b), '"') }

// appendSuccess opens the node of a call that succeeded.
func appendSuccess(dst []byte) []byte {
	dst = appendMember(append(dst, '{'), "code", string(CodeSuccess))
	return appendMember(dst, "msg", CodeSuccess.msg())
}
