package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// hardDay is a small city where everything goes wrong.
func hardDay(args ...string) []string {
	return append([]string{"simulate", "--riders", "80", "--gates", "16", "--rides", "700", "--days", "2", "--drift", "0.2", "--power-cut", "0.03", "--duplicate", "0.3",
		"--lost", "0.2", "--poor", "0.3", "--denied", "0.1", "--colluding", "0.05"}, args...)
}

func simulateHard(t *testing.T, args ...string) (status int, result simulated, said string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	var out, fault bytes.Buffer
	status = run(&world{context: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &fault, now: time.Now}, hardDay(append(args, "--json", file)...))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err, fault.String())
	}
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	return status, result, out.String()
}

// Whatever goes wrong, every fen is explained; and the same seed is the same city.
func TestSimulate(t *testing.T) {
	status, first, said := simulateHard(t)
	if status != exitAccepted || !first.Explained || !strings.Contains(said, "Every fen is explained.") {
		t.Fatalf("status %d\n%s", status, said)
	}
	f := first.Faults
	if f.PowerCuts == 0 || f.Outages == 0 || f.UploadedTwice == 0 || f.LostOnLine == 0 || f.Shared == 0 || f.Stolen == 0 {
		t.Errorf("something did not happen: %+v", f)
	}
	for _, cause := range []string{causeDrift, causePower, causeRevoked, causeDenied, causeNoGrant, causeThief} {
		if first.Refused[cause] == 0 {
			t.Errorf("nobody was refused for: %s", cause)
		}
	}
	status, again, _ := simulateHard(t)
	for _, r := range []*simulated{&first, &again} {
		r.LastedSec, r.RidesASecond, r.Minutes = 0, 0, nil
	}
	if status != exitAccepted || !reflect.DeepEqual(first, again) {
		t.Errorf("the same seed, and another city:\n%+v\n%+v", first, again)
	}
	if _, other, _ := simulateHard(t, "--seed", "2"); reflect.DeepEqual(first.Money, other.Money) {
		t.Error("another seed, and the same city")
	}
}

// A record that never leaves its gate is missed, and so is a fen.
func TestSimulateFindsWhatIsLost(t *testing.T) {
	w := &world{context: t.Context(), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, now: time.Now}
	for name, lose := range map[string]func(*town){
		"a record": func(city *town) { city.shards[3].gates[0].uploaded++ },
		"a top-up": func(city *town) { city.tally.ToppedUpFen++ },
	} {
		plan := simulateCommand{Riders: 40, Gates: 16, Lines: 2, Days: 1, Rides: 200, Seed: 1}
		city, err := foundTown(w, plan, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		lose(city)
		if err := city.live(t.Context()); err != nil {
			t.Fatal(err)
		}
		result, err := city.account(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if result.Explained {
			t.Errorf("%s is lost, and everything is explained: %+v", name, result)
		}
		if err := plan.tell(w, result); err == nil {
			t.Errorf("%s is lost, and the command is content", name)
		}
		if err := city.close(); err != nil {
			t.Error(err)
		}
	}
}

// Who does not want to wait gets what there is.
func TestSimulateInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out, fault bytes.Buffer
	stop := &stopAt{text: "rides", cancel: cancel, to: &fault}
	status := run(&world{context: ctx, stdin: strings.NewReader(""), stdout: &out, stderr: stop, now: time.Now}, hardDay("--days", "1000"))
	if status != exitAccepted || !strings.Contains(out.String(), "Interrupted") || !strings.Contains(out.String(), "Every fen is explained.") {
		t.Errorf("status %d\n%s\n%s", status, out.String(), fault.String())
	}
}

// stopAt presses Ctrl-C when it reads a text.
type stopAt struct {
	text   string
	cancel func()
	to     *bytes.Buffer
}

// Write reads.
func (s *stopAt) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(s.text)) {
		s.cancel()
	}
	return s.to.Write(b)
}

// A real browser shows the page: with nothing from elsewhere, and no script.
func TestSimulatePage(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("this test needs Chromium: apt-get install chromium")
	}
	page := filepath.Join(t.TempDir(), "report.html")
	_, result, _ := simulateHard(t, "--report", page)
	shot := filepath.Join(t.TempDir(), "shot.png")
	for _, action := range []string{"--dump-dom", "--screenshot=" + shot} {
		got, err := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--window-size=400,1600", action, "file://"+page).Output()
		if err != nil {
			t.Fatal(err)
		}
		if action == "--dump-dom" && (!bytes.Contains(got, []byte("每一分钱都有着落")) || !bytes.Contains(got, []byte(result.Money[0].Yuan())) || bytes.Contains(got, []byte("http"))) {
			t.Errorf("the page does not say it:\n%s", got)
		}
	}
	if info, err := os.Stat(shot); err != nil || info.Size() < 20_000 {
		t.Errorf("no picture of the page: %v", err)
	}
}

func TestSimulateSteadiness(t *testing.T) {
	even := []minute{{10, 5 << 20}, {100, 50 << 20}, {105, 50 << 20}, {95, 51 << 20}, {102, 50 << 20}, {98, 52 << 20}}
	if got := steadiness(even); !strings.HasPrefix(got, "steady") {
		t.Error(got)
	}
	slower := append([]minute{}, even...)
	slower[5].Rides = 70
	growing := append([]minute{}, even...)
	growing[5].HeapBytes = 90 << 20
	for _, bad := range [][]minute{slower, growing} {
		if got := steadiness(bad); !strings.HasPrefix(got, "not steady") {
			t.Error(got)
		}
	}
}

func TestSimulateRidesInTick(t *testing.T) {
	for _, rides := range []int{1, 7, 2500, 99_999} {
		sum := 0
		for n := range ticksADay {
			sum += ridesInTick(rides, n)
		}
		if sum != rides {
			t.Errorf("%d rides of %d in a day", sum, rides)
		}
	}
}
