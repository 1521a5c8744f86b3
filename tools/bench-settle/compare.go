package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/edge/store/postgres"
	"github.com/shuama/shuama/internal/testkit/pgserver"
	"github.com/shuama/shuama/role/payment"
)

// writers and batchMost are what a server commits with.
const (
	writers   = 4
	batchMost = 512
)

// measurement is one server with books and pgbench's tables beside them, and books in a file.
type measurement struct {
	settings
	server *pgserver.Server
	books  *postgres.DB
	file   *store.DB
	dir    string
	users  crowd
	alone  crowd // those of the file, in its one bucket
	three  replicated
	city   *city
	made   orders
	rows   [rowsCount][]figure
}

// The rows of the table.
const (
	rowPgbench = iota
	rowStore
	rowCallers
	rowPath
	rowSQLite
	rowReplicated
	rowsCount
)

// figure is what one round has measured.
type figure struct {
	rate      float64       // a second
	serverSec float64       // of the database's processor time, for each
	ourSec    float64       // of this process's, for each; callers are in it
	slow      time.Duration // of a hundred callers, 99 wait at most so long
}

func newMeasurement(ctx context.Context, s settings) (m *measurement, err error) {
	m = &measurement{settings: s}
	if m.dir, err = os.MkdirTemp("", "bench-settle-*"); err != nil {
		return nil, err
	}
	if m.server, err = pgserver.New(); err != nil {
		return nil, err
	}
	if err := m.server.Warm(); err != nil {
		return nil, err
	}
	if err := m.server.MakePgbench(50); err != nil {
		return nil, err
	}
	name, err := m.server.CreateNew()
	if err != nil {
		return nil, err
	}
	if m.books, err = postgres.OpenAs(ctx, m.server.URL(name), postgres.Layout{Buckets: s.buckets}); err != nil {
		return nil, err
	}
	if m.users, err = furnish(ctx, m.books.Payment()); err != nil {
		return nil, err
	}
	if m.file, err = store.Open(filepath.Join(m.dir, "books.db")); err != nil {
		return nil, err
	}
	if m.alone, err = furnish(ctx, m.file.Payment()); err != nil {
		return nil, err
	}
	if m.three, err = newReplicated(ctx, s.buckets); err != nil {
		return nil, err
	}
	m.city, err = newCity(m.books.Payment())
	return m, err
}

func (m *measurement) close() error {
	err := errors.Join(m.city.close(), m.books.Close(), m.file.Close(), os.RemoveAll(m.dir))
	m.server.Remove()
	return errors.Join(err, m.three.close())
}

func (m *measurement) round() error {
	for row, prepare := range m.preparations() {
		measure, err := prepare()
		if err != nil {
			return err
		}
		runtime.GC()
		before, ours := m.serverTicks(), ourSeconds()
		got, err := measure()
		if err != nil {
			return fmt.Errorf("row %d: %w", row+1, err)
		}
		got.ourSec = (ourSeconds() - ours) / (got.rate * m.lasts.Seconds())
		got.serverSec = float64(m.serverTicks()-before) / ticksPerSec / (got.rate * m.lasts.Seconds())
		m.rows[row] = append(m.rows[row], got)
	}
	return nil
}

// preparations makes what each row needs, outside the time that is measured.
func (m *measurement) preparations() [rowsCount]func() (func() (figure, error), error) {
	type measure = func() (figure, error)
	ctx := context.Background()
	inBatches := func(store payment.Store, users crowd, writers int) func() (measure, error) {
		return func() (measure, error) {
			ahead := m.made.batches(users, m.lasts)
			return func() (figure, error) { return storeRate(ctx, store, ahead, writers, m.lasts) }, nil
		}
	}
	return [rowsCount]func() (measure, error){
		rowPgbench: func() (measure, error) {
			return func() (figure, error) {
				rate, err := m.server.Pgbench(int(m.lasts.Seconds()))
				return figure{rate: rate}, err
			}, nil
		},
		rowStore: inBatches(m.books.Payment(), m.users, writers),
		rowCallers: func() (measure, error) {
			ahead := m.made.singles(m.users, m.lasts)
			return func() (figure, error) { return callersRate(ctx, m.books.Payment(), ahead, m.callers, m.lasts) }, nil
		},
		rowPath: func() (measure, error) {
			requests, err := m.city.prepare(m.lasts)
			return func() (figure, error) { return m.city.pathRate(requests, m.lasts) }, err
		},
		rowSQLite:     inBatches(m.file.Payment(), m.alone, 1),
		rowReplicated: inBatches(m.three.books.Payment(), m.three.users, writers),
	}
}

// serverTicks is of all servers: only one is at work at a time, and its standbys with it.
func (m *measurement) serverTicks() int64 {
	return serverTicks(m.server.PID()) + m.three.serverTicks()
}

func (m *measurement) report(out io.Writer) error {
	names := [rowsCount]string{"pgbench TPC-B, 16 clients, prepared", fmt.Sprintf("store, %d connections, batches of %d", writers, batchMost),
		fmt.Sprintf("%d single-trade callers, group commit", m.callers), "HTTP, RSA2, lists of 100, every signature checked", "SQLite, batches of 512", "store, three machines, strictly synchronous"}
	if _, err := fmt.Fprintln(out, "| | a second | to pgbench | processor, µs each: database | this program | 99 of 100 wait at most |\n|---|---:|---:|---:|---:|---:|"); err != nil {
		return err
	}
	for row, figures := range m.rows {
		ratio := make([]float64, len(figures))
		for i, f := range figures {
			ratio[i] = f.rate / m.rows[rowPgbench][i].rate
		}
		wait := ""
		if slow := median(figures, func(f figure) float64 { return f.slow.Seconds() }); slow > 0 {
			wait = fmt.Sprintf("%.1f ms", slow*1e3)
		}
		slices.Sort(ratio)
		if _, err := fmt.Fprintf(out, "| %s | %.0f | %.2f | %.1f | %.1f | %s |\n", names[row], median(figures, func(f figure) float64 { return f.rate }),
			ratio[len(ratio)/2], 1e6*median(figures, func(f figure) float64 { return f.serverSec }), 1e6*median(figures, func(f figure) float64 { return f.ourSec }), wait); err != nil {
			return err
		}
	}
	shares := make([]float64, len(m.rows[rowStore]))
	for i := range shares {
		shares[i] = m.rows[rowReplicated][i].rate / m.rows[rowStore][i].rate
	}
	slices.Sort(shares)
	_, err := fmt.Fprintf(out, "\nThree machines to one: %.2f (%.2f to %.2f).\n", shares[len(shares)/2], shares[0], shares[len(shares)-1])
	return err
}

func median(figures []figure, of func(figure) float64) float64 {
	all := make([]float64, len(figures))
	for i, f := range figures {
		all[i] = of(f)
	}
	slices.Sort(all)
	return all[len(all)/2]
}
