package web

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Addresses that would send a rider somewhere else than where he was promised, as browsers read them.
func TestHostileRedirects(t *testing.T) {
	registered := []string{"https://bus.example.com/signed", "http://127.0.0.1:9000/back"}
	for _, hostile := range []string{
		"", "/", "//evil.example/signed", "\\\\evil.example", "/\\evil.example", "https:evil.example", "https:/bus.example.com/signed",
		"https:///bus.example.com/signed", "https:\\\\bus.example.com/signed", "https://bus.example.com\\@evil.example/signed",
		"https://bus.example.com@evil.example/signed", "https://user@bus.example.com/signed", "https://user:pass@bus.example.com/signed",
		"https://bus.example.com.evil.example/signed", "https://evilbus.example.com/signed", "https://bus.example.com:8443/signed",
		"https://bus.example.com:443/signed", "https://bus.example.com./signed", "https://BUS.example.com/signed", "http://bus.example.com/signed",
		"javascript:alert(1)//https://bus.example.com/signed", "data:text/html,https://bus.example.com/signed", "HTTPS://bus.example.com/signed",
		"https://bus.example.com/signed/", "https://bus.example.com/signed/../evil", "https://bus.example.com/%73igned", "https://bus.example.com/signed/..%2f",
		"https://bus.example.com/signed;x", "https://bus.example.com/signed#x", "https://bus.example.com/signed?a=1#x", "https://bus.example.com/signed%3f",
		"https://bus.example.com/signed\r\nSet-Cookie: a=b", "https://bus.example.com/signed?a=b\r\nLocation: https://evil.example", "https://bus.example.com/signed\n",
		"https://bus.example.com/signed\t", " https://bus.example.com/signed", "https://bus.example.com/signed ", "https://bus.example.com/signed\x00",
		"https://bus.example.com/signed?a=\u2028", "https://bus。example。com/signed", "https://bus.example.com／signed", "https://ｂus.example.com/signed",
		"https://bus.example.com/signed?isCreditOpened=true", "https://bus.example.com/signed?isCredit%4fpened=true", "https://bus.example.com/signed?a=%zz",
		"https://bus.example.com/signed?a=1;isCreditOpened=true", "https://bus.example.com/signed?<script>", "https://bus.example.com/signed?\"onload",
		"https://xn--bus-example.com/signed", "https://bus.example.com/signed?" + strings.Repeat("a", 2048), "http://127.0.0.1:9000/back/x", "http://localhost:9000/back",
	} {
		if b, err := parseBack(hostile, registered); err == nil {
			t.Errorf("%q is taken, and leads to %s", hostile, b.with(true))
		} else if !strings.Contains(err.Error(), "redirectUrl") || !strings.Contains(err.Error(), "§4.3.2") {
			t.Errorf("%q: %v names no field or clause", hostile, err)
		}
	}
}

func TestGoodRedirects(t *testing.T) {
	registered := []string{"https://bus.example.com/signed", "http://127.0.0.1:9000/back"}
	for given, want := range map[string]string{
		"https://bus.example.com/signed":                           "https://bus.example.com/signed?isCreditOpened=true",
		"https://bus.example.com/signed?":                          "https://bus.example.com/signed?isCreditOpened=true",
		"https://bus.example.com/signed?order=7&u=%2F":             "https://bus.example.com/signed?order=7&u=%2F&isCreditOpened=true",
		"https://bus.example.com/signed?next=https://evil.example": "https://bus.example.com/signed?next=https://evil.example&isCreditOpened=true",
		"http://127.0.0.1:9000/back":                               "http://127.0.0.1:9000/back?isCreditOpened=true",
	} {
		b, err := parseBack(given, registered)
		if err != nil || b.with(true) != want {
			t.Errorf("%s: %+v, %v, want %s", given, b, err, want)
		}
	}
}

// Whatever comes in, what goes out begins with an address that was registered, and says isCreditOpened once, last.
func FuzzRedirect(f *testing.F) {
	registered := []string{"https://bus.example.com/signed"}
	f.Add("https://bus.example.com/signed?a=b")
	f.Add("https://bus.example.com\\@evil.example/signed")
	f.Fuzz(func(t *testing.T, given string) {
		b, err := parseBack(given, registered)
		if err != nil {
			return
		}
		out := b.with(false)
		at, err := url.Parse(out)
		if err != nil || at.Scheme != "https" || at.Host != "bus.example.com" || at.Path != "/signed" || at.User != nil || at.Fragment != "" ||
			len(at.Query()["isCreditOpened"]) != 1 || at.Query().Get("isCreditOpened") != "false" || strings.ContainsAny(out, "\r\n\\") {
			t.Fatalf("%q leads to %q", given, out)
		}
	})
}

// FuzzPlace: a place is one that a page has written, or is refused by name.
func FuzzPlace(f *testing.F) {
	for _, text := range []string{"", "1764158400000000-7", "0-1", "-1-1", "1-01", "9223372036854775807-9223372036854775807"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		place, err := parsePlace(text)
		var wrong *form.Error
		switch {
		case err != nil && (!errors.As(err, &wrong) || wrong.Field != "from"):
			t.Fatalf("%q: %v", text, err)
		case err == nil && text != "" && writePlace(place) != text:
			t.Fatalf("%q becomes %q", text, writePlace(place))
		}
	})
}

// Each language has the same words.
func TestTexts(t *testing.T) {
	for name, text := range textsIn(chinese) {
		if other := textsIn(english)[name]; text == "" || other == "" || text == other {
			t.Errorf("%s: %q, %q", name, text, other)
		}
	}
}

// No query leads anywhere but to a registered address, and none breaks the parser.
func FuzzEntry(f *testing.F) {
	s := &server{Config: Config{Terms: func(cardType ridecode.CardType) (CardTerms, bool) {
		return CardTerms{Title: "卡", Postpaid: cardType == "GJ310001", Redirects: []string{"https://bus.example.com/signed"}}, cardType[:2] == "GJ"
	}}}
	f.Add("action=sign&cardTitle=x&scene=TRANSIT&subScene=330100&source=s&cardType=GJ310001&redirectUrl=https%3A%2F%2Fbus.example.com%2Fsigned")
	f.Add("action=use&scene=TRANSIT&subScene=330100&source=s&cardType=GJ310000&cardNo=31")
	f.Add("action=rides&scene=TRANSIT&subScene=330100&source=s&from=1764158400000000-7")
	f.Fuzz(func(t *testing.T, query string) {
		e, err := s.parseEntry(query)
		var wrong *form.Error
		switch {
		case err != nil && (!errors.As(err, &wrong) || wrong.Field == "" || wrong.Clause == ""):
			t.Fatalf("%q: %v names no field or clause", query, err)
		case err == nil && e.action == actionSign && !strings.HasPrefix(e.back.with(true), "https://bus.example.com/signed?"):
			t.Fatalf("%q leads to %s", query, e.back.with(true))
		case err == nil && e.action == actionUse && !isCardNo(e.cardNo):
			t.Fatalf("%q: card %q", query, e.cardNo)
		}
	})
}
