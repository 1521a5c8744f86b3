package record

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Fingerprint names the key of a terminal's integrity values without telling it: two keys have two
// fingerprints, and a shared key cannot be found from its own. It is what one keeps to notice that a
// terminal was registered anew.
func Fingerprint(terminal Integrity) [sha256.Size]byte {
	const text = "shuama terminal key\n"
	switch key := terminal.(type) {
	case TerminalKey:
		return sha256.Sum256([]byte(text + string(ECDSASHA256) + "\n" + string(key.Public.Bytes())))
	case Ed25519Key:
		return sha256.Sum256([]byte(text + string(Ed25519) + "\n" + string(key.public)))
	case SharedKey:
		mac := hmac.New(sha256.New, key.key)
		mac.Write([]byte(text))
		return [sha256.Size]byte(mac.Sum(nil))
	}
	return sha256.Sum256([]byte(text + string(terminal.Algorithm())))
}
