package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/shuama/shuama/conformance"
	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/terminal"
)

// ownVerifier is this program's gate: the terminal and the journal of `shuama terminal`.
type ownVerifier struct{}

// Begin makes a folder for a journal.
func (ownVerifier) Begin(context.Context) (conformance.Session, error) {
	dir, err := os.MkdirTemp("", "shuama-conformance")
	if err != nil {
		return nil, err
	}
	return &ownSession{dir: dir, temporary: true}, nil
}

// ownSession is one gate with its journal in dir.
type ownSession struct {
	dir       string
	temporary bool
	gate      *gateRun // nil: shut
}

// Ask starts, restarts or initialises the gate, and holds the code to it.
func (s *ownSession) Ask(_ context.Context, q conformance.Question) (conformance.Answer, error) {
	if q.Before == conformance.Start || q.Before == conformance.Restart {
		if err := errors.Join(s.shut(), s.open(q)); err != nil {
			return conformance.Answer{}, err
		}
	}
	if s.gate == nil {
		return conformance.Answer{}, fmt.Errorf("%s: the first question of a case must say start", q.Case)
	}
	if q.Before != "" && q.KeyList != nil {
		settings, err := settingsOf(q)
		if err != nil {
			return conformance.Answer{}, err
		}
		s.gate.Configure(settings)
	}
	got := s.gate.Accept(q.Code, terminal.Tap{POSParam: []byte(q.POSParam), AmountFen: money.Fen(q.AmountFen)}, q.At)
	return conformance.Answer{Verdict: got.Verdict, Check: failedCheck(got.Trace)}, nil
}

// open reads back what was accepted before.
func (s *ownSession) open(q conformance.Question) error {
	opened, err := journal.Open(filepath.Join(s.dir, "gate.journal"))
	if err != nil {
		return err
	}
	s.gate = &gateRun{Terminal: terminal.New(journalKeeper{opened, acceptanceKind}, rememberedCodes), journal: opened}
	return s.gate.recall(ridecode.DefaultClock(), q.At)
}

func settingsOf(q conformance.Question) (terminal.Settings, error) {
	var keys []trust.Key
	for _, line := range q.KeyList {
		key, err := trust.ParseKey(line.ID, line.Public)
		if err != nil {
			return terminal.Settings{}, err
		}
		keys = append(keys, key)
	}
	ring, err := trust.NewKeyRing(keys, trust.WindowSmall)
	if err != nil {
		return terminal.Settings{}, err
	}
	settings := terminal.Settings{Keys: ring, Clock: ridecode.DefaultClock(), Signer: record.Legacy{}}
	for _, cardType := range q.CardTypes {
		settings.CardTypes = append(settings.CardTypes, ridecode.CardType(cardType))
	}
	return settings, nil
}

func failedCheck(trace ridecode.Trace) string {
	for _, check := range trace.Checks {
		if !check.OK {
			return check.Name
		}
	}
	return ""
}

func (s *ownSession) shut() error {
	if s.gate == nil {
		return nil
	}
	opened := s.gate.journal
	s.gate = nil
	return opened.Close()
}

// Close removes the journal.
func (s *ownSession) Close() error {
	err := s.shut()
	if s.temporary {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}
