package web

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/wallet"
)

const (
	cookieName   = "shuama_rider"
	sessionLasts = 30 * time.Minute // without a page being asked for
	sessionsMost = 100_000
)

// session is a rider who has shown who he is.
type session struct {
	user  ridecode.UserID
	until time.Time
	cards map[codeissuer.CardKey]*held
}

// held is a card's grant while it is shown.
type held struct {
	phone *wallet.Wallet
	data  string // the card data that it was granted with
}

type sessions struct {
	mutex   sync.Mutex
	byToken map[string]*session
	swept   time.Time
}

func newSessions() *sessions { return &sessions{byToken: map[string]*session{}} }

// rider is who asks. A session goes on while it is used.
func (s *sessions) rider(r *http.Request, now time.Time) (ridecode.UserID, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	found := s.of(r, now)
	if found == nil {
		return "", false
	}
	found.until = now.Add(sessionLasts)
	return found.user, true
}

func (s *sessions) of(r *http.Request, now time.Time) *session {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	found := s.byToken[cookie.Value]
	if found == nil || now.After(found.until) {
		return nil
	}
	return found
}

// card gives what the session holds of a card, and has change put something else there.
func (s *sessions) card(r *http.Request, key codeissuer.CardKey, now time.Time, change *held) *held {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	found := s.of(r, now)
	if found == nil {
		return nil
	}
	if change != nil && (len(found.cards) < 16 || found.cards[key] != nil) {
		found.cards[key] = change
	}
	return found.cards[key]
}

// begin makes a session under a new name: one that was put into the browser before is not taken up.
func (s *sessions) begin(user ridecode.UserID, now time.Time) (string, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if now.Sub(s.swept) > time.Minute || len(s.byToken) >= sessionsMost {
		for name, old := range s.byToken {
			if now.After(old.until) {
				delete(s.byToken, name)
			}
		}
		s.swept = now
	}
	if len(s.byToken) >= sessionsMost {
		return "", false
	}
	name := token()
	s.byToken[name] = &session{user: user, until: now.Add(sessionLasts), cards: map[codeissuer.CardKey]*held{}}
	return name, true
}

func (s *sessions) end(r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if cookie, err := r.Cookie(cookieName); err == nil {
		delete(s.byToken, cookie.Value)
	}
}

// login lets a rider in, and shows him what he came for.
func (s *server) login(w http.ResponseWriter, r *http.Request) {
	e, err := s.parseEntry(r.PostFormValue("entry"))
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, err)
		return
	}
	user, now := ridecode.UserID(r.PostFormValue("user")), s.Now()
	err = s.checkPassword(r, user, r.PostFormValue("password"), now)
	page := s.page(r, e)
	switch {
	case errors.Is(err, s.WrongPassword):
		page.Notice = "wrongPassword"
		s.show(w, r, http.StatusForbidden, "login", page)
		return
	case errors.Is(err, s.Locked):
		page.Notice = "locked"
		s.show(w, r, http.StatusTooManyRequests, "login", page)
		return
	case err != nil:
		s.fail(w, r, err)
		return
	}
	name, room := s.sessions.begin(user, now)
	if !room {
		s.fail(w, r, errors.New("web: no room for another session"))
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: name, Path: Path, HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode})
	s.goOn(w, r, e)
}

// goOn shows the entry by its address, so that a reload asks for nothing again.
func (s *server) goOn(w http.ResponseWriter, r *http.Request, e *entry) {
	http.Redirect(w, r, Path+"card_entry.html?"+e.query, http.StatusSeeOther)
}

func (s *server) checkPassword(r *http.Request, user ridecode.UserID, password string, now time.Time) error {
	if len(user) != 16 || !form.IsPrintable(user) || len(password) > 256 {
		return s.WrongPassword
	}
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	return s.Riders.CheckPassword(r.Context(), user, password, now)
}

// logout ends the session.
func (s *server) logout(w http.ResponseWriter, r *http.Request) {
	s.sessions.end(r)
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: Path, MaxAge: -1, HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode})
	e, err := s.parseEntry(r.PostFormValue("entry"))
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, err)
		return
	}
	s.goOn(w, r, e)
}
