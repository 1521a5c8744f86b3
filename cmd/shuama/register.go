package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
)

// register is who and what a city knows: institution keys, terminals, apps and their card types, certificates,
// the deny list. One that is in use is never changed: a newer one takes its place.
type register struct {
	settings     citySettings
	ring         *trust.KeyRing
	terminals    registeredTerminals
	apps         *gateway.AppList
	cardTypes    map[ridecode.CardType]codeissuer.AppID
	certificates *gateway.Certificates // nil while there is no authority
	denied       []ridecode.UserID     // ascending
}

// rememberedGrants is how many grants a server knows to be good without looking again: those of the riders of
// some hours, in some ten megabytes.
const rememberedGrants = 1 << 17

func (c *city) register(window int) (*register, error) {
	ring, err := readKeyRing(c.path("keys.json"), window)
	if err != nil {
		return nil, err
	}
	if window == trust.WindowFast { // a server
		ring.Remember(rememberedGrants)
	}
	terminals, err := c.terminalKeys()
	if err != nil {
		return nil, err
	}
	root, certificates, err := c.certificates()
	if err != nil {
		return nil, err
	}
	apps, err := c.apps(root)
	if err != nil {
		return nil, err
	}
	cardTypes, err := c.cardTypes()
	if err != nil {
		return nil, err
	}
	return &register{settings: c.settings, ring: ring, terminals: terminals, apps: apps, cardTypes: cardTypes, certificates: certificates, denied: c.denied()}, nil
}

// cardTypes refuses a type of two apps: each would see the other's cards.
func (c *city) cardTypes() (map[ridecode.CardType]codeissuer.AppID, error) {
	types := map[ridecode.CardType]codeissuer.AppID{}
	for _, app := range c.settings.Apps {
		for _, cardType := range app.CardTypes {
			if other, taken := types[ridecode.CardType(cardType)]; taken {
				return nil, fmt.Errorf("city.json: card type %s is registered for app %s and for app %s", cardType, other, app.AppID)
			}
			types[ridecode.CardType(cardType)] = codeissuer.AppID(app.AppID)
		}
	}
	return types, nil
}

// denied is what shuama trust deny keeps, ascending.
func (c *city) denied() []ridecode.UserID {
	var users []ridecode.UserID
	for _, member := range c.settings.Trust.Denied {
		users = append(users, ridecode.UserID(member.User))
	}
	slices.Sort(users)
	return slices.Compact(users)
}

// liveRegister is the register of this moment. It is what payment and gateway ask.
type liveRegister struct {
	current atomic.Pointer[register]
	riders  atomic.Pointer[[]ridecode.UserID] // whom the books put on the deny list, ascending
}

// IssuerKey finds an institution key.
func (l *liveRegister) IssuerKey(id ridecode.KeyID) (ridecode.Verifier, bool) {
	return l.current.Load().ring.IssuerKey(id)
}

// VerifyGrants checks many institution signatures at once.
func (l *liveRegister) VerifyGrants(questions []ridecode.GrantQuestion, good []bool) {
	l.current.Load().ring.VerifyGrants(questions, good)
}

var _ ridecode.BatchKeys = (*liveRegister)(nil)

// IssuerKeys is the list that key.query gives.
func (l *liveRegister) IssuerKeys() []trust.Key { return l.current.Load().ring.Keys() }

// TerminalIntegrity finds what checks a terminal's records.
func (l *liveRegister) TerminalIntegrity(app payment.AppID, posID string) (record.Integrity, bool) {
	return l.current.Load().terminals.TerminalIntegrity(app, posID)
}

// App finds an app.
func (l *liveRegister) App(ctx context.Context, id openapi.AppID) (gateway.App, bool, error) {
	return l.current.Load().apps.App(ctx, id)
}

// CardTypeOwner tells whose a card type is.
func (l *liveRegister) CardTypeOwner(cardType ridecode.CardType) (codeissuer.AppID, bool) {
	app, registered := l.current.Load().cardTypes[cardType]
	return app, registered
}

// Certificates are the platform's in certificate mode.
func (l *liveRegister) Certificates() *gateway.Certificates { return l.current.Load().certificates }

// DeniedUsers is a page of the deny list, the same for every app: each one's gates need all of it.
func (l *liveRegister) DeniedUsers(_ context.Context, _ payment.AppID, skip, count int) ([]ridecode.UserID, error) {
	denied := l.denied()
	skip = min(skip, len(denied))
	return denied[skip:min(skip+count, len(denied))], nil
}

// denied is everybody on the deny list: whom people have put there, and whom the books have.
func (l *liveRegister) denied() []ridecode.UserID {
	denied, riders := l.current.Load().denied, l.riders.Load()
	if riders == nil || len(*riders) == 0 {
		return denied
	}
	all := slices.Concat(denied, *riders)
	slices.Sort(all)
	return slices.Compact(all)
}

// followEvery is how often a server looks whether its city has changed.
const followEvery = time.Second

// follow takes up what is registered while the server runs: terminals learn a new key from their trust
// bundle, and the books must know it before the first ride comes in. What cannot be read is told, and
// the register of before stays.
func (c *city) follow(ctx context.Context, b *books, logger *slog.Logger) {
	seen := c.changed()
	for ctx.Err() == nil {
		pause(ctx, followEvery)
		now := c.changed()
		if now == seen {
			continue
		}
		seen = now
		if err := c.reload(ctx, b); err != nil {
			logger.Error("the city has changed and cannot be read: going on as before", "err", err)
			continue
		}
		logger.Info("the city has changed: going on with it", "apps", len(b.register.current.Load().settings.Apps))
	}
}

// changed is when the files of the register were written last, as text to compare.
func (c *city) changed() (marks string) {
	for _, name := range []string{"city.json", "keys.json", "contents.sealed", "ca.crt", "platform.crt"} {
		if info, err := os.Stat(c.path(name)); err == nil {
			marks += fmt.Sprintf("%s %d %d\n", name, info.ModTime().UnixNano(), info.Size())
		}
	}
	return marks
}

func (c *city) reload(ctx context.Context, b *books) error {
	fresh, err := openCity(c.dir)
	if err != nil {
		return err
	}
	fresh.sealer = c.sealer
	known, err := fresh.register(trust.WindowFast)
	if err != nil {
		return err
	}
	if err := fresh.openMerchants(ctx, b); err != nil {
		return err
	}
	b.register.current.Store(known)
	return nil
}
