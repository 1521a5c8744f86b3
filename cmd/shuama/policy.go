package main

import (
	"fmt"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/payment"
)

// policySettings is what a city decides for itself, in city.json; what is left out is as payment.DefaultPolicy
// has it.
type policySettings struct {
	DayEnds          string `json:"day_ends,omitempty"`           // 日切, Beijing time, as 23:00; 24:00 is midnight
	SettleWithinDays int    `json:"settle_within_days,omitempty"` // 结算时间
	DenyAbove        string `json:"deny_above,omitempty"`         // yuan owed, above which a rider is denied
	DenyAfterHours   *int   `json:"deny_after_hours,omitempty"`   // and after which
	PayBothDoubles   bool   `json:"pay_both_doubles,omitempty"`   // both gates are paid for a code that both took
	DenyAfterDoubles *int   `json:"deny_after_doubles,omitempty"` // so many such codes deny a rider; 0 never
	PasswordAbove    string `json:"password_above,omitempty"`     // yuan of an online trade, above which the password is asked for

	Risk riskSettings `json:"risk,omitzero"`
}

func (s policySettings) policy() (payment.Policy, error) {
	p := payment.DefaultPolicy()
	if s.DayEnds != "" {
		ends, err := parseTimeOfDay(s.DayEnds)
		if err != nil {
			return p, fmt.Errorf("city.json: payment: day_ends: %w", err)
		}
		p.DayEnds = ends
	}
	if s.SettleWithinDays > 0 {
		p.SettleWithin = time.Duration(s.SettleWithinDays) * 24 * time.Hour
	}
	if s.DenyAfterHours != nil {
		p.Debt.DenyAfter = time.Duration(*s.DenyAfterHours) * time.Hour
	}
	if s.DenyAfterDoubles != nil {
		p.Doubles.DenyAfter = *s.DenyAfterDoubles
	}
	p.Doubles.PayBoth = s.PayBothDoubles
	for _, amount := range []struct {
		name, text string
		to         *money.Fen
	}{{"deny_above", s.DenyAbove, &p.Debt.DenyAboveFen}, {"password_above", s.PasswordAbove, &p.Online.PasswordAboveFen}} {
		if amount.text == "" {
			continue
		}
		fen, err := money.ParseYuan(amount.text)
		if err != nil {
			return p, fmt.Errorf("city.json: payment: %s: %w", amount.name, err)
		}
		*amount.to = fen
	}
	return p, s.Risk.apply(&p.Risk)
}

// parseTimeOfDay reads 00:01 to 24:00.
func parseTimeOfDay(text string) (time.Duration, error) {
	if text == "24:00" {
		return 24 * time.Hour, nil
	}
	at, err := time.Parse("15:04", text)
	if err != nil || at.Hour() == 0 && at.Minute() == 0 {
		return 0, fmt.Errorf("%.10q is not a time of day from 00:01 to 24:00", text)
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute, nil
}
