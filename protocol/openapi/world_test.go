package openapi_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

// The app's and the platform's keys of this run.
var (
	appKey      = sync.OnceValue(newKey)
	platformKey = sync.OnceValue(newKey)
)

func newKey() openapi.PrivateKey {
	generated, err := rsa.GenerateKey(rand.Reader, openapi.MinKeyBits)
	if err != nil {
		panic(err)
	}
	key, err := openapi.NewPrivateKey(generated)
	if err != nil {
		panic(err)
	}
	return key
}

func noon() time.Time { return time.Date(2026, 5, 11, 4, 0, 0, 0, time.UTC) }

// common is the parameters of a good request without a content.
func common() map[string]string {
	return map[string]string{
		"app_id": "2026051100000001", "method": string(openapi.MethodKeyQuery), "charset": "utf-8", "sign_type": "RSA2",
		"timestamp": "2026-05-11 12:00:00", "version": "1.0",
	}
}

// signedForm signs text, as a client would, and writes the parameters in a form.
func signedForm(t testing.TB, params map[string]string, signType openapi.SignType, text string) []byte {
	t.Helper()
	values := url.Values{}
	for name, value := range params {
		values.Set(name, value)
	}
	signature, err := appKey().Sign(signType, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	values.Set("sign", base64.StdEncoding.EncodeToString(signature))
	return []byte(values.Encode())
}

// subOf is the sub_code of an *openapi.Error, empty for nil.
func subOf(t testing.TB, err error) openapi.SubCode {
	t.Helper()
	if err == nil {
		return ""
	}
	var refusal *openapi.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("error %v of type %T is no *openapi.Error", err, err)
	}
	return refusal.SubCode
}
