//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shuama/shuama/internal/testkit/nodeclient"
)

// block is a fenced block of a document: what it is, and what is in it.
type block struct {
	line       int
	kind, text string
}

func blocksOf(t *testing.T, document string) []block {
	t.Helper()
	var blocks []block
	var open *block
	for i, line := range strings.SplitAfter(document, "\n") {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && open == nil:
			open = &block{line: i + 1, kind: fence}
		case isFence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		t.Fatalf("the block in line %d does not end", open.line)
	}
	return blocks
}

// exampleScript makes one shell script of all blocks that are run. Each writes into a file of its own.
func exampleScript(t *testing.T, dir string, blocks []block) (script string, run int) {
	t.Helper()
	var text strings.Builder
	text.WriteString("set -eu\ntrap 'kill %1 2>/dev/null' EXIT\n")
	for i, b := range blocks {
		output := fmt.Sprintf(" >example-%d.out 2>example-%d.err", i, i)
		switch b.kind {
		case "sh":
			fmt.Fprintf(&text, "{\n%s}%s\nexport RECORD=${RECORD:-} TRADE=${TRADE:-}\n", b.text, output)
		case "js":
			name := fmt.Sprintf("example-%d.js", i)
			if first, rest, _ := strings.Cut(b.text, "\n"); strings.HasPrefix(first, "// ") && strings.HasSuffix(first, ".js") {
				name, b.text = strings.TrimPrefix(first, "// "), rest
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&text, "node %s%s\n", name, output)
		default:
			continue
		}
		run++
	}
	return text.String(), run
}

// TestGatewayDocument runs every example of docs/gateway.md, in order, against a real server, and holds what came to
// what the document says.
func TestGatewayDocument(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "openssl", "node"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not here: make tools installs it", tool)
		}
	}
	dir := t.TempDir()
	linkClients(t, dir)
	if run, held := runDocument(t, "gateway.md", dir); run < 28 || held < 23 {
		t.Errorf("%d blocks run, %d answers held to: this test looks in the wrong place", run, held)
	}
}

// runDocument runs the blocks of a document in a folder, and holds the blocks that tell of an answer to what came.
func runDocument(t *testing.T, name, dir string) (run, held int) {
	t.Helper()
	if output, err := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "shuama"), ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	document := strings.ReplaceAll(string(content), "127.0.0.1:8080", freeAddress(t))
	blocks := blocksOf(t, document)
	script, run := exampleScript(t, dir, blocks)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-c", script)
	command.Dir, command.WaitDelay = dir, time.Minute
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the server that it starts ends with it
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	output, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, output)
	}
	for i, b := range blocks {
		if b.kind != "json" && b.kind != "text" {
			continue
		}
		got, _ := os.ReadFile(filepath.Join(dir, fmt.Sprintf("example-%d.out", i-1)))
		faults, _ := os.ReadFile(filepath.Join(dir, fmt.Sprintf("example-%d.err", i-1)))
		if !matches(b.text, string(got)) {
			t.Errorf("docs/%s, line %d: it says\n%s\nand what came is\n%s\n%s", name, b.line, b.text, got, faults)
		}
		held++
	}
	return run, held
}

// TestCardsDocument does the same for docs/cards.md.
func TestCardsDocument(t *testing.T) { testServedDocument(t, "cards.md", 9, 7) }

// TestRideDataDocument does the same for docs/ridedata.md: a tap comes to the rider's page, through real servers.
func TestRideDataDocument(t *testing.T) { testServedDocument(t, "ridedata.md", 9, 8) }

// TestRiskDocument does the same for docs/risk.md.
func TestRiskDocument(t *testing.T) { testServedDocument(t, "risk.md", 6, 4) }

func testServedDocument(t *testing.T, name string, leastRun, leastHeld int) {
	for _, tool := range []string{"bash", "curl", "awk"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not here: make tools installs it", tool)
		}
	}
	if run, held := runDocument(t, name, t.TempDir()); run < leastRun || held < leastHeld {
		t.Errorf("%d blocks run, %d answers held to: this test looks in the wrong place", run, held)
	}
}

// TestOfficeDocument does the same for docs/office.md.
func TestOfficeDocument(t *testing.T) { testServedDocument(t, "office.md", 7, 6) }

// matches lets … stand for anything on a line.
func matches(want, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(want)), "…", ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(strings.TrimSpace(got))
}

// linkClients puts the published client where node finds it.
func linkClients(t *testing.T, dir string) {
	t.Helper()
	packages := filepath.Join(nodeclient.Folder(t), "node_modules")
	if err := os.Mkdir(filepath.Join(dir, "node_modules"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(packages, "alipay-sdk-4"), filepath.Join(dir, "node_modules", "alipay-sdk")); err != nil {
		t.Fatal(err)
	}
}
