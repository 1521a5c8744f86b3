package openapi

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
)

// ContentKey encrypts contents and nodes between one app and the platform (encrypt_type AES, gateway-facts
// §2): AES-CBC, a start of 16 zero bytes, PKCS#7. The scheme is the clients'. It hides no repetition and proves
// nothing; what proves is the envelope's signature, which covers the ciphertext and is checked first, so
// nobody but the app can ask what decrypts.
type ContentKey struct{ block cipher.Block }

// ContentKeySize is the length of the key, in bytes.
const ContentKeySize = 16

// encryptAES is the one encrypt_type.
const encryptAES = "AES"

// ParseContentKey reads the base64 that an operator gives to a merchant. The error never repeats it.
func ParseContentKey(text string) (*ContentKey, error) {
	raw, ok := strictBase64(text)
	if !ok || len(raw) != ContentKeySize {
		return nil, errors.New("openapi: the content key is not 16 bytes in base64")
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	return &ContentKey{block}, nil
}

// String hides the key.
func (*ContentKey) String() string { return "AES key (hidden)" }

// GoString hides the key.
func (k *ContentKey) GoString() string { return k.String() }

// encrypt gives base64.
func (k *ContentKey) encrypt(text []byte) []byte {
	padding := aes.BlockSize - len(text)%aes.BlockSize
	padded := append(bytes.Clone(text), bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(k.block, make([]byte, aes.BlockSize)).CryptBlocks(padded, padded)
	return base64.StdEncoding.AppendEncode(nil, padded)
}

// ciphertextOf takes base64 of whole blocks and nothing else.
func ciphertextOf(text []byte) ([]byte, bool) {
	raw, ok := strictBase64(string(text))
	return raw, ok && len(raw) > 0 && len(raw)%aes.BlockSize == 0
}

// decrypt is false for what another key has encrypted, nearly always.
func (k *ContentKey) decrypt(ciphertext []byte) ([]byte, bool) {
	text := make([]byte, len(ciphertext))
	cipher.NewCBCDecrypter(k.block, make([]byte, aes.BlockSize)).CryptBlocks(text, ciphertext)
	padding := int(text[len(text)-1])
	if padding == 0 || padding > aes.BlockSize || !bytes.HasSuffix(text, bytes.Repeat([]byte{byte(padding)}, padding)) {
		return nil, false
	}
	return text[:len(text)-padding], true
}

// DecryptNode opens a node that came encrypted: a JSON text of base64. A node that is an object, as an
// error about the encryption itself, comes back as it is. The error is a *ResponseError.
func (k *ContentKey) DecryptNode(node []byte) ([]byte, error) {
	if len(node) < 2 || node[0] != '"' {
		return node, nil
	}
	ciphertext, ok := ciphertextOf(node[1 : len(node)-1])
	if !ok {
		return nil, &ResponseError{"its node is a text and no ciphertext"}
	}
	text, ok := k.decrypt(ciphertext)
	if !ok || !isJSON(text) {
		return nil, &ResponseError{"its node does not decrypt with this content key"}
	}
	return text, nil
}
