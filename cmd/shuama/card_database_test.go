package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/internal/testkit/pgserver"
)

// A card book in PostgreSQL does what one in a file does, and stays where it was made.
func TestCardBookInPostgres(t *testing.T) {
	database, err := pgserver.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Remove)
	name, err := database.CreateNew()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	office := filepath.Join(dir, "merchant")
	said := func(want int, command ...string) string {
		t.Helper()
		var out bytes.Buffer
		w := &world{context: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &out, now: time.Now}
		if status := run(w, command); status != want {
			t.Fatalf("shuama %v: %s", command, out.String())
		}
		return out.String()
	}
	said(0, "keys", "init", filepath.Join(dir, "city"))
	said(0, "keys", "app", filepath.Join(dir, "city"), appID, "--out", office)
	add := []string{"card", "type", "add", office, "GJ310000", "--title", "市民卡", "--database"}
	if got := said(2, append(add, "postgres://127.0.0.1:1/nowhere?connect_timeout=1")...); strings.Contains(got, "panic") {
		t.Error(got)
	}
	said(0, append(add, database.URL(name))...)
	if got := said(2, append(add, "postgres://127.0.0.1:1/elsewhere")...); !strings.Contains(got, "kept elsewhere already") {
		t.Error(got)
	}
	said(0, "card", "issue", office, "GJ310000", string(ming), "--number", "1", "--card-no", "31")
	for range 2 {
		if got := said(0, "card", "top-up", office, "GJ310000", "31", "5", "--number", "1"); !strings.Contains(got, "balance 5.00 yuan") {
			t.Error(got)
		}
	}
	if got := said(0, "card", "audit", office); !strings.Contains(got, "paid in 5.00 = on cards 5.00") {
		t.Error(got)
	}
}
