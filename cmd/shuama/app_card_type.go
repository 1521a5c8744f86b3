package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
)

// cardTermsSettings is what a merchant registered of a card type (document 2 §3.1.1 step 2).
type cardTermsSettings struct {
	Title     string   `json:"title"`               // cardTitle
	Template  string   `json:"template,omitempty"`  // 模板样式
	Postpaid  bool     `json:"postpaid,omitempty"`  // riders sign up before a card is issued
	Agreement string   `json:"agreement,omitempty"` // its text; empty: the platform's own
	Redirects []string `json:"redirect_urls,omitempty"`
}

// String is for people.
func (t cardTermsSettings) String() string {
	mode := "prepaid"
	if t.Postpaid {
		mode = "postpaid, riders come back to " + listText(t.Redirects, "nowhere: nobody can sign up")
	}
	return fmt.Sprintf("%s, %s", plain(t.Title), mode)
}

type appCardTypeCommand struct {
	Dir       string   `arg:"" help:"The city's folder." type:"existingdir"`
	AppID     string   `arg:"" help:"The app." name:"app-id"`
	Types     []string `arg:"" help:"Card types: 8 characters each, as GJ310000."`
	Title     string   `help:"What riders call these cards (cardTitle)." placeholder:"TEXT"`
	Template  string   `help:"The template's name." placeholder:"NAME"`
	Postpaid  bool     `help:"Rides are taken from the rider's payment account, once he has signed up."`
	Agreement string   `help:"The file with the text that riders sign up to. Without it: the platform's own." placeholder:"FILE" type:"existingfile"`
	Redirect  []string `help:"Addresses that the sign-up page may send riders back to." placeholder:"URL" sep:"none"`
	Gates     bool     `help:"Gates take these cards, from the next trust bundle on." default:"true" negatable:""`
	Remove    bool     `help:"Take them off; cards that were issued stay as they are, and get no further grant."`
}

// Help shows how it is used.
func (appCardTypeCommand) Help() string {
	return `A card type belongs to one app, which alone may issue, update, revoke and see its cards (document 2 §4.2.4.3).
What is said of it again takes the place of what was said before.

Examples:
  shuama app card-type city 2021000000000001 GJ310000 --title 市民卡 --template blue
  shuama app card-type city 2021000000000001 GJ310001 --title 乘车卡 --postpaid --redirect https://bus.example.com/signed`
}

// Run registers the types.
func (c *appCardTypeCommand) Run(w *world) error {
	terms, err := c.terms()
	if err != nil {
		return err
	}
	return changeApp(w, c.Dir, c.AppID, func(home *city, app *appSettings) (string, error) {
		named := func(t string) bool { return slices.Contains(c.Types, t) }
		app.CardTypes = slices.DeleteFunc(app.CardTypes, named)
		home.settings.Trust.CardTypes = slices.DeleteFunc(home.settings.Trust.CardTypes, named)
		for _, t := range c.Types {
			delete(app.CardTerms, t)
		}
		if !c.Remove {
			c.add(home, app, terms)
		}
		return fmt.Sprintf("Card types of app %s: %s. Gates learn of them from the next trust bundle: run shuama trust publish %s.",
			c.AppID, listText(app.CardTypes, "none"), c.Dir), nil
	})
}

func (c *appCardTypeCommand) add(home *city, app *appSettings, terms cardTermsSettings) {
	app.CardTypes = append(app.CardTypes, c.Types...)
	slices.Sort(app.CardTypes)
	app.CardTypes = slices.Compact(app.CardTypes)
	if app.CardTerms == nil {
		app.CardTerms = map[string]cardTermsSettings{}
	}
	for _, t := range app.CardTypes {
		if slices.Contains(c.Types, t) {
			app.CardTerms[t] = terms
		}
		if slices.Contains(c.Types, t) && c.Gates {
			home.settings.Trust.CardTypes = append(home.settings.Trust.CardTypes, t)
		}
	}
}

// terms checks what is registered.
func (c *appCardTypeCommand) terms() (terms cardTermsSettings, err error) {
	for _, cardType := range c.Types {
		if len(cardType) != 8 || !form.IsPrintable(cardType) {
			return terms, fmt.Errorf("card type %q: not 8 characters of printable ASCII, as a ride code carries it (document 1 §6.3.2)", cardType)
		}
		if cardType == string(ridecode.PlainCardType) {
			return terms, fmt.Errorf("card type %s is the plain payment code, and nobody's (document 2 §4.1.2.1)", cardType)
		}
	}
	terms = cardTermsSettings{Title: c.Title, Template: c.Template, Postpaid: c.Postpaid, Redirects: c.Redirect}
	if utf8.RuneCountInString(c.Title+c.Template) > 64 {
		return terms, errors.New("--title and --template: more than 64 characters")
	}
	if c.Agreement != "" {
		text, err := os.ReadFile(c.Agreement)
		if err != nil || len(text) > 64<<10 || !utf8.Valid(text) {
			return terms, errors.Join(errors.New("--agreement: not a text in UTF-8 of at most 64 KiB"), err)
		}
		terms.Agreement = string(text)
	}
	for _, address := range c.Redirect {
		if err := checkRedirect(address); err != nil {
			return terms, fmt.Errorf("--redirect %q: %w", address, err)
		}
	}
	return terms, nil
}

// checkRedirect takes https addresses; http only on this machine, for whoever tries things out.
func checkRedirect(address string) error {
	at, err := url.Parse(address)
	switch {
	case err != nil || at.Host == "" || at.Opaque != "" || strings.ContainsAny(address, "\\\"'<> \t\r\n"):
		return errors.New("not an address like https://bus.example.com/signed")
	case at.User != nil || at.RawQuery != "" || at.ForceQuery || at.Fragment != "" || strings.Contains(address, "#"):
		return errors.New("with a user, a query or a fragment: a merchant's page adds its own query")
	case at.Scheme != "https" && !(at.Scheme == "http" && (at.Hostname() == "localhost" || at.Hostname() == "127.0.0.1")):
		return errors.New("not https")
	}
	return nil
}

// IsPostpaid tells whether riders sign up before they get a card of this type.
func (l *liveRegister) IsPostpaid(cardType ridecode.CardType) bool {
	terms, _ := l.cardTerms(cardType)
	return terms.Postpaid
}

// isPrepaid tells whether rides with this type are taken from its issuer's own book. Of a type that was registered
// before one said so, nobody knows.
func (l *liveRegister) isPrepaid(cardType ridecode.CardType) bool {
	known := l.current.Load()
	owner, registered := known.cardTypes[cardType]
	for i := range known.settings.Apps {
		if app := &known.settings.Apps[i]; registered && app.AppID == string(owner) {
			terms, told := app.CardTerms[string(cardType)]
			return told && !terms.Postpaid
		}
	}
	return false
}

func (l *liveRegister) cardTerms(cardType ridecode.CardType) (terms cardTermsSettings, registered bool) {
	known := l.current.Load()
	owner, registered := known.cardTypes[cardType]
	for i := range known.settings.Apps {
		if registered && known.settings.Apps[i].AppID == string(owner) {
			return known.settings.Apps[i].CardTerms[string(cardType)], true
		}
	}
	return terms, registered
}

// deniedCards is which virtual cards gates turn away.
func (c *trustPublishCommand) deniedCards(w *world) (cards []trust.DeniedCard, err error) {
	err = withBooks(w, c.Dir, c.bookFlags, func(home *city, b *books) error {
		for _, app := range home.settings.Apps {
			stopped, err := b.cards.Stopped(w.context, codeissuer.AppID(app.AppID), w.now().UTC().Truncate(time.Microsecond), codeissuer.DefaultTerms())
			if err != nil {
				return err
			}
			for _, card := range stopped {
				reason := trust.DenyLost
				if card.Returned {
					reason = trust.DenyClosed
				}
				cards = append(cards, trust.DeniedCard{Card: trust.Card{Type: card.Key.Type, No: card.Key.No}, Reason: reason})
			}
		}
		return nil
	})
	return cards, err
}
