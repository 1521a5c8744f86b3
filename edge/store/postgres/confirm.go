package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A leader shows what it has written before a standby has it, when the wait for the standby was broken off: by a
// client that went away, by an administrator, by a crash. If that leader is lost then, so is what it has shown.
// Hence nobody is told that a trade was settled, or a top-up made, on the word of a leader alone.

// confirm, in a transaction that has only read, makes its commit wait as one that has written does: until the
// standbys have all that was written before, and so what was read. It writes a record of a few bytes, and nothing
// where no standby is asked for.
const confirm = "select pg_logical_emit_message(true, 'shuama', '') where current_setting('synchronous_standby_names') <> ''"

// errUnconfirmed says that a commit was not waited for to its end.
var errUnconfirmed = errors.New("postgres: committed, and no standby is known to have it")

// unconfirmed is under this name in the data of a connection.
const unconfirmed = "shuama: unconfirmed"

// watchCommits notes when a server says that it has stopped to wait for its standbys. Its text is in the language of
// the server; the name of its function is not.
func watchCommits(config *pgconn.Config) {
	config.OnNotice = func(conn *pgconn.PgConn, notice *pgconn.Notice) {
		if notice.Routine == "SyncRepWaitForLSN" {
			conn.CustomData()[unconfirmed] = true
		}
	}
}

// outcome is err, or a loss of the connection where that is what it comes to: also where a commit was not confirmed.
// Whether it has happened is read by the next attempt, whose own commit is waited for.
func outcome(err error, conn *pgx.Conn) error {
	data := conn.PgConn().CustomData()
	if data[unconfirmed] != true {
		return interrupted(err, conn.IsClosed())
	}
	delete(data, unconfirmed)
	return &lostError{errors.Join(errUnconfirmed, err)}
}
