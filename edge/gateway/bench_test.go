package gateway_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/shuama/shuama/protocol/openapi"
)

// BenchmarkRoundTrip is one call over loopback, client and gateway in one process, beside a bare
// net/http exchange that does the same four RSA operations and nothing else.
func BenchmarkRoundTrip(b *testing.B) {
	record := make([]byte, 300)
	b.Run("key.query", func(b *testing.B) {
		client := newWorld(b, nil).client(b)
		for b.Loop() {
			if _, err := client.KeyQuery(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("record.verify", func(b *testing.B) {
		client := newWorld(b, nil).client(b)
		for b.Loop() {
			if err := client.VerifyRecord(b.Context(), record); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare net/http with RSA2", func(b *testing.B) { bareRoundTrip(b, record) })
}

func bareRoundTrip(b *testing.B, text []byte) {
	app, platform := signerOf(appKey()), signerOf(platformKey())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !app.Public().Verify(openapi.RSA2, body, fromBase64(r.Header.Get("sign"))) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		signature, err := platform.Sign(openapi.RSA2, body)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("sign", base64.StdEncoding.EncodeToString(signature))
		w.Write(body)
	}))
	defer server.Close()
	for b.Loop() {
		bareCall(b, server.URL, text, app, platform.Public())
	}
}

func bareCall(b *testing.B, address string, text []byte, app openapi.Signer, platform openapi.Verifier) {
	signature, err := app.Sign(openapi.RSA2, text)
	if err != nil {
		b.Fatal(err)
	}
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("sign", base64.StdEncoding.EncodeToString(signature))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || !platform.Verify(openapi.RSA2, answer, fromBase64(response.Header.Get("sign"))) {
		b.Fatal("the bare answer does not verify")
	}
}

func fromBase64(text string) []byte {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}
