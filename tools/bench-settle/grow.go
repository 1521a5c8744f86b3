package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/edge/store/postgres"
	"github.com/shuama/shuama/internal/testkit/pgserver"
	"github.com/shuama/shuama/role/payment"
)

// grow fills books, and tells at each power of ten and its halves what the last trades cost: time, bytes on disk.
func grow(ctx context.Context, s settings) (err error) {
	books, dir, end, err := growing(ctx, s)
	if err != nil {
		return err
	}
	defer end()
	users, err := furnish(ctx, books)
	if err != nil {
		return err
	}
	empty, err := sizeOf(dir)
	if err != nil {
		return err
	}
	fmt.Println("| trades | a second since the line before | µs each | bytes on disk each |\n|---:|---:|---:|---:|")
	var made orders
	stored := 0
	for _, next := range milestones(s.grow) {
		began := time.Now()
		if err := fill(ctx, books, users, &made, next-stored); err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		size, err := sizeOf(dir)
		if err != nil {
			return err
		}
		count := float64(next - stored)
		fmt.Printf("| %d | %.0f | %.1f | %d |\n", next, count/took, 1e6*took/count, (size-empty)/int64(next))
		stored = next
	}
	began := time.Now()
	report, err := books.Audit(ctx)
	if err != nil || len(report.Faults) > 0 {
		return errors.Join(err, fmt.Errorf("audit: %v", report.Faults))
	}
	fmt.Printf("\nThe audit of all %d trades took %.0f s, and found nothing.\n", report.Trades, time.Since(began).Seconds())
	return nil
}

func milestones(most int) (all []int) {
	for power := 10_000; power <= most; power *= 10 {
		all = append(all, power)
		if 5*power <= most {
			all = append(all, 5*power)
		}
	}
	return all
}

func growing(ctx context.Context, s settings) (books payment.Store, dir string, end func(), err error) {
	if s.sqlite {
		if dir, err = os.MkdirTemp("", "bench-settle-*"); err != nil {
			return nil, "", nil, err
		}
		file, err := store.Open(filepath.Join(dir, "books.db"))
		if err != nil {
			return nil, "", nil, err
		}
		return file.Payment(), dir, func() { file.Close(); os.RemoveAll(dir) }, nil
	}
	server, err := pgserver.New()
	if err != nil {
		return nil, "", nil, err
	}
	name, err := server.CreateNew()
	if err != nil {
		return nil, "", nil, err
	}
	db, err := postgres.OpenAs(ctx, server.URL(name), postgres.Layout{Buckets: s.buckets})
	if err != nil {
		return nil, "", nil, err
	}
	return db.Payment(), filepath.Join(server.DataDir(), "base"), func() { db.Close(); server.Remove() }, nil
}

// fill settles so many trades, each bucket in turn.
func fill(ctx context.Context, books payment.Store, users crowd, made *orders, count int) error {
	workers := min(writers, len(users))
	errs := make(chan error, workers)
	for worker := range workers {
		mine := count / workers
		if worker == 0 {
			mine += count % workers
		}
		go func() { errs <- fillSome(ctx, books, users, made, worker, mine) }()
	}
	var err error
	for range workers {
		err = errors.Join(err, <-errs)
	}
	return err
}

func fillSome(ctx context.Context, books payment.Store, users crowd, made *orders, worker, count int) error {
	for turn := 0; count > 0; turn++ {
		bucket := (worker + turn*writers) % len(users)
		size := min(batchMost, count)
		verdicts, err := books.Settle(ctx, made.batch(bucket, users[bucket], size))
		if err == nil {
			err = allPaid(verdicts)
		}
		if err != nil {
			return err
		}
		count -= size
	}
	return nil
}

func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if info, err := entry.Info(); err == nil { // a file of the database's may be gone by now
			size += info.Size()
		}
		return nil
	})
	return size, err
}
