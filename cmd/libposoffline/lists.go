//go:build cgo

package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
)

const (
	clauseCardTypes = "document 2 §4.1.2.6"

	// maxListSize bounds both lists, in bytes.
	maxListSize = 64 << 10
)

// trusted is one pair of lists: whose codes are genuine, and which of them are taken. It is not
// changed once it is made.
type trusted struct {
	text      string // of the key list
	keys      ridecode.IssuerKeys
	cardTypes []ridecode.CardType
	stranger  bool // stands for institutions that have no list
}

// strangers is the list of those who have none: their codes are looked at for form alone.
var strangers = &trusted{keys: noKeys{}, cardTypes: []ridecode.CardType{ridecode.PlainCardType}, stranger: true}

// verdict is the trace's, except that a stranger's missing key is a missing institution (−13).
func (l *trusted) verdict(trace *ridecode.Trace) (ridecode.Verdict, string) {
	verdict, reason := trace.Verdict(), trace.Reason()
	if l != nil && l.stranger && firstFault(trace) == ridecode.CheckKey {
		return ridecode.InstitutionUnsupported, "institution: no list for the institution of this code, see init_pos_verify_with_institution_no"
	}
	return verdict, reason
}

func firstFault(trace *ridecode.Trace) string {
	for _, check := range trace.Checks {
		if !check.OK {
			return check.Name
		}
	}
	return ""
}

// misuse is an error that is the caller's: ILLEGAL_PARAM, all others are SYSTEM_ERROR.
type misuse struct{ error }

// listFor finds the list for a code. A code that cannot be read is refused under any of them.
func (g *gate) listFor(parsed *ridecode.Unverified) *trusted {
	if len(g.institutions) == 0 {
		return g.common
	}
	if parsed != nil {
		if list, known := g.institutions[parsed.SkipVerification().Grant.Institution]; known {
			return list
		}
	}
	if g.common != nil {
		return g.common
	}
	return strangers
}

// initialise replaces the common list, and with it every institution's: afterwards the gate trusts
// what this call was given and nothing else.
func (g *gate) initialise(keyList, cardTypes []byte, files files) error {
	return g.replace(keyList, cardTypes, files, func(list *trusted) {
		g.common, g.institutions = list, nil
	})
}

// initialiseFor replaces the list of one institution, and leaves the others as they are.
func (g *gate) initialiseFor(institution ridecode.Quad, keyList, cardTypes []byte, files files) error {
	return g.replace(keyList, cardTypes, files, func(list *trusted) {
		if g.institutions == nil {
			g.institutions = map[ridecode.Quad]*trusted{}
		}
		g.institutions[institution] = list
	})
}

// replace changes everything or nothing: a key list that cannot be read leaves the gate at work with
// the one before.
func (g *gate) replace(keyList, cardTypes []byte, files files, install func(*trusted)) error {
	types, err := parseCardTypes(cardTypes)
	if err != nil {
		return misuse{err}
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	keys, err := g.keyRing(keyList)
	if err != nil {
		return misuse{err}
	}
	if err := g.useFiles(files); err != nil {
		return err
	}
	list := &trusted{text: string(keyList), keys: keys, cardTypes: types}
	install(list)
	g.configure(list)
	return nil
}

// keyRing makes the tables of a list, or finds them: there is firmware that initialises at every
// single code (terminal-facts R17), and the tables are the dear part.
func (g *gate) keyRing(keyList []byte) (ridecode.IssuerKeys, error) {
	if g.common != nil && g.common.text == string(keyList) {
		return g.common.keys, nil
	}
	for _, list := range g.institutions {
		if list.text == string(keyList) {
			return list.keys, nil
		}
	}
	keys, err := trust.ParseKeyList(keyList)
	if err != nil {
		return nil, err
	}
	return trust.NewKeyRing(keys, trust.WindowSmall)
}

// parseCardTypes reads ["ANT00001","HZ000001"], document 2 §4.1.2.6: a JSON list of one or more card
// types of 8 printable ASCII characters. One that stands twice is taken once.
func parseCardTypes(b []byte) ([]ridecode.CardType, error) {
	var entries []json.RawMessage
	if len(b) > maxListSize {
		return nil, cardTypesError("longer than 64 KiB")
	}
	if err := json.Unmarshal(b, &entries); err != nil {
		return nil, cardTypesError(`not a JSON list of texts, as ["ANT00001"]`)
	}
	if len(entries) == 0 {
		return nil, cardTypesError("empty: nothing would be taken")
	}
	var types []ridecode.CardType
	for i, entry := range entries {
		cardType, err := parseCardType(entry)
		if err != nil {
			return nil, cardTypesError(fmt.Sprintf("entry %d is %v", i, err))
		}
		types = append(types, cardType)
	}
	return types, nil
}

func parseCardType(entry []byte) (ridecode.CardType, error) {
	var text string
	if err := json.Unmarshal(entry, &text); err != nil || bytes.Equal(entry, []byte("null")) {
		return "", fmt.Errorf("not a text")
	}
	if len(text) != 8 || !form.IsPrintable(text) {
		return "", fmt.Errorf("not 8 characters of printable ASCII")
	}
	return ridecode.CardType(text), nil
}

func cardTypesError(why string) error {
	return &form.Error{Field: "card type list", Offset: -1, Clause: clauseCardTypes, Why: why}
}

// noKeys knows none.
type noKeys struct{}

// IssuerKey finds nothing.
func (noKeys) IssuerKey(ridecode.KeyID) (ridecode.Verifier, bool) { return nil, false }

// oneKey is the key that a caller of verify_qrcode chose, for whatever key id. It has no table: it
// may be another one at the next call.
type oneKey struct{ public *secp256k1.PublicKey }

// IssuerKey is always the one.
func (k oneKey) IssuerKey(ridecode.KeyID) (ridecode.Verifier, bool) { return k.public, true }

// parseOneKey reads master_pub_key: a compressed point on secp256k1 in hex.
func parseOneKey(publicHex string) (oneKey, error) {
	key, err := trust.ParseKey(0, publicHex)
	if err != nil {
		return oneKey{}, &form.Error{Field: "master_pub_key", Offset: -1, Clause: clauseCardTypes, Why: "not a compressed point on secp256k1 in hex"}
	}
	return oneKey{public: key.Public}, nil
}
