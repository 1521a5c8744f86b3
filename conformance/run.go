package conformance

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// Question is what a verifier is asked: one step of one case. As JSON it is one line of the protocol that
// commands and HTTP addresses speak.
type Question struct {
	Case      string   // GROUP/NAME
	Step      int      // from 1
	Before    string   // Start, Init, Restart or nothing
	KeyList   []Key    // for init_pos_verify (document 2 §4.1.2.6); nil: the verifier is not initialised
	CardTypes []string // the same
	Code      []byte
	POSParam  string
	AmountFen int64
	At        time.Time // the clock
}

// Key is one institution key.
type Key struct {
	ID     int    `json:"key_id"`
	Public string `json:"public_key"`
}

// MarshalJSON writes the line:
//
//	{"case":"replay/twin","step":1,"before":"start","key_list":[{"key_id":0,"public_key":"02…"}],
//	 "card_types":["ANT00001"],"code":"0201…","pos_param":"{…}","amount_cents":200,"at":1795219200}
func (q Question) MarshalJSON() ([]byte, error) {
	return json.Marshal(questionLine{q.Case, q.Step, q.Before, q.KeyList, q.CardTypes, hex.EncodeToString(q.Code), q.POSParam, q.AmountFen, q.At.Unix()})
}

type questionLine struct {
	Case      string   `json:"case"`
	Step      int      `json:"step"`
	Before    string   `json:"before,omitempty"`
	KeyList   []Key    `json:"key_list"`
	CardTypes []string `json:"card_types"`
	Code      string   `json:"code"`
	POSParam  string   `json:"pos_param"`
	AmountFen int64    `json:"amount_cents"`
	At        int64    `json:"at"`
}

// ParseQuestion reads the line.
func ParseQuestion(line []byte) (Question, error) {
	var l questionLine
	if err := json.Unmarshal(line, &l); err != nil {
		return Question{}, fmt.Errorf("question: %w", err)
	}
	code, err := hex.DecodeString(l.Code)
	if err != nil {
		return Question{}, fmt.Errorf("question: code: %w", err)
	}
	return Question{l.Case, l.Step, l.Before, l.KeyList, l.CardTypes, code, l.POSParam, l.AmountFen, time.Unix(l.At, 0).UTC()}, nil
}

// Answer is a verifier's: the number of document 2 §4.1.5, and for those who can tell the check that decided.
type Answer struct {
	Verdict ridecode.Verdict `json:"verdict"`
	Check   string           `json:"check,omitempty"`
}

// Verifier is what is held to the suite.
type Verifier interface {
	// Begin gives a verifier that has never seen a code, for one case.
	Begin(ctx context.Context) (Session, error)
}

// Session is a verifier during one case.
type Session interface {
	// Ask does what Question.Before says, and verifies the code. An error means that there was no answer.
	Ask(ctx context.Context, q Question) (Answer, error)
	Close() error
}

// Outcome is how a case ended.
type Outcome string

// The outcomes, from good to worst.
const (
	Right       Outcome = "right"
	OtherReason Outcome = "other_reason" // refused, and with another verdict than it should be
	TurnedAway  Outcome = "turned_away"  // refused, and should have been accepted
	NoAnswer    Outcome = "no_answer"    // it crashed, hung or said something else
	LetThrough  Outcome = "let_through"  // accepted, and should have been refused
	NotAsked    Outcome = "not_asked"    // the case needs a clock that can be set
)

// Result is one case put to a verifier. Of a case that went wrong it has the first wrong step.
type Result struct {
	Vector  Vector
	Outcome Outcome
	Step    int // from 1
	Want    ridecode.Verdict
	Got     Answer
	Err     error
}

// Run puts every vector to the verifier, each at its own clock.
func Run(ctx context.Context, verifier Verifier, vectors []Vector) ([]Result, error) {
	var results []Result
	for _, vector := range vectors {
		result, err := runOne(ctx, verifier, vector)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, ctx.Err()
}

func runOne(ctx context.Context, verifier Verifier, vector Vector) (Result, error) {
	session, err := verifier.Begin(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("the verifier does not start: %w", err)
	}
	defer session.Close()
	for i, step := range vector.Steps() {
		q, err := questionOf(vector, i, step)
		if err != nil {
			return Result{}, err
		}
		want, err := verdictOf(step.Expect)
		if err != nil {
			return Result{}, err
		}
		got, err := session.Ask(ctx, q)
		if outcome := judge(want, got, err); outcome != Right {
			return Result{vector, outcome, i + 1, want, got, err}, ctx.Err()
		}
		if i == len(vector.Then) {
			return Result{vector, Right, i + 1, want, got, nil}, nil
		}
	}
	return Result{}, ctx.Err()
}

func judge(want ridecode.Verdict, got Answer, err error) Outcome {
	switch {
	case err != nil:
		return NoAnswer
	case got.Verdict == want:
		return Right
	case got.Verdict == ridecode.Success:
		return LetThrough
	case want == ridecode.Success:
		return TurnedAway
	}
	return OtherReason
}

func questionOf(v Vector, index int, s Step) (Question, error) {
	at, err := s.Instant()
	if err != nil {
		return Question{}, fmt.Errorf("%s/%s: %w", v.Group, v.Name, err)
	}
	q := Question{Case: v.Group + "/" + v.Name, Step: index + 1, Before: s.Before, CardTypes: s.CardTypes, Code: s.Bytes, POSParam: s.POSParam, AmountFen: int64(s.AmountFen), At: at}
	if index == 0 {
		q.Before = Start
	}
	for _, line := range s.Keys {
		id, public, _ := strings.Cut(line, "=")
		number, err := strconv.Atoi(id)
		if err != nil {
			return Question{}, fmt.Errorf("%s: key %q: %w", q.Case, line, err)
		}
		q.KeyList = append(q.KeyList, Key{number, public})
	}
	return q, nil
}

// verdictOf finds the number of a verdict's name.
func verdictOf(name string) (ridecode.Verdict, error) {
	for number := ridecode.Verdict(1); number >= -64; number-- {
		if number.String() == name {
			return number, nil
		}
	}
	return 0, fmt.Errorf("no verdict is called %q", name)
}

// liveTries is how often a case is asked whose answer came in another second than it was signed for.
const liveTries = 5

// RunLive puts every case to a verifier that has the system's clock: each is signed anew for the moment it
// is asked. Cases that need another clock are not asked, and say so. Without names of groups, all are put.
func RunLive(ctx context.Context, verifier Verifier, now func() time.Time, only ...string) ([]Result, error) {
	var results []Result
	for _, g := range groups() {
		if len(only) > 0 && !slices.Contains(only, g.name) {
			continue
		}
		for _, r := range g.cases {
			result, err := runLive(ctx, verifier, now, g, r)
			if err != nil {
				return nil, err
			}
			results = append(results, result)
		}
	}
	return results, ctx.Err()
}

// runLive asks again where the clock ticked in between: cases at the edge of a second would be judged by
// the wrong one.
func runLive(ctx context.Context, verifier Verifier, now func() time.Time, g group, r recipe) (result Result, err error) {
	for range liveTries {
		at := now().Truncate(time.Second)
		vector := r.vector(g, at)
		if r.clock {
			return Result{Vector: vector, Outcome: NotAsked}, nil
		}
		result, err = runOne(ctx, verifier, vector)
		if err != nil || result.Outcome == Right || now().Truncate(time.Second).Equal(at) {
			return result, err
		}
	}
	return result, nil
}
