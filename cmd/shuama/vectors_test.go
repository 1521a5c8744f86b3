package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/protocol/ridecode"
)

// inspect says of every shared vector what the vector says.
func TestInspectVectors(t *testing.T) {
	for _, v := range testkit.ReadVectors(t, "../../testdata/vectors") {
		args := []string{"inspect", "--json", hex.EncodeToString(v.Bytes)}
		for _, key := range v.Keys {
			args = append(args, "--key", key)
		}
		if v.At != "" {
			args = append(args, "--at", v.At)
		}
		var out, faults bytes.Buffer
		w := &world{context: context.Background(), stdin: strings.NewReader(""), stdout: &out, stderr: &faults, now: time.Now}
		status := run(w, args)
		var got inspected
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v: %s", v.Name, err, faults.String())
		}
		if got.Kind != v.Kind || got.Verdict != v.Expect || (status == exitAccepted) != (v.Expect == "SUCCESS") || status == exitMisuse {
			t.Errorf("%s (%s): %s %s, status %d, want %s", v.Name, v.About, got.Kind, got.Verdict, status, v.Expect)
		}
		if decided := firstFailed(got); decided != v.Check {
			t.Errorf("%s: decided by %q, want %q", v.Name, decided, v.Check)
		}
	}
}

// inspected is what a program reads of inspect --json.
type inspected struct {
	Kind    string
	Verdict string
	Checks  []checkJSON
}

func firstFailed(got inspected) string {
	for _, check := range got.Checks {
		if !check.OK {
			return check.Name
		}
	}
	return ""
}

// No flip of a bit anywhere makes inspect accept a code or a record; and what is refused is refused
// without a panic.
func TestInspectBitFlips(t *testing.T) {
	for _, v := range testkit.ReadVectors(t, "../../testdata/vectors") {
		if v.Expect != "SUCCESS" {
			continue
		}
		x := vectorInspector(t, v)
		for bit := range len(v.Bytes) * 8 {
			flipped := bytes.Clone(v.Bytes)
			flipped[bit/8] ^= 1 << (bit % 8)
			if found := x.inspect(flipped); found.trace.Verdict() == ridecode.Success {
				t.Errorf("%s: bit %d of byte %d flipped, and it is accepted", v.Name, bit%8, bit/8)
			}
		}
	}
}

func vectorInspector(t *testing.T, v testkit.Vector) *inspector {
	t.Helper()
	c := &inspectCommand{Key: v.Keys, At: v.At}
	x, err := c.inspector(&world{now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return x
}
