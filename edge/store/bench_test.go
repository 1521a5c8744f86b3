package store

import (
	"fmt"
	"path/filepath"
	"testing"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/role/payment/storetest"
)

// BenchmarkSettle runs beside a bare loop that inserts as many rows into one table with one text key in
// random order, on the same kind of connection, one commit a batch. A trade is seven rows read, written or
// changed, in six trees, two of them in random order, with three triggers.
func BenchmarkSettle(b *testing.B) {
	db, err := Open(filepath.Join(b.TempDir(), "books.sqlite"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	bare, err := openBare(filepath.Join(b.TempDir(), "bare.sqlite"))
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	storetest.Bench(b, db.Payment(), bare.insert)
}

type bareTable struct {
	*DB
	next int
}

func openBare(path string) (*bareTable, error) {
	db, err := Open(path)
	if err != nil {
		return nil, err
	}
	conn := <-db.writer
	defer func() { db.writer <- conn }()
	return &bareTable{DB: db}, execute(conn, "CREATE TABLE bare (no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, amount INTEGER, body BLOB)")
}

func (t *bareTable) insert(b *testing.B, batch int) {
	body := make([]byte, 320)
	for b.Loop() {
		err := t.write(b.Context(), func(conn *sqlite.Conn) error {
			stmt, err := conn.Prepare("INSERT INTO bare (id, amount, body) VALUES (?, ?, ?)")
			for i := 0; i < batch && err == nil; i++ {
				t.next++
				stmt.BindText(1, fmt.Sprintf("%028d", t.next*2_654_435_761%1_000_000_007))
				stmt.BindInt64(2, 200)
				stmt.BindBytes(3, body)
				err = run(stmt)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
