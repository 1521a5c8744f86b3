package payment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// Errors of appeals, for errors.Is.
var (
	ErrNoFinding   = errors.New("payment: no such finding of this rider: see shuama risk show")
	ErrAppealWords = errors.New("payment: an appeal says who decides and why, in 1 to 200 printable characters each")
)

const appealWordsMax = 200 // characters

func (a Appeal) check() error {
	for _, words := range []string{a.Who, a.Reason} {
		if words == "" || len([]rune(words)) > appealWordsMax || !isPrintable(words) {
			return ErrAppealWords
		}
	}
	return nil
}

// AppealFinding sets a finding aside (申诉), at once. The same again does nothing: the first appeal stands.
func (p *Payment) AppealFinding(ctx context.Context, user ridecode.UserID, no int, appeal Appeal) error {
	appeal.At = storedTime(appeal.At)
	return p.appeal(ctx, user, appeal, func(known knownRider, body []byte) (Changes, error) {
		for _, f := range known.findings {
			switch {
			case f.No == no && f.Appeal != nil:
				return Changes{}, nil
			case f.No == no:
				return Changes{Risk: []RiskEntry{{User: user, Kind: RiskAppeal, At: f.at, Key: f.key, Body: body}}}, nil
			}
		}
		return Changes{}, ErrNoFinding
	})
}

// AppealDoubles forgets a rider's double codes, and keeps who has decided it.
func (p *Payment) AppealDoubles(ctx context.Context, user ridecode.UserID, appeal Appeal) error {
	appeal.At = storedTime(appeal.At)
	return p.appeal(ctx, user, appeal, func(known knownRider, body []byte) (Changes, error) {
		if known.Doubles == 0 {
			return Changes{}, ErrNoFinding
		}
		key := fmt.Sprintf("%s%d", pardonKey, known.Doubles)
		known.Doubles = 0
		return Changes{Riders: []Rider{known.Rider}, Risk: []RiskEntry{{User: user, Kind: RiskAppeal, At: appeal.At, Key: key, Body: body}}}, nil
	})
}

// pardonKey begins the name of an appeal that forgot so many double codes.
const pardonKey = string(RuleDoubles) + "/"

func pardonsOf(entries []RiskEntry) (pardons []Pardon) {
	for _, entry := range entries {
		count, is := strings.CutPrefix(entry.Key, pardonKey)
		if entry.Kind != RiskAppeal || !is {
			continue
		}
		pardon := Pardon{Appeal: Appeal{Reason: "it cannot be read"}}
		pardon.Doubles, _ = strconv.Atoi(count)
		_ = json.Unmarshal(entry.Body, &pardon.Appeal)
		pardons = append(pardons, pardon)
	}
	return pardons
}

func (p *Payment) appeal(ctx context.Context, user ridecode.UserID, appeal Appeal, decide func(knownRider, []byte) (Changes, error)) error {
	if err := appeal.check(); err != nil {
		return err
	}
	body, err := json.Marshal(appeal)
	if err != nil {
		return err
	}
	return p.store.Update(ctx, riderNeed(p.bucket(user), user), func(state State) (Changes, error) {
		known := riderOf(state, user)
		if !known.exists {
			return Changes{}, ErrNoAccount
		}
		return decide(known, body)
	})
}

// EachStanding visits the riders of whom rules have found something, bucket by bucket.
func (p *Payment) EachStanding(ctx context.Context, now time.Time, visit func(Standing) error) error {
	for bucket := range p.store.Buckets() {
		err := p.eachFound(ctx, bucket, func(known knownRider) error {
			return visit(p.policy.judge(known, p.policy.Risk.New.Rides, now))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachFound visits the riders of a bucket of whom something was found.
func (p *Payment) eachFound(ctx context.Context, bucket int, visit func(knownRider) error) error {
	var users []ridecode.UserID
	flush := func() error {
		state, err := p.store.View(ctx, ridersNeed(bucket, users...))
		for _, user := range users {
			if err == nil {
				err = visit(riderOf(state, user))
			}
		}
		users = users[:0]
		return err
	}
	last := ridecode.UserID("")
	err := p.store.EachFinding(ctx, bucket, func(entry RiskEntry) error {
		if entry.User == last {
			return nil
		}
		last = entry.User
		if users = append(users, last); len(users) == watchChunk {
			return flush()
		}
		return nil
	})
	if err != nil || len(users) == 0 {
		return err
	}
	return flush()
}
