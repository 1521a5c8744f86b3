package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run this program as a user does, each in an empty folder; they can be read as a manual.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"shuama": main})
}

func TestScripts(t *testing.T) {
	vectors, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("VECTORS", vectors+"/../../testdata/vectors")
			return nil
		}})
}

// The demo tells its story to the end, and leaves nothing behind.
func TestDemo(t *testing.T) {
	var out, faults bytes.Buffer
	t.Setenv("TMPDIR", t.TempDir())
	w := &world{context: context.Background(), stdin: strings.NewReader(""), stdout: &out, stderr: &faults, now: time.Now}
	if status := run(w, []string{"demo"}); status != exitAccepted {
		t.Fatalf("status %d: %s\n%s", status, faults.String(), out.String())
	}
	for _, said := range []string{"SUCCESS", "MALFORMED_QRCODE (-1)", "QRCODE_INFO_EXPIRED (-2)", "QRCODE_DUPLICATED (-12)", "CARDTYPE_UNSUPPORTED (-8)",
		"QUOTA_EXCEEDED (-5)", "CONTEXT_INCONSISTENT", "CARD_OVERDUE", "on cards 9.00 - owed 0.00 + rides 4.00", "postings that sum to 0.00", "Every balance is proven"} {
		if !strings.Contains(out.String(), said) {
			t.Errorf("the demo does not say %q", said)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Every command explains itself with an example.
func TestHelpHasExamples(t *testing.T) {
	for _, command := range []string{"demo", "inspect", "keys init", "keys app", "keys terminal", "keys list", "keys ca", "app list", "app show",
		"app allow", "app forbid", "app rotate-key", "app certificate", "app revoke", "app encrypt", "app limit", "app address", "app card-type", "app disable",
		"app enable", "app remove", "app openapi", "account open", "account top-up",
		"account audit", "serve", "wallet fetch", "wallet show", "terminal", "merchant collect", "merchant settle", "merchant serve", "merchant gaps",
		"merchant list", "merchant statement", "merchant complete", "merchant recount", "merchant ridedata", "merchant reconcile", "merchant differences", "merchant resolve", "merchant unsettled", "sms list", "risk show", "risk list", "risk appeal", "fare check", "fare explain", "fare replay", "trust deny", "trust allow", "trust publish", "trust show", "conformance", "account agree",
		"card type add", "card type list", "card type gate-key", "card issue", "card top-up", "card refund", "card suspend", "card resume", "card revoke", "card close",
		"card show", "card list", "card history", "card push", "card audit"} {
		var out bytes.Buffer
		w := &world{context: context.Background(), stdin: strings.NewReader(""), stdout: &out, stderr: &out, now: time.Now}
		status := run(w, append(strings.Fields(command), "--help"))
		if status != exitAccepted || !strings.Contains(out.String(), "shuama "+command) || !strings.Contains(out.String(), "Example") {
			t.Errorf("shuama %s --help: status %d\n%s", command, status, out.String())
		}
	}
}
