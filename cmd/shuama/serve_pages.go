package main

import (
	"log/slog"
	"net/http"
	"os"

	"github.com/shuama/shuama/edge/web"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// riderPages is what riders see: they sign up for postpaid cards, and show their codes (document 2 §4.3). secure says
// that they come by https.
func (c *city) riderPages(w *world, b *books, secure bool) (http.Handler, error) {
	var issuer web.Issuer
	if _, err := os.Stat(c.path("issuer.sealed")); err == nil { // who keeps the institution keys elsewhere serves all but codes
		if issuer, err = c.openIssuer(c.sealer, b); err != nil {
			return nil, err
		}
	}
	return web.New(web.Config{Riders: b, Cards: b.cards, Issuer: issuer, Agreements: b.signed, Rides: b.rides, Trades: b, Terms: b.register.webTerms,
		Number: newAgreementNumber, Now: w.now, Logger: slog.New(slog.NewTextHandler(w.stderr, nil)),
		WrongPassword: payment.ErrPassword, Locked: payment.ErrPasswordLocked, Secure: secure})
}

// webTerms is a card type as the pages know it.
func (l *liveRegister) webTerms(cardType ridecode.CardType) (web.CardTerms, bool) {
	terms, registered := l.cardTerms(cardType)
	return web.CardTerms{Title: terms.Title, Template: terms.Template, Postpaid: terms.Postpaid, Agreement: terms.agreementText(),
		Redirects: terms.Redirects}, registered
}
