package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/wallet"
)

// Ming's cards.
var (
	mingPrepaid  = cardissuer.CardKey{Type: "GJ310000", No: "3100000001"}
	mingPostpaid = cardissuer.CardKey{Type: "GJ310001", No: "3100000002"}
)

// cards tells the story of a prepaid and of a postpaid card (document 2 §3).
func (s *story) cards() error {
	s.say("\n8. The merchant issues virtual cards: one is topped up, the other pays from the account\n")
	for _, scene := range []func() error{s.openCards, s.rideWithCards, s.settleCards, s.payDebt} {
		if err := scene(); err != nil {
			return err
		}
	}
	return nil
}

// commands runs commands as a user does, and gives what the last one said.
func (s *story) commands(commands ...[]string) (said string, err error) {
	for _, command := range commands {
		w := s.quiet()
		if status := run(w, command); status != exitAccepted {
			return "", fmt.Errorf("shuama %s: %s", strings.Join(command, " "), w.stderr)
		}
		said = w.stdout.(*bytes.Buffer).String()
	}
	return said, nil
}

func (s *story) card(key cardissuer.CardKey, args ...string) []string {
	return append([]string{"card", args[0], s.path("merchant"), string(key.Type), string(key.No)}, args[1:]...)
}

// openCards registers both types, and opens a card of each.
func (s *story) openCards() error {
	city, office := s.path("city"), s.path("merchant")
	_, err := s.commands(
		[]string{"app", "card-type", city, appID, string(mingPrepaid.Type), "--title", "市民卡"},
		[]string{"app", "card-type", city, appID, string(mingPostpaid.Type), "--title", "乘车卡", "--postpaid"},
		[]string{"trust", "publish", city},
		[]string{"keys", "terminal", city, appID, "BUS-19-09", "--out", s.path("bus9")},
		[]string{"card", "type", "add", office, string(mingPrepaid.Type), "--title", "市民卡", "--seal", "sm4-gcm"},
		[]string{"card", "type", "add", office, string(mingPostpaid.Type), "--title", "乘车卡", "--mode", "postpaid"},
		[]string{"card", "type", "gate-key", office, string(mingPrepaid.Type), s.path("bus9")},
		[]string{"card", "issue", office, string(mingPrepaid.Type), string(ming), "--number", "1", "--card-no", string(mingPrepaid.No), "--data", "6d6f6e7468"},
		[]string{"card", "issue", office, string(mingPostpaid.Type), string(ming), "--number", "2", "--card-no", string(mingPostpaid.No)},
		s.card(mingPrepaid, "top-up", "3", "--number", "demo-1"))
	if err != nil {
		return err
	}
	s.say("   two card types are registered; Ming opens a card of each, and tops the prepaid one up with 3.00 yuan\n")
	if err := s.restartServer(); err != nil {
		return err
	}
	if _, err = s.commands([]string{"card", "push", office, "--once"}); err != nil {
		return err
	}
	s.say("   the platform takes the prepaid card, and refuses the postpaid one: nobody has signed up for it\n")
	s.passed += 2 * time.Minute
	_, err = s.commands([]string{"account", "agree", city, string(ming), string(mingPostpaid.Type)}, []string{"card", "push", office})
	s.say("   Ming signs up; two minutes later it is sent again, and taken\n")
	return err
}

// restartServer has the server take up what was registered.
func (s *story) restartServer() (err error) {
	if err = s.server.stop(); err != nil {
		return err
	}
	if s.home, err = openCity(s.path("city")); err != nil {
		return err
	}
	return s.serveAgain()
}

// phoneWith gets a grant for a card.
func (s *story) phoneWith(key cardissuer.CardKey) (*wallet.Wallet, error) {
	issuer, err := s.home.openIssuer(s.sealer, s.server.books)
	if err != nil {
		return nil, err
	}
	authorization, err := issuer.Authorize(s.outer.context, codeissuer.Request{UserID: ming, CardType: key.Type, CardNo: key.No}, s.now())
	if err != nil {
		return nil, err
	}
	return wallet.New(authorization.Grant, authorization.UserKey)
}

// rideWithCards rides twice with the prepaid card, and once with the postpaid one.
func (s *story) rideWithCards() (err error) {
	gate, err := (&terminalCommand{Dir: s.path("bus9"), Line: "19", Amount: "2.00"}).open(s.quiet())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gate.Close()) }()
	for _, key := range []cardissuer.CardKey{mingPrepaid, mingPrepaid, mingPostpaid} {
		phone, err := s.phoneWith(key)
		if err != nil {
			return err
		}
		s.passed += time.Minute
		code, err := phone.Present(s.now())
		if err != nil {
			return err
		}
		if got := gate.tap(s.quiet(), code); got.Verdict != ridecode.Success {
			return fmt.Errorf("the gate refuses card %s: %s", key.Type, got.Trace.Reason())
		}
		s.say("   Ming boards with card %s, %d bytes of card data: SUCCESS\n", key.Type, len(phone.Grant().CardData))
	}
	return nil
}

// settleCards has the merchant take the prepaid rides from the card, and the other from the account.
func (s *story) settleCards() error {
	before, err := s.server.books.Accounts(s.outer.context, payment.UserAccount(ming))
	if err != nil {
		return err
	}
	_, err = s.commands([]string{"merchant", "collect", s.path("merchant"), filepath.Join(s.path("bus9"), "gate.journal")},
		[]string{"merchant", "settle", s.path("merchant")}, []string{"card", "push", s.path("merchant")})
	if err != nil {
		return err
	}
	after, err := s.server.books.Accounts(s.outer.context, payment.UserAccount(ming))
	if err != nil {
		return err
	}
	took := before[payment.UserAccount(ming)].Balance - after[payment.UserAccount(ming)].Balance
	if took != 200 {
		return fmt.Errorf("the account paid %s for one postpaid ride of 2.00", took)
	}
	s.say("   settled: the platform verified all three records; two rides came off the card, one off the account (%s)\n", took)
	return nil
}

// payDebt shows a card that owes, and what a top-up does.
func (s *story) payDebt() error {
	_, err := s.phoneWith(mingPrepaid)
	var refused *codeissuer.CardRefusal
	if !errors.As(err, &refused) || refused.Code != codeissuer.RefusedOverdue {
		return fmt.Errorf("a card that owes gets a grant: %w", err)
	}
	s.say("   3.00 yuan were not enough for 4.00: no further grant, %s, \"%s\"\n", refused.Code, refused.Tips)
	said, err := s.commands(s.card(mingPrepaid, "top-up", "10", "--number", "demo-2"), []string{"card", "push", s.path("merchant")},
		[]string{"card", "audit", s.path("merchant")})
	if err != nil {
		return err
	}
	if _, err = s.phoneWith(mingPrepaid); err != nil {
		return err
	}
	s.say("   Ming tops up 10.00: the debt is paid first, and the card is granted again. The card book:\n   %s\n",
		strings.ReplaceAll(strings.TrimSpace(said), "\n", "\n   "))
	return nil
}
