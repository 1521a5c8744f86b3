package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

const (
	ming     ridecode.UserID = "2088000000000001"
	stranger ridecode.UserID = "2088000000000002"
)

func event(no int) rides.Ride {
	ride := sample(no)
	ride.Info.Type, ride.Info.AmountFen = "event", nil
	return ride
}

func ofRider(t testing.TB, store rides.Store, rider ridecode.UserID, from rides.Place, limit int) (numbers []string, next rides.Place) {
	t.Helper()
	found, next, err := store.OfRider(t.Context(), rider, from, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, ride := range found {
		if ride.Target != string(rider) {
			t.Errorf("a ride of %s is shown to %s", ride.Target, rider)
		}
		numbers = append(numbers, string(ride.App)+"/"+ride.Info.Type+"/"+ride.Info.BizNo)
	}
	return numbers, next
}

// A rider's rides of every merchant, page by page, each once, also where many are of one second; nobody else's.
func testOfRider(t *testing.T, open Open) {
	store, reopen := open(t)
	other, bare, late := sample(2), sample(3), event(3)
	other.App, bare.TargetType, late.Info.BizTime = "app2", "", sample(3).Info.BizTime
	theirs, several, phone := sample(4), sample(5), sample(6)
	theirs.Target, several.Target, phone.TargetType = string(stranger), string(ming)+","+string(stranger), "BINDING_MOBILE_NO"
	add(t, store, sample(1), other, bare, theirs, several, phone)
	add(t, store, late) // of one second and one batch, any may come first
	want := []string{"app1/event/no3", "app1/order/no3", "app2/order/no2", "app1/order/no1"}
	for limit := 1; limit <= 5; limit++ {
		var got []string
		from := rides.Place{}
		for page := 0; page < 9; page++ {
			numbers, next := ofRider(t, store, ming, from, limit)
			got = append(got, numbers...)
			if from = next; next.IsZero() {
				break
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("by %d: %q", limit, got)
		}
		store = reopen()
	}
	for rider, count := range map[ridecode.UserID]int{stranger: 1, "2088000000000003": 0, ridecode.UserID(several.Target): 0} {
		if numbers, _ := ofRider(t, store, rider, rides.Place{}, 9); len(numbers) != count {
			t.Errorf("%s sees %q", rider, numbers)
		}
	}
}

// Each new order makes one text; a scan, a repetition, and what was refused make none.
func testTexts(t *testing.T, open Open) {
	store, reopen := open(t)
	conflict := sample(1)
	conflict.Info.Subject = "another"
	add(t, store, sample(1), event(2), sample(3))
	add(t, store, sample(3), sample(4))
	if err := store.Add(t.Context(), []rides.Ride{sample(5), conflict}); err == nil {
		t.Fatal("a conflict is taken")
	}
	store = reopen()
	first, err := store.Texts(t.Context(), 0, 2)
	if err != nil || len(first) != 2 {
		t.Fatal(first, err)
	}
	rest, err := store.Texts(t.Context(), first[1].No, 9)
	if err != nil || len(rest) != 1 {
		t.Fatal(rest, err)
	}
	for i, no := range []int{1, 3, 4} {
		want := rides.Text{No: append(first, rest...)[i].No, Rider: ming, Text: sample(no).Text(), Made: sample(no).Received}
		if got := append(first, rest...)[i]; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// OpenQueue makes an empty store, and queues over the same database.
type OpenQueue = func(t *testing.T) (rides.Store, func(gap func(attempt int) (time.Duration, bool)) payment.Deliveries)

// RunNotices: each order is brought to its rider under one ID, however queues come and go, and scans are not.
func RunNotices(t *testing.T, open OpenQueue) {
	const orders = 30
	store, queue := open(t)
	p := &postman{carried: map[string]map[string]int{}, failed: map[string]bool{}}
	for round := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for range 2 {
			q := queue(func(int) (time.Duration, bool) { return time.Millisecond, true })
			running.Go(func() {
				if err := q.Run(ctx, nobody, p); err != nil {
					t.Errorf("a queue stopped: %v", err)
				}
			})
		}
		for no := range orders / 3 {
			add(t, store, sample(round*orders/3+no), event(round*orders/3+no))
		}
		for round == 2 && p.count() < orders && t.Context().Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
		running.Wait()
	}
	p.check(t, orders)
}

func nobody(context.Context, int, []payment.Posted) ([]payment.Delivery, error) { return nil, nil }

// postman finds nobody at home the first time.
type postman struct {
	mutex   sync.Mutex
	carried map[string]map[string]int // number of the order, ID of the delivery
	failed  map[string]bool
}

func (p *postman) Wants(to payment.Recipient, _ payment.Notice) bool { return to == payment.ToRider }

func (p *postman) Carry(_ context.Context, d payment.Delivery) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if !p.failed[d.ID] {
		p.failed[d.ID] = true
		return errors.New("storetest: nobody is at home")
	}
	number := fmt.Sprint(d.Notice.Kind, d.Notice.User, d.Notice.OutTradeNo, d.Notice.Ride.Line)
	if p.carried[number] == nil {
		p.carried[number] = map[string]int{}
	}
	p.carried[number][d.ID]++
	return nil
}

func (p *postman) count() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.carried)
}

func (p *postman) check(t *testing.T, orders int) {
	if len(p.carried) != orders || len(p.failed) != orders {
		t.Errorf("%d orders were brought under %d IDs", len(p.carried), len(p.failed))
	}
	for no := range orders {
		number := fmt.Sprint(payment.RideTold, ming, sample(no).Info.BizNo, sample(no).Info.LineName)
		if len(p.carried[number]) != 1 {
			t.Errorf("%s was brought as %v", number, p.carried[number])
		}
	}
}
