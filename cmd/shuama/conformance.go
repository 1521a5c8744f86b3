package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/shuama/shuama/conformance"
)

type conformanceCommand struct {
	Against string   `help:"Whom to ask: own (the default), so:FILE, cmd:COMMAND, or an http address." default:"own" placeholder:"VERIFIER"`
	Live    bool     `help:"Sign every case anew for the present moment, for verifiers that have the system's clock and no other. A library is always asked so."`
	Group   []string `help:"Cases of this group only; may be repeated." placeholder:"NAME" sep:"none"`
	JSON    bool     `help:"Report as one JSON object." name:"json"`
	Verbose bool     `help:"List the cases that went well, too."`
	Answer  bool     `help:"Be the verifier that is asked: read questions as JSON lines from standard input, and answer."`
}

// Help is what --help shows below the flags.
func (conformanceCommand) Help() string {
	return `Puts attacks and genuine codes to a verifier of ride codes, and scores its verdicts: signatures that are
stripped, swapped, downgraded or the attacker's own, wrong hashes, other notations of DER, bodies that are
written anew, lengths that lie, times outside the signed range, clocks, replay over a restart.

A command gets one JSON line a question on standard input:
  {"case":"replay/twin","step":1,"before":"start","key_list":[{"key_id":0,"public_key":"02…"}],
   "card_types":["ANT00001"],"code":"0201…","pos_param":"{…}","amount_cents":200,"at":1795219200}
and answers {"verdict": -12}, numbered as in document 2 §4.1.5. An http address gets the same in a POST.
"at" is the clock. Before is "start" (a verifier that has never seen a code), "init" (lists given anew),
"restart" (after a power cut) or absent; without key_list the verifier is not initialised. A command is
started for every start and restart, with SHUAMA_CONFORMANCE_STATE naming a folder that outlives a
restart. It must be a simple command of the shell; for more, write cmd:"sh -c '…'".

A library has the interface of document 2 §4.1 and is loaded by a small C program, compiled with cc.
The files and their form: conformance/vectors, docs/CONFORMANCE.md.

Exit status: 0 every answer is right, 1 some are not, 2 misuse.

Examples:
  shuama conformance
  shuama conformance --against so:./libposoffline.so
  shuama conformance --against cmd:"./my-verifier --json" --group replay --verbose
  shuama conformance --against http://127.0.0.1:8080/verify --live --json`
}

// Run asks and reports.
func (c *conformanceCommand) Run(w *world) error {
	if c.Answer {
		return answerQuestions(w)
	}
	if err := c.checkGroups(); err != nil {
		return err
	}
	verifier, done, err := c.verifier()
	if err != nil {
		return fmt.Errorf("--against: %w", err)
	}
	defer done()
	results, err := c.ask(w, verifier)
	if err != nil {
		return err
	}
	report := scoreOf(c.Against, c.live(), results)
	if c.JSON {
		err = report.writeJSON(w.stdout, c.Verbose)
	} else {
		err = report.writeText(w.stdout, c.Verbose)
	}
	if err == nil && report.all.right() != report.all.asked() {
		return refusal{}
	}
	return err
}

func (c *conformanceCommand) checkGroups() error {
	names, _ := conformance.GroupNames()
	for _, group := range c.Group {
		if !slices.Contains(names, group) {
			return fmt.Errorf("--group %q: none of %s", group, strings.Join(names, ", "))
		}
	}
	return nil
}

func (c *conformanceCommand) live() bool { return c.Live || strings.HasPrefix(c.Against, "so:") }

func (c *conformanceCommand) verifier() (_ conformance.Verifier, done func(), err error) {
	done = func() {}
	kind, value, _ := strings.Cut(c.Against, ":")
	switch {
	case c.Against == "own":
		return ownVerifier{}, done, nil
	case kind == "so" && value != "":
		library, err := conformance.OpenLibrary(value)
		if err != nil {
			return nil, done, err
		}
		return library, func() { library.Close() }, nil
	case kind == "cmd" && value != "":
		return conformance.Shell(value), done, nil
	case kind == "http" || kind == "https":
		return &conformance.Address{URL: c.Against, Client: http.DefaultClient}, done, nil
	}
	return nil, done, fmt.Errorf("%q is none of own, so:FILE, cmd:COMMAND, http://…", c.Against)
}

func (c *conformanceCommand) ask(w *world, verifier conformance.Verifier) ([]conformance.Result, error) {
	if c.live() {
		return conformance.RunLive(w.context, verifier, w.now, c.Group...)
	}
	vectors, err := conformance.ReadVectors()
	if err != nil {
		return nil, err
	}
	if len(c.Group) > 0 {
		vectors = slices.DeleteFunc(vectors, func(v conformance.Vector) bool { return !slices.Contains(c.Group, v.Group) })
	}
	return conformance.Run(w.context, verifier, vectors)
}

// answerQuestions is the other side of cmd: and the example of one. What it accepted is on disk, in the folder
// that the asker names.
func answerQuestions(w *world) (err error) {
	dir := os.Getenv(conformance.StateVariable)
	if dir == "" {
		if dir, err = os.MkdirTemp("", "shuama-conformance"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	session := &ownSession{dir: dir}
	defer func() { err = errors.Join(err, session.shut()) }()
	lines := bufio.NewReader(w.stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		question, err := conformance.ParseQuestion(line)
		if err != nil {
			return err
		}
		answer, err := session.Ask(w.context, question)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(w.stdout).Encode(answer); err != nil {
			return err
		}
	}
}
