package web

import (
	"net/http"

	"github.com/shuama/shuama/protocol/ridecode"
)

// showSign shows the agreement, or that it was signed already (document 2 §4.3.1.1).
func (s *server) showSign(w http.ResponseWriter, r *http.Request, e *entry, rider ridecode.UserID) {
	_, signed, err := s.Agreements.Current(r.Context(), rider, e.cardType)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	page := s.page(r, e)
	page.Rider, page.Signed, page.Agreement = masked(rider), signed, e.terms.Agreement
	w.Header().Set("Content-Security-Policy", policyFor(e.back.origin()))
	s.show(w, r, http.StatusOK, "sign", page)
}

// sign takes the rider's answer, and sends him back with it (document 2 §4.3.3).
func (s *server) sign(w http.ResponseWriter, r *http.Request) {
	e, err := s.parseEntry(r.PostFormValue("entry"))
	if err == nil && e.action != actionSign {
		err = wrong("action", "not sign")
	}
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, err)
		return
	}
	rider, known := s.sessions.rider(r, s.Now())
	if !known {
		s.goOn(w, r, e)
		return
	}
	opened, err := s.answer(r, e, rider)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Security-Policy", policyFor(e.back.origin()))
	w.Header().Set("Location", e.back.with(opened))
	w.WriteHeader(http.StatusSeeOther)
}

// answer keeps the agreement of a rider who agrees and qualifies. Who does not agree now may have before.
func (s *server) answer(r *http.Request, e *entry, rider ridecode.UserID) (opened bool, err error) {
	now := s.Now()
	may, err := s.Riders.MayRide(r.Context(), rider, now)
	if err == nil && may && r.PostFormValue("agree") == "yes" {
		_, err = s.Agreements.Sign(r.Context(), s.Number(now), rider, e.cardType, e.terms.Agreement, now)
	}
	if err != nil {
		return false, err
	}
	_, opened, err = s.Agreements.Current(r.Context(), rider, e.cardType)
	return opened, err
}

// masked is a user's number for his own screen, over whose shoulder others look.
func masked(user ridecode.UserID) string {
	if len(user) < 8 {
		return "****"
	}
	return string(user[:4]) + "********" + string(user[len(user)-4:])
}
