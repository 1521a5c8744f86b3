// Package wallet is the phone (手机客户端, document 1 §10): it holds a grant and the key that the grant
// names, and shows the code of this moment, without a network.
package wallet

import (
	"bytes"
	"errors"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Phone signs with the user's key, wherever that is kept (document 1 §9.1: a TEE or the like).
// *secp192k1.PrivateKey is one.
type Phone interface {
	ridecode.Signer
	PublicKey() *secp192k1.PublicKey
}

// Errors of this package, for errors.Is.
var (
	ErrNotOwn      = errors.New("wallet: this grant names another phone's key: fetch a grant for this phone (document 1 §8.2.1)")
	ErrExpired     = errors.New("wallet: the authorization is over: go online and fetch a new one (document 1 §6.3.2)")
	ErrClockBehind = errors.New("wallet: the phone's clock is before 1970 or beyond 2106: set it (document 1 §10.4)")
)

// Wallet shows codes of one grant. It is safe for concurrent use.
type Wallet struct {
	grant ridecode.SignedGrant
	phone Phone
}

// New refuses a grant that is not this phone's: every code of it would be turned away at the gate.
func New(grant ridecode.SignedGrant, phone Phone) (*Wallet, error) {
	named := grant.Grant().UserKey
	if !bytes.Equal(named[:], phone.PublicKey().Bytes()) {
		return nil, ErrNotOwn
	}
	return &Wallet{grant: grant, phone: phone}, nil
}

// Grant is what the institution allows.
func (w *Wallet) Grant() ridecode.Grant { return w.grant.Grant() }

// Present makes the code of this moment, the bytes of a ride code (document 1 §6), for a QR symbol.
func (w *Wallet) Present(now time.Time) ([]byte, error) {
	if seconds := now.Unix(); seconds < 0 || seconds > 1<<32-1 {
		return nil, ErrClockBehind
	}
	if now.Unix() > w.grant.Grant().Expires.Unix() {
		return nil, ErrExpired
	}
	return w.grant.Show(now, w.phone)
}
