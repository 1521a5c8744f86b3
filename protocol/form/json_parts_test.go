package form

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

type pair struct {
	name  string
	value string
}

// FuzzParts holds the walk against encoding/json's own decoder.
func FuzzParts(f *testing.F) {
	for _, text := range []string{`{}`, ` { "a" : 1 , "b":[1,2,{"c":"}"}] } `, `[]`, `[ 1 , "\"]" , [] ]`, `{"a":"\\","a":"\u0041\ud800"}`, `"x"`, `-1.5e3`, `null`,
		"[\"\xff\"]", `{"\n":{"":[{}]}}`, `[true,false,null]`, "\t[\r\n]"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		var members []pair
		for name, value := range Members(text) {
			members = append(members, pair{name, string(value)})
		}
		var list []string
		for value := range Elements(text) {
			list = append(list, string(value))
		}
		wantMembers, wantList := decoded(t, text)
		if !slices.Equal(members, wantMembers) || !slices.Equal(list, wantList) {
			t.Fatalf("%q: %q %q, encoding/json has %q %q", text, members, list, wantMembers, wantList)
		}
		checkText(t, bytes.TrimSpace(text))
	})
}

// decoded is what encoding/json finds.
func decoded(t *testing.T, text []byte) (members []pair, list []string) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	opening, err := decoder.Token()
	if err != nil {
		t.Fatal(err)
	}
	if IsObject(text) != (opening == json.Delim('{')) || IsList(text) != (opening == json.Delim('[')) {
		t.Fatalf("%q: another kind of value than %v", text, opening)
	}
	for (IsObject(text) || IsList(text)) && decoder.More() {
		var p pair
		if IsObject(text) {
			name, err := decoder.Token()
			if err != nil {
				t.Fatal(err)
			}
			p.name = name.(string)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		if p.value = string(value); IsObject(text) {
			members = append(members, p)
		} else {
			list = append(list, p.value)
		}
	}
	return members, list
}

func checkText(t *testing.T, value []byte) {
	t.Helper()
	var want string
	wantIs := value[0] == '"' && json.Unmarshal(value, &want) == nil
	if text, is := Text(value); is != wantIs || text != want {
		t.Fatalf("%q: %q %v, encoding/json has %q %v", value, text, is, want, wantIs)
	}
}
