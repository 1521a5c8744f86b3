package postgres

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shuama/shuama/internal/testkit/pgserver"
)

// failoverRounds is how often the leader is killed: make failover does it twenty times.
var failoverRounds = flag.Int("failovers", 2, "how often TestLeaderKilled kills the leader")

// serviceWait is how long nobody may be served (issue: back within 15 s by itself).
const serviceWait = 15 * time.Second

// Three machines under Patroni, strictly synchronous. The one that leads is killed whole, under load, again and
// again: what was acknowledged is there, once, and service is back by itself, with the same books open all along.
func TestLeaderKilled(t *testing.T) {
	m, err := pgserver.NewMachines(3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Remove)
	if err := m.Create(t.Context(), "books"); err != nil {
		t.Fatal(err)
	}
	load := newCrashLoad(t, openURL(t, m.URL("books")).Payment())
	var away []time.Duration
	for round := range *failoverRounds {
		load.during(t, true, func() {
			load.waitFor(t, load.count()+rand.IntN(300*crashBatch))
			killed := m.Leader()
			away = append(away, killLeader(t, m, killed, load))
			t.Logf("round %d: %s is gone; served again after %s", round+1, killed.Name, away[round].Round(10*time.Millisecond))
			if err := m.Start(killed); err != nil {
				t.Fatal(err)
			}
			if err := m.WaitWhole(); err != nil {
				t.Fatal(err)
			}
		})
		load.check(t)
	}
	slices.Sort(away)
	t.Logf("%d sales acknowledged, %d repeated by the caller; nobody was served for %s at least, %s in the middle, %s at most",
		load.count(), load.unknown, away[0].Round(time.Millisecond), away[len(away)/2].Round(time.Millisecond), away[len(away)-1].Round(time.Millisecond))
	if longest := away[len(away)-1]; longest > serviceWait {
		t.Errorf("nobody was served for %s", longest)
	}
}

// killLeader waits until more is acknowledged than can have been under way.
func killLeader(t *testing.T, m *pgserver.Machines, leader *pgserver.Machine, load *crashLoad) time.Duration {
	t.Helper()
	if leader == nil {
		t.Fatal("nobody leads")
	}
	if err := m.Kill(leader); err != nil {
		t.Fatal(err)
	}
	killed, before := time.Now(), load.count()
	load.waitFor(t, before+(crashWriters+1)*crashBatch)
	return time.Since(killed)
}
