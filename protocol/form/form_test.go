package form_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/shuama/shuama/protocol/form"
)

func TestDoubledName(t *testing.T) {
	for text, want := range map[string]bool{
		``: false, `{`: false, `1`: false, `{}`: false, `[]`: false, `{"a":1,"b":1}`: false, `{"a":1,"a":1}`: true,
		`{"a":{"a":{"a":1}}}`: false, `[{"a":1},{"a":1}]`: false, `[{"a":1},{"b":1,"b":2}]`: true, `{"a":[1,"a","a"]}`: false,
		`{"a":"b","b":"a"}`: false, `{"a":{"x":1,"x":2}}`: true, `{"x":[{"y":1}],"x":1}`: true, "{\"a\":1,\"\\u0061\":2}": true,
		`["a","a"]`: false, `{"a":1,"A":2}`: true, `{"a":null,"a":null}`: true,
	} {
		if got := form.DoubledName([]byte(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// The first fault stays, and names its field, byte and clause; after it every read gives zeros.
func TestReader(t *testing.T) {
	r := form.NewReader([]byte{1, 2, 3, 4, 'a', 'b', 0x7f}, 10)
	if r.Uint8("a", "c") != 1 || r.Uint16("b", "c") != 0x0203 || r.Err() != nil || r.Offset() != 13 {
		t.Fatalf("%v at %d", r.Err(), r.Offset())
	}
	if r.Uint32("four bytes", "§4") != 0x0461627f || r.Err() != nil {
		t.Fatal(r.Err())
	}
	r.Uint8("one more", "§5")
	r.Text("later", "§6", 1)
	r.End("end", "§7")
	var wrong *form.Error
	if !errors.As(r.Err(), &wrong) || *wrong != (form.Error{Field: "one more", Offset: 17, Clause: "§5", Why: "1 bytes announced, 0 left"}) {
		t.Errorf("%+v", r.Err())
	}
	text := form.NewReader([]byte("a\n"), 0)
	if text.Text("name", "§1", 2) != "" || text.Err() == nil {
		t.Error("a control byte is taken")
	}
	short := form.NewReader([]byte("abc"), 0)
	short.Bytes("front", "§1", 2)
	short.End("end", "§2")
	if short.Err() == nil || short.Err().Error() != "end at byte 2: 1 bytes too many (§2)" {
		t.Errorf("%v", short.Err())
	}
}

func FuzzAppendJSONString(f *testing.F) {
	f.Add("a\"b\\<>&\u2028\x00")
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		b := form.AppendJSONString([]byte("x"), s)
		if err := json.Unmarshal(b[1:], &back); err != nil || b[0] != 'x' {
			t.Fatalf("%q became %q: %v", s, b, err)
		}
	})
}
