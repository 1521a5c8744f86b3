package main

import (
	"context"

	"github.com/shuama/shuama/edge/store/postgres"
	"github.com/shuama/shuama/internal/testkit/pgserver"
)

// replicated is books on a server that acknowledges nothing before one of its two standbys has it on disk. All
// three are on this machine: they share its processors and its disk, which real ones would not.
type replicated struct {
	servers []*pgserver.Server // the first one leads
	books   *postgres.DB
	users   crowd
}

func newReplicated(ctx context.Context, buckets int) (r replicated, err error) {
	leader, err := pgserver.New()
	if err != nil {
		return r, err
	}
	r.servers = append(r.servers, leader)
	if err := leader.Warm(); err != nil {
		return r, err
	}
	for _, name := range []string{"second", "third"} {
		standby, err := leader.NewStandby(name)
		if err != nil {
			return r, err
		}
		r.servers = append(r.servers, standby)
	}
	database, err := leader.CreateNew()
	if err != nil {
		return r, err
	}
	if r.books, err = postgres.OpenAs(ctx, leader.URL(database), postgres.Layout{Buckets: buckets}); err != nil {
		return r, err
	}
	if r.users, err = furnish(ctx, r.books.Payment()); err != nil {
		return r, err
	}
	return r, leader.Set("synchronous_standby_names", "ANY 1 (second, third)")
}

func (r *replicated) serverTicks() (ticks int64) {
	for _, server := range r.servers {
		ticks += serverTicks(server.PID())
	}
	return ticks
}

func (r *replicated) close() (err error) {
	err = r.books.Close()
	for _, server := range r.servers {
		server.Remove()
	}
	return err
}
