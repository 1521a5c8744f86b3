package openapi

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
)

// Codec is one method: its name, and how its request and its response are written as JSON. Requests
// are biz_content, responses are nodes. Parsers are strict about what they know (a name twice, a wrong
// type, a length over document 2's tables) and take members they do not know: clients are newer than
// documents. Their errors are *form.Error.
type Codec[Request, Response any] struct {
	Method         Method
	ParseRequest   func(content []byte) (Request, error)
	AppendRequest  func(dst []byte, request Request) []byte
	ParseResponse  func(node []byte) (Response, error)
	AppendResponse func(dst []byte, response Response) []byte
}

// object is one JSON object being read: each name once, the values as they came. The first fault
// stays: after it every read gives zeros, so that a parser reads all members and then looks at err.
type object struct {
	name    string // what it is called in an error, as "trade_list[3]"
	path    string // before the names of its members, as "trade_list[3]."
	clause  string
	members map[string]json.RawMessage
	doubled []string // names that stand twice
	err     error
}

// What the outermost objects are called.
const (
	nameContent = "biz_content"
	nameNode    = "response"
)

// readContent reads a whole text: one JSON object and nothing behind it.
func readContent(text []byte, name, clause string) (*object, error) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, &form.Error{Field: name, Offset: -1, Clause: clause, Why: "not JSON in UTF-8"}
	}
	o := readObject(text, name, "", clause)
	if o.err != nil {
		return nil, o.err
	}
	return o, nil
}

// readEntryObject reads an entry of a list.
func readEntryObject(value []byte, name, clause string) *object {
	return readObject(value, name, name+".", clause)
}

// readObject reads a JSON value that is known to be valid JSON. A name that stands twice is a fault:
// two readers of one signed text would see two amounts.
func readObject(value []byte, name, path, clause string) *object {
	o := &object{name: name, path: path, clause: clause, members: map[string]json.RawMessage{}}
	decoder := json.NewDecoder(bytes.NewReader(value))
	if opening, err := decoder.Token(); err != nil || opening != json.Delim('{') {
		o.refuse("not a JSON object")
		return o
	}
	for decoder.More() {
		if !o.readMember(decoder) {
			o.refuse("not JSON")
			return o
		}
	}
	if len(o.doubled) > 0 {
		o.refuse("a name stands twice")
	}
	return o
}

func (o *object) readMember(decoder *json.Decoder) bool {
	token, err := decoder.Token()
	name, isName := token.(string)
	if err != nil || !isName {
		return false
	}
	var value json.RawMessage
	if decoder.Decode(&value) != nil {
		return false
	}
	if _, twice := o.members[name]; twice {
		o.doubled = append(o.doubled, name)
	}
	o.members[name] = value
	return true
}

// refuse keeps a fault of the object as a whole.
func (o *object) refuse(why string) {
	if o.err == nil {
		o.err = &form.Error{Field: o.name, Offset: -1, Clause: o.clause, Why: why}
	}
}

func (o *object) fail(name, why string) {
	if o.err == nil {
		o.err = &form.Error{Field: o.path + name, Offset: -1, Clause: o.clause, Why: why}
	}
}

// value is a member; absent and null are the same.
func (o *object) value(name string) (json.RawMessage, bool) {
	value, present := o.members[name]
	return value, o.err == nil && present && string(value) != "null"
}

// text reads an optional text on one line, of at most so many characters.
func (o *object) text(name string, characters int) string {
	text := o.prose(name, characters)
	if strings.ContainsAny(text, "\t\r\n") {
		o.fail(name, "more than one line")
		return ""
	}
	return text
}

// required is text that must not be empty.
func (o *object) required(name string, characters int) string {
	text := o.text(name, characters)
	if text == "" {
		o.fail(name, "missing or empty")
	}
	return text
}

// prose reads an optional text that may have lines. Control characters are refused, since they forge
// what people read, and U+FFFD, the trace of a broken text: two broken numbers look alike.
func (o *object) prose(name string, characters int) string {
	value, present := o.value(name)
	if !present {
		return ""
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		o.fail(name, "not a text")
		return ""
	}
	if utf8.RuneCountInString(text) > characters {
		o.fail(name, fmt.Sprintf("over %d characters", characters))
		return ""
	}
	if strings.ContainsFunc(text, isUnfit) {
		o.fail(name, "holds a control character or a broken one")
		return ""
	}
	return text
}

func isUnfit(r rune) bool {
	return r < ' ' && r != '\t' && r != '\r' && r != '\n' || r == 0x7f || r == utf8.RuneError
}

// amount reads yuan as text or as a number (document 2 §4.2.3.5 says text, its sample has a number).
// The digits are read as they stand: no float ever holds them.
func (o *object) amount(name string) money.Fen {
	value, present := o.value(name)
	if !present {
		o.fail(name, "missing or empty")
		return 0
	}
	digits := string(value)
	if value[0] == '"' {
		digits = o.required(name, 64)
	}
	fen, err := money.ParseYuan(digits)
	if err != nil {
		o.fail(name, strings.TrimPrefix(err.Error(), "money: "))
		return 0
	}
	return fen
}

// moment reads an optional time of Beijing; absent is the zero time.
func (o *object) moment(name string) time.Time {
	text := o.text(name, 64)
	if text == "" {
		return time.Time{}
	}
	t, ok := ParseTime(text)
	if !ok {
		o.fail(name, "not a time written yyyy-MM-dd HH:mm:ss")
	}
	return t
}

// flag reads an optional true or false.
func (o *object) flag(name string) bool {
	value, present := o.value(name)
	if present && string(value) != "true" && string(value) != "false" {
		o.fail(name, "neither true nor false")
	}
	return present && string(value) == "true"
}

// list reads a list of countMin to countMax entries.
func (o *object) list(name string, countMin, countMax int) []json.RawMessage {
	value, present := o.value(name)
	var entries []json.RawMessage
	if present && json.Unmarshal(value, &entries) != nil {
		o.fail(name, "not a list")
		return nil
	}
	if len(entries) < countMin || len(entries) > countMax {
		o.fail(name, fmt.Sprintf("%d entries, not %d to %d", len(entries), countMin, countMax))
		return nil
	}
	return entries
}

// records reads a list of texts in hex, each of sizeMax bytes at most.
func (o *object) records(name string, countMin, countMax, sizeMax int) [][]byte {
	entries := o.list(name, countMin, countMax)
	records := make([][]byte, 0, len(entries))
	for i, entry := range entries {
		record, why := hexText(entry, sizeMax)
		if why != "" {
			o.fail(fmt.Sprintf("%s[%d]", name, i), why)
			return nil
		}
		records = append(records, record)
	}
	return records
}

// hexText reads a JSON text of hex in either case.
func hexText(value json.RawMessage, sizeMax int) (b []byte, why string) {
	var text string
	if json.Unmarshal(value, &text) != nil || string(value) == "null" {
		return nil, "not a text"
	}
	if len(text) > 2*sizeMax {
		return nil, fmt.Sprintf("over %d bytes", sizeMax)
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil, "not bytes in hex"
	}
	return b, ""
}

// appendMember writes ,"name":"value", without the comma behind an opening brace. Names are ours and
// need no escape.
func appendMember(dst []byte, name, value string) []byte {
	return form.AppendJSONString(appendName(dst, name), value)
}

// appendOptional leaves an empty value out.
func appendOptional(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendMember(dst, name, value)
}

func appendName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(append(dst, '"'), name...)
	return append(dst, '"', ':')
}

// appendSuccess opens the node of a call that succeeded.
func appendSuccess(dst []byte) []byte {
	dst = appendMember(append(dst, '{'), "code", string(CodeSuccess))
	return appendMember(dst, "msg", CodeSuccess.msg())
}
