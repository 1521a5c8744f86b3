//go:build cgo

package main

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/protocol/ridecode"
)

// acceptanceKind marks acceptance records in a journal, as in those of `shuama terminal`.
const acceptanceKind journal.Kind = 1

// errNoJournal shuts the gate: a journal was asked for, and there is none.
var errNoJournal = errors.New("the journal could not be opened again, see set_pos_journal")

// keeper is the terminal's Journal. With no path it keeps nothing and the firmware stores the records,
// as document 2 §4.1.4.1 has it. Its fields are guarded by the gate's mutex.
type keeper struct {
	path  string
	file  *journal.Journal // nil with a path: it could not be opened again, and nothing is accepted
	fault atomic.Bool      // an append failed: the file has to be opened again
}

// Keep answers once the record is on disk.
func (k *keeper) Keep(acceptance []byte) error {
	if k.path == "" {
		return nil
	}
	if k.file == nil {
		return errNoJournal
	}
	_, err := k.file.Append(acceptanceKind, acceptance)
	if err != nil {
		k.fault.Store(true)
	}
	return err
}

func (k *keeper) isWell() bool { return k.file != nil && !k.fault.Load() }

func (k *keeper) close() error {
	file := k.file
	k.path, k.file = "", nil
	if file == nil {
		return nil
	}
	return file.Close()
}

// files is what the environment asks for; empty: nothing.
type files struct{ signer, journal string }

// useFiles takes up the key file and the journal of the environment. A file that is named and cannot
// be used is an error: a gate must not fall back to weaker records, or to none, in silence.
func (g *gate) useFiles(files files) error {
	if files.signer != "" && (g.signer == nil || !g.signer.byCall) {
		made, err := readSigner(files.signer)
		if err != nil {
			return err
		}
		g.signer = &signer{IntegritySigner: made}
	}
	if files.journal == "" || g.journal.isWell() {
		return nil
	}
	return g.openJournal(files.journal)
}

// setJournal opens a journal and recalls the codes in it; with an empty path it closes the open one.
func (g *gate) setJournal(path string) error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if path == "" {
		return g.journal.close()
	}
	return g.openJournal(path)
}

// openJournal changes to the journal at path. If that fails, the one before stays in use; only the
// same file again is closed first, because a journal that a fault has shut is opened anew that way.
func (g *gate) openJournal(path string) error {
	if path == g.journal.path && g.journal.file != nil {
		_ = g.journal.file.Close() // it may be the file that failed: what counts is whether it opens
		g.journal.file = nil
	}
	opened, err := journal.Open(path)
	if err != nil {
		return err
	}
	if err := g.recall(opened); err != nil {
		return errors.Join(fmt.Errorf("journal: %s: %w", path, err), opened.Close())
	}
	_ = g.journal.close() // every record in it was synced when it was appended
	g.journal.path, g.journal.file = path, opened
	g.journal.fault.Store(false)
	return nil
}

// recall brings the codes of a journal back into the memory of accepted codes.
func (g *gate) recall(opened *journal.Journal) error {
	now := g.now()
	return opened.Replay(0, func(entry journal.Entry) error {
		if entry.Kind != acceptanceKind {
			return nil
		}
		return g.terminal.Recall(entry.Payload, ridecode.DefaultClock(), now)
	})
}
