// Package trust is what a reader of codes trusts (信任列表): the institution keys of key.query (主密钥), and
// the trust bundle (信任包), one signed document with keys, card rules, deny list and clock policy.
//
// A bundle comes in through Parse, which gives an Unverified; Verify gives a Bundle and its Report, and
// Succeeds and Staleness say whether it may replace the older one and whether it still holds. A Delta
// leads from one bundle to the next.
package trust

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"sort"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

const clauseKeyList = "document 2 §4.1.2.6"

// Sizes of the table that is made for each key, a window in bits: more is faster and larger.
const (
	WindowSmall = 6 // for small devices
	WindowFast  = 8 // 264 KiB a key
)

// maxKeyListSize bounds a key list: 256 keys of about 100 bytes, and room.
const maxKeyListSize = 64 << 10

// Key is one line of a key list.
type Key struct {
	ID     ridecode.KeyID
	Public *secp256k1.PublicKey
}

// KeyRing is the institution keys a reader knows, each with a table that makes verifying fast. It is
// not changed once it is made: a reader that gets a newer list makes a new ring.
type KeyRing struct {
	keys  map[ridecode.KeyID]*secp256k1.KnownKey
	list  []Key
	cache *secp256k1.VerdictCache // nil: nothing is remembered
}

// NewKeyRing makes the tables; an id that stands twice is refused.
func NewKeyRing(list []Key, window int) (*KeyRing, error) {
	ring := &KeyRing{keys: make(map[ridecode.KeyID]*secp256k1.KnownKey, len(list))}
	for _, key := range list {
		if _, twice := ring.keys[key.ID]; twice {
			return nil, keyListError(fmt.Sprintf("key id %d stands twice", key.ID))
		}
		ring.keys[key.ID] = secp256k1.NewKnownKey(key.Public, window)
	}
	ring.list = append(ring.list, list...)
	sort.Slice(ring.list, func(i, j int) bool { return ring.list[i].ID < ring.list[j].ID })
	return ring, nil
}

// IssuerKey finds the key with this id.
func (r *KeyRing) IssuerKey(id ridecode.KeyID) (ridecode.Verifier, bool) {
	key, known := r.keys[id]
	return key, known
}

// Remember lets VerifyGrants recall this many signatures that were good: one grant comes in many codes.
func (r *KeyRing) Remember(count int) *KeyRing {
	r.cache = secp256k1.NewVerdictCache(count)
	return r
}

// VerifyGrants checks many institution signatures at once: see ridecode.BatchKeys.
func (r *KeyRing) VerifyGrants(questions []ridecode.GrantQuestion, good []bool) {
	items := make([]secp256k1.BatchItem, len(questions))
	for i, q := range questions {
		items[i] = secp256k1.BatchItem{Known: r.keys[q.Key], Digest: q.Digest, DER: q.Signature}
	}
	if r.cache != nil {
		r.cache.VerifyBatch(items, good)
		return
	}
	secp256k1.VerifyBatch(items, good)
}

// Keys is the list, by id.
func (r *KeyRing) Keys() []Key { return append([]Key(nil), r.list...) }

// keyLine is one line of the list as JSON has it.
type keyLine struct {
	KeyID     *int    `json:"key_id"`
	PublicKey *string `json:"public_key"`
}

// ParseKeyList reads [{"key_id":0,"public_key":"0217…"}, …], as document 2 §4.1.2.6 has it: at least
// one key, ids from 0 to 255, compressed points on secp256k1 in hex. A key that cannot be read makes
// the list wrong, and the error says which: one dropped in silence turns its riders away.
func ParseKeyList(b []byte) ([]Key, error) {
	if len(b) > maxKeyListSize {
		return nil, keyListError("longer than 64 KiB")
	}
	if form.DoubledName(b) {
		return nil, keyListError("a name stands twice in one entry")
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	var lines []keyLine
	if err := decoder.Decode(&lines); err != nil {
		return nil, keyListError("not a JSON list of {\"key_id\":…,\"public_key\":\"…\"}")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, keyListError("something follows the list")
	}
	if len(lines) == 0 {
		return nil, keyListError("empty")
	}
	return readLines(lines)
}

func readLines(lines []keyLine) ([]Key, error) {
	keys := make([]Key, 0, len(lines))
	for i, line := range lines {
		if line.KeyID == nil || line.PublicKey == nil {
			return nil, keyListError(fmt.Sprintf("entry %d lacks key_id or public_key", i))
		}
		key, err := ParseKey(*line.KeyID, *line.PublicKey)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// ParseKey reads one key: an id from 0 to 255, and a compressed point on secp256k1 in hex.
func ParseKey(id int, publicHex string) (Key, error) {
	if id < 0 || id > 255 {
		return Key{}, keyListError(fmt.Sprintf("key_id %d is not from 0 to 255", id))
	}
	point, err := hex.DecodeString(publicHex)
	if err != nil {
		return Key{}, keyListError(fmt.Sprintf("public_key of key_id %d is not hex", id))
	}
	public, err := secp256k1.ParsePublicKey(point)
	if err != nil {
		return Key{}, keyListError(fmt.Sprintf("public_key of key_id %d: %v", id, err))
	}
	return Key{ID: ridecode.KeyID(id), Public: public}, nil
}

// AppendKeyList writes a list as ParseKeyList reads it, upper-case hex as in document 2's samples.
func AppendKeyList(dst []byte, keys []Key) []byte {
	dst = append(dst, '[')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fmt.Appendf(dst, `{"key_id":%d,"public_key":"%X"}`, key.ID, key.Public.Bytes())
	}
	return append(dst, ']')
}

func keyListError(why string) error {
	return &form.Error{Field: "key list", Offset: -1, Clause: clauseKeyList, Why: why}
}
