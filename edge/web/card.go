package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/shuama/shuama/edge/scan"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment/rides"
	"github.com/shuama/shuama/role/wallet"
)

// redrawSec is how often the page draws a new code, in seconds.
const redrawSec = 60

// modulePx makes a picture that a camera reads at arm's length.
const modulePx = 6

// noCodesHere says that a server holds no institution keys.
const noCodesHere = "NO_CODES_HERE"

// riderStopped says that the rider gets no grant now: he owes, or risk rules have stopped him (document 1 §5.5).
const riderStopped = "RIDER_STOPPED"

// cardView is a card as its rider sees it.
type cardView struct {
	No      string `json:"card_no"`
	Balance string `json:"balance"` // yuan; empty for a postpaid card
	Usable  bool   `json:"usable"`
	Code    string `json:"code"` // why it is not
	Tips    string `json:"tips"`
	Updated string `json:"updated"` // Beijing time
}

// showCard shows a card and its code (document 2 §4.3.1.2).
func (s *server) showCard(w http.ResponseWriter, r *http.Request, e *entry, rider ridecode.UserID) {
	view, err := s.view(r, codeissuer.CardKey{Type: e.cardType, No: e.cardNo}, rider)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	page := s.page(r, e)
	page.Rider, page.Card, page.RedrawSec = masked(rider), view, redrawSec
	page.Newest = e.ridesLink(page.Lang, rides.Place{})
	page.CardType, page.CardNo = string(e.cardType), string(e.cardNo)
	s.show(w, r, http.StatusOK, "card", page)
}

// view is the card as the platform knows it now.
func (s *server) view(r *http.Request, key codeissuer.CardKey, rider ridecode.UserID) (cardView, error) {
	view := cardView{No: key.No.Mask()}
	card, exists, err := s.Cards.Shown(r.Context(), key, rider)
	if err != nil {
		return view, err
	}
	if exists && card.BalanceFen != nil {
		view.Balance = card.BalanceFen.Yuan()
	}
	if exists {
		view.Updated = card.LastUpdate.In(beijing()).Format(time.DateTime)
	}
	_, err = s.Cards.Granted(r.Context(), key, rider)
	var refusal *codeissuer.CardRefusal
	switch {
	case errors.As(err, &refusal):
		view.Code, view.Tips = refusal.Code, refusal.Tips
	case err != nil:
		return view, err
	case s.Issuer == nil:
		view.Code, view.Tips = noCodesHere, textsIn(languageOf(r))["noCodes"]
	default:
		return s.viewRider(r, view, rider)
	}
	return view, nil
}

// viewRider shows a card that may be used, unless its rider may not ride. Why is his and the support's to talk about.
func (s *server) viewRider(r *http.Request, view cardView, rider ridecode.UserID) (cardView, error) {
	err := s.Issuer.Qualifies(r.Context(), rider, s.Now())
	if errors.Is(err, codeissuer.ErrNotQualified) {
		view.Code, view.Tips = riderStopped, textsIn(languageOf(r))["riderStopped"]
		return view, nil
	}
	view.Usable = err == nil
	return view, err
}

func beijing() *time.Location { return time.FixedZone("CST", 8*3600) }

// cardAsked reads which card is asked about, and who asks.
func (s *server) cardAsked(w http.ResponseWriter, r *http.Request) (codeissuer.CardKey, ridecode.UserID, bool) {
	key := codeissuer.CardKey{Type: ridecode.CardType(r.URL.Query().Get("cardType")), No: ridecode.CardNo(r.URL.Query().Get("cardNo"))}
	rider, known := s.sessions.rider(r, s.Now())
	if !known || !isCardNo(key.No) {
		http.Error(w, "log in again", http.StatusUnauthorized)
		return key, rider, false
	}
	return key, rider, true
}

// cardState tells the page what has become of the card.
func (s *server) cardState(w http.ResponseWriter, r *http.Request) {
	key, rider, ok := s.cardAsked(w, r)
	if !ok {
		return
	}
	view, err := s.view(r, key, rider)
	if err != nil {
		s.log(r, err)
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(view) // who has gone away needs no answer
}

// codePicture draws the code of this moment.
func (s *server) codePicture(w http.ResponseWriter, r *http.Request) {
	key, rider, ok := s.cardAsked(w, r)
	if !ok {
		return
	}
	picture, err := s.drawCode(r, key, rider)
	var refusal *codeissuer.CardRefusal
	switch {
	case errors.As(err, &refusal), errors.Is(err, codeissuer.ErrNotQualified):
		http.Error(w, "this card may not be shown now", http.StatusForbidden)
	case err != nil:
		s.log(r, err)
		http.Error(w, "try again later", http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(picture) // who has gone away needs no picture
	}
}

func (s *server) drawCode(r *http.Request, key codeissuer.CardKey, rider ridecode.UserID) ([]byte, error) {
	phone, err := s.phone(r, key, rider)
	if err != nil {
		return nil, err
	}
	code, err := phone.Present(s.Now())
	if err != nil {
		return nil, err
	}
	symbol, err := scan.QR(code, scan.L)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = symbol.PNG(&out, modulePx)
	return out.Bytes(), err
}

// phone is the rider's wallet for this card: it is asked for anew where the card has changed or its grant ends
// soon, and never for a card that may not be shown now. Its key lives as long as the session.
func (s *server) phone(r *http.Request, key codeissuer.CardKey, rider ridecode.UserID) (*wallet.Wallet, error) {
	now := s.Now()
	card, err := s.Cards.Granted(r.Context(), key, rider)
	if err == nil && s.Issuer == nil {
		err = &codeissuer.CardRefusal{Code: noCodesHere}
	}
	if err != nil {
		return nil, err
	}
	before := s.sessions.card(r, key, now, nil)
	if before != nil && before.data == string(card.Data) && now.Add(time.Hour).Before(before.phone.Grant().Expires) {
		return before.phone, nil
	}
	granted, err := s.Issuer.Authorize(r.Context(), codeissuer.Request{UserID: rider, CardType: key.Type, CardNo: key.No}, now)
	if err != nil {
		return nil, err
	}
	phone, err := wallet.New(granted.Grant, granted.UserKey)
	if err == nil {
		s.sessions.card(r, key, now, &held{phone: phone, data: string(card.Data)})
	}
	return phone, err
}
