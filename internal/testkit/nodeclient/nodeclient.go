// Package nodeclient runs the field's published clients for tests (已发布的开放平台客户端): the npm package alipay-sdk,
// versions 3.6.2 and 4.14.0, as package-lock.json pins them. They are a stranger's view of the platform.
package nodeclient

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/shuama/shuama/protocol/openapi"
)

// Folder is where the programs and the clients are; they are installed when they are not.
func Folder(t testing.TB) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not here: apt-get install nodejs npm", tool)
		}
	}
	dir, output, err := install()
	if err != nil {
		t.Fatalf("npm ci --prefix edge/gateway/testdata/node failed: %v\n%s", err, output)
	}
	return dir
}

var installed = struct {
	once   sync.Once
	dir    string
	output []byte
	err    error
}{}

func install() (dir string, output []byte, err error) {
	installed.once.Do(func() {
		installed.dir, installed.err = find()
		if installed.err != nil {
			return
		}
		if _, err := os.Stat(filepath.Join(installed.dir, "node_modules", "ajv")); err == nil {
			return
		}
		command := exec.Command("npm", "ci", "--no-audit", "--no-fund")
		command.Dir = installed.dir
		installed.output, installed.err = command.CombinedOutput()
	})
	return installed.dir, installed.output, installed.err
}

// find looks for the folder from the test's own upwards.
func find() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return filepath.Join(dir, "edge", "gateway", "testdata", "node"), nil
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
		} else {
			err = os.ErrNotExist
		}
	}
	return "", err
}

// Run gives a program of the folder a task, as JSON, and reads its answer.
func Run(t testing.TB, program string, task, into any) {
	t.Helper()
	text, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("node", filepath.Join(Folder(t), program))
	command.Stdin = bytes.NewReader(text)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, complaints.String())
	}
	if err := json.Unmarshal(output, into); err != nil {
		t.Fatalf("%v in %s", err, output)
	}
}

// Call is a call of a method, or a notice that the client is to believe or not.
type Call struct {
	Method  openapi.Method    `json:"method"`
	Params  map[string]any    `json:"params,omitempty"`
	Options map[string]any    `json:"options,omitempty"`
	Notify  map[string]string `json:"notify,omitempty"`
}

// Result is what a client has made of an answer.
type Result struct {
	Answer map[string]any `json:"answer"`
	Error  string         `json:"error"`
}

// Calls makes calls with the client of a version, 3 or 4, signatures of answers checked.
func Calls(t testing.TB, client int, config map[string]any, calls ...Call) []Result {
	t.Helper()
	var results []Result
	Run(t, "call.js", map[string]any{"client": client, "config": config, "calls": calls}, &results)
	if len(results) != len(calls) {
		t.Fatalf("%d results of %d calls", len(results), len(calls))
	}
	return results
}
