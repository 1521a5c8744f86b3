// Package shuama_test holds the rules of the house. This file is a statement of policy: DO NOT CHANGE
// ITS TABLES TO FIX A BUILD. Move the code to the room where it belongs.
package shuama_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/shuama/shuama/"

// floors are the rooms from the ground up. A package imports packages of lower floors only, and of its
// own floor only what mayImport says.
var floors = []struct {
	room  string
	floor int
}{
	{"curve", 0}, {"money", 0},
	{"protocol", 1},
	{"ledger", 2},
	{"role", 3},
	{"edge", 4}, {"conformance", 4},
	{"cmd", 5}, {"internal/testkit", 5}, {"tools", 5},
}

// mayImport is what packages of one floor may take from each other, with the reason.
var mayImport = []struct{ from, to, reason string }{
	{"curve/", "curve", "the two curves share their vocabulary of reasons"},
	{"curve/internal/", "curve/", "generators and oracles look at the curves"},
	{"curve/", "curve/internal/", "a curve's tests may ask an oracle"},
	{"protocol/", "protocol/", "documents carry documents: a record holds a code, a message holds a record"},
	{"edge/reader", "edge/scan", "what a scanner hands in is scan's to take apart"},
	{"edge/web", "edge/scan", "a page shows a ride code as a picture"},
	{"edge/depot", "edge/scan", "an upload is frames, as a scanner's are"},
	{"role/merchant", "role/merchant/fare", "what a ride costs is a room of the merchant's: pure, and used by nobody else"},
	{"role/payment/rides", "role/payment", "what riders hear of their rides goes the way of all notices"},
	{"role/merchant/reconcile", "role/merchant", "reconciliation is a room of the merchant's over its trades"},
	{"role/payment/storetest", "role/payment", "a conformance suite knows the interface that it holds stores to"},
	{"role/merchant/storetest", "role/merchant", "a conformance suite knows the interface that it holds stores to"},
	{"role/codeissuer/storetest", "role/codeissuer", "a conformance suite knows the interface that it holds stores to"},
	{"role/cardissuer/storetest", "role/cardissuer", "a conformance suite knows the interface that it holds stores to"},
	{"role/payment/rides/storetest", "role/payment/rides", "a conformance suite knows the interface that it holds stores to"},
	{"cmd/", "internal/testkit", "tests of the program use the reader of vectors"},
	{"tools/", "tools/", "a tool is one program in several packages"},
	{"tools/", "internal/testkit/pgserver", "what is measured beside PostgreSQL starts a server for it"},
}

// doors are the only places that may import a third-party module: its door.
var doors = map[string][]string{
	"zombiezen.com/go/sqlite":         {"edge/store"},
	"github.com/jackc/pgx/v5":         {"edge/store", "internal/testkit/pgserver"},
	"github.com/riverqueue/river":     {"edge/store"},
	"filippo.io/age":                  {"edge/hsm"},
	"github.com/emmansun/gmsm":        {"protocol/carddata"},
	"rsc.io/qr":                       {"edge/scan"},
	"github.com/makiuchi-d/gozxing":   {"edge/scan"},
	"golang.org/x/image":              {"edge/scan"},
	"golang.org/x/sys":                {"edge/journal", "edge/hsm", "edge/store", "edge/reader"},
	"golang.org/x/text":               {"protocol/openapi", "edge/scan", "edge/gateway"},
	"golang.org/x/time":               {"edge/gateway"},
	"github.com/alecthomas/kong":      {"cmd/shuama"},
	"github.com/decred/dcrd/dcrec":    {"curve/", "tools/"},
	"github.com/beevik/ntp":           {"edge/depot"},
	"github.com/chromedp":             {"edge/web"}, // its tests: a real browser looks at the pages
	"pgregory.net/rapid":              {""},
	"github.com/c2sp/wycheproof":      {"curve/"},
	"github.com/rogpeppe/go-internal": {"cmd/shuama"},
}

// world names the packages of the standard library that reach the world. Documents, ledger and roles
// have no business with them: what they need is handed to them.
var world = map[string]string{
	"net": "sockets", "net/http": "HTTP", "os": "files and environment", "os/exec": "programs",
	"database/sql": "SQL", "log": "logs", "log/slog": "logs", "syscall": "the system", "unsafe": "memory", "reflect": "codecs by reflection",
}

// source is one Go file of the tree.
type source struct {
	dir  string // of the package, as "role/terminal"
	name string
	file *ast.File
	set  *token.FileSet
}

func (s source) line(at token.Pos) int { return s.set.Position(at).Line }

func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

func readTree(t *testing.T) []source {
	t.Helper()
	var sources []source
	err := fs.WalkDir(os.DirFS("."), ".", func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "testdata" || entry.Name() == "templates" || entry.Name() == "build" || p != "." && strings.HasPrefix(entry.Name(), ".")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(p, ".go") || path.Dir(p) == "." {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		sources = append(sources, source{dir: path.Dir(p), name: path.Base(p), file: file, set: set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) < 50 {
		t.Fatalf("%d files found: this test looks in the wrong place", len(sources))
	}
	return sources
}

func imports(s source) []string {
	var found []string
	for _, spec := range s.file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		found = append(found, imported)
	}
	return found
}

func floorOf(dir string) int {
	for _, f := range floors {
		if dir == f.room || strings.HasPrefix(dir, f.room+"/") {
			return f.floor
		}
	}
	return -1
}

// Tests may wire real rooms together, above their own floor too; what ships only goes down.
func TestImportsGoDown(t *testing.T) {
	for _, s := range readTree(t) {
		from := floorOf(s.dir)
		if from < 0 {
			t.Errorf("%s is a room on no floor", s.dir)
		}
		for _, imported := range imports(s) {
			to, ours := strings.CutPrefix(imported, module)
			if !ours || s.isTest() && (floorOf(to) < 5 || to == "internal/testkit" || strings.HasPrefix(to, "internal/testkit/")) || to == s.dir {
				continue
			}
			if floorOf(to) >= from && !allowed(s.dir, to) {
				t.Errorf("%s/%s imports %s: not a lower floor, and no rule allows it", s.dir, s.name, to)
			}
		}
	}
}

func allowed(from, to string) bool {
	for _, rule := range mayImport {
		if (from == rule.from || strings.HasPrefix(from, strings.TrimSuffix(rule.from, "/")+"/")) && strings.HasPrefix(to+"/", strings.TrimSuffix(rule.to, "/")+"/") {
			return true
		}
	}
	return false
}

// No role imports another role, and only those that keep a book know the ledger.
func TestRolesMeetInDocuments(t *testing.T) {
	for _, s := range readTree(t) {
		role, isRole := strings.CutPrefix(s.dir, "role/")
		if !isRole || s.isTest() {
			continue
		}
		role, _, _ = strings.Cut(role, "/")
		for _, imported := range imports(s) {
			to := strings.TrimPrefix(imported, module)
			other, isRole := strings.CutPrefix(to, "role/")
			other, _, _ = strings.Cut(other, "/") // a role may have rooms
			if isRole && other != role {
				t.Errorf("role %s imports role %s", role, other)
			}
			if to == "ledger" && role != "payment" && role != "cardissuer" {
				t.Errorf("role %s imports the ledger: payment and cardissuer alone keep books", role)
			}
		}
	}
}

// Documents, ledger and roles reach the world only through what they are given, and take the time as
// an argument.
func TestBelowTheEdge(t *testing.T) {
	for _, s := range readTree(t) {
		if floorOf(s.dir) >= 4 || s.isTest() || strings.HasPrefix(s.dir, "curve/internal/") || strings.HasSuffix(s.dir, "/storetest") {
			continue
		}
		for _, imported := range imports(s) {
			if what, reaches := world[imported]; reaches {
				t.Errorf("%s/%s imports %s (%s)", s.dir, s.name, imported, what)
			}
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			if call, is := node.(*ast.SelectorExpr); is {
				if name, is := call.X.(*ast.Ident); is && name.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Tick", "Sleep", "NewTimer", "NewTicker"}, call.Sel.Name) {
					t.Errorf("%s/%s asks the clock: time.%s", s.dir, s.name, call.Sel.Name)
				}
			}
			return true
		})
	}
}

// One door for each module: what is behind it can be replaced there.
func TestThirdPartyDoors(t *testing.T) {
	for _, s := range readTree(t) {
		for _, imported := range imports(s) {
			first, _, _ := strings.Cut(imported, "/")
			if !strings.Contains(first, ".") || strings.HasPrefix(imported, module) {
				continue
			}
			if !throughDoor(s, imported) {
				t.Errorf("%s/%s imports %s, which has no door there", s.dir, s.name, imported)
			}
		}
	}
}

func throughDoor(s source, imported string) bool {
	for door, rooms := range doors {
		if imported != door && !strings.HasPrefix(imported, door+"/") {
			continue
		}
		for _, room := range rooms {
			if room == "" && (s.isTest() || strings.HasSuffix(s.dir, "/storetest")) || room != "" && strings.HasPrefix(s.dir+"/", strings.TrimSuffix(room, "/")+"/") {
				return true
			}
		}
	}
	return false
}

// The house's habits that a parser can see.
func TestHabits(t *testing.T) {
	documented := map[string]bool{}
	chinese := map[string]bool{}
	for _, s := range readTree(t) {
		if slices.Contains([]string{"util", "utils", "common", "core", "models", "helpers"}, path.Base(s.dir)) {
			t.Errorf("%s: a name that says nothing", s.dir)
		}
		documented[s.dir] = documented[s.dir] || s.isTest()
		if doc := s.file.Doc; doc != nil && !s.isTest() {
			documented[s.dir] = true
			first, _, _ := strings.Cut(doc.Text(), "\n")
			chinese[s.dir] = chinese[s.dir] || strings.IndexFunc(first, func(r rune) bool { return r >= 0x4e00 && r <= 0x9fff }) >= 0
		}
		for _, declared := range s.file.Decls {
			if function, is := declared.(*ast.FuncDecl); is && function.Name.Name == "init" && function.Recv == nil && !s.isTest() {
				t.Errorf("%s/%s: init hides what a program does before main", s.dir, s.name)
			}
		}
	}
	for dir, has := range documented {
		if !has {
			t.Errorf("%s has no package comment", dir)
		}
		if floorOf(dir) < 5 && !chinese[dir] && !strings.Contains(dir, "internal") {
			t.Errorf("%s: the first line of the package comment lacks the field's Chinese term", dir)
		}
	}
}

// A function fits on a screen; what a generator writes is read by nobody.
func TestFunctionsAreShort(t *testing.T) {
	const linesMax = 70
	for _, s := range readTree(t) {
		if ast.IsGenerated(s.file) {
			continue
		}
		for _, declared := range s.file.Decls {
			function, is := declared.(*ast.FuncDecl)
			if !is {
				continue
			}
			if lines := s.line(function.End()) - s.line(function.Pos()) + 1; lines > linesMax {
				t.Errorf("%s/%s: %s has %d lines", s.dir, s.name, function.Name.Name, lines)
			}
		}
	}
}
