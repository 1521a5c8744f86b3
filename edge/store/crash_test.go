package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

const (
	childTask  = "SHUAMA_TEST_STORE_CHILD" // what a child process is for
	childFile  = "SHUAMA_TEST_STORE_FILE"  // the books that it writes
	childFrom  = "SHUAMA_TEST_STORE_FROM"  // the first number that it sells
	childBatch = 3
	kills      = 40
	tornCuts   = 60
)

// childTasks is what a process of this test may be started for.
func childTasks() map[string]func(path string) error {
	tasks := map[string]func(string) error{"sell": sellUntilKilled}
	addTasks(tasks)
	return tasks
}

func TestMain(m *testing.M) {
	if task := os.Getenv(childTask); task != "" {
		if err := childTasks()[task](os.Getenv(childFile)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(task, path string, from int) *exec.Cmd {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childTask+"="+task, childFile+"="+path, childFrom+"="+strconv.Itoa(from))
	child.Stderr = os.Stderr
	return child
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
		if _, err := storetest.Sell(context.Background(), db.Payment(), n, n+1, n+2); err != nil {
			return err
		}
		if _, err := fmt.Println(n + childBatch); err != nil {
			return err
		}
	}
}

// furnished is a file with the accounts that storetest.Sell needs.
func furnished(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "books.sqlite")
	db := open(t, path)
	if err := storetest.Furnish(t.Context(), db.Payment()); err != nil {
		t.Fatal(err)
	}
	closeAll(t, db)
	return path
}

// A process that is killed at any moment loses nothing that it has acknowledged, and leaves nothing
// by half.
func TestKilled(t *testing.T) {
	path := furnished(t)
	random := rand.New(rand.NewPCG(2, 26))
	stored := 0
	for range kills {
		acknowledged := killWhileSelling(t, path, stored, 1+random.IntN(20), time.Duration(random.IntN(2000))*time.Microsecond)
		db := open(t, path)
		auditClean(t, db.Payment())
		got := soldPrefix(t, db.Payment(), acknowledged+2*childBatch)
		if got != acknowledged && got != acknowledged+childBatch {
			t.Fatalf("%d acknowledged, %d stored", acknowledged, got)
		}
		closeAll(t, db)
		stored = got
	}
	t.Logf("%d sales stored over %d kills", stored, kills)
}

// killWhileSelling kills the child a moment after so many acknowledgements, and returns its last one.
func killWhileSelling(t *testing.T, path string, from, after int, moment time.Duration) (acknowledged int) {
	t.Helper()
	seller := child("sell", path, from)
	output, err := seller.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := seller.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged = from
	lines := bufio.NewScanner(output)
	for count := 1; lines.Scan(); count++ {
		if count == after {
			time.AfterFunc(moment, func() { _ = seller.Process.Kill() })
		}
		if acknowledged, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
	}
	if err := seller.Wait(); seller.ProcessState.Exited() {
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
	for n := range len(sold) {
		if sold[n] == "" {
			t.Fatalf("number %d was not sold, and %d numbers were", n, len(sold))
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

// Several processes on one file wait for each other, and one that is killed keeps no lock: nothing is lost.
func TestProcessesTogether(t *testing.T) {
	const sellersCount, acks, room = 3, 20, 20_000 // numbers for each
	path := furnished(t)
	var sellers [sellersCount]*exec.Cmd
	var outputs [sellersCount]*bufio.Scanner
	for i := range sellers {
		sellers[i] = child("sell", path, i*room)
		output, err := sellers[i].StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := sellers[i].Start(); err != nil {
			t.Fatal(err)
		}
		outputs[i] = bufio.NewScanner(output)
	}
	var acknowledged [sellersCount]int
	for i := range sellers { // one after the other is killed, while the others go on
		for count := 1; outputs[i].Scan(); count++ {
			acknowledged[i], _ = strconv.Atoi(outputs[i].Text())
			if count == acks {
				_ = sellers[i].Process.Kill()
			}
		}
		if err := sellers[i].Wait(); sellers[i].ProcessState.Exited() {
			t.Fatalf("child %d ended by itself: %v", i, err)
		}
	}
	books := open(t, path).Payment()
	auditClean(t, books)
	sold, err := storetest.Sold(t.Context(), books, sellersCount*room)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for i, end := range acknowledged {
		for n := i * room; n < end; n++ {
			if want++; sold[n] == "" {
				t.Fatalf("number %d was acknowledged, and is not there", n)
			}
		}
	}
	if want < sellersCount*acks*childBatch || len(sold) > want+sellersCount*childBatch {
		t.Errorf("%d acknowledged, %d stored", want, len(sold))
	}
}

// A log that ends anywhere, or turns to rubbish anywhere, gives what was committed before that place.
func TestTornLog(t *testing.T) {
	path := furnished(t)
	db := open(t, path)
	const sold = 40
	for n := 0; n < sold; n += 2 {
		if _, err := storetest.Sell(t.Context(), db.Payment(), n, n+1); err != nil {
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
	if _, err := storetest.Sell(t.Context(), db.Payment(), sold); err != nil {
		t.Errorf("selling on: %v", err)
	}
	auditClean(t, db.Payment())
	return count
}

// sellUntilFull sells until the disk takes no more, makes room, and sells on: what was acknowledged is there,
// what failed was not done, and may be done again.
func sellUntilFull(path string, makeRoom func() error) error {
	ctx := context.Background()
	db, err := store.Open(path)
	if err != nil {
		return err
	}
	books := db.Payment()
	n := 0
	for ; err == nil; n += childBatch {
		_, err = storetest.Sell(ctx, books, n, n+1, n+2)
	}
	failed := n - childBatch
	if !errors.Is(err, payment.ErrAway) {
		return fmt.Errorf("full after %d: %w", failed, err)
	}
	sold, err := storetest.Sold(ctx, books, n)
	if err != nil || len(sold) != failed {
		return fmt.Errorf("%d of %d are there: %w", len(sold), failed, err)
	}
	if err := makeRoom(); err != nil {
		return err
	}
	if _, err := storetest.Sell(ctx, books, failed, failed+1, failed+2); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	report, err := books.Audit(ctx)
	if err != nil || len(report.Faults) > 0 || report.Trades != n {
		return fmt.Errorf("%d trades of %d, %q: %w", report.Trades, n, report.Faults, err)
	}
	return db.Close()
}

// runChild runs a task to its end.
func runChild(t *testing.T, seller *exec.Cmd) {
	t.Helper()
	var said strings.Builder
	seller.Stderr = io.MultiWriter(os.Stderr, &said)
	if err := seller.Run(); err != nil {
		t.Errorf("%v: %s", err, said.String())
	}
}
