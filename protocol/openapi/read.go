package openapi

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
)

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

var _ members = (*object)(nil)

// What the outermost objects are called.
const (
	nameContent = "biz_content"
	nameNode    = "response"
)

// readContent reads a whole text: one JSON object and nothing behind it.
func readContent(text []byte, name, clause string) (*object, error) {
	if !isJSON(text) {
		return nil, &form.Error{Field: name, Offset: -1, Clause: clause, Why: "not JSON in UTF-8"}
	}
	o := readObject(text, name, "", clause)
	if o.err != nil {
		return nil, o.err
	}
	return o, nil
}

func isJSON(text []byte) bool { return utf8.Valid(text) && json.Valid(text) }

// readEntryObject reads an object inside another.
func readEntryObject(value []byte, name, clause string) *object {
	return readObject(value, name, name+".", clause)
}

// readObject reads a JSON value that is known to be valid JSON. A name that stands twice is a fault:
// two readers of one signed text would see two amounts.
func readObject(value []byte, name, path, clause string) *object {
	o := &object{name: name, path: path, clause: clause, members: map[string]json.RawMessage{}}
	if !form.IsObject(value) {
		o.refuse("not a JSON object")
		return o
	}
	for name, member := range form.Members(value) {
		if _, twice := o.members[name]; twice {
			o.doubled = append(o.doubled, name)
		}
		o.members[name] = member
	}
	if len(o.doubled) > 0 {
		o.refuse("a name stands twice")
	}
	return o
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

func (o *object) demand(ok bool, name, why string) {
	if !ok {
		o.fail(name, why)
	}
}

func (o *object) has(m member, _ bool) bool {
	value, present := o.value(m.name)
	return present && (!m.loose || string(value) != `""`)
}

// value is a member; absent and null are the same.
func (o *object) value(name string) (json.RawMessage, bool) {
	value, present := o.members[name]
	return value, o.err == nil && present && string(value) != "null"
}

// required is a value that must be there where the row says so.
func (o *object) required(m member) (json.RawMessage, bool) {
	value, present := o.value(m.name)
	if !present && m.required {
		o.fail(m.name, "missing or empty")
	}
	return value, present
}

// text reads a text of at most so many characters, on one line unless the row says otherwise. Control
// characters are refused, since they forge what people read, and U+FFFD, the trace of a broken text: two
// broken numbers look alike.
func (o *object) text(m member, value *string) {
	raw, present := o.required(m)
	if !present {
		return
	}
	if m.json && raw[0] == '{' {
		raw = form.AppendJSONString(nil, string(raw))
	}
	text, is := form.Text(raw)
	if !is {
		o.fail(m.name, "not a text")
		return
	}
	if why := m.fault(text); why != "" {
		o.fail(m.name, why)
		return
	}
	*value = text
}

// fault says what is wrong with a text, in half a sentence.
func (m member) fault(text string) string {
	switch {
	case text == "" && m.required:
		return "missing or empty"
	case utf8.RuneCountInString(text) > m.max:
		return fmt.Sprintf("over %d characters", m.max)
	case strings.ContainsFunc(text, isUnfit):
		return "holds a control character or a broken one"
	case !m.prose && strings.ContainsAny(text, "\t\r\n"):
		return "more than one line"
	case text != "" && m.values != nil && !slices.Contains(m.values, text):
		return "none of " + strings.Join(m.values, ", ")
	case text != "" && m.json && !isJSONObject(text):
		return "not the text of a JSON object, each name once"
	}
	return ""
}

func isUnfit(r rune) bool {
	return r < ' ' && r != '\t' && r != '\r' && r != '\n' || r == 0x7f || r == utf8.RuneError
}

func isJSONObject(text string) bool {
	b := bytes.TrimSpace([]byte(text))
	return len(b) > 0 && b[0] == '{' && json.Valid(b) && !form.DoubledName(b)
}

// amount reads yuan as text or as a number (document 2 §4.2.3.5 says text, its sample has a number).
// The digits are read as they stand: no float ever holds them.
func (o *object) amount(m member, value *money.Fen) {
	raw, present := o.required(m)
	if !present {
		return
	}
	digits := string(raw)
	if raw[0] == '"' {
		digits = ""
		o.text(member{name: m.name, max: 64, required: m.required}, &digits)
	}
	if o.err != nil || digits == "" {
		return
	}
	negative := m.signed && strings.HasPrefix(digits, "-")
	fen, err := money.ParseYuan(strings.TrimPrefix(digits, map[bool]string{true: "-"}[negative]))
	if err != nil {
		o.fail(m.name, strings.TrimPrefix(err.Error(), "money: "))
		return
	}
	if negative {
		fen = -fen
	}
	*value = fen
}

// moment reads a time of Beijing.
func (o *object) moment(m member, value *time.Time) {
	var text string
	o.text(member{name: m.name, max: 64, required: m.required}, &text)
	if text == "" {
		return
	}
	t, ok := ParseTime(text)
	if !ok {
		o.fail(m.name, "not a time written yyyy-MM-dd HH:mm:ss")
		return
	}
	*value = t
}

func (o *object) flag(m member, value *bool) {
	raw, present := o.required(m)
	if !present {
		return
	}
	text := string(raw)
	if m.loose {
		text = strings.Trim(text, `"`)
	}
	if text != "true" && text != "false" {
		o.fail(m.name, "neither true nor false")
		return
	}
	*value = text == "true"
}

// number reads a whole number, or the text of one, as some clients send it.
func (o *object) number(m member, value *int64) {
	raw, present := o.required(m)
	if !present {
		return
	}
	number, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil || number < int64(m.min) || number > int64(m.max) {
		o.fail(m.name, fmt.Sprintf("not a whole number from %d to %d", m.min, m.max))
		return
	}
	*value = number
}

// bytes reads hex in either case; an empty text is no bytes.
func (o *object) bytes(m member, value *[]byte) {
	raw, present := o.required(m)
	if !present {
		return
	}
	if string(raw) == `""` && !m.required {
		*value = []byte{}
		return
	}
	b, why := hexText(raw, m.max)
	if why != "" {
		o.fail(m.name, why)
		return
	}
	*value = b
}

func hexText(value json.RawMessage, sizeMax int) (b []byte, why string) {
	text, is := form.Text(value)
	if !is {
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

// values reads a list of m.min to m.max entries.
func (o *object) values(m member) []json.RawMessage {
	raw, present := o.value(m.name)
	var values []json.RawMessage
	if present && m.loose {
		raw = unwrapped(raw)
	}
	if present && !form.IsList(raw) {
		o.fail(m.name, "not a list")
		return nil
	}
	if present {
		values = slices.Collect(form.Elements(raw))
	}
	if (present || m.required) && (len(values) < m.min || len(values) > m.max) {
		o.fail(m.name, fmt.Sprintf("%d entries, not %d to %d", len(values), m.min, m.max))
		return nil
	}
	return values
}

// unwrapped takes JSON out of a text that holds it.
func unwrapped(raw json.RawMessage) json.RawMessage {
	text, is := form.Text(raw)
	if !is || !isJSON([]byte(text)) {
		return raw
	}
	return json.RawMessage(text)
}

func (o *object) texts(m member, values *[]string) {
	raw := o.values(m)
	*values = make([]string, len(raw))
	for i, value := range raw {
		name := fmt.Sprintf("%s[%d]", m.name, i)
		entry := object{path: o.path, clause: o.clause, members: map[string]json.RawMessage{name: value}, err: o.err}
		entry.text(need(name, m.each, ""), &(*values)[i])
		o.err = entry.err
	}
}

func (o *object) blobs(m member, values *[][]byte) {
	for i, raw := range o.values(m) {
		b, why := hexText(raw, m.each)
		if why != "" {
			o.fail(fmt.Sprintf("%s[%d]", m.name, i), why)
			return
		}
		*values = append(*values, b)
	}
}

func (o *object) list(m member, e entries) {
	raw := o.values(m)
	if len(raw) == 0 {
		return
	}
	e.grow(len(raw))
	for i, value := range raw {
		entry := readEntryObject(value, fmt.Sprintf("%s%s[%d]", o.path, m.name, i), o.clause)
		if e.tell(i, entry); entry.err != nil {
			o.err = entry.err
			return
		}
	}
}

// part reads an object, or the text of one.
func (o *object) part(m member, tell func(members)) {
	raw, present := o.required(m)
	if !present {
		return
	}
	inner := readEntryObject(unwrapped(raw), o.path+m.name, o.clause)
	if tell(inner); inner.err != nil {
		o.err = inner.err
	}
}

func (o *object) own(m member, v ownValue) {
	raw, present := o.required(m)
	if !present {
		return
	}
	if err := v.read(raw); err != nil && o.err == nil {
		o.err = err
	}
}
