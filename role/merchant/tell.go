package merchant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Defaults of a TellerConfig: telling is near real time (document 2 §4.2.5.1), so it is tried again sooner than a
// settlement.
const (
	DefaultTellFirst = 10 * time.Second
	DefaultTellMost  = 10 * time.Minute
)

// Bounds of telling.
const (
	newsAtOnce    = 500 // taps and trades that begin to wait in one transaction
	ridersAtOnce  = 64  // riders that one round tells of
	tellersAtOnce = 4   // requests under way
	maxTellRounds = 10_000
)

// RideSender carries ride data to the platform (document 2 §4.2.5): nil when the platform keeps it. An
// *openapi.Error about the content refuses the whole request; after any other error nobody knows. Errors are
// kept with the rides and shown to people: no secrets in them.
type RideSender interface {
	SendRides(ctx context.Context, message openapi.DataSendRequest) error
}

// RideItem is a scan or an order on its way to the platform. Its content is written once, so that whatever is
// sent again is the same.
type RideItem struct {
	No      int64 // the store's, rising
	User    ridecode.UserID
	Channel string
	Info    openapi.RideInfo
	RideTry
}

// RideTry is what changes about an item.
type RideTry struct {
	Attempts int
	NextTry  time.Time // when it is due; what stands behind it for the same user waits too
	Aside    bool      // refused for what is in it: not sent again until RetryRide
	Reason   string    // why it was not taken at the last attempt
}

// RideNews is what has come since the last TakeRides: scans in the order of their records, then the trades that
// ended. Mark is the store's.
type RideNews struct {
	Taps    []Tap
	Trades  []Trade
	Records map[record.ID][]byte // of the taps, and of those of the trades
	Mark    RideMark
}

// RideMark says what news were read.
type RideMark struct {
	Takes  int64   // how often news were taken before
	Record int64   // the last record that was looked at
	News   []int64 // entries that go when they are taken
}

// isEmpty tells that nothing has come.
func (n RideNews) isEmpty() bool { return n.Mark.Record == 0 && len(n.Mark.News) == 0 }

// RideResults is what became of items that were sent.
type RideResults struct {
	Told   []RideItem // they wait no more
	Missed []RideItem // their RideTry is kept
	At     time.Time
}

// RideCounts is how far telling has come.
type RideCounts struct {
	Waiting, Aside int
	Events, Orders int64     // told, in all
	Last           time.Time // when the platform has last taken something; zero: never
}

// RideStore keeps what is to be told of rides. Every tap and every trade that ended is in the news, in the
// transaction that made it; what was withdrawn before it ended never is.
type RideStore interface {
	// RideNews gives up to count taps, and once there are no more taps up to count trades. A trade ends as
	// SETTLED, as FAILED after it was sent, or as FREE.
	RideNews(ctx context.Context, count int) (RideNews, error)
	// TakeRides lets items wait in the place of the news that they come of, in one transaction. Where somebody
	// else has taken news since they were read it does nothing.
	TakeRides(ctx context.Context, news RideNews, items []RideItem) error
	// DueRides gives, for up to riders users whose first waiting item is due, up to each of their waiting items in
	// their order, user by user: the one that is due longest first.
	DueRides(ctx context.Context, until time.Time, riders, each int) ([]RideItem, error)
	// FileRides keeps what became of items. Those that are gone already are passed over.
	FileRides(ctx context.Context, results RideResults) error
	// Rides lists up to count items that wait, or stand aside, by No, those behind after.
	Rides(ctx context.Context, aside bool, after int64, count int) ([]RideItem, error)
	// RetryRide lets an item that stands aside wait again.
	RetryRide(ctx context.Context, number string, now time.Time) (found bool, err error)
	// RideCounts counts.
	RideCounts(ctx context.Context) (RideCounts, error)
}

// TellReport is what one TellDue did.
type TellReport struct {
	Told      int   // scans and orders that the platform has taken
	Aside     int   // that it refused for what is in them
	Postponed int   // without an answer: sent again later
	Fault     error // of the sender, when it ended the run early; what was not sent is still due
}

// Teller tells the platform of rides (刷码乘车数据通知, document 2 §4.2.5): each scan and each order at least once,
// those of one rider in order. It keeps no state of its own.
type Teller struct {
	store  RideStore
	sender RideSender
	config TellerConfig
}

// TellerConfig is how rides are told. Zero durations are the defaults above.
type TellerConfig struct {
	RideSettings
	// IsOutside tells whether rides with cards of this type are paid outside the platform: nil is never. After an
	// error nothing is taken; it is asked again.
	IsOutside             func(ctx context.Context, cardType ridecode.CardType) (bool, error)
	RetryFirst, RetryMost time.Duration
}

// NewTeller refuses settings that the platform would refuse with every ride: the error names the field.
func NewTeller(store RideStore, sender RideSender, config TellerConfig) (*Teller, error) {
	if store == nil || sender == nil {
		return nil, errors.New("merchant: a store and a sender are both needed to tell of rides")
	}
	if err := config.RideSettings.Check(); err != nil {
		return nil, err
	}
	config.RetryFirst = orDefault(config.RetryFirst, DefaultTellFirst)
	config.RetryMost = max(orDefault(config.RetryMost, DefaultTellMost), config.RetryFirst)
	return &Teller{store: store, sender: sender, config: config}, nil
}

// TellDue tells what has come, and what is due again. What was sent and not answered, or answered to a process
// that died, is sent again as it was; the platform knows it by its number. Two may run side by side: something
// may then be told twice, and the order of a rider's rides is no longer certain.
//
// The error is the store's or the context's; the report holds what was done until then.
func (t *Teller) TellDue(ctx context.Context, now time.Time) (TellReport, error) {
	now = storedTime(now)
	var report TellReport
	for round := 0; round < maxTellRounds && report.Fault == nil; round++ {
		took, err := t.take(ctx, now)
		if err != nil {
			return report, fmt.Errorf("merchant: tell: %w", err)
		}
		due, err := t.store.DueRides(ctx, now, ridersAtOnce, openapi.MaxRides)
		if err != nil {
			return report, fmt.Errorf("merchant: tell: %w", err)
		}
		if !took && len(due) == 0 {
			break
		}
		if err := t.tellAll(ctx, due, now, &report); err != nil {
			return report, fmt.Errorf("merchant: tell: %w", err)
		}
	}
	return report, nil
}

// take writes down what has come as it will be sent: settings that change later do not change it.
func (t *Teller) take(ctx context.Context, now time.Time) (took bool, err error) {
	news, err := t.store.RideNews(ctx, newsAtOnce)
	if err != nil || news.isEmpty() {
		return false, err
	}
	items, err := t.compose(ctx, news, now)
	if err != nil {
		return false, err
	}
	return true, t.store.TakeRides(ctx, news, items)
}

// tellAll tells the rides of several riders at once, each rider's in order, and files what became of them even
// where it was told to stop meanwhile.
func (t *Teller) tellAll(ctx context.Context, due []RideItem, now time.Time, report *TellReport) error {
	if len(due) == 0 {
		return nil
	}
	p := &tellRound{teller: t, now: now, results: RideResults{At: now}}
	riders := make(chan []RideItem)
	var tellers sync.WaitGroup
	for range tellersAtOnce {
		tellers.Go(func() {
			for items := range riders {
				p.tellRider(ctx, items)
			}
		})
	}
	for len(due) > 0 {
		count := 1
		for count < len(due) && due[count].User == due[0].User {
			count++
		}
		riders <- due[:count]
		due = due[count:]
	}
	close(riders)
	tellers.Wait()
	report.Told, report.Fault = report.Told+len(p.results.Told), p.fault
	for _, item := range p.results.Missed {
		report.Aside += countIf(item.Aside)
		report.Postponed += countIf(!item.Aside)
	}
	return errors.Join(t.store.FileRides(context.WithoutCancel(ctx), p.results), ctx.Err())
}

// tellRound is one round as far as it has come.
type tellRound struct {
	teller  *Teller
	now     time.Time
	mutex   sync.Mutex
	results RideResults
	fault   error
}

// tellRider sends the items of one rider in requests that have room for them. After a fault what is left is left.
func (p *tellRound) tellRider(ctx context.Context, items []RideItem) {
	for len(items) > 0 && ctx.Err() == nil && !p.isOver() {
		count := fitMessage(items)
		p.tellBatch(ctx, items[:count])
		items = items[count:]
	}
}

func (p *tellRound) isOver() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.fault != nil
}

// fitMessage is how many items one request takes: those of one channel, and no more bytes than there is room for.
func fitMessage(items []RideItem) (count int) {
	size := 0
	for i := range items {
		size += 2 * len(openapi.AppendRide(nil, items[i].Info)) // JSON in JSON
		if i > 0 && (size > requestSizeMax || i == openapi.MaxRides || items[i].Channel != items[0].Channel) {
			return i
		}
	}
	return len(items)
}

// tellBatch sends one request. One that is refused for what is in it goes again in halves: one bad ride must not
// hold up the others for ever.
func (p *tellRound) tellBatch(ctx context.Context, batch []RideItem) {
	fault := p.teller.sender.SendRides(ctx, messageOf(batch))
	switch {
	case fault == nil:
		p.add(batch, nil, nil)
	case isAboutContent(fault) && len(batch) > 1:
		half := len(batch) / 2
		p.tellBatch(ctx, batch[:half])
		if !p.isOver() {
			p.tellBatch(ctx, batch[half:])
		}
	case isAboutContent(fault):
		p.add(nil, p.missed(batch, fault, true), nil)
	default:
		p.add(nil, p.missed(batch, fault, false), fault)
	}
}

func (p *tellRound) missed(batch []RideItem, fault error, aside bool) []RideItem {
	missed := make([]RideItem, len(batch))
	for i, item := range batch {
		item.Attempts++
		item.NextTry = p.now.Add(backOff(p.teller.config.RetryFirst, p.teller.config.RetryMost, item.Attempts))
		item.Aside, item.Reason = aside, plainText(fault.Error(), reasonSizeMax)
		missed[i] = item
	}
	return missed
}

func (p *tellRound) add(told, missed []RideItem, fault error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.results.Told, p.results.Missed = append(p.results.Told, told...), append(p.results.Missed, missed...)
	p.fault = errors.Join(p.fault, fault)
}

// Counts counts what waits, stands aside and was told.
func (t *Teller) Counts(ctx context.Context) (RideCounts, error) { return t.store.RideCounts(ctx) }
