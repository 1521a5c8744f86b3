package store_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
	"github.com/shuama/shuama/role/merchant/storetest"
)

func TestMerchantStore(t *testing.T) { storetest.Run(t, openMerchant) }

func openMerchant(t testing.TB) (merchant.Store, func() merchant.Store, func()) {
	path := filepath.Join(t.TempDir(), "merchant.sqlite")
	db := openDB(t, path)
	again := func() merchant.Store {
		closeDB(t, db)
		db = openDB(t, path)
		return db.Merchant()
	}
	return db.Merchant(), again, func() { closeDB(t, db) }
}

func openDB(t testing.TB, path string) *store.DB {
	db, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func closeDB(t testing.TB, db *store.DB) {
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

const (
	killRounds     = 20
	killBuses      = 24 // of a round
	killMetroTrips = 8
	killFolder     = "SHUAMA_TEST_MERCHANT_FOLDER" // set in the child process
	killSeed       = "SHUAMA_TEST_MERCHANT_SEED"
)

// TestMerchantKilled kills a merchant process again and again while it collects and settles against a
// bank that loses requests and answers. What was acknowledged must be there after each kill; in the
// end each trade is settled exactly once, every attempt had the same content, and every fen of every
// trip is explained: an entry whose exit comes in a later batch was often charged its default fare by then.
func TestMerchantKilled(t *testing.T) {
	if folder := os.Getenv(killFolder); folder != "" {
		runMerchantProcess(t, folder)
		return
	}
	folder, city, busy := t.TempDir(), storetest.NewCity(t), 0
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range killRounds {
		appendLines(t, filepath.Join(folder, "records"), killRecords(t, city, round)...)
		killed := startMerchant(t, folder, seed+uint64(round))
		time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond)
		if err := killed.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := killed.Wait(); err == nil {
			t.Fatalf("round %d, seed %d: it ended before it was killed", round, seed)
		}
		checkAcknowledged(t, folder)
		if len(readLines(t, filepath.Join(folder, "acked"))) < (round+1)*(killBuses+2*killMetroTrips) {
			busy++
		}
	}
	t.Logf("seed %d: killed %d times, %d of them while records were being taken", seed, killRounds, busy)
	finishKilled(t, folder, city)
}

// killRecords are the records of a round, in hex. An entry may come in another batch than its exit.
func killRecords(t *testing.T, city *storetest.City, round int) (lines []string) {
	for i := range killBuses {
		at := storetest.Morning().Add(time.Duration(round*killBuses+i) * time.Second)
		lines = append(lines, hex.EncodeToString(city.Bus(t, i, at)))
	}
	for i := range killMetroTrips {
		at, rider := storetest.Morning(), 1000+round*killMetroTrips+i
		lines = append(lines, hex.EncodeToString(city.Metro(t, rider, record.Entry, at, "Xujiahui")))
		lines = append(lines, hex.EncodeToString(city.Metro(t, rider, record.Exit, at.Add(time.Hour), "杨高中路")))
	}
	rand.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines
}

func startMerchant(t *testing.T, folder string, seed uint64) *exec.Cmd {
	child := exec.Command(os.Args[0], "-test.run=^TestMerchantKilled$")
	child.Env = append(os.Environ(), killFolder+"="+folder, fmt.Sprintf("%s=%d", killSeed, seed))
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "started\n" {
		t.Fatalf("the child says %q (%v)", line, err)
	}
	return child
}

// runMerchantProcess works on the folder until it is killed.
func runMerchantProcess(t *testing.T, folder string) {
	var seed uint64
	if _, err := fmt.Sscan(os.Getenv(killSeed), &seed); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	db := openDB(t, filepath.Join(folder, "merchant.sqlite"))
	bank := fileBank(t, folder)
	bank.Manner = storetest.RandomManner(rng)
	m, teller := killMerchant(t, storetest.NewCity(t), db, bank), killTeller(t, db, filePlatform(t, folder, storetest.RandomManner(rng)))
	fmt.Println("started")
	for range 100_000 { // a bound, should the parent be gone
		if !collectNext(t, m, folder, rng) {
			time.Sleep(time.Millisecond)
		}
		if _, err := m.SettleDue(context.Background(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := teller.TellDue(context.Background(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

func killTeller(t *testing.T, db *store.DB, platform *storetest.Platform) *merchant.Teller {
	return storetest.Teller(t, db.Merchant(), platform, func(c *merchant.TellerConfig) { c.RetryFirst, c.RetryMost = time.Millisecond, 4*time.Millisecond })
}

// filePlatform is a platform that outlives its process: what arrives is in its file before it counts.
func filePlatform(t *testing.T, folder string, manner func() storetest.Manner) *storetest.Platform {
	path, platform := filepath.Join(folder, "platform"), storetest.NewPlatform()
	for _, line := range readLines(t, path) {
		message, err := openapi.DataSend().ParseRequest([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		platform.Take(message)
	}
	platform.Manner = manner
	platform.Keep = func(message []byte) { appendLines(t, path, string(message)) }
	return platform
}

func killMerchant(t *testing.T, city *storetest.City, db *store.DB, bank *storetest.Bank) *merchant.Merchant {
	return city.Merchant(t, db.Merchant(), bank, func(c *merchant.Config) {
		c.RetryFirst, c.RetryMost, c.MaxLate, c.Fares = time.Millisecond, 4*time.Millisecond, 100*365*24*time.Hour, city.Rich
	})
}

// fileBank is a bank that outlives its process: each event is in its file before it counts.
func fileBank(t *testing.T, folder string) *storetest.Bank {
	path := filepath.Join(folder, "bank")
	var events []storetest.Event
	for _, line := range readLines(t, path) {
		var event storetest.Event
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	bank := storetest.NewBank(events)
	bank.Now, bank.LaterBy = time.Now, 0
	bank.Keep = func(event storetest.Event) {
		line, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		appendLines(t, path, string(line))
	}
	return bank
}

// collectNext sends the next few records that were not acknowledged, some old ones among them, and
// writes down what was answered. It is false when there was nothing new.
func collectNext(t *testing.T, m *merchant.Merchant, folder string, rng *rand.Rand) bool {
	lines, acked := readLines(t, filepath.Join(folder, "records")), map[string]bool{}
	for _, id := range readLines(t, filepath.Join(folder, "acked")) {
		acked[id] = true
	}
	var batch [][]byte
	fresh := 0
	for _, line := range lines {
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		if isNew := !acked[record.Identify(b).String()]; isNew && fresh < 3 {
			batch, fresh = append(batch, b), fresh+1
		} else if !isNew && rng.IntN(len(lines)) == 0 {
			batch = append(batch, b)
		}
	}
	answers, err := m.Collect(context.Background(), batch, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var news []string
	for _, answer := range answers {
		if id := answer.Record.String(); !acked[id] {
			news = append(news, id)
		}
	}
	appendLines(t, filepath.Join(folder, "acked"), news...)
	return fresh > 0
}

// checkAcknowledged wants every record that was answered.
func checkAcknowledged(t *testing.T, folder string) {
	t.Helper()
	db := openDB(t, filepath.Join(folder, "merchant.sqlite"))
	defer closeDB(t, db)
	var ids []record.ID
	for _, line := range readLines(t, filepath.Join(folder, "acked")) {
		var id record.ID
		if n, err := hex.Decode(id[:], []byte(line)); err != nil || n != len(id) {
			t.Fatal(line, err)
		}
		ids = append(ids, id)
	}
	state, err := db.Merchant().View(t.Context(), merchant.Need{Records: ids})
	if err != nil {
		t.Fatal(err)
	}
	if len(state.Records) != len(ids) {
		t.Fatalf("%d records were acknowledged, %d are there", len(ids), len(state.Records))
	}
}

// finishKilled lets the last process end its work, and looks at everything.
func finishKilled(t *testing.T, folder string, city *storetest.City) {
	db := openDB(t, filepath.Join(folder, "merchant.sqlite"))
	defer closeDB(t, db)
	bank := fileBank(t, folder)
	m, rng := killMerchant(t, city, db, bank), rand.New(rand.NewPCG(1, 1))
	for collectNext(t, m, folder, rng) {
	}
	for range 10_000 {
		report, err := m.SettleDue(t.Context(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if report.NextDue.IsZero() {
			break
		}
		time.Sleep(time.Until(report.NextDue))
	}
	storetest.CheckFinal(t, m, bank)
	checkStatements(t, m)
	platform := filePlatform(t, folder, func() storetest.Manner { return storetest.Honest })
	if _, err := killTeller(t, db, platform).TellDue(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	storetest.CheckTold(t, m, db.Merchant(), platform)
	t.Logf("%d rides told, %d of them again", len(platform.All), platform.Again)
	t.Logf("%d trades in %d attempts", len(bank.Moved())+len(bank.Refused()), bank.Attempts)
}

// checkStatements wants all trips of all riders, and every fen of them explained.
func checkStatements(t *testing.T, m *merchant.Merchant) {
	t.Helper()
	day, err := fare.ParseDay("2026-03-02")
	if err != nil {
		t.Fatal(err)
	}
	trips, refunds := 0, 0
	var fares, refunded money.Fen
	for statement, err := range m.Statements(t.Context(), day, day, time.Now()) {
		if err != nil || statement.Difference() != 0 || statement.ToPayFen != 0 || statement.OpenFen != 0 {
			t.Fatalf("%+v, %v", statement, err)
		}
		trips, fares = trips+len(statement.Trips), fares+statement.FaresFen
	}
	for refund, err := range m.Refunds(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		refunds, refunded = refunds+1, refunded+refund.AmountFen
	}
	if want := killRounds * (killBuses + killMetroTrips); trips != want {
		t.Errorf("%d trips, want %d", trips, want)
	}
	t.Logf("%d trips for %s, %d refunds of %s", trips, fares, refunds, refunded)
}

// appendLines writes them in one go, so that a kill leaves all or nothing.
func appendLines(t *testing.T, path string, lines ...string) {
	var text bytes.Buffer
	for _, line := range lines {
		text.WriteString(line + "\n")
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(text.Bytes()); err != nil {
		t.Fatal(err)
	}
}

func readLines(t *testing.T, path string) (lines []string) {
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		lines = append(lines, string(bytes.TrimSuffix(line, []byte("\n"))))
	}
	return lines
}

// BenchmarkMerchant takes records in, whole batches of buses with all signatures checked, and settles them.
func BenchmarkMerchant(b *testing.B) {
	opened, _, end := openMerchant(b)
	defer end()
	city := storetest.NewCity(b)
	m := city.Merchant(b, opened, storetest.NewBank(nil), func(c *merchant.Config) { c.SettleBatch = merchant.MaxSettleBatch })
	for round := range 100 { // as full as after some days
		benchCollect(b, m, city, -1-round, merchant.MaxBatchRecords/10)
	}
	round := 0
	b.Run("collect", func(b *testing.B) {
		for b.Loop() {
			benchCollect(b, m, city, round, merchant.MaxBatchRecords/10)
			round++
		}
		b.ReportMetric(float64(b.N)*merchant.MaxBatchRecords/10/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("settle", func(b *testing.B) {
		sent := 0
		for b.Loop() {
			b.StopTimer()
			benchCollect(b, m, city, round, merchant.MaxBatchRecords/10)
			round++
			b.StartTimer()
			report, err := m.SettleDue(b.Context(), storetest.Morning())
			if err != nil {
				b.Fatal(err)
			}
			sent += report.Sent
		}
		b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "trades/s")
	})
}

// BenchmarkTell takes news of settled bus rides and tells them to a platform that takes all: two messages a ride, each
// written down and forgotten.
func BenchmarkTell(b *testing.B) {
	opened, _, end := openMerchant(b)
	defer end()
	city, platform := storetest.NewCity(b), storetest.NewPlatform()
	bank := storetest.NewBank(nil)
	bank.Willing = true
	m, teller := city.Merchant(b, opened, bank, nil), storetest.Teller(b, opened, platform, nil)
	round := 0
	for b.Loop() {
		b.StopTimer()
		benchCollect(b, m, city, round, merchant.MaxBatchRecords/10)
		b.StopTimer()
		round++
		if _, err := m.SettleDue(b.Context(), storetest.Morning()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if report, err := teller.TellDue(b.Context(), storetest.Morning()); err != nil || report.Told != 2*merchant.MaxBatchRecords/10 {
			b.Fatal(report, err)
		}
	}
	b.ReportMetric(float64(len(platform.All))/b.Elapsed().Seconds(), "messages/s")
}

func benchCollect(b *testing.B, m *merchant.Merchant, city *storetest.City, round, count int) {
	const ridesADay = 4
	b.StopTimer()
	var batch [][]byte
	for i := range count {
		rider := (100+round)/ridesADay*count + i
		batch = append(batch, city.Bus(b, rider, storetest.Morning().Add(time.Duration(100+round)*time.Minute)))
	}
	b.StartTimer()
	if _, err := m.Collect(b.Context(), batch, storetest.Morning()); err != nil {
		b.Fatal(err)
	}
}
