package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/conformance"
)

// runConformance runs the command as the command line does.
func runConformance(t *testing.T, c conformanceCommand) (status int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	w := &world{context: t.Context(), stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, now: time.Now}
	status = report(w, c.Run(w))
	if status == exitMisuse {
		return status, stderr.String()
	}
	return status, stdout.String()
}

func wantAll(t *testing.T, c conformanceCommand, score string) {
	t.Helper()
	if status, out := runConformance(t, c); status != exitAccepted || !strings.Contains(out, score) || strings.Contains(out, "NO  ") {
		t.Errorf("%s: status %d\n%s", c.Against, status, out)
	}
}

// Our own gate gives every right answer, and each for the reason that the vector names.
func TestConformanceOwn(t *testing.T) {
	wantAll(t, conformanceCommand{Against: "own"}, "(100.0 %)")
	wantAll(t, conformanceCommand{Against: "own", Live: true}, "(100.0 %); 5 were not asked")
	vectors, err := conformance.ReadVectors()
	if err != nil {
		t.Fatal(err)
	}
	results, err := conformance.Run(t.Context(), ownVerifier{}, vectors)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if want := r.Vector.Steps()[r.Step-1].Check; r.Got.Check != want {
			t.Errorf("%s/%s: decided by %q, want %q", r.Vector.Group, r.Vector.Name, r.Got.Check, want)
		}
	}
}

// answerChild makes this test binary the command of a test below.
const answerChild = "SHUAMA_TEST_CONFORMANCE_ANSWER"

func TestConformanceAnswerChild(t *testing.T) {
	if os.Getenv(answerChild) == "" {
		return // not a test of its own
	}
	w := &world{context: context.Background(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now}
	os.Exit(report(w, (&conformanceCommand{Answer: true}).Run(w)))
}

// The same over the protocol of commands, every restart a killed process; and by hand, without a folder.
func TestConformanceCommand(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(answerChild, "1")
	wantAll(t, conformanceCommand{Against: "cmd:" + self + " -test.run=^TestConformanceAnswerChild$"}, "(100.0 %)")
}

func TestConformanceAnswers(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	line := `{"case":"a/b","step":1,"before":"start","key_list":null,"card_types":null,"code":"02","pos_param":"{}","amount_cents":1,"at":1795219200}`
	for input, want := range map[string]string{
		line:               `{"verdict":-9,"check":"initialized"}`,
		line + "\n\n":      "", // an empty line is no question
		"{}\n":             "",
		`{"code":"0"}`:     "",
		`{"verdict": 1`:    "",
		line + "\n" + line: strings.Repeat(`{"verdict":-9,"check":"initialized"}`+"\n", 2),
	} {
		var out, faults bytes.Buffer
		w := &world{context: t.Context(), stdin: strings.NewReader(input), stdout: &out, stderr: &faults, now: time.Now}
		if status := report(w, (&conformanceCommand{Answer: true}).Run(w)); want != "" && (status != exitAccepted || strings.TrimSpace(out.String()) != strings.TrimSpace(want)) || want == "" && status != exitMisuse {
			t.Errorf("%q: status %d, %q, %s", input, status, out.String(), faults.String())
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The same over HTTP, with one gate a case behind it.
func TestConformanceHTTP(t *testing.T) {
	var mutex sync.Mutex
	gates := map[string]*ownSession{}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		line, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		q, err := conformance.ParseQuestion(line)
		if err != nil {
			t.Error(err)
		}
		mutex.Lock()
		defer mutex.Unlock()
		if gates[q.Case] == nil {
			gates[q.Case] = &ownSession{dir: t.TempDir()}
			t.Cleanup(func() { gates[q.Case].Close() })
		}
		answer, err := gates[q.Case].Ask(r.Context(), q)
		if err != nil {
			t.Error(err)
		}
		json.NewEncoder(out).Encode(answer)
	}))
	defer server.Close()
	wantAll(t, conformanceCommand{Against: server.URL, Group: []string{"replay", "clock", "genuine"}}, "Score: 50 of 50")
}

// The terminal SDK, built as it ships, is held to the same through its C interface.
func TestConformanceLibrary(t *testing.T) {
	processor := map[string]string{"amd64": "x86_64", "arm64": "arm64", "386": "i686", "arm": "armhf"}[runtime.GOARCH]
	build := exec.Command("../libposoffline/build.sh", processor)
	dir := t.TempDir()
	build.Env = append(os.Environ(), "OUT="+dir)
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	library := "so:" + filepath.Join(dir, processor, "libposoffline.so")
	wantAll(t, conformanceCommand{Against: library}, "(100.0 %); 5 were not asked")
}

// A gate that opens for everybody is shown with what it allows, and the exit status says so.
func TestConformanceMisses(t *testing.T) {
	open := `cmd:sh -c 'while read -r line; do echo "{\"verdict\": 1}"; done'`
	status, out := runConformance(t, conformanceCommand{Against: open, Group: []string{"stripped", "genuine"}, Verbose: true})
	for _, said := range []string{"LET THROUGH", "stripped/both-empty, step 1", "want MALFORMED_QRCODE (-1), got SUCCESS (1)", "document 1 §6.3.2",
		"allows: anybody writes codes of any rider without any key", "ok  genuine/plain", "Score: 18 of 32 (56.2 %); 14 attacks were let through"} {
		if !strings.Contains(out, said) {
			t.Errorf("%q is not said", said)
		}
	}
	if status != exitRefused {
		t.Errorf("status %d\n%s", status, out)
	}
	var answer reportJSON
	status, out = runConformance(t, conformanceCommand{Against: open, Group: []string{"replay"}, JSON: true})
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	if status != exitRefused || answer.Cases != 16 || answer.Asked != 16 || answer.Right != 1 || len(answer.Listed) != 15 ||
		answer.Outcomes[conformance.LetThrough] == 0 || answer.Listed[0].Allows == "" || answer.Groups[0].Name != "replay" {
		t.Errorf("status %d: %+v", status, answer)
	}
}

func TestConformanceMisuse(t *testing.T) {
	for name, c := range map[string]struct {
		command conformanceCommand
		want    string
	}{
		"unknown group":    {conformanceCommand{Against: "own", Group: []string{"repaly"}}, "none of genuine"},
		"unknown verifier": {conformanceCommand{Against: "mine"}, "none of own"},
		"no library":       {conformanceCommand{Against: "so:none.so"}, "no such file"},
		"empty command":    {conformanceCommand{Against: "cmd:"}, "none of own"},
	} {
		if status, said := runConformance(t, c.command); status != exitMisuse || !strings.Contains(said, c.want) {
			t.Errorf("%s: status %d, %s", name, status, said)
		}
	}
}
