package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/edge/store/postgres"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

// bookFlags says where the books of a city are.
type bookFlags struct {
	Database string `help:"Where the books are, as postgres://user@host/shuama. Without it: what shuama db use has set, or the city's own file." env:"SHUAMA_DATABASE" placeholder:"URL"`
}

// books is the payment institution of a city, opened.
type books struct {
	*payment.Payment
	cards    *codeissuer.Cards
	signed   *codeissuer.Agreements
	rides    *rides.Register
	register *liveRegister
	places   payment.Stations
	stores   stores
}

func (b *books) Close() error { return b.stores.close() }

// stores is what a city keeps in one database, whichever it is.
type stores struct {
	payment    payment.Store
	cards      codeissuer.CardStore
	agreements codeissuer.AgreementStore
	rides      rides.Store
	deliveries func(context.Context) (payment.Deliveries, func() error, error)
	close      func() error
	place      string // for people; without a password
}

// openBooks opens the books and the institution's own accounts.
func (c *city) openBooks(ctx context.Context, flags bookFlags, window int, now time.Time) (*books, error) {
	known, err := c.register(window)
	if err != nil {
		return nil, err
	}
	policy, err := c.settings.Payment.policy()
	if err != nil {
		return nil, err
	}
	s, err := c.openStores(ctx, flags)
	if err != nil {
		return nil, err
	}
	policy.Panicked = func(what, stack string) { slog.Error("panic in a trade", "what", what, "stack", stack) }
	live := &liveRegister{}
	live.current.Store(known)
	policy.IsPrepaid = live.isPrepaid
	b := &books{Payment: payment.New(s.payment, live, live, policy), signed: codeissuer.NewAgreements(s.agreements, live), rides: rides.New(s.rides), register: live, stores: s}
	b.cards = codeissuer.NewCards(s.cards, live).WithAgreements(b.signed)
	if b.places, err = readStations(c.path(stationsFile), false); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := c.openAccounts(ctx, b, now.UTC()); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return b, nil
}

func (c *city) openStores(ctx context.Context, flags bookFlags) (stores, error) {
	database := flags.Database
	if database == "" {
		database = c.settings.Database
	}
	if database != "" {
		return openPostgres(ctx, database)
	}
	path := c.path("shuama.db")
	if err := mustExist(path, "the books of this city"); err != nil {
		return stores{}, err
	}
	db, err := store.Open(path)
	if err != nil {
		return stores{}, err
	}
	deliveries := func(context.Context) (payment.Deliveries, func() error, error) {
		return db.Deliveries(payment.DeliveryGap), func() error { return nil }, nil
	}
	return stores{payment: db.Payment(), cards: db.Cards(), agreements: db.Agreements(), rides: db.Rides(), deliveries: deliveries, close: db.Close, place: path}, nil
}

func openPostgres(ctx context.Context, database string) (stores, error) {
	db, err := postgres.Open(ctx, database)
	if err != nil {
		return stores{}, err
	}
	deliveries := func(ctx context.Context) (payment.Deliveries, func() error, error) {
		queue, err := db.Deliveries(ctx, payment.DeliveryGap)
		if err != nil {
			return nil, nil, err
		}
		return queue, queue.Close, nil
	}
	return stores{payment: db.Payment(), cards: db.Cards(), agreements: db.Agreements(), rides: db.Rides(), deliveries: deliveries, close: db.Close, place: withoutPassword(database)}, nil
}

// withoutPassword is an address for people to see.
func withoutPassword(database string) string {
	scheme, rest, _ := strings.Cut(database, "://")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, _, _ := strings.Cut(rest[:at], ":")
		rest = user + rest[at:]
	}
	place, _, _ := strings.Cut(rest, "?") // parameters may hold one too
	return scheme + "://" + place
}

func (c *city) openAccounts(ctx context.Context, b *books, now time.Time) error {
	if err := b.OpenHouse(ctx, now); err != nil {
		return err
	}
	return c.openMerchants(ctx, b)
}

func (c *city) openMerchants(ctx context.Context, b *books) error {
	for i := range c.settings.Apps {
		if err := b.OpenMerchant(ctx, c.settings.Apps[i].payee()); err != nil {
			return err
		}
	}
	return nil
}

// withBooks opens the books for one command.
func withBooks(w *world, dir string, flags bookFlags, do func(*city, *books) error) (err error) {
	home, err := openCity(dir)
	if err != nil {
		return err
	}
	b, err := home.openBooks(w.context, flags, trust.WindowSmall, w.now())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return do(home, b)
}
