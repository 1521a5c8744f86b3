package conformance

import (
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed ask/ask.c
var librarySource []byte

// Library is a verifier in a shared library with the interface of document 2 §4.1: init_pos_verify and
// verify_qrcode_v2. It is loaded by a small program of its own, which is compiled here with cc, so that a
// library that crashes takes nothing along. Close removes the program.
type Library struct {
	Command
	dir string
}

// OpenLibrary compiles the program. Errors: no cc, no such library.
func OpenLibrary(path string) (*Library, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return nil, errors.New("a shared library is loaded by a small C program, and cc is missing: apt-get install gcc libc6-dev")
	}
	dir, err := os.MkdirTemp("", "shuama-conformance-library")
	if err != nil {
		return nil, err
	}
	l := &Library{Command{[]string{filepath.Join(dir, "ask"), path}, writeTabs, journalOf}, dir}
	if err := compile(compiler, dir); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// journalOf names a file for libraries that keep accepted codes over a restart, as ours does; others do not
// look at it.
func journalOf(stateDir string) []string {
	return []string{"POS_JOURNAL_FILE=" + filepath.Join(stateDir, "gate.journal")}
}

func compile(compiler, dir string) error {
	source := filepath.Join(dir, "ask.c")
	if err := os.WriteFile(source, librarySource, 0o600); err != nil {
		return err
	}
	said, err := exec.Command(compiler, "-O1", "-Wall", "-Wextra", "-Werror", "-o", filepath.Join(dir, "ask"), source, "-ldl").CombinedOutput()
	if err != nil {
		return fmt.Errorf("cc: %w\n%s", err, said)
	}
	return nil
}

// Close removes the program.
func (l *Library) Close() error { return os.RemoveAll(l.dir) }

// writeTabs writes a question so that C can read it without a JSON reader: before, key list, card types, code,
// amount and pos_param, with tabs between them.
func writeTabs(q Question) ([]byte, error) {
	keys, cards := "", ""
	if q.KeyList != nil {
		list, err := json.Marshal(q.KeyList)
		if err != nil {
			return nil, err
		}
		types, err := json.Marshal(q.CardTypes)
		if err != nil {
			return nil, err
		}
		keys, cards = string(list), string(types)
	}
	fields := []string{q.Before, keys, cards, hex.EncodeToString(q.Code), fmt.Sprint(q.AmountFen), q.POSParam}
	line := strings.Join(fields, "\t")
	if strings.Count(line, "\t") != len(fields)-1 || strings.ContainsAny(line, "\n\r\x00") {
		return nil, fmt.Errorf("%s: a tab, a line end or a zero in its texts", q.Case)
	}
	return []byte(line), nil
}
