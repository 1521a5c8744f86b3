package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
)

// testReplay: the difference is the tables' alone, whatever was sent, and nobody is named.
func testReplay(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	bank.Willing = true
	m := city.rich(t, store, bank)
	shut := city.Bus(t, 2, minutes(300))
	collect(t, m, minutes(400), city.Bus(t, 1, Morning()), city.Bus(t, 1, minutes(20)), // a transfer: 2.00 and 1.00
		city.Bus(t, 2, Morning()), shut, city.Bus(t, Students, Morning()), // 2.00; shut; 1.00
		city.Metro(t, 3, record.Entry, Morning(), "Xujiahui"), city.Metro(t, 3, record.Exit, minutes(40), "杨高中路"), // 3.00
		city.Metro(t, 4, record.Entry, Morning(), "Xujiahui")) // no exit: 5.00
	if _, err := m.Shut(t.Context(), [][]byte{shut}, minutes(400)); err != nil {
		t.Fatal(err)
	}
	settle(t, m, minutes(500))
	day, err := fare.ParseDay("2026-03-01")
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	options := merchant.ReplayOptions{First: day, Last: day.LastOfMonth(), Top: 2, Progress: func(int, int) { told++ },
		Pseudonym: func(rider merchant.Rider) string { return fmt.Sprint("nobody", rider.UserID[12:]) }}
	same, err := m.Replay(t.Context(), city.Rich, options)
	if err != nil || same.OldFen != 14_00 || same.NewFen != 14_00 || same.Riders != 5 || same.Trips != 6 || len(same.Most) != 0 || same.More.Riders+same.Less.Riders != 0 || told == 0 {
		t.Errorf("under the same tables: %+v, %v", same, err)
	}
	files := cityFares() // no transfers, no identities, no default fares
	files["lines.csv"] = []byte("line,group,fare\n19,bus,1.80\nmetro2,metro,matrix\n")
	got, err := m.Replay(t.Context(), parseFares(t, files), options)
	if err != nil {
		t.Fatal(err)
	}
	// phone 1: 3.00 -> 3.60, 2: 2.00 -> 1.80, the student: 1.00 -> 1.80, 3: 3.00 -> 3.00, 4: unknown
	if got.Riders != 4 || got.Trips != 5 || got.OldFen != 9_00 || got.NewFen != 10_20 || got.More != (merchant.Side{Riders: 2, AmountFen: 1_40}) || got.Less != (merchant.Side{Riders: 1, AmountFen: 20}) {
		t.Errorf("%+v", got)
	}
	if want := []merchant.Affected{{Pseudonym: "nobody0000", Trips: 1, OldFen: 1_00, NewFen: 1_80}, {Pseudonym: "nobody0001", Trips: 2, OldFen: 3_00, NewFen: 3_60}}; !slices.Equal(got.Most, want) {
		t.Errorf("most affected %+v, want %+v", got.Most, want)
	}
	if want := []merchant.LineChange{{Line: "19", Trips: 4, OldFen: 6_00, NewFen: 7_20}, {Line: "metro2", Trips: 1, OldFen: 3_00, NewFen: 3_00}}; !slices.Equal(got.Lines, want) {
		t.Errorf("lines %+v, want %+v", got.Lines, want)
	}
	if len(got.OnlyOld) != 1 || got.OnlyOld[0].Trips != 1 || len(got.OnlyNew) != 0 {
		t.Errorf("unpriced %+v, %+v", got.OnlyOld, got.OnlyNew)
	}
	riders, sum := 0, money.Fen(0)
	for _, bucket := range got.Distribution {
		riders += bucket.Riders
		if bucket.Riders > 0 && bucket.FromFen <= 80 && 80 < bucket.UntilFen {
			sum += bucket.FromFen
		}
	}
	if riders != 4 || sum != 1 {
		t.Errorf("distribution %+v", got.Distribution)
	}
	options.First, options.Last = day+31, day+61
	if april, err := m.Replay(t.Context(), city.Rich, options); err != nil || april.Trips != 0 || april.Riders != 0 {
		t.Errorf("in April: %+v, %v", april, err)
	}
}
