package web

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment/rides"
)

const clauseEntry = "document 2 §4.3.2"

// The actions (document 2 §4.3.2).
const (
	actionSign  = "sign"
	actionUse   = "use"
	actionRides = "rides" // ours: 我的乘车 (DIVERGENCES)
)

// entry is what a merchant's link asks for, checked.
type entry struct {
	action    string
	cardTitle string
	subScene  string // 城市码
	source    string
	cardType  ridecode.CardType
	cardNo    ridecode.CardNo
	terms     CardTerms
	back      *back       // of sign
	from      rides.Place // of rides
	query     string
}

// title is what the card is called: the merchant's registered word before the link's, which anybody can write.
func (e *entry) title() string {
	if e.terms.Title != "" {
		return e.terms.Title
	}
	return e.cardTitle
}

const querySizeMax = 8 << 10

// parseEntry reads the query of the route. The error is a *form.Error that names field and clause.
func (s *server) parseEntry(query string) (*entry, error) {
	values, err := url.ParseQuery(query)
	if err != nil || len(query) > querySizeMax {
		return nil, wrong("query", "not names and values as a link has them, of at most 8 KiB")
	}
	for name, list := range values {
		if len(list) > 1 {
			return nil, wrong(name, "stands twice")
		}
	}
	e := &entry{query: query, action: values.Get("action"), cardTitle: values.Get("cardTitle"), subScene: values.Get("subScene"),
		source: values.Get("source"), cardType: ridecode.CardType(values.Get("cardType")), cardNo: ridecode.CardNo(values.Get("cardNo"))}
	switch {
	case e.action != actionSign && e.action != actionUse && e.action != actionRides:
		return nil, wrong("action", "none of sign, use, rides")
	case values.Get("scene") != "TRANSIT":
		return nil, wrong("scene", "not TRANSIT")
	case len(e.subScene) != 6 || strings.Trim(e.subScene, "0123456789") != "":
		return nil, wrong("subScene", "not a city code of 6 digits, as 330100")
	case !isTextOf(e.source, 1, 64):
		return nil, wrong("source", "missing, or not text of at most 64 characters")
	}
	if e.action == actionRides {
		e.from, err = parsePlace(values.Get("from"))
		return e, err
	}
	return e, s.parseCard(e, values)
}

func (s *server) parseCard(e *entry, values url.Values) error {
	if len(e.cardType) != 8 || !form.IsPrintable(e.cardType) {
		return wrong("cardType", "missing, or not 8 characters")
	}
	terms, registered := s.Terms(e.cardType)
	switch {
	case !registered:
		return wrong("cardType", "not registered")
	case e.action == actionUse && !isCardNo(e.cardNo):
		return wrong("cardNo", "missing, or not 1 to 16 letters and digits")
	}
	e.terms = terms
	if e.action == actionUse {
		return nil // redirectUrl means nothing here
	}
	switch {
	case !isTextOf(e.cardTitle, 1, 64):
		return wrong("cardTitle", "missing, or not text of at most 64 characters")
	case !terms.Postpaid:
		return wrong("cardType", "of prepaid cards, for which nobody signs up")
	}
	var err error
	e.back, err = parseBack(values.Get("redirectUrl"), terms.Redirects)
	return err
}

func wrong(field, why string) error { return &form.Error{Field: field, Clause: clauseEntry, Why: why} }

func isTextOf(text string, least, most int) bool {
	for _, r := range text {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	count := utf8.RuneCountInString(text)
	return count >= least && count <= most
}

func isCardNo(no ridecode.CardNo) bool { return no != "" && len(no) <= 16 && form.IsAlphanumeric(no) }

// back is the address that a rider is sent back to.
type back struct {
	address string // one that was registered, word for word
	query   string // the link's own
}

const redirectSizeMax = 2048

// parseBack takes an address that was registered, with any query behind it. Nothing of the address itself comes
// from the link: who could write a host, a user, a backslash or a line end there would own the rider's next page.
func parseBack(given string, registered []string) (*back, error) {
	address, query, _ := strings.Cut(given, "?")
	switch {
	case given == "":
		return nil, wrong("redirectUrl", "missing")
	case len(given) > redirectSizeMax:
		return nil, wrong("redirectUrl", "longer than 2048 characters")
	case !isPlainURL(given):
		return nil, wrong("redirectUrl", "with characters that no address has, or a fragment")
	}
	values, err := url.ParseQuery(query)
	if err != nil || values.Has("isCreditOpened") {
		return nil, wrong("redirectUrl", "its query cannot be read, or says isCreditOpened already")
	}
	for _, known := range registered {
		if known == address {
			return &back{address: known, query: query}, nil
		}
	}
	return nil, wrong("redirectUrl", "not an address that was registered for this card type")
}

// isPlainURL takes the printable characters of ASCII that an address may have (RFC 3986), but for the fragment.
func isPlainURL(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\\\"'<>`{}|^#", c) >= 0 {
			return false
		}
	}
	return true
}

// with is the address with isCreditOpened (document 2 §4.3.3).
func (b *back) with(opened bool) string {
	result := "isCreditOpened=false"
	if opened {
		result = "isCreditOpened=true"
	}
	if b.query != "" {
		result = b.query + "&" + result
	}
	return b.address + "?" + result
}

// origin is what the page's policy allows.
func (b *back) origin() string {
	at, err := url.Parse(b.address)
	if err != nil {
		return ""
	}
	return at.Scheme + "://" + at.Host
}

// entry is the route itself.
func (s *server) entry(w http.ResponseWriter, r *http.Request) {
	e, err := s.parseEntry(r.URL.RawQuery)
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, err)
		return
	}
	rider, known := s.sessions.rider(r, s.Now())
	switch {
	case !known:
		s.show(w, r, http.StatusOK, "login", s.page(r, e))
	case e.action == actionSign:
		s.showSign(w, r, e, rider)
	case e.action == actionRides:
		s.showRides(w, r, e, rider)
	default:
		s.showCard(w, r, e, rider)
	}
}
