package codeissuer_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
)

// bounding says the same of every rider.
type bounding struct {
	most codeissuer.Terms
	err  error
}

func (b bounding) GrantBounds(context.Context, ridecode.UserID, time.Time) (codeissuer.Terms, error) {
	return b.most, b.err
}

// A grant allows the lesser of what was asked and what risk says, field by field; who gets none is told why.
func TestRiskBoundsGrants(t *testing.T) {
	const user = "2088000011112222"
	all := codeissuer.DefaultTerms()
	small := codeissuer.Terms{Lasts: time.Hour, ValidSec: 60, LimitFen: 5_00}
	for name, c := range map[string]struct{ asked, most, want codeissuer.Terms }{
		"nothing said":    {codeissuer.Terms{}, codeissuer.Terms{}, all},
		"all bounded":     {codeissuer.Terms{}, small, small},
		"asked for less":  {codeissuer.Terms{LimitFen: 2_00}, small, codeissuer.Terms{Lasts: time.Hour, ValidSec: 60, LimitFen: 2_00}},
		"asked for more":  {codeissuer.Terms{LimitFen: 20_00}, small, small},
		"one bounded":     {codeissuer.Terms{}, codeissuer.Terms{ValidSec: 60}, codeissuer.Terms{Lasts: all.Lasts, ValidSec: 60, LimitFen: all.LimitFen}},
		"more than terms": {codeissuer.Terms{}, codeissuer.Terms{LimitFen: 99_00, ValidSec: 3600}, all},
	} {
		grant := mustGrant(t, bounding{most: c.most}, codeissuer.Request{UserID: user, Terms: c.asked})
		if got := (codeissuer.Terms{Lasts: grant.Expires.Sub(now), ValidSec: grant.ValidSec, LimitFen: grant.LimitFen}); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	_, err := riskyIssuer(t, bounding{err: &codeissuer.NotQualified{Why: "owes 3.00 yuan", Next: "top up"}}).Authorize(t.Context(), codeissuer.Request{UserID: user}, now)
	if !errors.Is(err, codeissuer.ErrNotQualified) || !strings.Contains(err.Error(), "owes 3.00 yuan") || !strings.Contains(err.Error(), "top up") {
		t.Error(err)
	}
	if _, err := riskyIssuer(t, bounding{err: context.Canceled}).Authorize(t.Context(), codeissuer.Request{UserID: user}, now); !errors.Is(err, context.Canceled) {
		t.Errorf("risk that cannot be told: %v", err)
	}
}

func mustGrant(t *testing.T, risk codeissuer.Risk, request codeissuer.Request) ridecode.Grant {
	t.Helper()
	authorization, err := riskyIssuer(t, risk).Authorize(t.Context(), request, now)
	if err != nil {
		t.Fatal(err)
	}
	return authorization.Grant.Grant()
}

func riskyIssuer(t *testing.T, risk codeissuer.Risk) *codeissuer.Issuer {
	t.Helper()
	issuer, err := codeissuer.New(codeissuer.Config{Slots: slots(t, 1), Active: codeissuer.AlwaysKey(0), Risk: risk,
		Terms: codeissuer.DefaultTerms(), Users: registered{"2088000011112222": true}, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}
