package gtfs

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/form"
)

// Date is a day of the calendar, as YYYYMMDD counts: it can be compared with <.
type Date int

// DateOf is the day of an instant in its own location.
func DateOf(t time.Time) Date { return Date(t.Year()*10000 + int(t.Month())*100 + t.Day()) }

// Service is a set of days.
type Service struct {
	weekdays    [7]bool // by time.Weekday
	from, until Date
	changed     map[Date]bool // true: added, false: taken away
}

// On tells whether the service has a day.
func (s *Service) On(day Date, weekday time.Weekday) bool {
	if added, changed := s.changed[day]; changed {
		return added
	}
	return s.weekdays[weekday] && s.from <= day && day <= s.until
}

// SecondsOfDay are what timeframes are compared with.
func SecondsOfDay(t time.Time) int { return t.Hour()*3600 + t.Minute()*60 + t.Second() }

// In tells whether a moment, in the feed's timezone, lies in a timeframe.
func (f *Feed) In(frame Timeframe, at time.Time) bool {
	day, second := DateOf(at), SecondsOfDay(at)
	for _, span := range f.Timeframes[frame] {
		if span.FromSec <= second && second < span.UntilSec && f.Services[span.Service].On(day, at.Weekday()) {
			return true
		}
	}
	return false
}

var weekdayColumns = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

func (p *parser) readCalendar() {
	p.each("calendar.txt", append([]string{"service_id", "start_date", "end_date"}, weekdayColumns...), nil, func(row form.Row) {
		service := &Service{from: p.date(row, "start_date"), until: p.date(row, "end_date"), changed: map[Date]bool{}}
		for day, column := range weekdayColumns {
			service.weekdays[day] = p.number(row, column, 0, 1, 0) == 1
			p.id(row, column)
		}
		if service.until < service.from {
			p.fail(row.Fault("end_date", "before start_date"))
		}
		once(p, row, "service_id", p.feed.Services, service)
	})
}

func (p *parser) readCalendarDates() {
	p.each("calendar_dates.txt", []string{"service_id", "date", "exception_type"}, nil, func(row form.Row) {
		id, day := ServiceID(p.id(row, "service_id")), p.date(row, "date")
		service, known := p.feed.Services[id]
		if !known {
			service = &Service{changed: map[Date]bool{}}
			p.feed.Services[id] = service
		}
		if _, twice := service.changed[day]; twice {
			p.fail(row.Fault("date", "stands twice for this service"))
		}
		p.id(row, "exception_type")
		service.changed[day] = p.number(row, "exception_type", 1, 2, 1) == 1
	})
}

func (p *parser) date(row form.Row, column string) Date {
	text := row.Cell(column)
	day, err := time.Parse("20060102", text)
	if err != nil {
		p.fail(row.Fault(column, fmt.Sprintf("%q is no date, like 20260701", text)))
	}
	return DateOf(day)
}

func (p *parser) readTimeframes() {
	p.each("timeframes.txt", []string{"timeframe_group_id", "service_id"}, []string{"start_time", "end_time"}, func(row form.Row) {
		group := Timeframe(p.id(row, "timeframe_group_id"))
		p.id(row, "service_id")
		span := Span{UntilSec: 86400, Service: refer(p, row, "service_id", p.feed.Services, "calendar.txt or calendar_dates.txt")}
		if (row.Cell("start_time") == "") != (row.Cell("end_time") == "") {
			p.fail(row.Fault("start_time", "start_time and end_time stand together, or neither does"))
		}
		if row.Cell("start_time") != "" {
			span.FromSec, span.UntilSec = p.clock(row, "start_time"), p.clock(row, "end_time")
		}
		if span.UntilSec <= span.FromSec {
			p.fail(row.Fault("end_time", "not after start_time"))
		}
		for _, other := range p.feed.Timeframes[group] {
			if other.Service == span.Service && other.FromSec < span.UntilSec && span.FromSec < other.UntilSec {
				p.fail(row.Fault("start_time", fmt.Sprintf("overlaps another row of timeframe %q and service %q", group, span.Service)))
			}
		}
		p.feed.Timeframes[group] = append(p.feed.Timeframes[group], span)
	})
}

// clock reads a local time, 0:00:00 to 24:00:00.
func (p *parser) clock(row form.Row, column string) int {
	parts := strings.Split(row.Cell(column), ":")
	total, good := 0, len(parts) == 3
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		good = good && err == nil && n >= 0 && n < 60 && len(part) <= 2 && (i == 0 || len(part) == 2)
		total = total*60 + n
	}
	if !good || total > 86400 {
		p.fail(row.Fault(column, fmt.Sprintf("%q is no time of day from 0:00:00 to 24:00:00", row.Cell(column))))
		return 0
	}
	return total
}
