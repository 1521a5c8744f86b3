package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/depot"
)

// A small correction is taken; a large one, an uncertain one and silence are told, and change nothing.
func TestGateClock(t *testing.T) {
	machine := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	step := time.Duration(0) // what the machine's clock goes on between question and answer
	now := func() time.Time { at := machine; machine = machine.Add(step); return at }
	ahead := 30 * time.Second
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(out).Encode(depot.Clock{UnixMilli: machine.Add(ahead).UnixMilli()})
	}))
	client := &depot.Client{URL: server.URL, HTTP: server.Client(), Now: now}
	clock := &gateClock{machine: now}
	offset := func() time.Duration { clock.mutex.Lock(); defer clock.mutex.Unlock(); return clock.offset }
	for _, c := range []struct {
		name        string
		ahead, step time.Duration
		says        string
		want        time.Duration
	}{
		{"small", 30 * time.Second, 0, "", 30 * time.Second},
		{"large", 61 * time.Second, 0, "set the machine's clock", 30 * time.Second},
		{"uncertain", 10 * time.Second, 6 * time.Second, "uncertain by 3s", 30 * time.Second},
		{"behind", -20 * time.Second, 0, "", -20 * time.Second},
	} {
		ahead, step = c.ahead, c.step
		said := clock.measure(t.Context(), client, nil, time.Minute)
		if offset() != c.want || (said == "") != (c.says == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: offset %s, %q", c.name, offset(), said)
		}
	}
	server.Close()
	if said := clock.measure(t.Context(), client, nil, time.Minute); !strings.Contains(said, "nobody to compare with") || offset() != -20*time.Second {
		t.Errorf("silence: %q, offset %s", said, offset())
	}
}
