package prompt_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/edge/prompt"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/terminal"
)

// everyVerdict is every number that has a name.
func everyVerdict() []ridecode.Verdict {
	var all []ridecode.Verdict
	for v := ridecode.Verdict(-127); v < 127; v++ {
		if !strings.HasPrefix(v.String(), "VERDICT_") {
			all = append(all, v)
		}
	}
	return all
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

func TestEveryVerdictHasAPrompt(t *testing.T) {
	if count := len(everyVerdict()); count < 20 {
		t.Fatalf("%d verdicts found: this test looks in the wrong place", count)
	}
	for _, v := range everyVerdict() {
		for _, kind := range []record.Kind{record.Single, record.Entry, record.Exit, "", "OTHER"} {
			p := prompt.Of(v, kind)
			if p.Verdict != v || (p.Lamp == prompt.Green) != (v == ridecode.Success) || (p.Sound == prompt.Accepted) != (v == ridecode.Success) {
				t.Errorf("%v at %q: %+v", v, kind, p)
			}
			checkWords(t, v.String(), p)
		}
	}
	checkWords(t, "unreadable", prompt.Unreadable())
}

func checkWords(t *testing.T, name string, p prompt.Prompt) {
	t.Helper()
	if n := utf8.RuneCountInString(p.Chinese.Screen); n == 0 || n > 10 || !strings.ContainsFunc(p.Chinese.Screen, isHan) {
		t.Errorf("%s: Chinese screen of %d characters: %s", name, n, p.Chinese.Screen)
	}
	if n := len(p.English.Screen); n == 0 || n > 24 || strings.ContainsFunc(p.English.Screen, isHan) {
		t.Errorf("%s: English screen of %d letters: %s", name, n, p.English.Screen)
	}
	for _, words := range []prompt.Words{p.Chinese, p.English} {
		if words.Voice == "" || words.Spoken() != words.Voice {
			t.Errorf("%s: %+v", name, words)
		}
	}
}

// What nobody knows opens nothing, and is not told as the rider's fault.
func TestUnknownVerdict(t *testing.T) {
	fault := prompt.Of(ridecode.SystemError, record.Single)
	for _, v := range []ridecode.Verdict{0, 2, 127, -15, -128} {
		if p := prompt.Of(v, record.Single); p.Lamp != prompt.Red || p.Sound != prompt.Broken || p.Chinese != fault.Chinese {
			t.Errorf("%d: %+v", v, p)
		}
	}
}

func TestKindsOfGates(t *testing.T) {
	for kind, want := range map[record.Kind]string{record.Single: "请上车", record.Entry: "请进站", record.Exit: "请出站"} {
		if p := prompt.Of(ridecode.Success, kind); p.Chinese.Screen != want || !strings.Contains(p.Chinese.Voice, want) {
			t.Errorf("%s: %+v", kind, p.Chinese)
		}
	}
}

// Nobody is called a forger, a debtor or a listed person aloud.
func TestPromptsAccuseNobody(t *testing.T) {
	for _, v := range everyVerdict() {
		p := prompt.Of(v, record.Single)
		said := strings.ToLower(p.English.Screen + p.English.Voice + p.Chinese.Screen + p.Chinese.Voice)
		for _, word := range []string{"deny", "denied", "black", "list", "fraud", "forge", "fake", "debt", "owe", "名单", "假", "伪造", "欠"} {
			if strings.Contains(said, word) {
				t.Errorf("%v says %q: %s", v, word, said)
			}
		}
	}
}

var now = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// journal keeps records, or fails.
type journal struct{ fault error }

func (j *journal) Keep([]byte) error { return j.fault }

// station is a real terminal, with an institution and a phone that it trusts.
type station struct {
	*terminal.Terminal
	journal     *journal
	institution *secp256k1.PrivateKey
	phone       *secp192k1.PrivateKey
}

func newStation(t testing.TB) *station {
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
	j := &journal{}
	s := &station{terminal.New(j, 10), j, institution, phone}
	s.Configure(terminal.Settings{Keys: keys, CardTypes: []ridecode.CardType{ridecode.PlainCardType},
		Clock: ridecode.DefaultClock(), Signer: record.Legacy{}, AgainSec: 5})
	return s
}

// show is a code of this key id, shown some seconds ago under a grant that ends at expires.
func (s *station) show(t testing.TB, keyID ridecode.KeyID, agoSec int, expires time.Time, change ...func(*ridecode.Grant)) []byte {
	t.Helper()
	grant := ridecode.Grant{UserID: "2088000011112222", Expires: expires, ValidSec: 60, LimitFen: 300,
		UserKey: ridecode.UserKey(s.phone.PublicKey().Bytes()), CardType: ridecode.PlainCardType, CardNo: "2088000011112222"}
	for _, c := range change {
		c(&grant)
	}
	signed, err := grant.Sign(keyID, s.institution)
	if err != nil {
		t.Fatal(err)
	}
	code, err := signed.Show(now.Add(-time.Duration(agoSec)*time.Second), s.phone)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (s *station) tap(code []byte, fareFen money.Fen) prompt.Prompt {
	info := []byte(`{"pos_id":"sh001","type":"SINGLE","subject":"bus192","record_id":"000001"}`)
	got := s.Accept(code, terminal.Tap{POSParam: info, AmountFen: fareFen}, now)
	return prompt.Explain(&got.Trace, record.Single, now)
}

// The figures come out of traces of real codes at a real terminal: were a sentence of a trace worded
// anew, this would tell.
func TestExplain(t *testing.T) {
	s := newStation(t)
	holds := now.Add(time.Hour)
	forged := s.show(t, 3, 0, holds)
	forged[len(forged)-1] ^= 1
	ridden := s.show(t, 3, 1, holds)
	otherCard := func(g *ridecode.Grant) { g.CardType = "GJ310000" }
	for _, c := range []struct {
		name    string
		code    []byte
		fareFen money.Fen
		verdict ridecode.Verdict
		screen  string
		zh, en  string // details
	}{
		{"not a code", []byte("https://example.com"), 200, ridecode.MalformedQRCode, "Show your ride code", "", ""},
		{"forged", forged, 200, ridecode.MalformedQRCode, "Code not valid", "", ""},
		{"unknown key", s.show(t, 9, 0, holds), 200, ridecode.QRCodeKeyExpired, "Refresh online, rescan", "", ""},
		{"authorization over", s.show(t, 3, 0, now.Add(-3*time.Hour)), 200, ridecode.QRCodeKeyExpired, "Go online to renew",
			"乘车码的授权已过期3小时,请打开手机网络,刷新乘车码后再刷。", "The authorization ended 3 hours ago. Please go online with the phone and scan again."},
		{"too old", s.show(t, 3, 95, holds), 200, ridecode.QRCodeInfoExpired, "Expired: refresh",
			"乘车码已过期35秒,请刷新后再刷。", "The code expired 35 seconds ago. Please refresh it and scan again."},
		{"much too old", s.show(t, 3, 2*86400, holds), 200, ridecode.QRCodeInfoExpired, "Expired: refresh",
			"乘车码已过期1天,请刷新后再刷。如果还不行,请看手机时间对不对。",
			"The code expired 1 day ago. Please refresh it and scan again. If that does not help, check the phone's clock."},
		{"from the future", s.show(t, 3, -300, holds), 200, ridecode.QRCodeInfoExpired, "Phone clock is wrong",
			"手机时间比闸机快5分钟,请打开自动时间后再刷。", "The phone's clock is 5 minutes ahead of the gate's. Please set it to automatic time and scan again."},
		{"dear", s.show(t, 3, 0, holds), 1250, ridecode.QuotaExceeded, "Over the trade limit",
			"车费12.50元,超过此码的限额3.00元,请用别的方式付款。", "The fare of 12.50 yuan is over this code's limit of 3.00 yuan. Please pay in another way."},
		{"other card", s.show(t, 3, 0, holds, otherCard), 200, ridecode.CardTypeUnsupported, "Card not taken here", "", ""},
		{"a fault of the caller", ridden, -1, ridecode.IllegalParam, "Gate out of order", "", ""},
		{"well", ridden, 200, ridecode.Success, "Please board", "", ""},
		{"repeated", ridden, 200, ridecode.QRCodeDuplicated, "Already used: refresh", "", ""},
		{"too soon", s.show(t, 3, 0, holds), 200, ridecode.RiderTooSoon, "Please wait a moment",
			"刷码太快,请等5秒后再刷。", "Too soon. Please wait 5 seconds and scan again."},
	} {
		p := s.tap(c.code, c.fareFen)
		if p.Verdict != c.verdict || p.English.Screen != c.screen || p.Chinese.Detail != c.zh || p.English.Detail != c.en {
			t.Errorf("%s: %v, %+v, %+v", c.name, p.Verdict, p.English, p.Chinese)
		}
		if (p.Reason == "") != (c.verdict == ridecode.Success) {
			t.Errorf("%s: reason %q", c.name, p.Reason)
		}
	}
	s.journal.fault = errors.New("no space left on device")
	fresh := s.show(t, 3, 2, holds, func(g *ridecode.Grant) { g.UserID = "2088000011113333" })
	if p := s.tap(fresh, 200); p.Verdict != ridecode.SystemError || p.Sound != prompt.Broken || !strings.Contains(p.Reason, "no space left") {
		t.Errorf("no record: %+v", p)
	}
}

// Traces of wording that is not known cost the detail, never the prompt.
func TestExplainAnyTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var trace ridecode.Trace
		verdict := rapid.SampledFrom(everyVerdict()).Filter(func(v ridecode.Verdict) bool { return v != ridecode.Success }).Draw(t, "verdict")
		name := rapid.SampledFrom([]string{ridecode.CheckForm, ridecode.CheckKey, ridecode.CheckCodeTime, ridecode.CheckAuthorizationTime,
			terminal.CheckAmount, terminal.CheckRider, "other"}).Draw(t, "check")
		why := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"shown -5 s in the future", "shown 99999999999999999999 s in the future",
			"shown at, -1 s too old", "the authorization ended at 2999-01-01T00:00:00Z", "the same rider came less than x s ago"})).Draw(t, "why")
		trace.Fail(name, verdict, why)
		p := prompt.Explain(&trace, record.Single, now)
		if p.Verdict != verdict || p.Lamp == prompt.Green || p.Chinese.Detail != "" || p.English.Detail != "" || p.Chinese.Spoken() == "" {
			t.Fatalf("%+v", p)
		}
	})
}
