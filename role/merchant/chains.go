package merchant

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Verifier finds what checks the integrity value of a terminal's records (document 1 §7.2.5).
type Verifier interface {
	TerminalIntegrity(posID string) (record.Integrity, bool)
}

// TerminalChain is what the record chain of one terminal proves (terminal-facts R23).
type TerminalChain struct {
	POSID      string
	Count      int              // linked records that came in this terminal's name
	Known      bool             // the terminal's key is known; without it nothing can be proven, and only Count is told
	Unverified int              // of Count: integrity value not this terminal's; they take no part in its chain
	Highest    uint64           // the newest number that came
	Findings   []record.Finding // gaps, clones, restarts, breaks; empty when all is there
	Fault      error            // why the chain could not be followed to its end; Highest and Findings are from before
}

// ErrMoved says that another one has written what a decision was made on: read it again.
var ErrMoved = errors.New("merchant: the chains have moved on meanwhile")

// ChainStore keeps how far the record chains were followed, so that nobody reads all records again.
// Records are filed under the terminal that they name, in the order in which they came; each chain is
// followed along its own file.
type ChainStore interface {
	// Chains reads all chains, and the last record that was filed or had no link; zero when none was.
	Chains(ctx context.Context) (filed record.ID, chains []SavedChain, err error)
	// FiledRecords lists up to count records of a terminal's file, behind the first skip of them.
	FiledRecords(ctx context.Context, posID string, skip, count int) ([]StoredRecord, error)
	// KeptPlaces answers what record.Kept asks of the records that a chain was followed along: the first
	// statement under each number, and the number of each statement. What is not there is left out.
	KeptPlaces(ctx context.Context, posID string, seqs []uint64, ids []record.StatementID) (map[uint64]record.StatementID, map[record.StatementID]uint64, error)
	// SaveChains commits changes in one transaction, or answers ErrMoved and writes nothing.
	SaveChains(ctx context.Context, changes ChainChanges) error
}

// SavedChain is one terminal's chain as far as it was followed.
type SavedChain struct {
	POSID      string
	Filed      int    // records in its file
	Followed   int    // of them: looked at
	Unverified int    // of them: not signed by the terminal
	Key        []byte // fingerprint of the key that they were checked with; empty where none was known
	State      []byte // of the record.Chain; empty where no key was known
	Fault      string
}

// ChainChanges is what SaveChains writes.
type ChainChanges struct {
	FiledBefore, FiledAfter record.ID // the last filed record: ErrMoved unless the first still is
	Filed                   []FiledPlace
	Before, After           SavedChain // a chain that was followed, or begun anew: ErrMoved unless Before still stands; no POSID: none
	Begun                   bool       // forget which records took part in it
	Followed                []int      // which records of the file took part in the chain, counted from 1
}

// FiledPlace is a record to be filed.
type FiledPlace struct {
	Record record.ID
	record.Place
}

// chainPage is how many records are looked at in one go.
const chainPage = 500

// Chains tells, terminal by terminal, what is missing or doubled. It reads only what came since it was
// asked last; a terminal whose key has changed since is gone through again. ProveChains tells the same
// from all records.
//
// Only records that the terminal signed are looked at: anybody who may upload could otherwise accuse a
// terminal of being cloned. Records without a link, as old terminals write them, prove nothing and are
// passed over. The error is the store's.
func (m *Merchant) Chains(ctx context.Context, terminals Verifier) ([]TerminalChain, error) {
	f := follower{store: m.store, terminals: terminals}
	for {
		report, err := f.follow(ctx)
		if !errors.Is(err, ErrMoved) {
			return report, err
		}
	}
}

// follower brings chains up to date.
type follower struct {
	store     Store
	terminals Verifier
}

func (f follower) follow(ctx context.Context) ([]TerminalChain, error) {
	if err := f.file(ctx); err != nil {
		return nil, fmt.Errorf("merchant: chains: %w", err)
	}
	_, chains, err := f.store.Chains(ctx)
	if err != nil {
		return nil, fmt.Errorf("merchant: chains: %w", err)
	}
	var report []TerminalChain
	for _, saved := range chains {
		followed, err := f.followOne(ctx, saved)
		if err != nil {
			return nil, fmt.Errorf("merchant: chain of %s: %w", saved.POSID, err)
		}
		chain, err := followed.report()
		if err != nil {
			return nil, fmt.Errorf("merchant: chain of %s: %w", saved.POSID, err)
		}
		report = append(report, chain)
	}
	slices.SortFunc(report, func(a, b TerminalChain) int { return cmp.Compare(a.POSID, b.POSID) })
	return report, nil
}

// file puts the records that came since under the terminals that they name.
func (f follower) file(ctx context.Context) error {
	filed, _, err := f.store.Chains(ctx)
	if err != nil {
		return err
	}
	for {
		page, err := f.store.Records(ctx, filed, chainPage)
		if err != nil || len(page) == 0 {
			return err
		}
		changes := ChainChanges{FiledBefore: filed, FiledAfter: page[len(page)-1].ID}
		for _, stored := range page {
			if _, place, linked := placeOf(stored.Bytes); linked {
				changes.Filed = append(changes.Filed, FiledPlace{stored.ID, place})
			}
		}
		if err := f.store.SaveChains(ctx, changes); err != nil {
			return err
		}
		filed = changes.FiledAfter
	}
}

// placeOf: what is no record, or has no link, proves nothing.
func placeOf(raw []byte) (*record.Unverified, record.Place, bool) {
	u, err := record.Parse(raw)
	if err != nil {
		return nil, record.Place{}, false
	}
	place, linked, err := u.Place()
	return u, place, err == nil && linked
}

// followOne goes along a chain's file to its end.
func (f follower) followOne(ctx context.Context, saved SavedChain) (SavedChain, error) {
	integrity, known := f.terminals.TerminalIntegrity(saved.POSID)
	begun := saved
	begun.Key = nil
	if known {
		key := record.Fingerprint(integrity)
		begun.Key = key[:]
	}
	if !slices.Equal(begun.Key, saved.Key) {
		begun.Followed, begun.Unverified, begun.State, begun.Fault = 0, 0, nil, ""
		if known {
			begun.State = record.NewChain(saved.POSID).Append(nil)
		}
		if err := f.store.SaveChains(ctx, ChainChanges{Before: saved, After: begun, Begun: true}); err != nil {
			return SavedChain{}, err
		}
	}
	for known && begun.Followed < begun.Filed {
		next, err := f.followPage(ctx, begun, integrity)
		if err != nil {
			return SavedChain{}, err
		}
		begun = next
	}
	return begun, nil
}

// followPage checks signatures before the store writes anything: they take longer than it does.
func (f follower) followPage(ctx context.Context, saved SavedChain, integrity record.Integrity) (SavedChain, error) {
	page, err := f.store.FiledRecords(ctx, saved.POSID, saved.Followed, chainPage)
	if err != nil || len(page) == 0 {
		return saved, cmp.Or(err, errNoPage)
	}
	var places []numbered
	next := saved
	for i, stored := range page {
		u, place, linked := placeOf(stored.Bytes)
		if linked && signedBy(integrity, u) {
			places = append(places, numbered{saved.Followed + i + 1, place})
		} else {
			next.Unverified++
		}
	}
	next.Followed += len(page)
	kept, err := f.kept(ctx, saved.POSID, places)
	if err != nil {
		return SavedChain{}, err
	}
	followed, err := next.add(places, kept)
	if err != nil {
		return SavedChain{}, err
	}
	return next, f.store.SaveChains(ctx, ChainChanges{Before: saved, After: next, Followed: followed})
}

// numbered is a place with its number in the terminal's file.
type numbered struct {
	number int
	record.Place
}

var errNoPage = errors.New("a file of records is shorter than it says")

// kept reads what the chain will ask about these places.
func (f follower) kept(ctx context.Context, posID string, places []numbered) (*keptPlaces, error) {
	var seqs []uint64
	var ids []record.StatementID
	for _, place := range places {
		seqs, ids = append(seqs, place.Seq), append(ids, place.Prev)
	}
	bySeq, seqOf, err := f.store.KeptPlaces(ctx, posID, seqs, ids)
	return &keptPlaces{bySeq: bySeq, seqOf: seqOf}, err
}

// keptPlaces is a record.Kept of what was read, and of what came with the page.
type keptPlaces struct {
	bySeq map[uint64]record.StatementID
	seqOf map[record.StatementID]uint64
}

// StatementAt is the first record under a number.
func (k *keptPlaces) StatementAt(seq uint64) (record.StatementID, bool) {
	id, known := k.bySeq[seq]
	return id, known
}

// SeqOf is the number of a record.
func (k *keptPlaces) SeqOf(id record.StatementID) (uint64, bool) {
	seq, known := k.seqOf[id]
	return seq, known
}

func (k *keptPlaces) put(place record.Place) {
	if _, taken := k.bySeq[place.Seq]; !taken {
		k.bySeq[place.Seq] = place.ID
	}
	k.seqOf[place.ID] = place.Seq
}

// add stops at a fault: a chain that leaves out one record would find gaps that are none.
func (c *SavedChain) add(places []numbered, kept *keptPlaces) (followed []int, err error) {
	if c.Fault != "" {
		return nil, nil
	}
	chain, err := record.ParseChain(c.State)
	if err != nil {
		return nil, err
	}
	for _, place := range places {
		if _, err := chain.Add(place.Place, kept); err != nil {
			c.Fault = err.Error()
			break
		}
		kept.put(place.Place)
		followed = append(followed, place.number)
	}
	c.State = chain.Append(nil)
	return followed, nil
}

// report is what a saved chain proves.
func (c SavedChain) report() (TerminalChain, error) {
	report := TerminalChain{POSID: c.POSID, Count: c.Filed, Known: len(c.Key) == sha256.Size, Unverified: c.Unverified}
	if !report.Known {
		return report, nil
	}
	chain, err := record.ParseChain(c.State)
	if err != nil {
		return TerminalChain{}, err
	}
	report.Highest, report.Findings = chain.Highest(), chain.Findings(0)
	if c.Fault != "" {
		report.Fault = errors.New(c.Fault)
	}
	return report, nil
}

// signedBy asks with the user that the code names: terminals of 2018 sign under the user id.
func signedBy(terminal record.Integrity, u *record.Unverified) bool {
	code, err := ridecode.Parse(u.CodeBytes())
	return err == nil && u.VerifyIntegrity(code.SkipVerification().Grant.UserID, terminal)
}
