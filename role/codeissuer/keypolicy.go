package codeissuer

import (
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
)

// KeyPolicy chooses the key that signs at a moment, among keys in order of their slots (document 2
// §4.2.1.1: the institution decides by its own policy which key id is in force).
type KeyPolicy func(now time.Time, keys []trust.Key) ridecode.KeyID

// AlwaysKey signs with one key, as after another one has leaked.
func AlwaysKey(id ridecode.KeyID) KeyPolicy {
	return func(time.Time, []trust.Key) ridecode.KeyID { return id }
}

// RotateEvery goes round the slots, one a period, counted from 1970: all servers of an institution
// agree on the key without talking.
func RotateEvery(period time.Duration) KeyPolicy {
	return func(now time.Time, keys []trust.Key) ridecode.KeyID {
		turn := now.UnixNano() / int64(period)
		return keys[turn%int64(len(keys))].ID
	}
}
