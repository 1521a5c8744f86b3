package record_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/protocol/record"
)

const posID = "sh001"

// writer is a terminal that keeps a chain, as role/terminal does: it knows its last record.
type writer struct {
	t    interface{ Fatal(...any) }
	pos  string
	last []byte
	sign record.IntegritySigner
}

func newWriter(t interface{ Fatal(...any) }, pos string) *writer {
	signer, err := record.NewEd25519Signer(bytes.Repeat([]byte{3}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &writer{t: t, pos: pos, sign: signer}
}

func (w *writer) write(subject string) record.Place {
	link, err := record.Next(w.pos, w.last)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.writeLink(link, subject)
}

func (w *writer) writeLink(link record.Link, subject string) record.Place {
	info := record.TerminalInfo{POSID: w.pos, Kind: record.Single, Subject: subject, RecordID: fmt.Sprint(link.Seq)}
	terminal, err := link.Extend(info.JSON())
	if err != nil {
		w.t.Fatal(err)
	}
	r := record.Record{Version: record.Version1, Code: []byte("code"), Terminal: terminal, Time: acceptedAt}
	raw, err := r.Sign(user, w.sign)
	if err != nil {
		w.t.Fatal(err)
	}
	w.last = raw
	return placeOf(w.t, raw)
}

func (w *writer) writeMany(count int, subject string) []record.Place {
	var places []record.Place
	for range count {
		places = append(places, w.write(subject))
	}
	return places
}

func placeOf(t interface{ Fatal(...any) }, raw []byte) record.Place {
	u, err := record.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	place, linked, err := u.Place()
	if err != nil || !linked {
		t.Fatal("no link", err)
	}
	return place
}

// reader is the other side: a chain and what it keeps beside it.
type reader struct {
	t     interface{ Fatal(...any) }
	chain *record.Chain
	kept  *record.Register
}

func newReader(t interface{ Fatal(...any) }) *reader {
	return &reader{t: t, chain: record.NewChain(posID), kept: record.NewRegister()}
}

func (r *reader) take(p record.Place) record.Arrival {
	arrival, err := r.chain.Add(p, r.kept)
	if err != nil {
		r.t.Fatal(err)
	}
	r.kept.Put(p)
	return arrival
}

// restart saves the state and reads it again.
func (r *reader) restart() {
	saved := r.chain.Append(nil)
	again, err := record.ParseChain(saved)
	if err != nil {
		r.t.Fatal(err)
	}
	if !bytes.Equal(again.Append(nil), saved) {
		r.t.Fatal("the state was written again otherwise")
	}
	r.chain = again
}

func TestHonestDay(t *testing.T) {
	w, r := newWriter(t, posID), newReader(t)
	places := w.writeMany(5, "bus")
	for i, step := range []struct {
		place   int
		outcome record.Outcome
	}{{0, record.Follows}, {3, record.Ahead}, {1, record.Late}, {1, record.Duplicate}, {2, record.Late}, {3, record.Duplicate}, {4, record.Follows}} {
		if got := r.take(places[step.place]); got.Outcome != step.outcome || got.Findings != nil {
			t.Errorf("step %d: %+v", i, got)
		}
		r.restart()
	}
	if found := r.chain.Findings(0); found != nil || r.chain.Highest() != 5 {
		t.Errorf("an honest day proves %v", found)
	}
	if found := r.chain.Findings(7); !slices.Equal(found, []record.Finding{record.Gap{From: 6, To: 7}}) {
		t.Errorf("the end that the heartbeat reports is not missed: %v", found)
	}
	if size := len(r.chain.Append(nil)); size > 200 {
		t.Errorf("the state of a whole day takes %d bytes", size)
	}
}

// Whatever order, loss and repetition do to an honest terminal's records, the chain reports exactly
// what is missing and nothing else; and its state depends on what came, not on the order.
func TestHonestTerminalsAreNeverAccused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		places := newWriter(t, posID).writeMany(rapid.IntRange(1, 30).Draw(t, "written"), "bus")
		var arriving []record.Place
		missing := map[uint64]bool{}
		for _, p := range places {
			count := rapid.IntRange(0, 3).Draw(t, "times")
			missing[p.Seq] = count == 0
			arriving = append(arriving, slices.Repeat([]record.Place{p}, count)...)
		}
		first := readAll(t, rapid.Permutation(arriving).Draw(t, "first order"))
		second := readAll(t, rapid.Permutation(arriving).Draw(t, "second order"))
		if !bytes.Equal(first.Append(nil), second.Append(nil)) {
			t.Fatal("two orders, two states")
		}
		found := first.Findings(uint64(len(places)))
		for _, f := range found {
			gap, is := f.(record.Gap)
			if !is {
				t.Fatalf("an honest terminal is accused: %v", f)
			}
			for seq := gap.From; seq <= gap.To; seq++ {
				if !missing[seq] {
					t.Fatalf("%v, but it has", gap)
				}
				missing[seq] = false
			}
		}
		for seq, is := range missing {
			if is {
				t.Fatalf("record %d is missing, and %v does not say so", seq, found)
			}
		}
	})
}

func readAll(t *rapid.T, arriving []record.Place) *record.Chain {
	r := newReader(t)
	for _, p := range arriving {
		for _, f := range r.take(p).Findings {
			t.Fatalf("an honest terminal is accused: %v", f)
		}
		if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
			r.restart()
		}
	}
	return r.chain
}

// Two terminals with one key and one past: when both lines arrive, every number that both used is
// found, whatever the order; where only parts arrive, nothing is found that is not so.
func TestClonesAreFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		common := rapid.IntRange(0, 6).Draw(t, "common")
		a, b := newWriter(t, posID), newWriter(t, posID)
		places := a.writeMany(common, "bus")
		b.last = a.last
		lineA := a.writeMany(rapid.IntRange(1, 8).Draw(t, "a"), "bus a")
		lineB := b.writeMany(rapid.IntRange(1, 8).Draw(t, "b"), "bus b")
		r, reported := newReader(t), 0
		for _, p := range rapid.Permutation(slices.Concat(places, lineA, lineB)).Draw(t, "order") {
			reported += countClones(r.take(p).Findings)
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				r.restart()
			}
		}
		both := min(len(lineA), len(lineB))
		want := []record.Range{{From: uint64(common + 1), To: uint64(common + both)}}
		if got := r.chain.Doubled(); !slices.Equal(got, want) || reported != both {
			t.Fatalf("doubled numbers %v, want %v; %d reported", got, want, reported)
		}
		if gaps := r.chain.Gaps(0); gaps != nil {
			t.Fatalf("nothing is missing: %v", gaps)
		}
	})
}

func countClones(found []record.Finding) (count int) {
	for _, f := range found {
		switch f.(type) {
		case record.Clone, record.Restart:
			count++
		}
	}
	return count
}

// One record of the second line is enough where it meets the first.
func TestOneRecordOfTheOtherLine(t *testing.T) {
	a := newWriter(t, posID)
	places := a.writeMany(3, "bus")
	b := *a
	placesA, placesB := a.writeMany(2, "bus a"), b.writeMany(3, "bus b")
	r := newReader(t)
	for _, p := range slices.Concat(places, placesA) {
		r.take(p)
	}
	if got := r.take(placesB[2]); got.Outcome != record.Follows || !slices.Equal(got.Findings, []record.Finding{record.Broken{Seq: 6}}) {
		t.Errorf("record 6 of the other line: %+v", got)
	}
	clone := record.Clone{Seq: 5, A: placesA[1].ID, B: placesB[1].ID}
	for range 2 { // repeated, it is not a third record
		if got := r.take(placesB[1]); got.Outcome != record.Doubled || !slices.Equal(got.Findings, []record.Finding{clone}) {
			t.Errorf("record 5 of the other line: %+v", got)
		}
	}
	want := []record.Finding{record.Broken{Seq: 6}, clone}
	if got := r.chain.Findings(0); !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestRestart(t *testing.T) {
	first, second := newWriter(t, posID), newWriter(t, posID)
	r := newReader(t)
	places := first.writeMany(3, "bus")
	for _, p := range places {
		r.take(p)
	}
	again := second.write("bus again")
	want := []record.Finding{record.Restart{A: places[0].ID, B: again.ID}}
	if got := r.take(again); got.Outcome != record.Doubled || !slices.Equal(got.Findings, want) {
		t.Errorf("%+v", got)
	}
	r.restart()
	if got := r.chain.Findings(0); !slices.Equal(got, want) {
		t.Errorf("found %v", got)
	}
}

// Only two beginnings are a restart: where the first record 1 begins nothing, it is a clone.
func TestCloneOfNumberOne(t *testing.T) {
	odd, honest := newWriter(t, posID), newWriter(t, posID)
	r := newReader(t)
	first := odd.writeLink(record.Link{Seq: 1, Prev: record.StatementID{1}}, "bus")
	if got := r.take(first).Findings; !slices.Equal(got, []record.Finding{record.Broken{Seq: 1}}) {
		t.Errorf("a record 1 that begins nothing: %v", got)
	}
	second := honest.write("bus")
	if got := r.take(second).Findings; !slices.Equal(got, []record.Finding{record.Clone{Seq: 1, A: first.ID, B: second.ID}}) {
		t.Errorf("found %v", got)
	}
}

// A record that names one before it under another number is found from either side, and so is one that
// names the beginning of the chain.
func TestJump(t *testing.T) {
	w := newWriter(t, posID)
	places := w.writeMany(4, "bus")
	jumped := w.writeLink(record.Link{Seq: 9, Prev: places[1].ID}, "bus")
	begins := w.writeLink(record.Link{Seq: 20, Prev: record.Genesis(posID)}, "bus")
	jump := record.Jump{Seq: 9, After: 2}
	r := newReader(t)
	for _, p := range places {
		r.take(p)
	}
	if got := r.take(jumped).Findings; !slices.Equal(got, []record.Finding{jump}) {
		t.Errorf("found %v", got)
	}
	if got := r.take(begins).Findings; !slices.Equal(got, []record.Finding{record.Jump{Seq: 20}}) {
		t.Errorf("found %v", got)
	}
	r = newReader(t)
	r.take(jumped)
	if got := r.take(places[1]).Findings; !slices.Equal(got, []record.Finding{jump}) {
		t.Errorf("from the other side: %v", got)
	}
	r.restart()
	if got := r.chain.Findings(0); !slices.Contains(got, record.Finding(jump)) {
		t.Errorf("found %v", got)
	}
}

// forgetful keeps nothing: what it cannot compare, the chain must not call a clone.
type forgetful struct{}

func (forgetful) StatementAt(uint64) (record.StatementID, bool) { return record.StatementID{}, false }
func (forgetful) SeqOf(record.StatementID) (uint64, bool)       { return 0, false }

func TestCannotTell(t *testing.T) {
	places := newWriter(t, posID).writeMany(2, "bus")
	chain := record.NewChain(posID)
	for i, want := range []record.Outcome{record.Follows, record.CannotTell} {
		if got, err := chain.Add(places[0], forgetful{}); err != nil || got.Outcome != want || got.Findings != nil {
			t.Errorf("time %d: %+v, %v", i, got, err)
		}
	}
}

// A twin of an ECDSA value, (r, n−s), is the same statement: it is a duplicate and accuses nobody.
func TestTwinOfAnECDSAValueIsNoClone(t *testing.T) {
	w := newWriter(t, posID)
	w.sign = signers(t)["ecdsa"].sign
	r := newReader(t)
	r.take(w.write("bus"))
	twin := bytes.Clone(w.last)
	s := twin[len(twin)-32:]
	copy(s, negateModOrder(s))
	u := verified(t, twin, signers(t)["ecdsa"].check)
	if u == nil || bytes.Equal(twin, w.last) {
		t.Fatal("the twin is not one")
	}
	if got := r.take(placeOf(t, twin)); got.Outcome != record.Duplicate {
		t.Errorf("%+v", got)
	}
}

func TestAddRefuses(t *testing.T) {
	r := newReader(t)
	for name, p := range map[string]record.Place{
		"another terminal": {POSID: "sh002", Link: record.Link{Seq: 1}},
		"number 0":         {POSID: posID},
		"number too large": {POSID: posID, Link: record.Link{Seq: math.MaxUint64}},
	} {
		_, err := r.chain.Add(p, r.kept)
		if err == nil {
			t.Errorf("%s is taken", name)
			continue
		}
		assertFormError(t, err)
	}
}

// The state is bounded: a terminal that makes holes for years gets an error, and nothing is forgotten.
func TestManyHoles(t *testing.T) {
	r := newReader(t)
	place := func(seq uint64) record.Place {
		return record.Place{POSID: posID, Link: record.Link{Seq: seq, Prev: record.StatementID{1, byte(seq), byte(seq >> 8)}}, ID: record.StatementID{2, byte(seq), byte(seq >> 8)}}
	}
	for i := range uint64(record.MaxRuns - 1) {
		r.take(place(2*i + 2))
	}
	before := r.chain.Append(nil)
	_, err := r.chain.Add(place(3*record.MaxRuns), r.kept)
	assertFormError(t, err)
	if after := r.chain.Append(nil); !bytes.Equal(before, after) || len(after) > 80*record.MaxRuns+100 {
		t.Errorf("an error changed the state, or it is too large: %d bytes", len(after))
	}
	r.restart()
}

func TestFindingsAreSentences(t *testing.T) {
	for want, found := range map[string]record.Finding{
		"record 7 has not arrived":                                                     record.Gap{From: 7, To: 7},
		"records 7 to 9 have not arrived (3 records)":                                  record.Gap{From: 7, To: 9},
		"record 7 does not follow the record 6 that arrived":                           record.Broken{Seq: 7},
		"two different records have number 7 (01000000… and 02000000…)":                record.Clone{Seq: 7, A: record.StatementID{1}, B: record.StatementID{2}},
		"the terminal began its chain twice (01000000… and 02000000…)":                 record.Restart{A: record.StatementID{1}, B: record.StatementID{2}},
		"record 9 names record 2 as the one before it: its number is not the next one": record.Jump{Seq: 9, After: 2},
		"record 9 names record 0 as the one before it: its number is not the next one": record.Jump{Seq: 9},
		"there is another one that it follows":                                         record.Broken{Seq: 2},
		"two terminals hold this key, or one was restored from an old copy":            record.Clone{},
		"its memory was wiped or replaced, or a second terminal holds its key":         record.Restart{},
	} {
		if !strings.Contains(found.String(), want) {
			t.Errorf("%q does not say %q", found, want)
		}
	}
}

func TestExtend(t *testing.T) {
	link := record.Link{Seq: 12, Prev: record.Genesis("sh001")}
	caller := "{ \"pos_id\":\"sh001\", \"type\" : \"SINGLE\",\n\"subject\":\"19路\",\"record_id\":\"}\",\"x\":{} } \n"
	extended, err := link.Extend([]byte(caller))
	if err != nil {
		t.Fatal(err)
	}
	front := strings.TrimRight(caller, "} \n") + "} "
	if !strings.HasPrefix(string(extended), front) || !json.Valid(extended) {
		t.Errorf("the caller's bytes are not kept: %s", extended)
	}
	info, err := record.ParseTerminalInfo(extended)
	if err != nil || info.Seq != 12 || info.Prev != record.Genesis("sh001") || !info.HasChain() || info.Subject != "19路" {
		t.Errorf("read as %+v, %v", info, err)
	}
	for _, bad := range []string{``, `{}`, `[1]`,
		`{"pos_id":"1","type":"SINGLE","subject":"","record_id":"","seq":7}`,
		`{"pos_id":"1","type":"SINGLE","subject":"","record_id":"","prev":null}`,
		`{"pos_id":"1","type":"SINGLE","subject":"","record_id":"","s\u0065q":"1"}`} {
		_, err := link.Extend([]byte(bad))
		assertFormError(t, err)
	}
	for _, link := range []record.Link{{}, {Seq: 1 << 63}} {
		_, err := link.Extend([]byte(caller))
		assertFormError(t, err)
	}
}

// The two members are strict together; one of them alone is a caller's own.
func TestReadLink(t *testing.T) {
	info := func(members string) (record.TerminalInfo, error) {
		return record.ParseTerminalInfo([]byte(`{"pos_id":"1","type":"SINGLE","subject":"","record_id":"",` + members + `}`))
	}
	prev := strings.Repeat("0a", 32)
	for _, alone := range []string{`"seq":"7"`, `"seq":7`, `"prev":"x"`, `"seq":7,"prev":"` + prev + `"`, `"seq":"7","prev":null`} {
		if got, err := info(alone); err != nil || got.HasChain() {
			t.Errorf("%s: %+v, %v", alone, got, err)
		}
	}
	if got, err := info(`"prev":"` + prev + `","seq":"9223372036854775807"`); err != nil || got.Seq != record.MaxSeq {
		t.Errorf("%+v, %v", got, err)
	}
	for _, seq := range []string{"", "0", "07", "+7", "-7", " 7", "7 ", "7.0", "7e1", "0x7", "1_0", "９", "9223372036854775808", "99999999999999999999"} {
		_, err := info(`"seq":"` + seq + `","prev":"` + prev + `"`)
		assertFormError(t, err)
	}
	for _, prev := range []string{"", "0a", prev[1:], prev + "0", prev + "00", strings.ToUpper(prev), strings.Replace(prev, "a", "g", 1)} {
		_, err := info(`"seq":"7","prev":"` + prev + `"`)
		assertFormError(t, err)
	}
}

func TestNext(t *testing.T) {
	begin := record.Link{Seq: 1, Prev: record.Genesis(posID)}
	if got, err := record.Next(posID, nil); err != nil || got != begin {
		t.Errorf("%+v, %v", got, err)
	}
	old := sample(record.Version2)
	raw, _ := old.Sign(user, record.Legacy{})
	if got, err := record.Next(posID, raw); err != nil || got != begin {
		t.Errorf("behind a record without a link: %+v, %v", got, err)
	}
	w := newWriter(t, posID)
	place := w.write("bus")
	if got, err := record.Next(posID, w.last); err != nil || got != (record.Link{Seq: 2, Prev: place.ID}) {
		t.Errorf("%+v, %v", got, err)
	}
	other := newWriter(t, "sh002")
	other.write("bus")
	w.writeLink(record.Link{Seq: record.MaxSeq}, "bus")
	for _, bad := range []struct {
		pos  string
		last []byte
	}{{"", nil}, {posID, other.last}, {posID, w.last}, {posID, raw[:9]}, {posID, []byte{}}} {
		_, err := record.Next(bad.pos, bad.last)
		assertFormError(t, err)
	}
}

func TestGenesisDiffersByTerminal(t *testing.T) {
	if record.Genesis("a") == record.Genesis("b") {
		t.Error("two terminals begin alike: their records could change places")
	}
}

// seedChain is a state with something of everything.
func seedChain(t interface{ Fatal(...any) }) []byte {
	w, r := newWriter(t, posID), newReader(t)
	places := w.writeMany(6, "bus")
	clone, again := newWriter(t, posID), newWriter(t, posID)
	clone.last = nil
	lines := slices.Concat(places[:2], places[3:5], clone.writeMany(6, "clone"), []record.Place{again.write("x"),
		w.writeLink(record.Link{Seq: 30, Prev: places[1].ID}, "bus")})
	for _, p := range lines {
		r.take(p)
	}
	return r.chain.Append(nil)
}

func TestParseChainRefuses(t *testing.T) {
	good := seedChain(t)
	for size := range len(good) {
		_, err := record.ParseChain(good[:size])
		assertFormError(t, err)
	}
	_, err := record.ParseChain(append(bytes.Clone(good), 0))
	assertFormError(t, err)
	_, err = record.ParseChain(make([]byte, 1<<20))
	assertFormError(t, err)
}

func FuzzParseChain(f *testing.F) {
	f.Add(record.NewChain(posID).Append(nil))
	f.Add(seedChain(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		chain, err := record.ParseChain(b)
		if err != nil {
			assertFormError(t, err)
			return
		}
		if again := chain.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x was written again as %x", b, again)
		}
		chain.Findings(chain.Highest())
	})
}

// FuzzChain lets a terminal do what it likes: the machine stays within its form.
func FuzzChain(f *testing.F) {
	f.Add([]byte{1, 0, 1, 2, 1, 2, 2, 9, 9})
	f.Fuzz(func(t *testing.T, steps []byte) {
		r := newReader(t)
		for ; len(steps) >= 3; steps = steps[3:] {
			p := record.Place{POSID: posID, Link: record.Link{Seq: uint64(steps[0]%32) + 1, Prev: record.StatementID{steps[1] % 32}}, ID: record.StatementID{steps[2] % 32}}
			if p.Prev == (record.StatementID{}) {
				p.Prev = record.Genesis(posID)
			}
			r.take(p)
			r.restart()
		}
	})
}

func BenchmarkChain(b *testing.B) {
	places := newWriter(b, posID).writeMany(1000, "bus")
	b.ReportAllocs()
	for b.Loop() {
		chain, kept := record.NewChain(posID), record.NewRegister()
		for _, p := range places {
			if _, err := chain.Add(p, kept); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed()/time.Duration(b.N))/float64(len(places)), "ns/record")
}
