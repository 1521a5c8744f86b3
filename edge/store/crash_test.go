package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

const (
	childFile  = "SHUAMA_TEST_STORE_CHILD" // the books that a child writes until it is killed
	childFrom  = "SHUAMA_TEST_STORE_FROM"  // the first number that it sells
	childBatch = 3
	kills      = 25
	tornCuts   = 60
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		fmt.Fprintln(os.Stderr, sellUntilKilled(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// sellUntilKilled writes to standard output the end of the numbers that are acknowledged.
func sellUntilKilled(path string) error {
	from, err := strconv.Atoi(os.Getenv(childFrom))
	if err != nil {
		return err
	}
	db, err := store.Open(path)
	if err != nil {
		return err
	}
	for n := from; ; n += childBatch {
		if err := storetest.Sell(context.Background(), db.Payment(), n, n+1, n+2); err != nil {
			return err
		}
		if _, err := fmt.Println(n + childBatch); err != nil {
			return err
		}
	}
}

// A process that is killed at any moment loses nothing that it has acknowledged, and leaves nothing
// by half.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.sqlite")
	db := open(t, path)
	if err := storetest.Furnish(t.Context(), db.Payment()); err != nil {
		t.Fatal(err)
	}
	closeAll(t, db)
	random := rand.New(rand.NewPCG(2, 26))
	stored := 0
	for range kills {
		acknowledged := killWhileSelling(t, path, stored, time.Duration(random.IntN(40_000))*time.Microsecond)
		db := open(t, path)
		auditClean(t, db.Payment())
		got := soldPrefix(t, db.Payment(), acknowledged+2*childBatch)
		if got != acknowledged && got != acknowledged+childBatch {
			t.Fatalf("%d acknowledged, %d stored", acknowledged, got)
		}
		closeAll(t, db)
		stored = got
	}
	if stored < kills*childBatch {
		t.Errorf("only %d were sold in %d rounds: nothing was interrupted", stored, kills)
	}
	t.Logf("%d sales stored over %d kills", stored, kills)
}

// killWhileSelling kills the child a while after its first acknowledgement, and returns its last one.
func killWhileSelling(t *testing.T, path string, from int, after time.Duration) (acknowledged int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childFile+"="+path, childFrom+"="+strconv.Itoa(from))
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged = from
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if acknowledged == from {
			time.AfterFunc(after, func() { _ = child.Process.Kill() })
		}
		if acknowledged, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
	}
	if err := child.Wait(); child.ProcessState.Exited() {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return acknowledged
}

// soldPrefix counts what was sold, and sees that it is what came first.
func soldPrefix(t *testing.T, books payment.Store, end int) int {
	t.Helper()
	sold, err := storetest.Sold(t.Context(), books, end)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range sold {
		if i != n {
			t.Fatalf("number %d was sold, and number %d was not", n, i)
		}
	}
	return len(sold)
}

func auditClean(t *testing.T, books payment.Store) {
	t.Helper()
	report, err := books.Audit(t.Context())
	if err != nil || len(report.Faults) > 0 {
		t.Fatalf("audit: %q, %v", report.Faults, err)
	}
}

// A log that ends anywhere, or turns to rubbish anywhere, gives what was committed before that place.
func TestTornLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.sqlite")
	db := open(t, path)
	if err := storetest.Furnish(t.Context(), db.Payment()); err != nil {
		t.Fatal(err)
	}
	closeAll(t, db)
	db = open(t, path)
	const sold = 40
	for n := 0; n < sold; n += 2 {
		if err := storetest.Sell(t.Context(), db.Payment(), n, n+1); err != nil {
			t.Fatal(err)
		}
	}
	books, log := readFile(t, path), readFile(t, path+"-wal")
	random := rand.New(rand.NewPCG(4, 26))
	counts := map[int]bool{}
	for cut := range tornCuts {
		at := random.IntN(len(log) + 1)
		torn := append([]byte{}, log[:at]...)
		if cut%2 == 1 {
			torn = append(torn, rubbish(random, len(log)-at)...)
		}
		counts[openTorn(t, books, torn, sold)] = true
	}
	if whole := openTorn(t, books, log, sold); whole != sold {
		t.Errorf("with the whole log, %d of %d are there", whole, sold)
	}
	if len(counts) < 5 {
		t.Errorf("the cuts left only %d different states: they tested little", len(counts))
	}
}

func rubbish(random *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// openTorn opens a copy of the books with this log, and counts what is there. It then sells on.
func openTorn(t *testing.T, books, log []byte, sold int) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "books.sqlite")
	writeFile(t, path, books)
	writeFile(t, path+"-wal", log)
	db := open(t, path)
	defer closeAll(t, db)
	auditClean(t, db.Payment())
	count := soldPrefix(t, db.Payment(), sold)
	if count%2 != 0 {
		t.Errorf("%d sold: half a transaction", count)
	}
	if err := storetest.Sell(t.Context(), db.Payment(), sold); err != nil {
		t.Errorf("selling on: %v", err)
	}
	auditClean(t, db.Payment())
	return count
}
