package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/shuama/shuama/role/payment"
)

// Deliveries keeps the notices on their way (通知队列), as jobs of River in a schema of their own. It implements
// payment.Deliveries.
type Deliveries struct {
	db   *DB
	pool *pgxpool.Pool // with none of the settings that suit the books
	gap  func(attempt int) (time.Duration, bool)
}

var _ payment.Deliveries = (*Deliveries)(nil)

const (
	jobsSchema     = "shuama_jobs"
	moveEvery      = time.Second
	movesAtOnce    = 200 // entries of one bucket: up to as many batches of trades
	carriersCount  = 16
	carryWait      = 20 * time.Second
	jobsConnection = 4
)

// Deliveries opens the queue of this database, and brings its tables up to date. gap is how long after a failed
// attempt the next one is due, as payment.DeliveryGap.
func (db *DB) Deliveries(ctx context.Context, gap func(attempt int) (time.Duration, bool)) (*Deliveries, error) {
	config := db.pool.Config().Copy()
	for name := range config.ConnConfig.RuntimeParams {
		if name != "application_name" {
			delete(config.ConnConfig.RuntimeParams, name)
		}
	}
	config.AfterConnect, config.MaxConns = nil, jobsConnection
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: deliveries: %w", err)
	}
	d := &Deliveries{db: db, pool: pool, gap: gap}
	if err := d.migrate(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("postgres: deliveries: %w", err)
	}
	return d, nil
}

// Close waits for what runs and disconnects.
func (d *Deliveries) Close() error {
	d.pool.Close()
	return nil
}

// migrate makes River's tables while no other program does the same. Each step is a transaction: some use what
// one before has made.
func (d *Deliveries) migrate(ctx context.Context) error {
	return pgx.BeginFunc(ctx, d.pool, func(lock pgx.Tx) error {
		if _, err := lock.Exec(ctx, "SELECT pg_advisory_xact_lock($1, $2)", lockClass, lockMigration); err != nil {
			return err
		}
		if _, err := d.pool.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+jobsSchema); err != nil {
			return err
		}
		migrator, err := rivermigrate.New(riverpgxv5.New(d.pool), &rivermigrate.Config{Schema: jobsSchema, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	})
}

// noticeJob is a delivery as a job.
type noticeJob struct{ payment.Delivery }

// Kind names the jobs in their table.
func (noticeJob) Kind() string { return "notice" }

// carrier works on one job: the courier does.
type carrier struct {
	river.WorkerDefaults[noticeJob]
	courier payment.Courier
	gap     func(attempt int) (time.Duration, bool)
}

// Work carries a delivery.
func (c *carrier) Work(ctx context.Context, job *river.Job[noticeJob]) error {
	return c.courier.Carry(ctx, job.Args.Delivery)
}

// NextRetry is the platform's own schedule; where it ends, River gives up by itself.
func (c *carrier) NextRetry(job *river.Job[noticeJob]) time.Time {
	gap, _ := c.gap(job.Attempt)
	return time.Now().Add(gap)
}

// Timeout is how long a recipient may take.
func (c *carrier) Timeout(*river.Job[noticeJob]) time.Duration { return carryWait }

// Run implements payment.Deliveries.
func (d *Deliveries) Run(ctx context.Context, expand func(context.Context, int, []payment.Posted) ([]payment.Delivery, error), courier payment.Courier) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &carrier{courier: courier, gap: d.gap})
	client, err := river.NewClient(riverpgxv5.New(d.pool), &river.Config{Schema: jobsSchema, Workers: workers, MaxAttempts: payment.DeliveriesMax,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: carriersCount}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("postgres: deliveries: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("postgres: deliveries: %w", err)
	}
	for ctx.Err() == nil {
		for bucket := range d.db.layout.Buckets {
			if err := d.moveAll(ctx, client, bucket, expand); err != nil && ctx.Err() == nil {
				return errors.Join(fmt.Errorf("postgres: deliveries: %w", err), client.StopAndCancel(context.WithoutCancel(ctx)))
			}
		}
		if err := d.moveRides(ctx, client, courier); err != nil && ctx.Err() == nil {
			return errors.Join(fmt.Errorf("postgres: deliveries: %w", err), client.StopAndCancel(context.WithoutCancel(ctx)))
		}
		pause(ctx, moveEvery)
	}
	<-client.Stopped()
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// moveAll moves what was posted in a bucket into jobs, until nothing is left. What a lost connection leaves
// is found again a second later.
func (d *Deliveries) moveAll(ctx context.Context, client *river.Client[pgx.Tx], bucket int,
	expand func(context.Context, int, []payment.Posted) ([]payment.Delivery, error)) error {
	for {
		moved, err := d.move(ctx, client, bucket, expand)
		if err != nil && errors.Is(away(interrupted(err, false)), payment.ErrAway) {
			return nil
		}
		if err != nil || moved < movesAtOnce {
			return err
		}
	}
}

// move is one transaction: what leaves posted stands in jobs.
func (d *Deliveries) move(ctx context.Context, client *river.Client[pgx.Tx], bucket int,
	expand func(context.Context, int, []payment.Posted) ([]payment.Delivery, error)) (moved int, err error) {
	posted, err := d.db.Payment().Posted(ctx, bucket, movesAtOnce)
	if err != nil || len(posted) == 0 {
		return 0, err
	}
	deliveries, err := expand(ctx, bucket, posted)
	if err != nil {
		return 0, err
	}
	err = pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if err := take(ctx, tx, bucket, posted); err != nil {
			return err
		}
		return queueJobs(ctx, client, tx, deliveries)
	})
	if errors.Is(err, errTaken) {
		return 0, nil
	}
	return len(posted), err
}

// moveRides does the same for notices of rides. One that nobody wants goes nowhere.
func (d *Deliveries) moveRides(ctx context.Context, client *river.Client[pgx.Tx], courier payment.Courier) error {
	for {
		moved := 0
		err := pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
			deliveries, err := takeRideNotices(ctx, tx, movesAtOnce)
			if err != nil || len(deliveries) == 0 {
				return err
			}
			moved = len(deliveries)
			return queueJobs(ctx, client, tx, slices.DeleteFunc(deliveries, func(delivery payment.Delivery) bool { return !courier.Wants(delivery.To, delivery.Notice) }))
		})
		if err != nil && errors.Is(away(interrupted(err, false)), payment.ErrAway) {
			return nil
		}
		if err != nil || moved < movesAtOnce {
			return err
		}
	}
}

func queueJobs(ctx context.Context, client *river.Client[pgx.Tx], tx pgx.Tx, deliveries []payment.Delivery) error {
	if len(deliveries) == 0 {
		return nil
	}
	jobs := make([]river.InsertManyParams, len(deliveries))
	for i, delivery := range deliveries {
		jobs[i] = river.InsertManyParams{Args: noticeJob{delivery}}
	}
	_, err := client.InsertManyFastTx(ctx, tx, jobs)
	return err
}

// errTaken says that another server has taken the same entries.
var errTaken = errors.New("postgres: taken by another server")

// take takes entries away, unless somebody else has.
func take(ctx context.Context, tx pgx.Tx, bucket int, posted []payment.Posted) error {
	if _, err := tx.Exec(ctx, "SELECT shuama.hold($1)", bucket); err != nil {
		return err
	}
	first, last := posted[0].Seq, posted[len(posted)-1].Seq
	gone, err := tx.Exec(ctx, "DELETE FROM shuama.posted WHERE bucket = $1 AND seq BETWEEN $2 AND $3", bucket, first, last)
	if err == nil && gone.RowsAffected() != int64(len(posted)) {
		err = errTaken
	}
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "UPDATE shuama.bucket SET taken_posted = $2 WHERE bucket = $1", bucket, last)
	return err
}

// Undelivered implements payment.Deliveries.
func (d *Deliveries) Undelivered(ctx context.Context) (waiting, givenUp int, err error) {
	err = d.pool.QueryRow(ctx, "SELECT count(*) FILTER (WHERE state NOT IN ('completed', 'cancelled', 'discarded')), count(*) FILTER (WHERE state = 'discarded') FROM "+
		jobsSchema+".river_job").Scan(&waiting, &givenUp)
	return waiting, givenUp, err
}

var _ rivertype.JobArgs = noticeJob{}
