package postgres

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

var updateObjects = flag.Bool("update", false, "write schema/objects.txt from the migrations")

// The audit holds a database against schema/objects.txt: it has to be what the migrations make.
func TestObjects(t *testing.T) {
	c := commonCluster(t)
	db := openURL(t, c.URL(c.emptyBooks(t)))
	var text strings.Builder
	err := db.read(t.Context(), func(conn *pgx.Conn) error {
		text.Reset()
		a := auditor{ctx: t.Context(), conn: conn}
		objects, err := a.objects()
		for _, object := range objects {
			text.WriteString(object.line())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if *updateObjects {
		if err := os.WriteFile("schema/objects.txt", []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text.String() != wantedObjects {
		t.Errorf("the migrations make other objects than schema/objects.txt says; if they are meant to, run with -update:\n%s", text.String())
	}
}
