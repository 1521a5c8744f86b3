package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/shuama/shuama/protocol/record"
)

// tap is one holding of a phone to a gate.
type tap struct {
	rider   int
	kind    record.Kind
	at      time.Time
	line    string
	station string
}

// ride lets the city ride for a day, and puts each record on the pile of the day on which it comes.
func (m *month) ride(city *town, day int, random *rand.Rand, waiting [][][]byte) error {
	perDay := m.rides / monthDays
	for rider := range m.riders {
		for left := perDay; random.Float64() < left; left-- {
			for _, t := range outing(rider, day, random) {
				if err := m.hold(city, t, day, random, waiting); err != nil {
					return err
				}
			}
		}
	}
	pile := waiting[day]
	random.Shuffle(len(pile), func(i, j int) { pile[i], pile[j] = pile[j], pile[i] })
	return nil
}

// hold makes a record, and loses or delays it as often as the plan says.
func (m *month) hold(city *town, t tap, day int, random *rand.Rand, waiting [][][]byte) error {
	m.taps++
	comes := day
	switch fate := random.Float64(); {
	case fate < m.amiss/2:
		m.lost++
		return nil
	case fate < m.amiss:
		m.late++
		comes += 1 + random.IntN(latestDay)
	}
	raw, err := city.record(t, m.taps)
	if err != nil {
		return err
	}
	waiting[comes] = append(waiting[comes], raw)
	return nil
}

// outing is one ride, or a ride with a change.
func outing(rider, day int, random *rand.Rand) (taps []tap) {
	at := firstDay().AddDate(0, 0, day).Add(time.Duration(5*3600+random.IntN(16*3600)) * time.Second)
	bus := func() {
		taps = append(taps, tap{rider: rider, kind: record.Single, at: at, line: fmt.Sprint("bus", random.IntN(busLines))})
		at = at.Add(time.Duration(5+random.IntN(25)) * time.Minute)
	}
	train := func() {
		line, name, stops := fmt.Sprint("metro", random.IntN(metroLines)), "M", stations
		switch random.IntN(6) {
		case 0:
			line, name, stops = fmt.Sprint("rail", random.IntN(railLines)), "R", railStops
		case 1:
			line, name, stops = "tram", "T", tramStops
		}
		taps = append(taps, tap{rider, record.Entry, at, line, fmt.Sprint(name, random.IntN(stops))})
		at = at.Add(time.Duration(8+random.IntN(50)) * time.Minute)
		taps = append(taps, tap{rider, record.Exit, at, line, fmt.Sprint(name, random.IntN(stops))})
		at = at.Add(time.Duration(3+random.IntN(15)) * time.Minute)
	}
	switch random.IntN(10) {
	case 0, 1, 2, 3:
		bus()
	case 4, 5, 6, 7:
		train()
	case 8:
		bus()
		train()
	default:
		train()
		bus()
	}
	return taps
}

func (t *town) record(one tap, number int) ([]byte, error) {
	p := t.phones[one.rider]
	code, err := p.grant.Show(one.at, p.key)
	if err != nil {
		return nil, err
	}
	info := record.TerminalInfo{POSID: one.line + "-" + string(one.kind), Kind: one.kind, Subject: one.line, RecordID: fmt.Sprint(number), Line: one.line, Station: one.station}
	kept := record.Record{Version: record.Version1, Code: code, Terminal: info.JSON(), Time: one.at}
	return kept.Sign(userOf(one.rider), record.Legacy{})
}
