package main

import (
	"context"
	"fmt"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/terminal"
)

const checkOnline = "online"

// decideOnline asks the payment institution, through the merchant, while the rider waits (document 1
// §5.5.1). The record is in the journal already: whatever happens here, it is brought again later as
// the same trade, so an answer that comes too late moves no money twice.
//
// Without an answer the line's policy decides. A line that refuses then should know that the rider may
// have been charged by an answer that was lost.
func (g *gateRun) decideOnline(ctx context.Context, got terminal.Acceptance) terminal.Acceptance {
	waiting, cancel := context.WithTimeout(ctx, time.Duration(g.settings.OnlineMs)*time.Millisecond)
	defer cancel()
	decision, err := g.depot.Decide(waiting, got.Record)
	switch {
	case err == nil && decision.State == merchant.Settled:
		got.Trace.Pass(checkOnline, "the payment institution has settled it")
		return got
	case err == nil && decision.State == merchant.Failed:
		got.Trace.Fail(checkOnline, ridecode.OnlineRefused, "the payment institution refuses: "+decision.Reason)
	case g.settings.OnlineElse == "open":
		got.Trace.Pass(checkOnline, "no answer in time: this line goes on offline")
		return got
	default:
		got.Trace.Fail(checkOnline, ridecode.OnlineRefused, fmt.Sprintf("no answer within %d ms, and this line does not go on offline", g.settings.OnlineMs))
	}
	return terminal.Acceptance{Verdict: got.Trace.Verdict(), Trace: got.Trace}
}
