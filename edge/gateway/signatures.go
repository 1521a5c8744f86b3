package gateway

import (
	"crypto/sha256"
	"sync"

	"github.com/shuama/shuama/protocol/openapi"
)

// signatures is a Signer that remembers what it has signed. A signature of RSASSA-PKCS1-v1_5 depends on key and
// text alone (RFC 8017 §8.2), and most answers are one of few texts: the key list, "Success", an error. RSA is what
// an answer costs, and everybody can ask for an error under the name of an app.
type signatures struct {
	signer openapi.Signer

	mutex      sync.Mutex
	young, old map[signed][]byte
}

type signed struct {
	signType openapi.SignType
	digest   [sha256.Size]byte
}

const (
	rememberedMax     = 2048    // of each age: with signatures of 256 bytes, some 1.5 MB in all
	rememberedSizeMax = 8 << 10 // longer texts are told only once
)

func newSignatures(signer openapi.Signer) *signatures {
	return &signatures{signer: signer, young: map[signed][]byte{}}
}

// Sign signs, or remembers.
func (s *signatures) Sign(signType openapi.SignType, text []byte) ([]byte, error) {
	if len(text) > rememberedSizeMax {
		return s.signer.Sign(signType, text)
	}
	key := signed{signType, sha256.Sum256(text)}
	if signature := s.recall(key); signature != nil {
		return signature, nil
	}
	signature, err := s.signer.Sign(signType, text)
	if err == nil {
		s.remember(key, signature)
	}
	return signature, err
}

func (s *signatures) recall(key signed) []byte {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if signature := s.young[key]; signature != nil {
		return signature
	}
	signature := s.old[key]
	if signature != nil {
		s.keep(key, signature)
	}
	return signature
}

func (s *signatures) remember(key signed, signature []byte) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.keep(key, signature)
}

// keep makes room by forgetting what was not asked for since the last time.
func (s *signatures) keep(key signed, signature []byte) {
	if len(s.young) >= rememberedMax {
		s.young, s.old = map[signed][]byte{}, s.young
	}
	s.young[key] = signature
}
