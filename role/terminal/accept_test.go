package terminal_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/terminal"
)

var now = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

var tap = terminal.Tap{POSParam: []byte(`{"pos_id":"sh001","type":"SINGLE","subject":"bus192","record_id":"000001"}`), AmountFen: 200}

// gate is a terminal, and an institution and a phone that it trusts.
type gate struct {
	*terminal.Terminal
	settings    terminal.Settings
	journal     *journal
	institution *secp256k1.PrivateKey
	phone       *secp192k1.PrivateKey
}

// journal remembers what it kept, and fails when told to.
type journal struct {
	mutex sync.Mutex
	kept  [][]byte
	fault error
}

func (j *journal) Keep(acceptance []byte) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.fault != nil {
		return j.fault
	}
	j.kept = append(j.kept, bytes.Clone(acceptance))
	return nil
}

func newGate(t testing.TB, memoryCount int) *gate {
	t.Helper()
	institution, err := secp256k1.ParsePrivateKey(bytes.Repeat([]byte{0x11}, 32))
	if err != nil {
		t.Fatal(err)
	}
	phone, err := secp192k1.ParsePrivateKey(bytes.Repeat([]byte{0x22}, 24))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := trust.NewKeyRing([]trust.Key{{ID: 3, Public: institution.PublicKey()}}, trust.WindowSmall)
	if err != nil {
		t.Fatal(err)
	}
	kept := &journal{}
	g := &gate{Terminal: terminal.New(kept, memoryCount), journal: kept, institution: institution, phone: phone,
		settings: terminal.Settings{Keys: keys, CardTypes: []ridecode.CardType{ridecode.PlainCardType}, Clock: ridecode.DefaultClock(), Signer: record.Legacy{}}}
	g.Configure(g.settings)
	return g
}

func (g *gate) code(t testing.TB, shownAt time.Time, change ...func(*ridecode.Grant)) []byte {
	t.Helper()
	grant := ridecode.Grant{UserID: "2088000011112222", Expires: now.Add(time.Hour), ValidSec: 600, LimitFen: 3000,
		UserKey: ridecode.UserKey(g.phone.PublicKey().Bytes()), CardType: ridecode.PlainCardType, CardNo: "2088000011112222"}
	for _, c := range change {
		c(&grant)
	}
	signed, err := grant.Sign(3, g.institution)
	if err != nil {
		t.Fatal(err)
	}
	code, err := signed.Show(shownAt, g.phone)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func otherCard(g *ridecode.Grant) { g.CardType = "GJ310000" }
func lowLimit(g *ridecode.Grant)  { g.LimitFen = 199 }

// With two faults or more there is exactly one answer: the first in the documented order.
func TestPrecedence(t *testing.T) {
	g := newGate(t, 10)
	bare := terminal.New(&journal{}, 10)
	badTap, negative, dear := tap, tap, tap
	badTap.POSParam = []byte("{}")
	negative.AmountFen, negative.POSParam = -1, nil
	dear.AmountFen = 3001
	ridden := g.code(t, now)
	if first := g.Accept(ridden, tap, now); first.Verdict != ridecode.Success {
		t.Fatal(first.Trace.Reason())
	}
	broken := bytes.Clone(g.code(t, now, otherCard))
	broken[len(broken)-1] ^= 1
	cases := []struct {
		name string
		gate *terminal.Terminal
		code []byte
		tap  terminal.Tap
		at   time.Time
		want ridecode.Verdict
	}{
		{"not initialised before all", bare, nil, negative, now, ridecode.NotInitialized},
		{"no code before pos_param", g.Terminal, nil, badTap, now, ridecode.IllegalParam},
		{"negative amount before pos_param", g.Terminal, ridden, negative, now, ridecode.IllegalParam},
		{"pos_param before form", g.Terminal, ridden[:9], badTap, now, ridecode.POSParamError},
		{"form", g.Terminal, ridden[:9], tap, now, ridecode.MalformedQRCode},
		{"signature before time, card and amount", g.Terminal, broken, dear, now.Add(700 * time.Second), ridecode.MalformedQRCode},
		{"authorization before code time", g.Terminal, ridden, dear, now.Add(2 * time.Hour), ridecode.QRCodeKeyExpired},
		{"code time before card type", g.Terminal, g.code(t, now, otherCard), dear, now.Add(601 * time.Second), ridecode.QRCodeInfoExpired},
		{"card type before amount", g.Terminal, g.code(t, now, otherCard), dear, now, ridecode.CardTypeUnsupported},
		{"amount before duplicate", g.Terminal, ridden, dear, now, ridecode.QuotaExceeded},
		{"limit of the code", g.Terminal, g.code(t, now, lowLimit), tap, now, ridecode.QuotaExceeded},
		{"duplicate", g.Terminal, ridden, tap, now, ridecode.QRCodeDuplicated},
	}
	for _, c := range cases {
		got := c.gate.Accept(c.code, c.tap, c.at)
		if got.Verdict != c.want || got.Verdict != got.Trace.Verdict() || got.Record != nil || got.Code != nil || got.Trace.Reason() == "" {
			t.Errorf("%s: %s because %q, want %s", c.name, got.Verdict, got.Trace.Reason(), c.want)
		}
	}
	if len(g.journal.kept) != 1 {
		t.Errorf("%d records kept for one ride", len(g.journal.kept))
	}
}

// An entry into a metro has no amount yet: 0 is within any limit.
func TestUnknownAmount(t *testing.T) {
	g := newGate(t, 10)
	entry := tap
	entry.AmountFen = 0
	if got := g.Accept(g.code(t, now, func(g *ridecode.Grant) { g.LimitFen = 0 }), entry, now); got.Verdict != ridecode.Success {
		t.Error(got.Trace.Reason())
	}
}

func TestRecordIsWhatWasKept(t *testing.T) {
	for _, version := range []record.Version{0, record.Version1, record.Version2} {
		g := newGate(t, 10)
		g.settings.Version, g.settings.Software = version, "shuama 1"
		g.Configure(g.settings)
		code := g.code(t, now)
		got := g.Accept(code, tap, now)
		if got.Verdict != ridecode.Success || !bytes.Equal(g.journal.kept[0], got.Record) {
			t.Fatalf("version %d: %s", version, got.Trace.Reason())
		}
		u, err := record.Parse(got.Record)
		if err != nil {
			t.Fatal(err)
		}
		r := u.SkipVerification()
		if r.Version != max(version, 1) || !bytes.Equal(r.Code, code) || !bytes.Equal(r.Terminal, tap.POSParam) || !r.Time.Equal(now) ||
			!u.VerifyIntegrity(got.Code.Grant.UserID, record.Legacy{}) {
			t.Errorf("version %d: the record says %+v", version, r)
		}
	}
}

// The gate stays shut when the record cannot be kept, and the rider may try again (terminal-facts R7).
func TestJournalFault(t *testing.T) {
	g := newGate(t, 10)
	code := g.code(t, now)
	g.journal.fault = errors.New("disk full")
	if got := g.Accept(code, tap, now); got.Verdict != ridecode.SystemError || got.Record != nil {
		t.Fatalf("%s with %d bytes of record", got.Verdict, len(got.Record))
	}
	g.journal.fault = nil
	if got := g.Accept(code, tap, now); got.Verdict != ridecode.Success {
		t.Errorf("the second try: %s", got.Trace.Reason())
	}
}

// A record that does not fit its twelve-bit length is the caller's long pos_param: nothing is kept.
func TestRecordTooLong(t *testing.T) {
	g := newGate(t, 10)
	long := terminal.Tap{POSParam: fmt.Appendf(nil, `{"pos_id":"1","type":"SINGLE","subject":"","record_id":"","x":[%s0]}`, strings.Repeat("0,", 2000))}
	if got := g.Accept(g.code(t, now), long, now); got.Verdict == ridecode.Success || len(g.journal.kept) != 0 {
		t.Errorf("%s, %d kept", got.Verdict, len(g.journal.kept))
	}
}

// However many readers see one code at once, it opens once.
func TestOneCodeManyReaders(t *testing.T) {
	g := newGate(t, 10)
	code := g.code(t, now)
	var wait sync.WaitGroup
	verdicts := make([]ridecode.Verdict, 32)
	for i := range verdicts {
		wait.Go(func() { verdicts[i] = g.Accept(code, tap, now).Verdict })
	}
	wait.Wait()
	accepted := 0
	for _, verdict := range verdicts {
		if verdict == ridecode.Success {
			accepted++
		} else if verdict != ridecode.QRCodeDuplicated {
			t.Errorf("verdict %s", verdict)
		}
	}
	if accepted != 1 || len(g.journal.kept) != 1 {
		t.Errorf("accepted %d times, kept %d times", accepted, len(g.journal.kept))
	}
}

// The memory of accepted codes outlives new settings and a restart, is bounded, and forgets a code
// only once no clock within the policy could take it.
func TestMemory(t *testing.T) {
	g := newGate(t, 2)
	first, second := g.code(t, now), g.code(t, now.Add(time.Second))
	got := g.Accept(first, tap, now)
	g.Configure(g.settings)
	if again := g.Accept(first, tap, now); again.Verdict != ridecode.QRCodeDuplicated {
		t.Errorf("after new settings: %s", again.Verdict)
	}
	restarted := newGate(t, 2)
	if err := restarted.Recall(got.Record, ridecode.DefaultClock(), now); err != nil {
		t.Fatal(err)
	}
	if again := restarted.Accept(first, tap, now); again.Verdict != ridecode.QRCodeDuplicated {
		t.Errorf("after a restart: %s", again.Verdict)
	}
	g.Accept(second, tap, now)
	if third := g.Accept(g.code(t, now.Add(2*time.Second)), tap, now); third.Verdict != ridecode.NoEnoughMemory {
		t.Errorf("with a full memory: %s", third.Verdict)
	}
	later := now.Add(621 * time.Second)
	if third := g.Accept(g.code(t, later), tap, later); third.Verdict != ridecode.Success {
		t.Errorf("when the first is over: %s", third.Trace.Reason())
	}
}

func TestRecallRefusesNoise(t *testing.T) {
	g := newGate(t, 2)
	if err := g.Recall([]byte("noise"), ridecode.DefaultClock(), now); err == nil {
		t.Error("noise is recalled")
	}
}

func BenchmarkAccept(b *testing.B) {
	g := newGate(b, b.N+1)
	codes := make([][]byte, b.N)
	for i := range codes {
		codes[i] = g.code(b, now.Add(time.Duration(i%600)*-time.Second), func(grant *ridecode.Grant) {
			grant.CardNo = ridecode.CardNo(fmt.Sprintf("%016d", i))
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if got := g.Accept(codes[i], tap, now); got.Verdict != ridecode.Success {
			b.Fatal(got.Trace.Reason())
		}
	}
}
