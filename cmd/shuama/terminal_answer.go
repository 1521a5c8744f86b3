package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/shuama/shuama/edge/prompt"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/terminal"
)

// tell answers a tap: to whoever reads standard output, to the rider by voice, to the gate by its hook.
func (g *gateRun) tell(w *world, got terminal.Acceptance) {
	user := ""
	if got.Code != nil {
		user = string(got.Code.Grant.UserID)
	}
	g.answer(w, prompt.Explain(&got.Trace, record.Kind(g.settings.Kind), g.clock.now()), user)
	var err error
	if g.json {
		err = writeTapJSON(w.stdout, got)
	} else {
		_, err = fmt.Fprintln(w.stdout, tapText(got))
	}
	g.told(w, err)
}

// answer opens the gate first: a rider waits for that, and not for words.
func (g *gateRun) answer(w *world, p prompt.Prompt, user string) {
	if g.hook != nil {
		event := prompt.Event{Prompt: p, User: ridecode.UserID(user)}
		g.hooks.Go(func() {
			if result := g.hook.Run(context.WithoutCancel(w.context), event); result.Err != nil {
				w.tell("hook: " + result.Err.Error())
			}
		})
	}
	if g.voice != nil {
		g.voice.Say(p)
	}
}

func tapText(got terminal.Acceptance) string {
	if got.Verdict != ridecode.Success {
		return fmt.Sprintf("%s (%d)  %s\n  %s", got.Verdict, got.Verdict, got.Trace.Reason(), adviceOf(got.Verdict))
	}
	grant := got.Code.Grant
	return fmt.Sprintf("SUCCESS (1)  user %s, card %s %s; record of %d bytes is on disk", grant.UserID, grant.CardType, grant.CardNo.Mask(), len(got.Record))
}

// tapJSON is one line of terminal --json.
type tapJSON struct {
	Verdict  string `json:"verdict"`
	Number   int    `json:"verdict_number"`
	Reason   string `json:"reason,omitempty"`
	UserID   string `json:"user_id,omitempty"`
	CardType string `json:"card_type,omitempty"`
	CardNo   string `json:"card_no,omitempty"`
	Record   string `json:"record,omitempty"`
}

func writeTapJSON(out io.Writer, got terminal.Acceptance) error {
	line := tapJSON{Verdict: got.Verdict.String(), Number: int(got.Verdict), Reason: got.Trace.Reason()}
	if got.Code != nil {
		grant := got.Code.Grant
		line.UserID, line.CardType, line.CardNo = string(grant.UserID), string(grant.CardType), string(grant.CardNo)
		line.Record = hex.EncodeToString(got.Record)
	}
	return writeLine(out, line)
}

func writeLine(out io.Writer, line tapJSON) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(line)
}

// told tells a keeper that nobody reads the answers any more; the gate goes on.
func (g *gateRun) told(w *world, err error) {
	if err != nil {
		w.tell(err.Error())
	}
}

// refusalDocument is a refused code as the journal keeps it, for disputes and for finding fraud
// (terminal-facts R8).
type refusalDocument struct {
	At      time.Time   `json:"at"`
	Code    string      `json:"code"` // hex; its end is cut off where a stranger's bytes are too many
	Size    int         `json:"size"`
	Verdict string      `json:"verdict"`
	Checks  []checkJSON `json:"checks"`
}

// refusedBytes bounds what is kept of a refused code: any real one fits.
const refusedBytes = ridecode.MaxSize

// keepRefused keeps a refused code. Where that fails nothing is lost that anybody is owed, so the gate
// goes on, and the keeper is told by the next acceptance that fails.
func (g *gateRun) keepRefused(code []byte, got terminal.Acceptance, now time.Time) {
	document := refusalDocument{At: now, Code: hex.EncodeToString(code[:min(len(code), refusedBytes)]), Size: len(code),
		Verdict: got.Verdict.String()}
	for _, check := range got.Trace.Checks {
		document.Checks = append(document.Checks, checkJSON(check))
	}
	content, err := json.Marshal(document)
	if err == nil {
		_, _ = g.journal.Append(refusalKind, content)
	}
}
