package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/payment"
)

// register is who and what a city knows: institution keys, terminals, apps. One that is in use is never
// changed: a newer one takes its place.
type register struct {
	settings  citySettings
	ring      *trust.KeyRing
	terminals registeredTerminals
	apps      *gateway.AppList
}

func (c *city) register(window int) (*register, error) {
	ring, err := readKeyRing(c.path("keys.json"), window)
	if err != nil {
		return nil, err
	}
	terminals, err := c.terminalKeys()
	if err != nil {
		return nil, err
	}
	apps, err := c.apps()
	if err != nil {
		return nil, err
	}
	return &register{settings: c.settings, ring: ring, terminals: terminals, apps: apps}, nil
}

// liveRegister is the register of this moment. It is what payment and gateway ask.
type liveRegister struct{ current atomic.Pointer[register] }

// IssuerKey finds an institution key.
func (l *liveRegister) IssuerKey(id ridecode.KeyID) (ridecode.Verifier, bool) {
	return l.current.Load().ring.IssuerKey(id)
}

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
	for _, name := range []string{"city.json", "keys.json"} {
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
	known, err := fresh.register(trust.WindowFast)
	if err != nil {
		return err
	}
	if err := fresh.openAccounts(ctx, b); err != nil {
		return err
	}
	b.register.current.Store(known)
	return nil
}
