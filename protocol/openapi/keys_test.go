package openapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/shuama/shuama/protocol/openapi"
)

func TestKeyTexts(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, openapi.MinKeyBits)
	if err != nil {
		t.Fatal(err)
	}
	for _, layout := range []openapi.Layout{openapi.PKCS8, openapi.PKCS1} {
		text, err := openapi.MarshalPrivateKey(key, layout)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{string(text), "\n" + string(text) + "\n", openapi.BareKey(text)} {
			if got, err := openapi.ParsePrivateKey(form); err != nil || !got.Equal(key) {
				t.Errorf("layout %d: %v", layout, err)
			}
		}
	}
	text, err := openapi.MarshalPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey)})
	for _, form := range []string{string(text), openapi.BareKey(text), string(pkcs1), openapi.BareKey(pkcs1)} {
		if got, err := openapi.ParsePublicKey(form); err != nil || !got.Equal(&key.PublicKey) {
			t.Error(err)
		}
	}
}

// TestKeyTextsRefused: none of the errors shows what was read, which may be a key.
func TestKeyTextsRefused(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	shortText, _ := openapi.MarshalPrivateKey(short, openapi.PKCS8)
	shortPublic, _ := openapi.MarshalPublicKey(&short.PublicKey)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curveText, _ := x509.MarshalPKCS8PrivateKey(curve)
	curvePublic, _ := x509.MarshalPKIXPublicKey(&curve.PublicKey)
	for name, text := range map[string]string{
		"empty": "", "noise": "not a key at all!", "base64 of noise": "c2VjcmV0c2VjcmV0",
		"another block":    "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n",
		"PEM cut":          "-----BEGIN PRIVATE KEY-----\nc2VjcmV0",
		"two blocks":       string(shortText) + string(shortText),
		"1024 bits":        string(shortText),
		"1024 bits public": string(shortPublic),
		"elliptic":         base64.StdEncoding.EncodeToString(curveText),
		"elliptic public":  base64.StdEncoding.EncodeToString(curvePublic),
	} {
		private, err := openapi.ParsePrivateKey(text)
		if private != nil || err == nil || strings.Contains(err.Error(), "c2Vj") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: private %v", name, err)
		}
		public, err := openapi.ParsePublicKey(text)
		if public != nil || err == nil {
			t.Errorf("%s: public %v", name, err)
		}
	}
	if _, err := openapi.NewPrivateKey(curve); err == nil {
		t.Error("signs with an elliptic key")
	}
	if _, err := openapi.NewPublicKey(&short.PublicKey); err == nil {
		t.Error("verifies with a short key")
	}
	if _, err := openapi.NewPublicKey(nil); err == nil {
		t.Error("verifies with no key")
	}
	if _, err := appKey().Sign("RSA3", nil); err == nil {
		t.Error("signs as RSA3")
	}
}

func TestPrivateKeyHidesItself(t *testing.T) {
	key := appKey()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, key); !strings.Contains(got, "hidden") {
			t.Errorf("%s prints %.40s", verb, got)
		}
	}
}

// Whatever is read as a key can be written and read again, and no error repeats what was given.
func FuzzParseKeys(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, openapi.MinKeyBits)
	if err != nil {
		f.Fatal(err)
	}
	for _, layout := range []openapi.Layout{openapi.PKCS8, openapi.PKCS1} {
		private, err := openapi.MarshalPrivateKey(key, layout)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(private))
		f.Add(openapi.BareKey(private))
	}
	public, err := openapi.MarshalPublicKey(&key.PublicKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(public))
	f.Fuzz(func(t *testing.T, text string) {
		private, err := openapi.ParsePrivateKey(text)
		if err != nil && len(text) > 40 && strings.Contains(err.Error(), text[10:30]) {
			t.Fatal("the error repeats the key")
		}
		if err == nil {
			written, err := openapi.MarshalPrivateKey(private, openapi.PKCS8)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := openapi.ParsePrivateKey(string(written)); err != nil || !again.Equal(private) {
				t.Fatalf("written and read again: %v", err)
			}
		}
		if public, err := openapi.ParsePublicKey(text); err == nil {
			written, err := openapi.MarshalPublicKey(public)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := openapi.ParsePublicKey(string(written)); err != nil || !again.Equal(public) {
				t.Fatalf("written and read again: %v", err)
			}
		}
	})
}
