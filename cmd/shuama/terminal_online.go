package main

import (
	"context"
	"fmt"
	"time"

	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/terminal"
)

const checkOnline = "online"

// decideOnline asks the payment institution, through the merchant, while the rider waits (document 1
// §5.5.1). The record is in the journal already: whatever happens here, it is brought again later as
// the same trade, so an answer that comes too late moves no money twice.
//
// Without an answer the line's policy decides. Where it does not go on offline, the record is taken back:
// the merchant is told that nobody rode, and charges nobody unless it had sent the trade already.
func (g *gateRun) decideOnline(ctx context.Context, w *world, got terminal.Acceptance) terminal.Acceptance {
	waiting, cancel := context.WithTimeout(ctx, time.Duration(g.settings.OnlineMs)*time.Millisecond)
	defer cancel()
	decision, err := g.depot.Decide(waiting, got.Record)
	if err != nil {
		w.tell("online: " + err.Error())
	}
	switch {
	case err == nil && (decision.State == merchant.Settled || decision.State == merchant.Free):
		got.Trace.Pass(checkOnline, "the payment institution has settled it")
	case err == nil && decision.State == merchant.Failed:
		got.Trace.Fail(checkOnline, ridecode.OnlineRefused, "the payment institution refuses: "+decision.Reason)
	case g.settings.OnlineElse == "open":
		got.Trace.Pass(checkOnline, "not decided in time: this line goes on offline")
	default:
		got.Trace.Fail(checkOnline, ridecode.OnlineRefused, fmt.Sprintf("not decided within %d ms, and this line does not go on offline", g.settings.OnlineMs))
	}
	return g.concluded(got)
}

// concluded writes what became of a pending record, before the gate opens.
func (g *gateRun) concluded(got terminal.Acceptance) terminal.Acceptance {
	open := got.Trace.Verdict() == ridecode.Success
	if g.keepAs() == pendingKind {
		kind := map[bool]journal.Kind{true: acceptanceKind, false: shutKind}[open]
		if _, err := g.journal.Append(kind, got.Record); err != nil {
			got.Trace.Fail(terminal.CheckJournal, ridecode.SystemError, "what became of the record could not be kept, so the gate stays shut: "+err.Error())
			open = false
		}
	}
	if !open {
		return terminal.Acceptance{Verdict: got.Trace.Verdict(), Trace: got.Trace}
	}
	return got
}
