package storetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// Memory keeps the books in maps: the plainest payment.Store that there can be, for tests of what stands on
// a store. It is held by the same suite as all others, and forgets everything with its process.
type Memory struct {
	mutex   sync.Mutex
	claims  map[payment.Number]payment.Claim
	buckets []*memoryBucket
}

type memoryBucket struct {
	free      ledger.DocumentID
	seq       int64
	open      ledger.Day
	accounts  map[ledger.AccountID]ledger.Account
	trades    map[ledger.DocumentID]payment.StoredTrade
	codes     map[ridecode.ID]ledger.DocumentID
	documents map[payment.DocumentKey]payment.Document
	transfers []ledger.Transfer
	riders    map[ridecode.UserID]payment.Rider
	underWay  map[ledger.DocumentID]payment.Departure
	posted    []payment.Posted
	risk      map[riskName]payment.RiskEntry
	riskSeen  payment.RiskMark
}

// riskName names an entry.
type riskName struct {
	user ridecode.UserID
	kind payment.RiskKind
	at   int64 // microseconds
	key  string
}

// NewMemory makes empty books of so many buckets.
func NewMemory(buckets int) *Memory {
	m := &Memory{claims: map[payment.Number]payment.Claim{}}
	for range buckets {
		m.buckets = append(m.buckets, &memoryBucket{free: 1, accounts: map[ledger.AccountID]ledger.Account{}, trades: map[ledger.DocumentID]payment.StoredTrade{},
			codes: map[ridecode.ID]ledger.DocumentID{}, documents: map[payment.DocumentKey]payment.Document{}, riders: map[ridecode.UserID]payment.Rider{},
			underWay: map[ledger.DocumentID]payment.Departure{}, risk: map[riskName]payment.RiskEntry{}})
	}
	return m
}

// Buckets implements payment.Store.
func (m *Memory) Buckets() int { return len(m.buckets) }

// hold gives the lock to one caller at a time.
func (m *Memory) hold(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mutex.Lock()
	return m.mutex.Unlock, nil
}

// Settle implements payment.Store.
func (m *Memory) Settle(ctx context.Context, batch payment.Batch) ([]payment.Verdict, error) {
	release, err := m.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := checkOrders(batch.Orders); err != nil {
		return nil, err
	}
	b := m.buckets[batch.Bucket]
	verdicts, changes := payment.Decide(m.batchState(b, batch), batch)
	b.free += ledger.DocumentID(len(changes.Claims))
	for _, claim := range changes.Claims {
		m.claims[claim.Number] = claim
	}
	var told []ledger.DocumentID
	for _, settled := range changes.Trades {
		o := settled.Order
		b.trades[settled.ID] = payment.StoredTrade{ID: settled.ID, Key: o.Key, User: o.User, Merchant: o.Merchant, AmountFen: o.AmountFen, Payer: settled.Payer,
			Day: settled.Day, SettledAt: batch.Now, Codes: slices.Clone(o.Codes), Content: bytes.Clone(o.Content)}
		for _, code := range o.Codes {
			b.codes[code] = settled.ID
		}
		told = append(told, settled.ID)
	}
	for _, account := range changes.Opened {
		b.accounts[account.ID] = account
	}
	for _, user := range changes.Owing {
		rider := b.riders[user]
		if rider.User = user; rider.OwesSince.IsZero() {
			rider.OwesSince = batch.Now
		}
		b.riders[user] = rider
	}
	b.apply(changes.Transfers)
	if len(told) > 0 {
		b.post(payment.Posted{Trades: told})
	}
	return verdicts, nil
}

// checkOrders refuses what no table would take.
func checkOrders(orders []payment.Order) error {
	for _, o := range orders {
		seen := map[ridecode.ID]bool{}
		for _, code := range o.Codes {
			if seen[code] {
				return fmt.Errorf("%w: a code twice", payment.ErrChanges)
			}
			seen[code] = true
		}
		if len(o.Codes) == 0 || o.AmountFen <= 0 || o.Key.OutTradeNo == "" || o.Merchant == payment.UserAccount(o.User) {
			return fmt.Errorf("%w: an order that cannot be", payment.ErrChanges)
		}
	}
	return nil
}

func (m *Memory) batchState(b *memoryBucket, batch payment.Batch) payment.BatchState {
	state := payment.BatchState{Free: b.free, Open: b.open, Claims: m.claims, Trades: map[ledger.DocumentID]payment.SettledMark{},
		Codes: map[ridecode.ID]payment.TradeKey{}, Accounts: b.accounts}
	for _, o := range batch.Orders {
		if trade, settled := b.trades[m.claims[o.Key.Number()].ID]; settled {
			state.Trades[trade.ID] = payment.SettledMark{Day: trade.Day, Payer: trade.Payer}
		}
		for _, code := range o.Codes {
			if id, used := b.codes[code]; used {
				state.Codes[code] = b.trades[id].Key
			}
		}
	}
	return state
}

func (b *memoryBucket) apply(transfers []ledger.Transfer) {
	for _, t := range transfers {
		b.transfers = append(b.transfers, t)
		for _, posting := range t.Postings() {
			account := b.accounts[posting.Account]
			account.Balance += posting.AmountFen
			account.Postings++
			b.accounts[posting.Account] = account
		}
	}
}

func (b *memoryBucket) post(p payment.Posted) {
	b.seq++
	p.Seq = b.seq
	b.posted = append(b.posted, p)
}

// Find implements payment.Store.
func (m *Memory) Find(ctx context.Context, keys []payment.Number) (map[payment.Number]payment.Claim, error) {
	release, err := m.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	found := map[payment.Number]payment.Claim{}
	for _, key := range keys {
		if claim, taken := m.claims[key]; taken {
			found[key] = claim
		}
	}
	return found, nil
}

// Update implements payment.Store.
func (m *Memory) Update(ctx context.Context, need payment.Need, decide func(payment.State) (payment.Changes, error)) error {
	release, err := m.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	b := m.buckets[need.Bucket]
	claims, free := map[payment.Number]payment.Claim{}, b.free
	for _, claim := range need.Claims {
		if earlier, taken := m.claims[claim.Number]; taken {
			claims[claim.Number] = earlier
			continue
		}
		claim.ID, free = free, free+1
		claims[claim.Number] = claim
	}
	state := m.view(need)
	state.Free, state.Claims = free, claims
	changes, err := decide(state)
	if err == nil {
		err = changes.Check(free)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = b.checkChanges(changes)
	}
	if err != nil {
		return err
	}
	maps.Copy(m.claims, claims)
	b.free = free
	b.change(changes)
	return nil
}

// checkChanges tries changes out on a copy of the accounts.
func (b *memoryBucket) checkChanges(changes payment.Changes) error {
	book := ledger.NewBook(slices.Collect(maps.Values(b.accounts))...)
	for _, account := range changes.Opened {
		if _, exists := book.Account(account.ID); exists {
			return fmt.Errorf("%w: account %q exists", payment.ErrChanges, account.ID)
		}
		book.Open(account)
	}
	for _, document := range changes.Documents {
		if _, exists := b.documents[document.Key]; exists {
			return fmt.Errorf("%w: document %q exists", payment.ErrChanges, document.Key)
		}
	}
	for _, t := range changes.Transfers {
		if err := book.Apply(t); err != nil {
			return err
		}
	}
	for _, entry := range changes.Risk {
		if entry.User == "" || entry.Key == "" || entry.Kind < payment.RiskScan || entry.Kind > payment.RiskAppeal {
			return fmt.Errorf("%w: an entry of risk rules without a name", payment.ErrChanges)
		}
	}
	for _, account := range changes.Terms {
		if now, exists := book.Account(account.ID); !exists || now.Balance < account.Floor {
			return fmt.Errorf("%w: account %q has no such terms", payment.ErrChanges, account.ID)
		}
	}
	return nil
}

func (b *memoryBucket) change(changes payment.Changes) {
	for _, account := range changes.Opened {
		b.accounts[account.ID] = account
	}
	for _, account := range changes.Terms {
		terms := b.accounts[account.ID]
		terms.Floor = account.Floor
		b.accounts[account.ID] = terms
	}
	for _, document := range changes.Documents {
		b.documents[document.Key] = document
	}
	b.free += ledger.DocumentID(len(changes.Documents))
	b.apply(changes.Transfers)
	for _, rider := range changes.Riders {
		b.riders[rider.User] = rider
	}
	for _, entry := range changes.Risk {
		name := riskName{entry.User, entry.Kind, entry.At.UnixMicro(), entry.Key}
		if _, there := b.risk[name]; !there {
			b.risk[name] = entry
		}
	}
	if changes.RiskSeen != nil {
		b.riskSeen = *changes.RiskSeen
	}
	for _, d := range changes.Departed {
		b.underWay[d.ID] = d
	}
	for _, id := range changes.Arrived {
		delete(b.underWay, id)
	}
	if len(changes.Notices) > 0 {
		b.post(payment.Posted{Notices: changes.Notices})
	}
	b.posted = slices.DeleteFunc(b.posted, func(p payment.Posted) bool { return p.Seq <= changes.Taken })
	if changes.Close != 0 {
		b.open = max(b.open, changes.Close.Next())
	}
}

// View implements payment.Store.
func (m *Memory) View(ctx context.Context, need payment.Need) (payment.State, error) {
	release, err := m.hold(ctx)
	if err != nil {
		return payment.State{}, err
	}
	defer release()
	return m.view(need), nil
}

func (m *Memory) view(need payment.Need) payment.State {
	b := m.buckets[need.Bucket]
	state := payment.State{Free: b.free, Open: b.open, Accounts: map[ledger.AccountID]ledger.Account{}, Documents: map[payment.DocumentKey]payment.Document{},
		Numbered: map[ledger.DocumentID]payment.Document{},
		About:    map[ledger.DocumentID][]payment.Document{}, Trades: map[ledger.DocumentID]payment.SettledTrade{}, Riders: map[ridecode.UserID]payment.Rider{}}
	for _, id := range need.Accounts {
		if account, exists := b.accounts[id]; exists {
			state.Accounts[id] = account
		}
	}
	for _, key := range need.Documents {
		if document, exists := b.documents[key]; exists {
			state.Documents[key] = document
		}
	}
	for _, document := range slices.SortedFunc(maps.Values(b.documents), byDocument) {
		if slices.Contains(need.Numbered, document.ID) {
			state.Numbered[document.ID] = document
		}
		if document.About != 0 && slices.Contains(need.About, document.About) {
			state.About[document.About] = append(state.About[document.About], document)
		}
	}
	for _, id := range need.Trades {
		if trade, exists := b.trades[id]; exists {
			state.Trades[id], _ = trade.Settled(need.Bucket) // it was stored from a trade
		}
	}
	for _, user := range need.Riders {
		if rider, exists := b.riders[user]; exists {
			state.Riders[user] = rider
		}
	}
	state.Risk = b.riskOf(need.Risk)
	if need.RiskSeen {
		state.RiskSeen = b.riskSeen
	}
	return state
}

func (b *memoryBucket) riskOf(needs []payment.RiskNeed) map[ridecode.UserID][]payment.RiskEntry {
	found := map[ridecode.UserID][]payment.RiskEntry{}
	all := slices.SortedFunc(maps.Values(b.risk), byRisk)
	taken := map[riskName]bool{}
	for _, need := range needs {
		count := 0
		for _, entry := range all {
			if entry.User != need.User || entry.Kind != need.Kind || entry.At.Before(need.From) || entry.At.After(need.To) || count == need.Limit {
				continue
			}
			count++
			if name := (riskName{entry.User, entry.Kind, entry.At.UnixMicro(), entry.Key}); !taken[name] {
				taken[name] = true
				found[entry.User] = append(found[entry.User], entry)
			}
		}
	}
	for _, entries := range found {
		payment.SortRisk(entries)
	}
	return found
}

func byRisk(x, y payment.RiskEntry) int {
	return cmp.Or(cmp.Compare(x.User, y.User), cmp.Compare(x.Kind, y.Kind), x.At.Compare(y.At), cmp.Compare(x.Key, y.Key))
}

// EachFinding implements payment.Store.
func (m *Memory) EachFinding(ctx context.Context, bucket int, visit func(payment.RiskEntry) error) error {
	all, err := copied(m, ctx, func() (all []payment.RiskEntry) {
		for _, entry := range slices.SortedFunc(maps.Values(m.buckets[bucket].risk), byRisk) {
			if entry.Kind == payment.RiskFinding {
				all = append(all, entry)
			}
		}
		return all
	})
	return visitAll(all, err, visit)
}

func byDocument(x, y payment.Document) int { return cmp.Compare(x.ID, y.ID) }

// Balances implements payment.Store.
func (m *Memory) Balances(ctx context.Context, ids ...ledger.AccountID) (map[ledger.AccountID]map[int]ledger.Account, error) {
	release, err := m.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	all := map[ledger.AccountID]map[int]ledger.Account{}
	for bucket, b := range m.buckets {
		for _, id := range ids {
			if account, exists := b.accounts[id]; exists {
				if all[id] == nil {
					all[id] = map[int]ledger.Account{}
				}
				all[id][bucket] = account
			}
		}
	}
	return all, nil
}

// copied gives what a visitor sees, while nobody writes.
func copied[T any](m *Memory, ctx context.Context, collect func() []T) ([]T, error) {
	release, err := m.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return collect(), nil
}

func visitAll[T any](all []T, err error, visit func(T) error) error {
	for _, one := range all {
		if err == nil {
			err = visit(one)
		}
	}
	return err
}

// EachTrade implements payment.Store.
func (m *Memory) EachTrade(ctx context.Context, bucket int, day ledger.Day, visit func(payment.SettledTrade) error) error {
	all, err := copied(m, ctx, func() (all []payment.SettledTrade) {
		for _, trade := range slices.SortedFunc(maps.Values(m.buckets[bucket].trades), byTrade) {
			if trade.Day == day {
				settled, _ := trade.Settled(bucket)
				all = append(all, settled)
			}
		}
		return all
	})
	return visitAll(all, err, visit)
}

// TradesAfter implements payment.Store.
func (m *Memory) TradesAfter(ctx context.Context, bucket int, day ledger.Day, after ledger.DocumentID, limit int) ([]payment.SettledTrade, error) {
	return copied(m, ctx, func() (all []payment.SettledTrade) {
		for _, trade := range slices.SortedFunc(maps.Values(m.buckets[bucket].trades), byTrade) {
			if trade.Day == day && trade.ID > after && len(all) < limit {
				settled, _ := trade.Settled(bucket)
				all = append(all, settled)
			}
		}
		return all
	})
}

func byTrade(x, y payment.StoredTrade) int { return cmp.Compare(x.ID, y.ID) }

// EachTransfer implements payment.Store.
func (m *Memory) EachTransfer(ctx context.Context, bucket int, account ledger.AccountID, first, last ledger.Day, visit func(ledger.Transfer) error) error {
	all, err := copied(m, ctx, func() (all []ledger.Transfer) {
		for _, t := range slices.SortedFunc(slices.Values(m.buckets[bucket].transfers), byTransfer) {
			if (t.Debit == account || t.Credit == account) && t.Day >= first && t.Day <= last {
				all = append(all, t)
			}
		}
		return all
	})
	return visitAll(all, err, visit)
}

func byTransfer(x, y ledger.Transfer) int {
	return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.ID.Document, y.ID.Document), cmp.Compare(x.ID.Leg, y.ID.Leg))
}

// Merchants implements payment.Store.
func (m *Memory) Merchants(ctx context.Context, bucket int) ([]ledger.AccountID, error) {
	return copied(m, ctx, func() (all []ledger.AccountID) {
		for _, id := range slices.Sorted(maps.Keys(m.buckets[bucket].accounts)) {
			if strings.HasPrefix(string(id), "merchant:") {
				all = append(all, id)
			}
		}
		return all
	})
}

// MerchantTotals implements payment.Store.
func (m *Memory) MerchantTotals(ctx context.Context, bucket int, first, last ledger.Day) ([]payment.AccountTotal, error) {
	return copied(m, ctx, func() []payment.AccountTotal {
		var totals []payment.AccountTotal
		at := func(account ledger.AccountID, code ledger.Code) *payment.AccountTotal {
			for i := range totals {
				if totals[i].Account == account && totals[i].Code == code {
					return &totals[i]
				}
			}
			totals = append(totals, payment.AccountTotal{Account: account, Code: code})
			return &totals[len(totals)-1]
		}
		for _, t := range m.buckets[bucket].transfers {
			if t.Day < first || t.Day > last {
				continue
			}
			for _, posting := range t.Postings() {
				if strings.HasPrefix(string(posting.Account), "merchant:") || strings.HasPrefix(string(posting.Account), "settled:") {
					total := at(posting.Account, t.Code)
					if posting.AmountFen > 0 {
						total.In.Count, total.In.SumFen = total.In.Count+1, total.In.SumFen+posting.AmountFen
					} else {
						total.Out.Count, total.Out.SumFen = total.Out.Count+1, total.Out.SumFen-posting.AmountFen
					}
				}
			}
		}
		slices.SortFunc(totals, func(x, y payment.AccountTotal) int {
			return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Code, y.Code))
		})
		return totals
	})
}

// EachRider implements payment.Store.
func (m *Memory) EachRider(ctx context.Context, bucket int, visit func(payment.Rider, money.Fen) error) error {
	type owing struct {
		rider payment.Rider
		owed  money.Fen
	}
	all, err := copied(m, ctx, func() (all []owing) {
		b := m.buckets[bucket]
		for _, user := range slices.Sorted(maps.Keys(b.riders)) {
			all = append(all, owing{b.riders[user], -b.accounts[payment.DebtAccount(user)].Balance})
		}
		return all
	})
	return visitAll(all, err, func(o owing) error { return visit(o.rider, o.owed) })
}

// UnderWay implements payment.Store.
func (m *Memory) UnderWay(ctx context.Context, bucket int) ([]payment.Departure, error) {
	return copied(m, ctx, func() []payment.Departure {
		return slices.SortedFunc(maps.Values(m.buckets[bucket].underWay), func(x, y payment.Departure) int { return cmp.Compare(x.ID, y.ID) })
	})
}

// Posted implements payment.Store.
func (m *Memory) Posted(ctx context.Context, bucket, limit int) ([]payment.Posted, error) {
	return copied(m, ctx, func() []payment.Posted {
		posted := m.buckets[bucket].posted
		return slices.Clone(posted[:min(limit, len(posted))])
	})
}

// Audit implements payment.Store.
func (m *Memory) Audit(ctx context.Context) (payment.AuditReport, error) {
	release, err := m.hold(ctx)
	if err != nil {
		return payment.AuditReport{}, err
	}
	defer release()
	var underWay [][]payment.Departure
	for _, b := range m.buckets {
		underWay = append(underWay, slices.Collect(maps.Values(b.underWay)))
	}
	auditor := payment.NewAuditor(underWay)
	for bucket, b := range m.buckets {
		if err := auditor.Bucket(m.shelves(bucket, b)); err != nil {
			return payment.AuditReport{}, err
		}
	}
	return auditor.Report(), nil
}

func (m *Memory) shelves(bucket int, b *memoryBucket) payment.Shelves {
	var claims []payment.Claim
	for _, claim := range m.claims {
		if claim.Bucket == bucket {
			claims = append(claims, claim)
		}
	}
	slices.SortFunc(claims, func(x, y payment.Claim) int { return cmp.Compare(x.ID, y.ID) })
	var codes []payment.UsedCode
	for code, trade := range b.codes {
		codes = append(codes, payment.UsedCode{Code: code, Trade: trade})
	}
	slices.SortFunc(codes, func(x, y payment.UsedCode) int { return cmp.Compare(x.Trade, y.Trade) })
	transfers := slices.SortedFunc(slices.Values(b.transfers), func(x, y ledger.Transfer) int {
		return cmp.Or(cmp.Compare(x.ID.Document, y.ID.Document), cmp.Compare(x.ID.Leg, y.ID.Leg))
	})
	return payment.Shelves{Bucket: bucket, Free: b.free, Accounts: listed(slices.Collect(maps.Values(b.accounts))), Claims: listed(claims),
		Trades: listed(slices.SortedFunc(maps.Values(b.trades), byTrade)), Codes: listed(codes),
		Documents: listed(slices.SortedFunc(maps.Values(b.documents), byDocument)), Transfers: listed(transfers)}
}

func listed[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, one := range all {
			if !yield(one, nil) {
				return
			}
		}
	}
}
