//go:build unix

package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/payment"
)

const (
	loadRounds  = 5
	loadLasts   = 300 * time.Millisecond
	loadSigning = 50 * time.Millisecond
)

// contender is a server and one request that it is asked all the time.
type contender struct {
	name    string
	address string
	request []byte
}

// measured is one contender at one number of connections, a figure a round. ratio is by processor time, of server and
// clients together: other programs on the machine do not count.
type measured struct {
	perSec, ratio []float64
	p99           []time.Duration
}

// BenchmarkLoad asks real records and keys over real connections, beside a bare net/http handler that only verifies
// and signs RSA2, all in one interleaved run. Requests are signed before, and answers are not verified: the clients
// share the cores with the server, and are to take little of them. make bench-gateway
func BenchmarkLoad(b *testing.B) {
	contenders := loadContenders(b)
	for b.Loop() {
		signs, verifies := rsaRate()
		fmt.Printf("RSA-2048 on one core: %.0f signatures, %.0f verifications a second\n", signs, verifies)
		fmt.Printf("%-44s %5s %12s %12s %8s\n", "", "conns", "requests/s", "p99", "/ bare")
		for _, conns := range []int{1, 8, 64} {
			printLoad(b, contenders, conns)
		}
	}
}

func printLoad(b *testing.B, contenders []contender, conns int) {
	results := make([]measured, len(contenders))
	for range loadRounds {
		bare := 0.0
		for i, c := range contenders {
			perSec, cost, p99 := loadOnce(b, c, conns)
			if i == 0 {
				bare = cost
			}
			r := &results[i]
			r.perSec, r.p99, r.ratio = append(r.perSec, perSec), append(r.p99, p99), append(r.ratio, bare/cost)
		}
	}
	for i, r := range results {
		slices.Sort(r.perSec)
		slices.Sort(r.p99)
		slices.Sort(r.ratio)
		fmt.Printf("%-44s %5d %12.0f %12s %8.2f\n", contenders[i].name, conns, r.perSec[loadRounds/2], r.p99[loadRounds/2].Round(10*time.Microsecond), r.ratio[loadRounds/2])
	}
}

// loadOnce asks as fast as answers come, over so many connections. cost is processor time a request, in seconds.
func loadOnce(b *testing.B, c contender, conns int) (perSec, cost float64, p99 time.Duration) {
	var mutex sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	start, used := time.Now(), processorTime()
	for range conns {
		all.Go(func() {
			own, err := askWhile(c, start.Add(loadLasts))
			if err != nil {
				b.Error(err)
			}
			mutex.Lock()
			defer mutex.Unlock()
			took = append(took, own...)
		})
	}
	all.Wait()
	seconds := time.Since(start).Seconds()
	slices.Sort(took)
	return float64(len(took)) / seconds, (processorTime() - used) / float64(len(took)), took[len(took)*99/100]
}

// processorTime is what this process has used, in seconds.
func processorTime() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func askWhile(c contender, end time.Time) (took []time.Duration, err error) {
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		asked := time.Now()
		if asked.After(end) && len(took) > 0 {
			return took, nil
		}
		if _, err := conn.Write(c.request); err != nil {
			return took, err
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return took, err
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
			return took, fmt.Errorf("%s: status %d, %v", c.name, response.StatusCode, err)
		}
		took = append(took, time.Since(asked))
	}
}

// rsaRate is what one core can do, in the best of some short rounds: other programs may want the core too.
func rsaRate() (signs, verifies float64) {
	key := signerOf(platformKey())
	text := []byte(`{"code":"10000","msg":"Success"}`)
	var signature []byte
	for range loadRounds {
		signs = max(signs, rateOf(func() { signature, _ = key.Sign(openapi.RSA2, text) }))
		verifies = max(verifies, rateOf(func() { key.Public().Verify(openapi.RSA2, text, signature) }))
	}
	return signs, verifies
}

func rateOf(do func()) float64 {
	count, start := 0, time.Now()
	for ; time.Since(start) < loadSigning; count++ {
		do()
	}
	return float64(count) / time.Since(start).Seconds()
}

// differing is a Payment that verifies records, and then gives each refusal other words, so that no answer can be
// remembered.
type differing struct {
	*payment.Payment
	count atomic.Int64
}

func (d *differing) VerifyRecord(ctx context.Context, merchant payment.Merchant, raw []byte, now time.Time) error {
	if err := d.Payment.VerifyRecord(ctx, merchant, raw, now); err != nil {
		return err
	}
	return &payment.RecordError{Reason: payment.RecordInvalid, Why: fmt.Sprintf("answer %d", d.count.Add(1))}
}

// loadContenders are the bare handler first, then the gateway: with answers that differ each time, as trade.settle's
// do, and with those of record.verify and key.query, which are few.
func loadContenders(b *testing.B) []contender {
	world := testkit.New(b, 0)
	phone := world.Rider("2088000000000001", 0, 0)
	bus := world.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00)
	content := []byte(fmt.Sprintf(`{"record":"%x"}`, bus.Tap(phone).Record))
	serve := func(p gateway.Payment) string {
		apps, err := gateway.NewAppList(gateway.App{ID: testkit.AppID, Merchant: world.Payee, Key: signerOf(appKey()).Public(), Methods: gateway.Methods()})
		if err != nil {
			b.Fatal(err)
		}
		handler, err := gateway.New(gateway.Config{Apps: apps, Signer: signerOf(platformKey()), Payment: p, IssuerKeys: world.Issuer.Keys, Now: world.Now,
			Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			b.Fatal(err)
		}
		server := httptest.NewServer(handler)
		b.Cleanup(server.Close)
		return server.URL
	}
	request := func(address string, method openapi.Method, content []byte) contender {
		query, body, err := openapi.Call{AppID: testkit.AppID, Method: method, Timestamp: world.Now(), Content: content}.Sign(signerOf(appKey()))
		if err != nil {
			b.Fatal(err)
		}
		host := strings.TrimPrefix(address, "http://")
		return contender{address: host, request: fmt.Appendf(nil, "POST %s?%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			gateway.Path, query, host, formType, len(body), body)}
	}
	real := serve(world.Payment)
	list := []contender{bareContender(b, content), request(serve(&differing{Payment: world.Payment}), openapi.MethodRecordVerify, content),
		request(real, openapi.MethodRecordVerify, content), request(real, openapi.MethodKeyQuery, nil)}
	for i, name := range []string{"bare net/http: RSA2 verified and signed", "record.verify, each answer another", "record.verify", "key.query"} {
		list[i].name = name
	}
	runtime.GC()
	return list
}

// bareContender verifies a signature over the body, and signs an answer: nothing is read, looked up or written.
func bareContender(b *testing.B, text []byte) contender {
	app, platform := signerOf(appKey()).Public(), signerOf(platformKey())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		signature, _ := base64.StdEncoding.DecodeString(r.Header.Get("sign"))
		if err != nil || !app.Verify(openapi.RSA2, body, signature) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		signature, err = platform.Sign(openapi.RSA2, body)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("sign", base64.StdEncoding.EncodeToString(signature))
		w.Write(body)
	}))
	b.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		b.Fatal(err)
	}
	request := fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: %s\r\nSign: %s\r\nContent-Length: %d\r\n\r\n", address.Host, signText(b, appKey(), openapi.RSA2, string(text)), len(text))
	return contender{address: address.Host, request: append(request, bytes.Clone(text)...)}
}
