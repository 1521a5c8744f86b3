package openapi_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/trust"
)

// generator is a point on secp256k1 that everybody knows.
const generator = "0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798"

func TestKeyQuery(t *testing.T) {
	codec := openapi.KeyQuery()
	for _, content := range []string{"", "{}", "{  \n}", `{"new":1}`} {
		if _, err := codec.ParseRequest([]byte(content)); err != nil {
			t.Errorf("%q: %v", content, err)
		}
	}
	for _, content := range []string{"[]", "null", "1", "{", "{}{}", `{"a":1,"a":1}`} {
		if _, err := codec.ParseRequest([]byte(content)); err == nil {
			t.Errorf("took %q", content)
		}
	}
	key, err := trust.ParseKey(0, generator)
	if err != nil {
		t.Fatal(err)
	}
	node := codec.AppendResponse(nil, openapi.KeyQueryResponse{Keys: []trust.Key{key}})
	want := `{"code":"10000","msg":"Success","keys":[{"key_id":0,"public_key":"` + generator + `"}]}`
	if string(node) != want {
		t.Errorf("got %s", node)
	}
	response, err := codec.ParseResponse(node)
	if err != nil || len(response.Keys) != 1 || !bytes.Equal(response.Keys[0].Public.Bytes(), key.Public.Bytes()) {
		t.Errorf("read back as %+v, %v", response, err)
	}
	if response, err := codec.ParseResponse(codec.AppendResponse(nil, openapi.KeyQueryResponse{})); err != nil || len(response.Keys) != 0 {
		t.Errorf("no keys: %+v, %v", response, err)
	}
	for _, node := range []string{`{"keys":{}}`, `{"keys":[{"key_id":0,"public_key":"00"}]}`, `{"keys":[],"keys":[]}`} {
		if _, err := codec.ParseResponse([]byte(node)); err == nil {
			t.Errorf("took %s", node)
		}
	}
}

func TestRecordVerify(t *testing.T) {
	codec := openapi.RecordVerify()
	for _, content := range []string{`{"record":"0ae2"}`, `{ "record" : "0AE2", "new": {} }`} {
		request, err := codec.ParseRequest([]byte(content))
		if err != nil || !bytes.Equal(request.Record, []byte{0x0a, 0xe2}) {
			t.Errorf("%s: %x, %v", content, request.Record, err)
		}
	}
	for content, field := range map[string]string{
		``: "biz_content", `{"record":"00","record":"01"}`: "biz_content", `[]`: "biz_content",
		`{}`: "record", `{"record":null}`: "record", `{"record":""}`: "record", `{"record":"0"}`: "record", `{"record":"0x"}`: "record",
		`{"record":["00"]}`: "record", `{"record":10}`: "record", `{"record":"0ae23a47f65d....."}`: "record",
		`{"record":"` + strings.Repeat("00", record.MaxSize+1) + `"}`: "record",
	} {
		_, err := codec.ParseRequest([]byte(content))
		wantRecordFault(t, content, err, field)
	}
	if node := codec.AppendResponse(nil, openapi.RecordVerifyResponse{}); string(node) != `{"code":"10000","msg":"Success"}` {
		t.Errorf("got %s", node)
	}
}

func wantRecordFault(t *testing.T, content string, err error, field string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), field+": ") || !strings.HasSuffix(err.Error(), "(document 2 §4.2.2.5)") {
		t.Errorf("%.60s: got %v, want field %s", content, err, field)
	}
}

func FuzzKeyQuery(f *testing.F) {
	f.Add([]byte(`{"code":"10000","keys":[{"key_id":0,"public_key":"` + generator + `"}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		codec := openapi.KeyQuery()
		codec.ParseRequest(text)
		want, err := codec.ParseResponse(text)
		if err != nil {
			return
		}
		node := codec.AppendResponse(nil, want)
		got, err := codec.ParseResponse(node)
		if err != nil || !bytes.Equal(codec.AppendResponse(nil, got), node) {
			t.Fatalf("%s was read back with %v", node, err)
		}
	})
}

func FuzzRecordVerify(f *testing.F) {
	f.Add([]byte(`{"record":"0ae2"}`))
	f.Add([]byte(`{"record":"","x":1}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		codec := openapi.RecordVerify()
		want, err := codec.ParseRequest(content)
		if err != nil {
			return
		}
		got, err := codec.ParseRequest(codec.AppendRequest(nil, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %x, want %x: %v", got.Record, want.Record, err)
		}
	})
}

func BenchmarkParseSettleRequest(b *testing.B) {
	for _, count := range []int{1, openapi.MaxTrades} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			content := list(strings.Split(strings.Repeat(trade+"\n", count-1)+trade, "\n")...)
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := openapi.TradeSettle().ParseRequest(content); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
