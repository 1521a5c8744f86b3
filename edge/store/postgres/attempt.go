package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/shuama/shuama/ledger"
)

const (
	attemptsMax  = 40
	delayMin     = 2 * time.Millisecond
	delayMax     = 500 * time.Millisecond // with attemptsMax: some fifteen seconds in all, a failover
	rollbackWait = 5 * time.Second
	commitWait   = 10 * time.Second // for a commit, which no context ends
	txIdle       = 'I'
)

// errGivenUp says that the server was there, and would not let us.
var errGivenUp = errors.New("postgres: given up")

// lostError is of a connection that was lost or could not be made, with no commit under way.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// decideError carries an error of decide past everything that looks into errors: it may be of another
// store, and is nobody's reason to try again.
type decideError struct{ err error }

func (e *decideError) Error() string { return e.err.Error() }

// attempt counts how often one update or view was tried, and why again.
type attempt struct {
	count    int
	delay    time.Duration
	violated string // what the last attempt found to exist already
	day      int    // of transfers, that the last attempt has missed
}

// try runs once until it succeeds, or fails in a way that another attempt does not mend. What fails in
// the other way has written nothing.
func (db *DB) try(ctx context.Context, once func(*attempt) error) error {
	var a attempt
	for {
		err := once(&a)
		var decided *decideError
		if errors.As(err, &decided) {
			return decided.err
		}
		if err == nil || ctx.Err() != nil || !a.again(err) {
			return explain(ctx, err)
		}
		if a.count++; a.count == attemptsMax {
			return fmt.Errorf("%w after %d attempts: %w", errGivenUp, a.count, err)
		}
		db.forgetLost(err)
		if err := db.addDay(ctx, &a); err != nil {
			return explain(ctx, err)
		}
		if err := a.wait(ctx); err != nil {
			return err
		}
	}
}

// again tells whether nothing was written and another attempt may do better.
func (a *attempt) again(err error) bool {
	var lost *lostError
	if errors.As(err, &lost) {
		a.delay = min(max(2*a.delay, delayMin), delayMax)
		return true
	}
	return a.overtaken(err) || a.missesDay(err)
}

// overtaken: PostgreSQL has rolled back because of somebody else's update. That a key exists already is
// a reason only once: what is there is read next time, and a decision that makes it again is wrong.
func (a *attempt) overtaken(err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	if refused.Code == codeUnique {
		found := refused.ConstraintName + refused.Detail
		repeated := found == a.violated
		a.violated = found
		return !repeated
	}
	return refused.Code == codeSerialization || refused.Code == codeDeadlock
}

// missesDay: the first transfer of a day finds no part of the table to go to.
func (a *attempt) missesDay(err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != codeCheck || refused.ConstraintName != "" {
		return false
	}
	day := missingDay(refused.Detail)
	missing := day != 0 && day != a.day
	a.day = day
	return missing
}

// missingDay finds the day in what PostgreSQL says of a row that no part takes.
func missingDay(detail string) (day int) {
	_, rest, found := strings.Cut(detail, "(day) = (")
	if _, err := fmt.Sscanf(rest, "%d)", &day); !found || err != nil || !ledger.Day(day).Valid() {
		return 0
	}
	return day
}

// addDay makes the part that the last attempt has missed.
func (db *DB) addDay(ctx context.Context, a *attempt) error {
	if a.day == 0 {
		return nil
	}
	conn, err := db.take(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "select shuama.add_day($1)", a.day); err != nil {
		return fmt.Errorf("postgres: make room for day %d: %w", a.day, err)
	}
	return nil
}

func (a *attempt) wait(ctx context.Context) error {
	if a.delay == 0 {
		return nil
	}
	timer := time.NewTimer(a.delay/2 + rand.N(a.delay))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("postgres: %w", ctx.Err())
	case <-timer.C:
		return nil
	}
}

// Codes of SQLSTATE (PostgreSQL documentation, appendix A).
const (
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codeUnique        = "23505"
	codeCheck         = "23514"
	codeReadOnly      = "25006" // the server has become a standby
	codeTooMany       = "53300"
	codeShutdown      = "57P01"
	codeCrash         = "57P02"
	codeStarting      = "57P03"
)

// ofServer tells whether a server that refuses so would not refuse later, or another one in its place.
// A wrong password is refused for good.
func ofServer(refused *pgconn.PgError) bool {
	return slices.Contains([]string{codeReadOnly, codeTooMany, codeShutdown, codeCrash, codeStarting}, refused.Code)
}

// interrupted marks an error by which the connection is lost. closed says whether it is closed.
func interrupted(err error, closed bool) error {
	var refused *pgconn.PgError
	if err == nil || errors.As(err, &refused) && !ofServer(refused) || !errors.As(err, &refused) && !closed {
		return err
	}
	return &lostError{err}
}

// forgetLost drops the connections that were made before this one was lost: the others are likely gone
// too, or lead to a server that no longer leads.
func (db *DB) forgetLost(err error) {
	var lost *lostError
	if errors.As(err, &lost) {
		db.pool.Reset()
	}
}
