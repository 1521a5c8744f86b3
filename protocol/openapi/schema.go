package openapi

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
)

// schema documents a message as JSON Schema. It says what this platform takes and gives, which is a little
// more than what the documents' tables have: numbers for texts, texts for lists.
type schema struct {
	answer     bool // a message that this platform writes: each value in one form
	properties []byte
	needed     []byte // names, each in quotes, with commas between
}

var _ members = (*schema)(nil)

// tellOutcome is what every node has (gateway-facts §2, document 2 §4.2.1.7).
func (s *schema) tellOutcome() {
	var outcome Error
	outcome.tellCommon(s)
}

func (s *schema) object() json.RawMessage {
	dst := append([]byte(`{"type":"object","properties":{`), s.properties...)
	dst = append(dst, '}')
	if len(s.needed) > 0 {
		dst = append(append(append(dst, `,"required":[`...), s.needed...), ']')
	}
	return append(dst, '}')
}

// add puts a member in: what it is called, what may stand there, and what it means.
func (s *schema) add(m member, kind string) {
	if len(s.properties) > 0 {
		s.properties = append(s.properties, ',')
	}
	s.properties = append(form.AppendJSONString(s.properties, m.name), ':', '{')
	s.properties = append(s.properties, kind...)
	if m.what != "" {
		s.properties = form.AppendJSONString(append(s.properties, `,"description":`...), m.what)
	}
	s.properties = append(s.properties, '}')
	if m.required {
		s.needed = form.AppendJSONString(appendComma(s.needed, len(s.needed)), m.name)
	}
}

func (s *schema) text(m member, _ *string) {
	if m.json && !s.answer {
		s.add(m, `"type":["string","object"],"maxLength":`+strconv.Itoa(m.max))
		return
	}
	s.add(m, textSchema(m))
}

func textSchema(m member) string {
	kind := `"type":"string","maxLength":` + strconv.Itoa(m.max)
	if m.required && !m.cut {
		kind += `,"minLength":1`
	}
	if m.values == nil {
		return kind
	}
	dst := []byte(kind + `,"enum":[`)
	for i, value := range m.values {
		dst = form.AppendJSONString(appendComma(dst, i), value)
	}
	if !m.required {
		dst = append(dst, `,""`...)
	}
	return string(append(dst, ']'))
}

func (s *schema) amount(m member, _ *money.Fen) {
	sign := ""
	if m.signed {
		sign = "-?"
	}
	pattern := `"pattern":"^` + sign + `[0-9]+([.][0-9]{1,2})?$"`
	if s.answer {
		s.add(m, `"type":"string",`+pattern)
		return
	}
	s.add(m, `"type":["string","number"],`+pattern)
}

func (s *schema) moment(m member, _ *time.Time) {
	s.add(m, `"type":"string","pattern":"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"`)
}

func (s *schema) flag(m member, _ *bool) {
	if m.loose && !s.answer {
		s.add(m, `"enum":[true,false,"true","false"]`)
		return
	}
	s.add(m, `"type":"boolean"`)
}

func (s *schema) number(m member, _ *int64) {
	kind := `"type":["integer","string"],"pattern":"^[0-9]+$"`
	if s.answer {
		kind = `"type":"integer"`
	}
	s.add(m, kind+`,"minimum":`+strconv.Itoa(m.min)+`,"maximum":`+strconv.Itoa(m.max))
}

func (s *schema) bytes(m member, _ *[]byte) { s.add(m, hexSchema(m.max, m.required)) }

func hexSchema(sizeMax int, required bool) string {
	count := "*"
	if required {
		count = "+"
	}
	return `"type":"string","pattern":"^([0-9A-Fa-f]{2})` + count + `$","maxLength":` + strconv.Itoa(2*sizeMax)
}

func (s *schema) texts(m member, _ *[]string) {
	s.add(m, listSchema(m, `{`+textSchema(need("", m.each, ""))+`}`))
}

func (s *schema) blobs(m member, _ *[][]byte) {
	s.add(m, listSchema(m, `{`+hexSchema(m.each, true)+`}`))
}

func listSchema(m member, entry string) string {
	return `"type":"array","minItems":` + strconv.Itoa(m.min) + `,"maxItems":` + strconv.Itoa(m.max) + `,"items":` + entry
}

func (s *schema) list(m member, e entries) {
	entry := schema{answer: s.answer}
	e.grow(1)
	e.tell(0, &entry)
	kind := listSchema(m, string(entry.object()))
	if m.loose && !s.answer {
		kind = `"anyOf":[{` + kind + `},{"type":"string","contentMediaType":"application/json"}]`
	}
	s.add(m, kind)
}

func (s *schema) part(m member, tell func(members)) {
	inner := schema{answer: s.answer}
	tell(&inner)
	object := string(inner.object())
	if m.json && !s.answer {
		s.add(m, `"anyOf":[{"type":"string","contentMediaType":"application/json","contentSchema":`+object+`},`+object+`]`)
		return
	}
	s.add(m, object[1:len(object)-1])
}

func (s *schema) own(m member, v ownValue) { s.add(m, v.schema) }

func (s *schema) has(member, bool) bool { return true }

func (s *schema) demand(bool, string, string) {}
