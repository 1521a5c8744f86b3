package form

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf8"
)

// Members goes through the members of a JSON object in their order, a name as often as it stands there; Elements
// goes through the entries of a list. Both take a text that json.Valid has passed, look at no byte twice, and copy
// no value: a settlement list is read level by level, and encoding/json would scan and copy it at each. A text that
// is no object, or no list, has none (IsObject and IsList tell).
func Members(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		for rest := inside(object, '{'); len(rest) > 0; {
			name, after := cutValue(rest)
			value, behind := cutValue(after[1:]) // a colon stands between
			text, _ := Text(name)
			if !yield(text, value) {
				return
			}
			rest = behindComma(behind)
		}
	}
}

// Elements is told of at Members.
func Elements(list []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		for rest := inside(list, '['); len(rest) > 0; {
			value, behind := cutValue(rest)
			if !yield(value) {
				return
			}
			rest = behindComma(behind)
		}
	}
}

// IsObject tells whether a JSON value is an object.
func IsObject(value []byte) bool { return opens(value, '{') }

// IsList tells whether a JSON value is a list.
func IsList(value []byte) bool { return opens(value, '[') }

func opens(value []byte, bracket byte) bool {
	value = trimSpace(value)
	return len(value) > 0 && value[0] == bracket
}

// Text is what a JSON text says; false for any other JSON value. What encoding/json replaces, as broken UTF-8, is
// replaced as there.
func Text(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if inner := value[1 : len(value)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner), true
	}
	var text string
	return text, json.Unmarshal(value, &text) == nil
}

// inside is what stands behind an opening bracket; empty where it is another, or none, or nothing is in it.
func inside(value []byte, bracket byte) []byte {
	value = trimSpace(value)
	if len(value) == 0 || value[0] != bracket {
		return nil
	}
	if value = trimSpace(value[1:]); value[0] == ']' || value[0] == '}' {
		return nil
	}
	return value
}

// behindComma is empty behind the last value, where a closing bracket stands.
func behindComma(text []byte) []byte {
	if text[0] != ',' {
		return nil
	}
	return text[1:]
}

// cutValue takes the value that a text begins with, and the space around it, off.
func cutValue(text []byte) (value, rest []byte) {
	text = trimSpace(text)
	end := valueSize(text)
	return text[:end:end], trimSpace(text[end:])
}

func valueSize(text []byte) int {
	switch text[0] {
	case '"':
		return stringSize(text)
	case '{', '[':
		return nestSize(text)
	}
	if end := bytes.IndexAny(text, ",]} \t\r\n"); end >= 0 {
		return end
	}
	return len(text)
}

func stringSize(text []byte) int {
	for i := 1; ; i++ {
		i += bytes.IndexAny(text[i:], `"\`)
		if text[i] == '"' {
			return i + 1
		}
		i++ // what a backslash stands before
	}
}

func nestSize(text []byte) int {
	for i, depth := 0, 0; ; {
		switch text[i] {
		case '"':
			i += stringSize(text[i:])
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if i++; depth == 0 {
			return i
		}
	}
}

func trimSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '\r' || text[0] == '\n') {
		text = text[1:]
	}
	return text
}
