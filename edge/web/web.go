// Package web is the pages (页面) that riders see: the route of document 2 §4.3 (公交付款页面路由), which signs
// riders up for postpaid cards and shows a card with its ride code and the rides that merchants have told of.
//
// The pages need no script but their own, and nothing from elsewhere; the policy that they are served with allows
// nothing else. A rider shows who he is with his payment password; what follows hangs on a session that this
// process keeps, so that several servers behind one address need to keep a rider at one of them.
package web

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

// Path is where the pages are; the route itself is Path + "card_entry.html".
const Path = "/p/f/public_transit/"

// Riders knows riders; *payment.Payment does.
type Riders interface {
	// CheckPassword is nil where the password is the user's. A fault of the server matches neither of the errors
	// that Config names.
	CheckPassword(ctx context.Context, user ridecode.UserID, password string, now time.Time) error
	// MayRide tells whether the user qualifies (document 1 §5.5).
	MayRide(ctx context.Context, user ridecode.UserID, now time.Time) (bool, error)
}

// Cards finds virtual cards; *codeissuer.Cards does.
type Cards interface {
	Shown(ctx context.Context, key codeissuer.CardKey, user ridecode.UserID) (card codeissuer.Card, exists bool, err error)
	Granted(ctx context.Context, key codeissuer.CardKey, user ridecode.UserID) (codeissuer.Card, error)
}

// Issuer grants; *codeissuer.Issuer does.
type Issuer interface {
	Qualifies(ctx context.Context, user ridecode.UserID, now time.Time) error
	Authorize(ctx context.Context, request codeissuer.Request, now time.Time) (codeissuer.Authorization, error)
}

// Rides lists a rider's rides; *rides.Register does.
type Rides interface {
	OfRider(ctx context.Context, rider ridecode.UserID, from rides.Place, limit int) (found []rides.Ride, next rides.Place, err error)
}

// Trades knows what was paid; *payment.Payment does.
type Trades interface {
	PaidBy(ctx context.Context, user ridecode.UserID, keys []payment.TradeKey) (map[payment.TradeKey]payment.PaidTrade, error)
}

// Agreements keeps who has signed up; *codeissuer.Agreements does.
type Agreements interface {
	Sign(ctx context.Context, number string, user ridecode.UserID, cardType ridecode.CardType, text string, now time.Time) (codeissuer.Agreement, error)
	Current(ctx context.Context, user ridecode.UserID, cardType ridecode.CardType) (codeissuer.Agreement, bool, error)
}

// CardTerms is what was registered of a card type.
type CardTerms struct {
	Title     string // what riders call it; empty: the caller's cardTitle is shown
	Template  string // 模板样式
	Postpaid  bool
	Agreement string   // the text to sign
	Redirects []string // addresses that riders may be sent back to, without a query
}

// Config is what the pages are made of. All but Issuer is needed.
type Config struct {
	Riders     Riders
	Cards      Cards
	Issuer     Issuer // nil: this server holds no institution keys, and cards are shown without their codes
	Agreements Agreements
	Rides      Rides
	Trades     Trades
	Terms      func(cardType ridecode.CardType) (terms CardTerms, registered bool)
	Number     func(now time.Time) string // a new agreement's
	Now        func() time.Time
	Logger     *slog.Logger
	// WrongPassword and Locked are the errors of Riders that a rider is told of.
	WrongPassword, Locked error
	// Secure says that riders come by https: the session's cookie goes no other way.
	Secure bool
}

//go:embed pages
var files embed.FS

// server is the pages at work.
type server struct {
	Config
	pages    map[language]*template.Template
	sessions *sessions
	hashing  chan struct{} // checking a password is slow on purpose: a few at a time
}

const passwordsAtOnce = 2

// New makes the handler of everything under Path.
func New(config Config) (http.Handler, error) {
	if config.Riders == nil || config.Cards == nil || config.Agreements == nil || config.Rides == nil || config.Trades == nil || config.Terms == nil ||
		config.Number == nil || config.Now == nil || config.Logger == nil || config.WrongPassword == nil || config.Locked == nil {
		return nil, errors.New("web: all of Config but Issuer is needed")
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	s := &server{Config: config, pages: pages, sessions: newSessions(), hashing: make(chan struct{}, passwordsAtOnce)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path+"card_entry.html", s.entry)
	mux.HandleFunc("POST "+Path+"login", s.login)
	mux.HandleFunc("POST "+Path+"logout", s.logout)
	mux.HandleFunc("POST "+Path+"sign", s.sign)
	mux.HandleFunc("GET "+Path+"card.json", s.cardState)
	mux.HandleFunc("GET "+Path+"code.png", s.codePicture)
	mux.HandleFunc("GET "+Path+"style.css", s.file("pages/style.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET "+Path+"card.js", s.file("pages/card.js", "text/javascript; charset=utf-8"))
	return harden(http.NewCrossOriginProtection().Handler(mux)), nil
}

// harden sets what every answer is served with. Pages tell of money and codes: nobody keeps them.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policyFor(""))
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, bodySizeMax)
		next.ServeHTTP(w, r)
	})
}

const bodySizeMax = 16 << 10

// policyFor allows what the pages do. A browser asks form-action again where a form's answer sends it on: the page
// that signs may send to the one origin that its card type has registered.
func policyFor(redirectOrigin string) string {
	forms := "'self'"
	if redirectOrigin != "" {
		forms += " " + redirectOrigin
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action " + forms +
		"; base-uri 'none'; frame-ancestors 'none'"
}

func (s *server) file(name, kind string) http.HandlerFunc {
	content, err := files.ReadFile(name)
	if err != nil {
		panic("web: internal error: " + err.Error())
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(content) // who has gone away needs no page
	}
}

// token is what nobody can guess.
func token() string { return rand.Text() }
