package testkit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shuama/shuama/conformance"
	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

var update = flag.Bool("update", false, "write testdata/vectors anew")

const vectorsDir = "../../testdata/vectors"

// The vectors in the tree are those that this file makes: keys and signatures are deterministic, so
// they are the same bytes every time and everywhere.
func TestVectorsAreThese(t *testing.T) {
	for _, v := range makeVectors(t) {
		path := filepath.Join(vectorsDir, v.Kind, v.Name+".txt")
		if *update {
			if err := errors(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(v.Format()), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(content) != v.Format() {
			t.Errorf("%s differs: go test ./internal/testkit -update writes it anew", path)
		}
	}
	if made, there := len(makeVectors(t)), len(testkit.ReadVectors(t, vectorsDir)); made != there {
		t.Errorf("%d vectors are made and %d are there", made, there)
	}
}

func errors(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// maker makes vectors with keys drawn from names.
type maker struct {
	t           *testing.T
	institution *secp256k1.PrivateKey
	phone       *secp192k1.PrivateKey
	vectors     []testkit.Vector
}

var shownAt = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

func makeVectors(t *testing.T) []testkit.Vector {
	t.Helper()
	a, b := sha256.Sum256([]byte("shuama test institution key 0")), sha256.Sum256([]byte("shuama test phone"))
	institution, err := secp256k1.ParsePrivateKey(a[:])
	if err != nil {
		t.Fatal(err)
	}
	phone, err := secp192k1.ParsePrivateKey(b[:24])
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{t: t, institution: institution, phone: phone}
	m.published()
	m.codes()
	m.records()
	return m.vectors
}

func (m *maker) grant() ridecode.Grant {
	return ridecode.Grant{UserID: "2088000011112222", Expires: shownAt.Add(7 * 24 * time.Hour), ValidSec: 600, LimitFen: 3000,
		Identity: ridecode.Quad{0, 0, 0, 7}, UserKey: ridecode.UserKey(m.phone.PublicKey().Bytes()), CardType: ridecode.PlainCardType, CardNo: "2088000011112222"}
}

func (m *maker) code(keyID ridecode.KeyID, g ridecode.Grant) []byte {
	m.t.Helper()
	signed, err := g.Sign(keyID, m.institution)
	if err != nil {
		m.t.Fatal(err)
	}
	code, err := signed.Show(shownAt, m.phone)
	if err != nil {
		m.t.Fatal(err)
	}
	return code
}

func (m *maker) add(kind, name, clause, about string, at time.Time, expect ridecode.Verdict, check string, b []byte) {
	v := testkit.Vector{Name: name, Kind: kind, Clause: clause, About: about, Step: conformance.Step{Expect: expect.String(), Check: check, Bytes: b,
		Keys: []string{fmt.Sprintf("0=%X", m.institution.PublicKey().Bytes())}}}
	if kind == "ride_code" {
		v.At = at.Format(time.RFC3339)
	}
	m.vectors = append(m.vectors, v)
}

// published are the vendor's two sample codes.
func (m *maker) published() {
	content, err := os.ReadFile(filepath.Join(vectorsDir, "demo-codes.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	var samples struct {
		Key   string `json:"institution_public_key"`
		Codes []struct {
			Name, Code string
			Generated  int64
		}
	}
	if err := json.Unmarshal(content, &samples); err != nil {
		m.t.Fatal(err)
	}
	for _, sample := range samples.Codes {
		b, err := hex.DecodeString(sample.Code)
		if err != nil {
			m.t.Fatal(err)
		}
		m.add("ride_code", sample.Name, "document 1 §6.3", "a code published with the vendor's sample program", time.Unix(sample.Generated, 0).UTC(), ridecode.Success, "", b)
		m.vectors[len(m.vectors)-1].Keys = []string{"0=" + samples.Key}
	}
}

func (m *maker) codes() {
	good := m.code(0, m.grant())
	broken := func(offset int, mask byte) []byte {
		b := bytes.Clone(good)
		b[offset] ^= mask
		return b
	}
	expired, card := m.grant(), m.grant()
	expired.Expires = shownAt.Add(-time.Second)
	card.CardType, card.CardNo, card.CardData = "GJ310000", "3100001", []byte{0, 1, 0xfe, 0xff}
	add := func(name, clause, about string, at time.Time, expect ridecode.Verdict, check string, b []byte) {
		m.add("ride_code", name, clause, about, at, expect, check, b)
	}
	add("good", "document 1 §6.3", "a code as it should be", shownAt, ridecode.Success, "", good)
	add("good-card", "document 1 §6.3.2", "a virtual card with card data", shownAt, ridecode.Success, "", m.code(0, card))
	add("valid-last-second", "document 1 §6.3.2", "600 s after it was shown", shownAt.Add(600*time.Second), ridecode.Success, "", good)
	add("too-old", "document 1 §6.3.2", "601 s after it was shown", shownAt.Add(601*time.Second), ridecode.QRCodeInfoExpired, ridecode.CheckCodeTime, good)
	add("future-tolerated", "document 1 §11.6", "the reader's clock is 20 s behind", shownAt.Add(-20*time.Second), ridecode.Success, "", good)
	add("future", "document 1 §11.6", "shown 21 s in the future", shownAt.Add(-21*time.Second), ridecode.QRCodeInfoExpired, ridecode.CheckCodeTime, good)
	add("authorization-over", "document 1 §6.3.2", "the grant ended a second before", shownAt, ridecode.QRCodeKeyExpired, ridecode.CheckAuthorizationTime, m.code(0, expired))
	add("key-unknown", "document 1 §6.3.1", "key id 1 is not in the list", shownAt, ridecode.QRCodeKeyExpired, ridecode.CheckKey, m.code(1, m.grant()))
	add("version-unknown", "document 1 §6.3.1", "version 3", shownAt, ridecode.ProtoUnsupported, ridecode.CheckProtocol, broken(0, 1))
	add("algorithm-unknown", "document 1 §6.3.1", "algorithm 3", shownAt, ridecode.ProtoUnsupported, ridecode.CheckProtocol, broken(1, 2))
	add("user-changed", "document 1 §8.1", "one bit of the user id", shownAt, ridecode.MalformedQRCode, ridecode.CheckInstitutionSignature, broken(5, 1))
	add("limit-raised", "document 1 §8.1", "the highest bit of the limit", shownAt, ridecode.MalformedQRCode, ridecode.CheckInstitutionSignature, broken(26, 0x80))
	add("phone-signature-changed", "document 1 §8.2", "one bit of the user signature", shownAt, ridecode.MalformedQRCode, ridecode.CheckUserSignature, broken(len(good)-1, 1))
	add("time-changed", "document 1 §8.2", "a code dated a second later", shownAt, ridecode.MalformedQRCode, ridecode.CheckUserSignature, broken(timeOffset(good)+3, 1))
	add("truncated", "document 1 §6.3", "its last byte is missing", shownAt, ridecode.MalformedQRCode, ridecode.CheckForm, good[:len(good)-1])
	add("trailing", "document 1 §6.3", "a byte follows", shownAt, ridecode.MalformedQRCode, ridecode.CheckForm, append(bytes.Clone(good), 0))
	add("two-faults", "document 2 §4.1.5", "unknown key and wrong user signature: the key comes first", shownAt, ridecode.QRCodeKeyExpired, ridecode.CheckKey, wrongEnd(m.code(1, m.grant())))
}

func wrongEnd(b []byte) []byte {
	b[len(b)-1] ^= 1
	return b
}

// timeOffset finds the generation time.
func timeOffset(code []byte) int {
	signature := 4 + int(code[3])
	return signature + 1 + int(code[signature]) + 1
}

func (m *maker) records() {
	code := m.code(0, m.grant())
	info := record.TerminalInfo{POSID: "sh001", Kind: record.Single, Subject: "bus192", RecordID: "000001"}.JSON()
	first := record.Record{Version: record.Version1, Code: code, Terminal: info, Time: shownAt.Add(2 * time.Second)}
	second := first
	second.Version, second.Software = record.Version2, "E1.5180829"
	late := first
	late.Time = shownAt.Add(time.Hour)
	sign := func(r record.Record) []byte {
		b, err := r.Sign("2088000011112222", record.Legacy{})
		if err != nil {
			m.t.Fatal(err)
		}
		return b
	}
	add := func(name, clause, about string, expect ridecode.Verdict, check string, b []byte) {
		m.add("record", name, clause, about, time.Time{}, expect, check, b)
	}
	add("version-1", "document 1 §7.2", "a record of version 1", ridecode.Success, "", sign(first))
	add("version-2", "wire-facts", "a record of version 2, with software version", ridecode.Success, "", sign(second))
	add("code-over", "document 1 §7.2.4", "accepted an hour after the code was shown", ridecode.QRCodeInfoExpired, ridecode.CheckCodeTime, sign(late))
	add("integrity-changed", "document 1 §7.2.5", "one bit of the integrity value", ridecode.MalformedQRCode, "integrity", wrongEnd(sign(first)))
	terminal := bytes.Replace(sign(second), []byte("bus192"), []byte("bus193"), 1)
	add("terminal-changed", "document 1 §7.2.5", "another line in the terminal information", ridecode.MalformedQRCode, "integrity", terminal)
	add("length-lies", "document 1 §7.2.1", "the record length is one too many", ridecode.MalformedQRCode, "record_form", lieAbove(sign(first)))
	add("truncated-record", "document 1 §7.2", "its last byte is missing", ridecode.MalformedQRCode, "record_form", sign(second)[:100])
}

func lieAbove(b []byte) []byte {
	b[1]++
	return b
}
