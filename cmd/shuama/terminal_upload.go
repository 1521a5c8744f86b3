package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/edge/depot"
	"github.com/shuama/shuama/edge/journal"
)

// Waits between uploads: soon after a tap, longer after each failure.
const (
	uploadEvery   = 2 * time.Second
	uploadRetry   = 60 * time.Second // the longest wait (terminal-facts R6)
	uploadTimeout = 20 * time.Second
)

// uploader brings the acceptance records of a journal to the depot, in order, each until it is
// acknowledged. What was acknowledged is the journal's id and a number in a file beside it: losing it costs a
// repetition, never a record.
type uploader struct {
	journal *journal.Journal
	client  *depot.Client
	cursor  string // path
	acked   uint64 // number of the newest entry that need not be brought again
}

// upload brings records until the context ends, and what is left then in one last try.
func (g *gateRun) upload(ctx context.Context, w *world) {
	u, err := newUploader(g.journal, g.depot, filepath.Join(g.dir, "upload.cursor"))
	if err != nil {
		w.tell("upload: " + err.Error())
		return
	}
	u.run(ctx, w.tell)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), uploadTimeout)
	defer cancel()
	for more := true; more; {
		if more, err = u.once(last, w.tell); err != nil {
			w.tell("upload: " + err.Error() + "; the records are in the journal, and are brought at the next start")
			return
		}
	}
}

func newUploader(j *journal.Journal, client *depot.Client, cursor string) (*uploader, error) {
	u := &uploader{journal: j, client: client, cursor: cursor}
	content, err := os.ReadFile(cursor)
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil
	}
	if err != nil {
		return nil, err
	}
	// A number means nothing but in its own journal: after a journal was replaced, everything is brought.
	if id, number, found := strings.Cut(strings.TrimSpace(string(content)), " "); found && id == j.ID() {
		if acked, err := strconv.ParseUint(number, 10, 64); err == nil && acked <= j.LastSeq() {
			u.acked = acked
		}
	}
	return u, nil
}

// run brings records until the context ends. tell gets what a maintainer should know.
func (u *uploader) run(ctx context.Context, tell func(string)) {
	wait := uploadEvery
	for ctx.Err() == nil {
		more, err := u.once(ctx, tell)
		switch {
		case err != nil && ctx.Err() == nil:
			wait = min(2*wait, uploadRetry)
			tell(fmt.Sprintf("upload: %v; next try in %s", err, wait))
		case more:
			continue
		default:
			wait = uploadEvery
		}
		pause(ctx, wait)
	}
}

func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// once brings the next batch; more tells whether something is left. A batch is of one kind: rides, or
// records whose gate stayed shut.
func (u *uploader) once(ctx context.Context, tell func(string)) (more bool, err error) {
	if u.acked == u.journal.LastSeq() {
		return false, nil
	}
	batch, kind, upTo, err := u.next()
	if err != nil || upTo == u.acked {
		return false, err
	}
	trying, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	if err := u.bring(trying, batch, kind, tell); err != nil {
		return false, err
	}
	u.acked = upTo
	return upTo < u.journal.LastSeq(), replaceFile(u.cursor, fmt.Appendf(nil, "%s %d\n", u.journal.ID(), upTo), 0o600)
}

func (u *uploader) bring(ctx context.Context, batch [][]byte, kind journal.Kind, tell func(string)) error {
	if len(batch) == 0 {
		return nil
	}
	if kind == shutKind {
		taken, err := u.client.Shut(ctx, batch)
		if err == nil && len(taken.Charged) > 0 {
			tell(fmt.Sprintf("upload: %d riders may have been charged although the gate stayed shut: refund them", len(taken.Charged)))
		}
		return err
	}
	receipt, err := u.client.Upload(ctx, batch)
	for _, aside := range receipt.Aside {
		tell(fmt.Sprintf("upload: record %d of the batch stands aside: %s", aside.Index, aside.Reason))
	}
	return err
}

// errEnough ends a replay early.
var errEnough = errors.New("enough")

func (u *uploader) next() (batch [][]byte, kind journal.Kind, upTo uint64, err error) {
	upTo = u.acked
	err = u.journal.Replay(u.acked+1, func(entry journal.Entry) error {
		if entry.Kind == acceptanceKind || entry.Kind == shutKind {
			if len(batch) == depot.MaxUploadRecords || len(batch) > 0 && entry.Kind != kind {
				return errEnough
			}
			batch, kind = append(batch, entry.Payload), entry.Kind
		}
		upTo = entry.Seq
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return batch, kind, upTo, err
}
