package record_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

const user ridecode.UserID = "2088000011112222"

var acceptedAt = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

func sample(version record.Version) record.Record {
	r := record.Record{Version: version, Code: bytes.Repeat([]byte{0xc0}, 221), Time: acceptedAt,
		Terminal: []byte(`{"pos_id":"","type":"SINGLE","subject":"000001","record_id":"_20180903153902_00018772"}`)}
	if version == record.Version2 {
		r.Software = "E1.5180829"
	}
	return r
}

func signers(t testing.TB) map[string]struct {
	sign  record.IntegritySigner
	check record.Integrity
} {
	t.Helper()
	shared, err := record.NewSharedKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	private, err := secp256k1.ParsePrivateKey(bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := record.NewEd25519Signer(bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]struct {
		sign  record.IntegritySigner
		check record.Integrity
	}{
		"legacy":  {record.Legacy{}, record.Legacy{}},
		"shared":  {shared, shared},
		"ed25519": {signer, signer.Key()},
		"ecdsa":   {record.TerminalSigner{Private: private}, record.TerminalKey{Public: private.PublicKey()}},
	}
}

// Both versions, each algorithm: signed, read, verified, written again to the same bytes; and every
// single-bit flip is refused.
func TestSignReadVerify(t *testing.T) {
	for name, algorithm := range signers(t) {
		for _, version := range []record.Version{record.Version1, record.Version2} {
			r := sample(version)
			raw, err := r.Sign(user, algorithm.sign)
			if err != nil {
				t.Fatal(name, err)
			}
			u := verified(t, raw, algorithm.check)
			if u == nil {
				t.Fatalf("%s, version %d: does not verify", name, version)
			}
			got := u.SkipVerification()
			if got.Version != version || !got.Time.Equal(r.Time) || got.Software != r.Software ||
				!bytes.Equal(got.Code, r.Code) || !bytes.Equal(got.Terminal, r.Terminal) {
				t.Errorf("%s, version %d: read as %+v", name, version, got)
			}
			if again, err := got.Append(nil); err != nil || !bytes.Equal(again, raw) {
				t.Errorf("%s, version %d: written again as %x, %v", name, version, again, err)
			}
			for bit := range len(raw) * 8 {
				flipped := bytes.Clone(raw)
				flipped[bit/8] ^= 1 << (bit % 8)
				if verified(t, flipped, algorithm.check) != nil {
					t.Errorf("%s, version %d: bit %d of byte %d flipped, and it verifies", name, version, bit%8, bit/8)
				}
			}
		}
	}
}

func verified(t *testing.T, raw []byte, check record.Integrity) *record.Unverified {
	t.Helper()
	u, err := record.Parse(raw)
	if err != nil {
		assertFormError(t, err)
		return nil
	}
	if !u.VerifyIntegrity(user, check) {
		return nil
	}
	return u
}

func assertFormError(t *testing.T, err error) {
	t.Helper()
	var wrong *form.Error
	if !errors.As(err, &wrong) || wrong.Field == "" || wrong.Clause == "" {
		t.Fatalf("error %v does not name field and clause", err)
	}
}

func TestTruncatedTrailingAndLying(t *testing.T) {
	r := sample(record.Version2)
	raw, _ := r.Sign(user, record.Legacy{})
	for size := range len(raw) {
		_, err := record.Parse(raw[:size])
		assertFormError(t, err)
	}
	_, err := record.Parse(append(bytes.Clone(raw), 0))
	assertFormError(t, err)
	_, err = record.Parse(make([]byte, 1<<20))
	assertFormError(t, err)
	for _, offset := range []int{1, 3, 2 + 2 + 221 + 1, len(raw) - 17} {
		lied := bytes.Clone(raw)
		lied[offset]++
		_, err := record.Parse(lied)
		assertFormError(t, err)
	}
	none := sample(record.Version1)
	raw, err = none.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = record.Parse(raw)
	assertFormError(t, err)
}

func TestRecordsThatCannotBeWritten(t *testing.T) {
	cases := map[string]func(*record.Record){
		"record version":   func(r *record.Record) { r.Version = 3 },
		"software version": func(r *record.Record) { r.Version, r.Software = record.Version1, "E1" },
		"acceptance time":  func(r *record.Record) { r.Time = time.Unix(-1, 0) },
		"record length":    func(r *record.Record) { r.Terminal = make([]byte, 4000) },
	}
	for field, spoil := range cases {
		r := sample(record.Version2)
		spoil(&r)
		_, err := r.Sign(user, record.Legacy{})
		var wrong *form.Error
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: error %v does not name it", field, err)
		}
	}
}

// Anybody can make the legacy value: a terminal that has a key is not satisfied by it.
func TestDowngradeIsRefused(t *testing.T) {
	r := sample(record.Version2)
	raw, _ := r.Sign(user, record.Legacy{})
	for name, algorithm := range signers(t) {
		if name != "legacy" && verified(t, raw, algorithm.check) != nil {
			t.Errorf("%s takes the legacy value", name)
		}
	}
}

func TestTerminalInfo(t *testing.T) {
	info := record.TerminalInfo{POSID: "sh001", Kind: record.Entry, Subject: "地铁2号线 \"松江\"<>", RecordID: "1", Line: "metro2", Station: "松江"}
	read, err := record.ParseTerminalInfo(info.JSON())
	if err != nil || read != info {
		t.Errorf("%s became %+v, %v", info.JSON(), read, err)
	}
	old := `{"pos_id":"","type":"SINGLE","subject":"000001","record_id":"_20180903153902_00018772","fare":2,"x":{"y":[1]}}`
	if read, err := record.ParseTerminalInfo([]byte(old)); err != nil || read.Kind != record.Single {
		t.Errorf("a terminal of 2018: %+v, %v", read, err)
	}
	linked := info
	linked.Seq, linked.Prev = 7, record.Genesis("sh001")
	if read, err := record.ParseTerminalInfo(linked.JSON()); err != nil || read != linked {
		t.Errorf("%s became %+v, %v", linked.JSON(), read, err)
	}
	for _, bad := range []string{``, `{`, `[]`, `null`, `"x"`, `{"pos_id":"1"}`, `{"pos_id":null,"type":"SINGLE","subject":"","record_id":""}`,
		`{"pos_id":1,"type":"SINGLE","subject":"","record_id":""}`,
		`{"pos_id":"1","pos_id":"2","type":"SINGLE","subject":"","record_id":""}`,
		`{"pos_id":"1","type":"SINGLE","subject":"","record_id":""}{}`,
		`{"pos_id":"` + strings.Repeat("x", 257) + `","type":"SINGLE","subject":"","record_id":""}`,
		strings.Repeat(" ", 5000)} {
		_, err := record.ParseTerminalInfo([]byte(bad))
		assertFormError(t, err)
	}
}

func TestParseIntegrity(t *testing.T) {
	for _, text := range []string{"hmac-md5-user-id", "ed25519=" + rfcPublic, "hmac-sha256=00112233445566778899aabbccddeeff",
		"ecdsa-secp256k1-sha256=0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798"} {
		integrity, err := record.ParseIntegrity(text)
		if err != nil || !strings.HasPrefix(text, string(integrity.Algorithm())) {
			t.Errorf("%s: %v", text, err)
		}
	}
	const secret = "00112233445566778899aabbccddee"
	for _, text := range []string{"", "md5", "hmac-sha256=" + secret, "hmac-sha256=xyz", "ecdsa-secp256k1-sha256=00", "ed25519=" + secret, "ed25519", "Ed25519=" + rfcPublic,
		"ed25519=" + strings.Repeat("00", 32)} {
		integrity, err := record.ParseIntegrity(text)
		assertFormError(t, err)
		if integrity != nil {
			t.Errorf("%s: a key beside the error", text)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := record.Record{Version: record.Version(rapid.IntRange(1, 2).Draw(t, "version")), Time: acceptedAt,
			Code:      rapid.SliceOfN(rapid.Byte(), 0, 800).Draw(t, "code"),
			Terminal:  rapid.SliceOfN(rapid.Byte(), 0, 800).Draw(t, "terminal"),
			Integrity: rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "integrity")}
		raw, err := r.Append([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		u, err := record.Parse(raw[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		if again, err := u.SkipVerification().Append([]byte("before")); err != nil || !bytes.Equal(raw, again) {
			t.Fatalf("%x became %x, %v", raw, again, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, version := range []record.Version{1, 2} {
		r := sample(version)
		raw, _ := r.Sign(user, record.Legacy{})
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := record.Parse(b)
		if err != nil {
			assertFormError(t, err)
			return
		}
		if again, err := u.SkipVerification().Append(nil); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x was written again as %x, %v", b, again, err)
		}
	})
}

func FuzzParseTerminalInfo(f *testing.F) {
	f.Add([]byte(`{"pos_id":"sh001","type":"SINGLE","subject":"bus192","record_id":"000001"}`))
	f.Add(record.TerminalInfo{POSID: "1", Seq: 7, Prev: record.Genesis("1")}.JSON())
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := record.ParseTerminalInfo(b)
		if err != nil {
			assertFormError(t, err)
			return
		}
		if again, err := record.ParseTerminalInfo(info.JSON()); err != nil || again != info {
			t.Fatalf("%q became %+v became %+v, %v", b, info, again, err)
		}
	})
}

func FuzzParseIntegrity(f *testing.F) {
	for _, text := range []string{"hmac-md5-user-id", "hmac-sha256=00112233445566778899aabbccddeeff", "ed25519=00",
		"ecdsa-secp256k1-sha256=0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		integrity, err := record.ParseIntegrity(text)
		if err != nil {
			assertFormError(t, err)
			return
		}
		if name, _, _ := strings.Cut(text, "="); record.Algorithm(name) != integrity.Algorithm() {
			t.Fatalf("the text names %q, and the algorithm is %s", name, integrity.Algorithm())
		}
	})
}
