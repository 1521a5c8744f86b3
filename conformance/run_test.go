package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// fixed is a verifier that says the same of every code: the two kinds of broken gate.
type fixed struct {
	verdict ridecode.Verdict
	err     error
}

func (f fixed) Begin(context.Context) (Session, error) { return f, nil }
func (f fixed) Ask(context.Context, Question) (Answer, error) {
	return Answer{Verdict: f.verdict}, f.err
}
func (f fixed) Close() error { return nil }

func count(results []Result) map[Outcome]int {
	counts := map[Outcome]int{}
	for _, r := range results {
		counts[r.Outcome]++
	}
	return counts
}

func vectors(t *testing.T) []Vector {
	t.Helper()
	all, err := ReadVectors()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A gate that is always open fails every attack, one that is always shut every genuine code, and a dead
// one everything.
func TestBrokenVerifiersAreFound(t *testing.T) {
	all := vectors(t)
	genuine := 0
	for _, v := range all {
		if v.Expect == "SUCCESS" && len(v.Then) == 0 {
			genuine++
		}
	}
	run := func(v Verifier) map[Outcome]int {
		results, err := Run(t.Context(), v, all)
		if err != nil {
			t.Fatal(err)
		}
		return count(results)
	}
	if got := run(fixed{verdict: ridecode.Success}); got[Right] != genuine+1 || got[LetThrough] != len(all)-genuine-1 { // and a rider's next code
		t.Errorf("an open gate: %v of %d, %d genuine", got, len(all), genuine)
	}
	if got := run(fixed{verdict: ridecode.MalformedQRCode}); got[TurnedAway] < genuine || got[LetThrough] != 0 || got[OtherReason] == 0 {
		t.Errorf("a shut gate: %v", got)
	}
	if got := run(fixed{err: errors.New("dead")}); got[NoAnswer] != len(all) {
		t.Errorf("a dead gate: %v", got)
	}
}

// Live, cases that need a set clock are not asked, and the others are asked at the moment that it is.
func TestLive(t *testing.T) {
	now := time.Date(2030, 5, 6, 7, 8, 9, 987, time.UTC)
	asked := &clockCheck{t: t, at: now.Truncate(time.Second)}
	results, err := RunLive(t.Context(), asked, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	if got := count(results); got[NotAsked] != 5 || len(results) != len(vectors(t)) || asked.count == 0 {
		t.Errorf("%v", got)
	}
	if results, err := RunLive(t.Context(), asked, func() time.Time { return now }, "replay", "der"); err != nil || results[0].Vector.Group != "der" || len(results) > 40 {
		t.Errorf("%d cases of two groups: %v", len(results), err)
	}
}

type clockCheck struct {
	t     *testing.T
	at    time.Time
	count int
}

func (c *clockCheck) Begin(context.Context) (Session, error) { return c, nil }
func (c *clockCheck) Close() error                           { return nil }
func (c *clockCheck) Ask(_ context.Context, q Question) (Answer, error) {
	c.count++
	if !q.At.Equal(c.at) {
		c.t.Errorf("%s is asked at %s", q.Case, q.At)
	}
	return Answer{}, nil
}

// A case whose answer came in another second is asked anew, for that second.
func TestLiveAsksAgainWhenTheClockTicks(t *testing.T) {
	ticks := 0
	now := func() time.Time { ticks++; return At().Add(time.Duration(ticks) * 400 * time.Millisecond) }
	counter := &clockCount{}
	if _, err := RunLive(t.Context(), counter, now, "precedence"); err != nil {
		t.Fatal(err)
	}
	if cases := 6; counter.begun <= cases || counter.begun > cases*liveTries {
		t.Errorf("begun %d times", counter.begun)
	}
}

type clockCount struct {
	fixed
	begun int
}

func (c *clockCount) Begin(context.Context) (Session, error) { c.begun++; return c, nil }

// The line of the protocol comes back as the question that it was.
func TestQuestionLine(t *testing.T) {
	for _, v := range vectors(t) {
		for i, step := range v.Steps() {
			want, err := questionOf(v, i, step)
			if err != nil {
				t.Fatal(err)
			}
			line, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseQuestion(line)
			again, _ := json.Marshal(got)
			if err != nil || string(again) != string(line) || strings.Contains(string(line), "\n") {
				t.Fatalf("%s: %v: %s", want.Case, err, line)
			}
			if tabs, err := writeTabs(want); err != nil || strings.Count(string(tabs), "\t") != 5 {
				t.Errorf("%s: %v: %s", want.Case, err, tabs)
			}
		}
	}
}

func ask(t *testing.T, v Verifier, questions ...Question) (answers []Answer, errs []error) {
	t.Helper()
	session, err := v.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, q := range questions {
		answer, err := session.Ask(t.Context(), q)
		answers, errs = append(answers, answer), append(errs, err)
	}
	return answers, errs
}

func question(before string) Question {
	return Question{Case: "a/b", Before: before, KeyList: []Key{{0, "02"}}, CardTypes: []string{"ANT00001"}, Code: []byte{2, 1}, POSParam: "{}", AmountFen: 200, At: At()}
}

// A command starts with every start and restart, and what it keeps in its folder is there after a restart
// alone.
func TestCommandStateAndRestart(t *testing.T) {
	script := `sh -c 'n=$(cat "$SHUAMA_CONFORMANCE_STATE/n" 2>/dev/null || echo 0); while read -r line; do n=$((n+1)); echo $n >"$SHUAMA_CONFORMANCE_STATE/n"; echo "{\"verdict\": -$n}"; done'`
	c := Shell(script)
	for range 2 { // a second case begins at nothing
		answers, errs := ask(t, c, question(Start), question(""), question(Restart), question(Init))
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for i, want := range []ridecode.Verdict{-1, -2, -3, -4} {
			if answers[i].Verdict != want {
				t.Errorf("answer %d is %d", i, answers[i].Verdict)
			}
		}
	}
}

// Programs that die, say nonsense or nothing give no answer, and the error says what happened.
func TestCommandFaults(t *testing.T) {
	for name, c := range map[string]struct{ command, want string }{
		"dies":       {`sh -c 'read line; echo boom >&2; kill -SEGV $$'`, "segmentation fault"},
		"says why":   {`sh -c 'read line; echo boom >&2; exit 7'`, "exit status 7: boom"},
		"nonsense":   {`sh -c 'read line; echo SUCCESS; sleep 1'`, "not {\"verdict\""},
		"no verdict": {`sh -c 'read line; echo "{}"; sleep 1'`, "no verdict"},
		"too large":  {`sh -c 'read line; echo "{\"verdict\": 257}"; sleep 1'`, "cannot have"},
		"error":      {`sh -c 'read line; echo "{\"error\": \"no keys\"}"; sleep 1'`, "no keys"},
		"not there":  {`/nonexistent/verifier`, "ended without an answer"},
	} {
		_, errs := ask(t, Shell(c.command), question(Start))
		if errs[0] == nil || !strings.Contains(errs[0].Error(), c.want) {
			t.Errorf("%s: %v", name, errs[0])
		}
	}
	if _, errs := ask(t, Shell(`sh -c 'read line; exit'`), question(Start), question("")); errs[1] == nil || !strings.Contains(errs[1].Error(), "gone") {
		t.Errorf("asked a dead program: %v", errs[1])
	}
}

func TestAddress(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line, _ := io.ReadAll(r.Body)
		q, err := ParseQuestion(line)
		if err != nil || r.Method != http.MethodPost || q.AmountFen != 200 {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		w.Write([]byte(`{"verdict": -12, "check": "duplicate"}`))
	}))
	defer server.Close()
	address := &Address{URL: server.URL, Client: server.Client()}
	bad := question(Start)
	bad.AmountFen = 1
	answers, errs := ask(t, address, question(Start), bad)
	if errs[0] != nil || answers[0] != (Answer{ridecode.QRCodeDuplicated, "duplicate"}) {
		t.Errorf("%v, %v", answers[0], errs[0])
	}
	if errs[1] == nil || !strings.Contains(errs[1].Error(), "400") {
		t.Errorf("%v", errs[1])
	}
}

// fixedLibrary is a library whose answers are numbers that say what it was given: it shows that every field
// arrives, that crashes are told, and that writing behind a buffer is noticed.
const fixedLibrary = `
#include <string.h>
#include <stdlib.h>
static int keys_ok, inits;
struct request { unsigned char *code; int size; char *pos; int amount; };
struct response { char *uid; int uid_len; char *record; int record_len; };
int init_pos_verify(const char *keys, const char *cards) {
	inits++;
	keys_ok = !strcmp(keys, "[{\"key_id\":0,\"public_key\":\"02\"}]") && !strcmp(cards, "[\"ANT00001\"]");
	return keys_ok ? 1 : -10;
}
int verify_qrcode_v2(struct request *q, struct response *a) {
	if (!keys_ok) return -9;
	if (q->amount == 1) abort();
	if (q->amount == 2) a->uid[a->uid_len] = 'x';
	if (q->size != 2 || q->code[0] != 2 || q->code[1] != 1 || strcmp(q->pos, "{}") != 0) return -1;
	return -q->amount - inits;
}
`

func TestLibrary(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Fatal("cc is missing: apt-get install gcc libc6-dev")
	}
	dir := t.TempDir()
	source, path := filepath.Join(dir, "fixed.c"), filepath.Join(dir, "fixed.so")
	if err := os.WriteFile(source, []byte(fixedLibrary), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("cc", "-shared", "-fPIC", "-o", path, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	library, err := OpenLibrary(path)
	if err != nil {
		t.Fatal(err)
	}
	defer library.Close()
	amount := func(before string, cents int64) Question { q := question(before); q.AmountFen = cents; return q }
	bare := amount(Start, 20)
	bare.KeyList = nil
	wrongKeys := question(Start)
	wrongKeys.KeyList = []Key{}
	for name, c := range map[string]struct {
		questions []Question
		want      ridecode.Verdict
		err       string
	}{
		"initialised once":       {[]Question{amount(Start, 20)}, -21, ""},
		"asked twice":            {[]Question{amount(Start, 20), amount("", 30)}, -31, ""},
		"initialised again":      {[]Question{amount(Start, 20), amount(Init, 30)}, -32, ""},
		"restarted":              {[]Question{amount(Start, 20), amount(Init, 20), amount(Restart, 20)}, -21, ""},
		"never initialised":      {[]Question{bare}, -9, ""},
		"initialising fails":     {[]Question{wrongKeys}, 0, "init_pos_verify answered -10"},
		"crashes":                {[]Question{amount(Start, 1)}, 0, "abort"},
		"writes behind a buffer": {[]Question{amount(Start, 2)}, 0, "wrote behind a buffer"},
	} {
		answers, errs := ask(t, library, c.questions...)
		last := len(errs) - 1
		if answers[last].Verdict != c.want || (errs[last] == nil) != (c.err == "") || errs[last] != nil && !strings.Contains(errs[last].Error(), c.err) {
			t.Errorf("%s: %v, %v", name, answers[last], errs[last])
		}
	}
	if _, err := OpenLibrary(filepath.Join(dir, "none.so")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no library: %v", err)
	}
	text, err := OpenLibrary(source)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	if _, errs := ask(t, text, question(Start)); errs[0] == nil || !strings.Contains(errs[0].Error(), "fixed.c") {
		t.Errorf("a text file as a library: %v", errs[0])
	}
}
