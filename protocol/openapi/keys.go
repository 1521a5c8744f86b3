package openapi

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MinKeyBits is the shortest RSA key that is taken; the platform's tools make 2048 bits for RSA2.
const MinKeyBits = 2048

// Layout is how a private key is written.
type Layout int

// The layouts. The platform's key tool calls them "Java" and "not Java".
const (
	PKCS8 Layout = iota
	PKCS1
)

// ParsePrivateKey reads an RSA private key of a merchant or of the platform: PEM, or the bare base64
// that the platform's key tool writes, PKCS#8 or PKCS#1. Errors never repeat the text.
func ParsePrivateKey(text string) (*rsa.PrivateKey, error) {
	der, err := keyDER(text, "PRIVATE KEY", "RSA PRIVATE KEY")
	if err != nil {
		return nil, fmt.Errorf("openapi: private key: %w", err)
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		any, err8 := x509.ParsePKCS8PrivateKey(der)
		if key, _ = any.(*rsa.PrivateKey); err8 != nil || key == nil {
			return nil, errors.New("openapi: private key: neither PKCS#8 nor PKCS#1 of an RSA key")
		}
	}
	if err := checkKey(&key.PublicKey); err != nil {
		return nil, err
	}
	return key, nil
}

// ParsePublicKey reads an RSA public key: PEM or bare base64, SubjectPublicKeyInfo or PKCS#1.
func ParsePublicKey(text string) (*rsa.PublicKey, error) {
	der, err := keyDER(text, "PUBLIC KEY", "RSA PUBLIC KEY")
	if err != nil {
		return nil, fmt.Errorf("openapi: public key: %w", err)
	}
	key, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		any, errPKIX := x509.ParsePKIXPublicKey(der)
		if key, _ = any.(*rsa.PublicKey); errPKIX != nil || key == nil {
			return nil, errors.New("openapi: public key: neither SubjectPublicKeyInfo nor PKCS#1 of an RSA key")
		}
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

// MarshalPrivateKey writes PEM.
func MarshalPrivateKey(key *rsa.PrivateKey, layout Layout) ([]byte, error) {
	if layout == PKCS1 {
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("openapi: private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// MarshalPublicKey writes PEM, SubjectPublicKeyInfo.
func MarshalPublicKey(key *rsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("openapi: public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// BareKey takes the frame off a PEM key: one line of base64, as the platform's key tool shows it.
// It is empty when text is not PEM.
func BareKey(text []byte) string {
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(block.Bytes)
}

func keyDER(text string, types ...string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "-----") {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(der) == 0 {
			return nil, errors.New("neither PEM nor base64")
		}
		return der, nil
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, errors.New("not PEM")
	case len(strings.TrimSpace(string(rest))) > 0:
		return nil, errors.New("something follows the PEM block")
	case !slices.Contains(types, block.Type):
		return nil, fmt.Errorf("the PEM block is not %s", strings.Join(types, " or "))
	}
	return block.Bytes, nil
}

func checkKey(key *rsa.PublicKey) error {
	if key.N.BitLen() < MinKeyBits {
		return fmt.Errorf("openapi: the RSA key is shorter than %d bits", MinKeyBits)
	}
	return nil
}
