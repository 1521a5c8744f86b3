package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/terminal"
	"github.com/shuama/shuama/role/wallet"
)

// Why taps are refused. Those of honest riders are losses.
const (
	causeDrift    = "clock drift"
	causePower    = "power cut"
	causeRevoked  = "key revoked" // honest riders whose grant was signed with the key that leaked
	causeOther    = "other"
	causeDenied   = "deny list"
	causeNoGrant  = "no grant: owes or stopped"
	causeThief    = "leaked key, refused"
	thiefEvery    = 20 // taps, one is the thief's
	gateMemory    = 1 << 16
	recallRecords = 2000 // of a gate that has lost its power: more than are shown in ten minutes
)

// shard is a part of the city whose riders use its gates alone.
type shard struct {
	town   *town
	random *mathrand.Rand
	riders []*simRider
	gates  []*simGate
	tally  simTally
}

type simRider struct {
	id    ridecode.UserID
	phone *wallet.Wallet
	last  int64 // the second of the last code

	renewed bool // since the key was taken away
}

// simGate is a gate with its journal. It hears of new bundles while it has a network.
type simGate struct {
	*terminal.Terminal
	id       string
	line     int
	path     string
	journal  *journal.Journal
	signer   record.IntegritySigner
	drift    time.Duration
	away     time.Time // without a network until then
	cut      bool      // the power goes while the next record is written
	torn     bool      // it did
	accepted uint64
	uploaded uint64
	taps     int
	bundle   *trust.Bundle
}

func (t *town) makeShards(dir string) error {
	for n := range t.shards {
		t.shards[n] = &shard{town: t, random: mathrand.New(mathrand.NewPCG(t.plan.Seed, uint64(n))), tally: newSimTally()}
	}
	for n := range t.plan.Riders {
		s := t.shards[n%shardsCount]
		s.riders = append(s.riders, &simRider{id: riderID(n)})
	}
	for n := range t.plan.Gates {
		gate, err := t.makeGate(n, dir)
		if err != nil {
			return err
		}
		s := t.shards[n%shardsCount]
		s.gates = append(s.gates, gate)
	}
	return nil
}

func (t *town) makeGate(n int, dir string) (*simGate, error) {
	private, err := secp256k1.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	g := &simGate{id: fmt.Sprintf("gate%05d", n), line: n % t.plan.Lines, signer: record.TerminalSigner{Private: private}}
	g.path = filepath.Join(dir, g.id+".journal")
	if g.journal, err = journal.Open(g.path); err != nil {
		return nil, err
	}
	if t.random.Float64() < t.plan.Drift {
		g.drift = time.Duration(900+t.random.IntN(3600)) * time.Second
		if n%2 == 0 {
			g.drift = -g.drift
		}
	}
	t.terminals[g.id] = record.TerminalKey{Public: private.PublicKey()}
	g.Terminal = terminal.New(g, gateMemory)
	g.hear(t)
	return g, nil
}

// hear takes the newest bundle.
func (g *simGate) hear(t *town) {
	g.bundle = t.bundle
	g.Configure(terminal.Settings{Keys: t.ring, CardTypes: t.bundle.CardTypes(), Clock: t.bundle.Clock().Policy, Signer: g.signer, Chained: true,
		Rules: []terminal.Rule{bundleRule{t.bundle}}})
}

var errPower = errors.New("simulate: the power is gone")

// Keep is durable when it returns nil. A power cut leaves half a record in the file.
func (g *simGate) Keep(acceptance []byte) error {
	if !g.cut {
		_, err := g.journal.Append(1, acceptance)
		return err
	}
	file, err := os.OpenFile(g.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	g.torn = true
	_, err = file.Write(acceptance[:len(acceptance)/2])
	return errors.Join(errPower, err, file.Close())
}

// powerUp starts a gate from what is on its disk: exactly what it has opened for.
func (g *simGate) powerUp(t *town) (err error) {
	g.torn = false
	if err := g.journal.Close(); err != nil {
		return err
	}
	if g.journal, err = journal.Open(g.path); err != nil {
		return err
	}
	if g.journal.LastSeq() != g.accepted || g.journal.TornBytes() == 0 {
		return fmt.Errorf("simulate: %s has opened %d times, and has %d records after a power cut", g.id, g.accepted, g.journal.LastSeq())
	}
	g.Terminal = terminal.New(g, gateMemory)
	from := uint64(1)
	if g.accepted > recallRecords {
		from = g.accepted - recallRecords
	}
	now := t.now()
	err = g.journal.Replay(from, func(entry journal.Entry) error { return g.Recall(entry.Payload, ridecode.DefaultClock(), now) })
	g.hear(t)
	return err
}

// ride lets count riders ride within a tick.
func (s *shard) ride(ctx context.Context, from time.Time, count int, thief bool) error {
	for range count {
		at := from.Add(time.Duration(s.random.IntN(int(tick/time.Second))) * time.Second)
		gate := s.gates[s.random.IntN(len(s.gates))]
		if thief && s.random.IntN(thiefEvery) == 0 {
			if err := s.steal(gate, at); err != nil {
				return err
			}
			continue
		}
		if err := s.rideOnce(ctx, s.riders[s.random.IntN(len(s.riders))], gate, at); err != nil {
			return err
		}
	}
	return nil
}

func (s *shard) rideOnce(ctx context.Context, r *simRider, g *simGate, at time.Time) error {
	if at.Unix() <= r.last {
		at = time.Unix(r.last+1, 0).UTC()
	}
	r.last = at.Unix()
	if online := s.random.Float64() >= s.town.plan.Offline; online && s.town.revoked && !r.renewed {
		r.phone, r.renewed = nil, true
	}
	granted, err := s.town.refresh(ctx, r, at)
	if err != nil {
		return err
	}
	if !granted {
		s.tally.Refused[causeNoGrant]++
		return nil
	}
	code, err := r.phone.Present(at)
	if err != nil {
		return err
	}
	g.cut = s.random.Float64() < s.town.plan.PowerCut
	shared := s.random.Float64() < s.town.plan.Colluding
	verdict, err := s.tap(g, code, at, false)
	if err != nil {
		return err
	}
	if verdict == ridecode.QRCodeKeyExpired {
		r.phone, r.renewed = nil, true // it goes online, as the answer says
	}
	if other := s.gates[s.random.IntN(len(s.gates))]; shared && other != g {
		s.tally.Shared++
		_, err = s.tap(other, code, at.Add(20*time.Second), false)
	}
	return err
}

// refresh fetches a grant when there is none that holds: every week, or after the key behind it was taken away.
func (t *town) refresh(ctx context.Context, r *simRider, at time.Time) (bool, error) {
	if r.phone != nil && r.phone.Grant().Expires.After(at.Add(time.Hour)) {
		return true, nil
	}
	authorization, err := t.issuer.Authorize(ctx, codeissuer.Request{UserID: r.id}, at)
	if errors.Is(err, codeissuer.ErrNotQualified) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r.phone, err = wallet.New(authorization.Grant, authorization.UserKey)
	return err == nil, err
}

// tap shows a code to a gate, and notes what came of it.
func (s *shard) tap(g *simGate, code []byte, at time.Time, stolen bool) (ridecode.Verdict, error) {
	g.taps++
	fare := lineFare(g.line)
	info := record.TerminalInfo{POSID: g.id, Kind: record.Single, Subject: lineName(g.line), Line: lineName(g.line), RecordID: fmt.Sprintf("%s_%09d", g.id, g.taps)}
	got := g.Accept(code, terminal.Tap{POSParam: info.JSON(), AmountFen: fare}, at.Add(g.drift))
	s.tally.Presented++
	if got.Verdict == ridecode.Success {
		g.cut = false
		g.accepted++
		s.tally.Accepted++
		s.tally.TakenFen += fare
		if stolen {
			s.tally.Stolen++
		}
		return got.Verdict, nil
	}
	s.tally.Refused[causeOf(g, got.Verdict, stolen)]++
	g.cut = false
	if g.torn {
		s.tally.PowerCuts++
		return got.Verdict, g.powerUp(s.town)
	}
	return got.Verdict, nil
}

func causeOf(g *simGate, verdict ridecode.Verdict, stolen bool) string {
	switch {
	case stolen:
		return causeThief
	case verdict == ridecode.UserDenied:
		return causeDenied
	case g.torn:
		return causePower
	case g.drift != 0:
		return causeDrift
	case verdict == ridecode.QRCodeKeyExpired:
		return causeRevoked
	}
	return causeOther + ": " + verdict.String()
}

// steal lets somebody ride who has the institution's key, and no account.
func (s *shard) steal(g *simGate, at time.Time) error {
	key, err := secp192k1.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	grant := ridecode.Grant{UserID: ridecode.UserID(fmt.Sprintf("2088999%09d", s.random.IntN(1_000_000_000))), Expires: at.AddDate(0, 0, 7), ValidSec: 600,
		LimitFen: money.Fen(3000), CardType: ridecode.PlainCardType}
	grant.CardNo = ridecode.CardNo(grant.UserID)
	copy(grant.UserKey[:], key.PublicKey().Bytes())
	signed, err := grant.Sign(leakedKeyID, s.town.leaked)
	if err != nil {
		return err
	}
	phone, err := wallet.New(signed, key)
	if err != nil {
		return err
	}
	code, err := phone.Present(at)
	if err != nil {
		return err
	}
	_, err = s.tap(g, code, at, true)
	return err
}

func (s *shard) close() (err error) {
	for _, g := range s.gates {
		if g.journal != nil {
			err = errors.Join(err, g.journal.Close())
		}
	}
	return err
}
