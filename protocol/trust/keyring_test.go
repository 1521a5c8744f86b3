package trust_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/trust"
)

const sampleKeys = `[{"key_id":0,"public_key":"02170D3C441AF17AE1010A4095B974BF1FE1EA48FCD65BE060A5AD577ABB885088"},` +
	`{"key_id":1,"public_key":"03410D92CDAB5BC9349731136619A93FC3225DE6B235E839F6BEB41A77B79A0424"}]`

// The list of document 2 §4.1.2.6, read and written again to the same bytes.
func TestSampleOfTheDocument(t *testing.T) {
	keys, err := trust.ParseKeyList([]byte(sampleKeys))
	if err != nil {
		t.Fatal(err)
	}
	if written := trust.AppendKeyList(nil, keys); string(written) != sampleKeys {
		t.Errorf("written again as %s", written)
	}
	ring, err := trust.NewKeyRing(keys, trust.WindowSmall)
	if err != nil {
		t.Fatal(err)
	}
	if _, known := ring.IssuerKey(1); !known {
		t.Error("key 1 is not found")
	}
	if _, known := ring.IssuerKey(2); known {
		t.Error("key 2 is found")
	}
}

func TestBadKeyLists(t *testing.T) {
	point := "02170D3C441AF17AE1010A4095B974BF1FE1EA48FCD65BE060A5AD577ABB885088"
	for _, bad := range []string{``, `{}`, `null`, `[]`, `[{}]`, `[{"key_id":0}]`, sampleKeys + `x`, `[{"key_id":0.5,"public_key":"` + point + `"}]`,
		`[{"key_id":-1,"public_key":"` + point + `"}]`, `[{"key_id":256,"public_key":"` + point + `"}]`,
		`[{"key_id":0,"public_key":"04` + point[2:] + `"}]`, `[{"key_id":0,"public_key":"` + point[:64] + `"}]`,
		`[{"key_id":0,"public_key":"02` + strings.Repeat("F", 64) + `"}]`, strings.Repeat(" ", 1<<20)} {
		_, err := trust.ParseKeyList([]byte(bad))
		var wrong *form.Error
		if !errors.As(err, &wrong) {
			t.Errorf("%.60q is taken: %v", bad, err)
		}
	}
	key, err := trust.ParseKey(3, point)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.NewKeyRing([]trust.Key{key, key}, trust.WindowSmall); err == nil {
		t.Error("an id that stands twice is taken")
	}
}

func FuzzParseKeyList(f *testing.F) {
	f.Add([]byte(sampleKeys))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := trust.ParseKeyList(b)
		if err != nil {
			return
		}
		written := trust.AppendKeyList(nil, keys)
		again, err := trust.ParseKeyList(written)
		if err != nil || !bytes.Equal(trust.AppendKeyList(nil, again), written) {
			t.Fatalf("%s was read again as %v, %v", written, again, err)
		}
	})
}
