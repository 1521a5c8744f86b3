package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

func postOf(body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, Path, body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// A body is read whole, in whatever pieces it comes, and what it drew goes back.
func TestBodiesAreRead(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, smallBody, smallBody + 1024, 100_000, openapi.MaxRequestSize} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "in halves": iotest.HalfReader, "with the end": iotest.DataErrReader} {
			var budget bodyBudget
			sent := strings.Repeat("a", size)
			body, release, err := budget.read(httptest.NewRecorder(), postOf(wrap(strings.NewReader(sent))))
			if err != nil || string(body) != sent {
				t.Errorf("%d bytes %s: %d, %v", size, name, len(body), err)
			}
			if drawn := budget.drawn.Load(); (drawn > 0) != (size > smallBody) || drawn > 2*int64(size)+smallBody {
				t.Errorf("%d bytes %s: %d drawn", size, name, drawn)
			}
			if release(); budget.drawn.Load() != 0 {
				t.Errorf("%d bytes %s: %d kept", size, name, budget.drawn.Load())
			}
		}
	}
}

// When large bodies have drawn the budget, small requests go on, and large ones are told to come again.
func TestBodiesAreBounded(t *testing.T) {
	var budget bodyBudget
	var releases []func()
	large := strings.Repeat("a", openapi.MaxRequestSize)
	for len(releases) < 1000 {
		_, release, err := budget.read(httptest.NewRecorder(), postOf(strings.NewReader(large)))
		releases = append(releases, release)
		var refusal *openapi.Error
		if errors.As(err, &refusal) {
			if refusal.Code != openapi.CodeUnavailable || refusal.OutcomeKnown() {
				t.Errorf("refused with %v", refusal)
			}
			break
		}
	}
	if len(releases) < 32 || len(releases) > bodyMemory/openapi.MaxRequestSize+1 || budget.drawn.Load() > bodyMemory {
		t.Fatalf("%d large bodies at once, %d bytes drawn", len(releases), budget.drawn.Load())
	}
	if body, release, err := budget.read(httptest.NewRecorder(), postOf(strings.NewReader(large[:smallBody]))); err != nil || len(body) != smallBody {
		t.Errorf("a small body: %v", err)
	} else {
		release()
	}
	for _, release := range releases {
		release()
	}
	if budget.drawn.Load() != 0 {
		t.Errorf("%d bytes are still drawn", budget.drawn.Load())
	}
}

// What is announced draws nothing: a client that says 2 MiB and sends a byte holds no more than its connection.
func TestAnnouncementsAreFree(t *testing.T) {
	var budget bodyBudget
	pipe, sender := io.Pipe()
	request := postOf(pipe)
	request.ContentLength = openapi.MaxRequestSize
	done := make(chan error, 1)
	go func() {
		_, release, err := budget.read(httptest.NewRecorder(), request)
		release()
		done <- err
	}()
	if _, err := sender.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if drawn := budget.drawn.Load(); drawn != 0 {
		t.Errorf("%d bytes drawn", drawn)
	}
	sender.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-done; err == nil {
		t.Error("half a body was taken")
	}
}

// Beyond the bound, a newcomer takes the place of the longest idle; where all are busy it is turned away; and a
// place that was left is free again.
func TestCrowd(t *testing.T) {
	busy := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			<-busy
		}
	}))
	c := newCrowd(3)
	server.Config.ConnState = c.follow
	server.Start()
	defer server.Close()
	dial := func(path string) net.Conn {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		return conn
	}
	answered := func(conn net.Conn) bool {
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		return err == nil && response.StatusCode == http.StatusOK
	}
	isClosed := func(conn net.Conn) bool {
		_, err := conn.Read(make([]byte, 1))
		return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
	}
	var idle []net.Conn
	for i := range 5 {
		idle = append(idle, dial("/"))
		if !answered(idle[i]) {
			t.Fatalf("connection %d is shut out by those that wait", i)
		}
		for c.idleCount() != min(i+1, 3) {
			time.Sleep(time.Millisecond) // the answer is there a moment before the connection is idle
		}
	}
	if !isClosed(idle[0]) || !isClosed(idle[1]) {
		t.Error("the longest idle are still open")
	}
	var working []net.Conn
	for range 3 {
		working = append(working, dial("/busy"))
	}
	for c.idleCount() > 0 {
		time.Sleep(time.Millisecond)
	}
	if !isClosed(dial("/")) {
		t.Error("a fourth came in beside three that are busy")
	}
	close(busy)
	for i, conn := range working {
		if !answered(conn) {
			t.Errorf("busy connection %d was closed", i)
		}
	}
	if !answered(dial("/")) {
		t.Error("no place after those were answered")
	}
}

func (c *crowd) idleCount() int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.idle.Len()
}

// Signatures that are remembered are those that would be made, and are forgotten in the end.
func TestSignaturesAreRemembered(t *testing.T) {
	counted := &countingSigner{}
	s := newSignatures(counted)
	for range 3 {
		for _, text := range []string{"a", "b"} {
			for _, signType := range []openapi.SignType{openapi.RSA2, openapi.RSA} {
				if got, err := s.Sign(signType, []byte(text)); err != nil || string(got) != string(signType)+text {
					t.Errorf("%s %s: %s, %v", signType, text, got, err)
				}
			}
		}
	}
	if counted.count != 4 {
		t.Errorf("signed %d times", counted.count)
	}
	for i := range 3 * rememberedMax {
		s.Sign(openapi.RSA2, fmt.Append(nil, i))
		s.Sign(openapi.RSA2, []byte("a")) // asked for all the time
	}
	if counted.count != 4+3*rememberedMax || len(s.young)+len(s.old) > 2*rememberedMax {
		t.Errorf("signed %d times, %d remembered", counted.count, len(s.young)+len(s.old))
	}
	long := bytes.Repeat([]byte("x"), rememberedSizeMax+1)
	s.Sign(openapi.RSA2, long)
	if s.Sign(openapi.RSA2, long); counted.count != 6+3*rememberedMax {
		t.Error("a long text is remembered")
	}
	counted.fails = true
	if _, err := s.Sign(openapi.RSA2, []byte("new")); err == nil {
		t.Error("an error is swallowed")
	}
	counted.fails = false
	if got, err := s.Sign(openapi.RSA2, []byte("new")); err != nil || string(got) != "RSA2new" {
		t.Errorf("an error is remembered: %s, %v", got, err)
	}
}

type countingSigner struct {
	count int
	fails bool
}

func (c *countingSigner) Sign(signType openapi.SignType, text []byte) ([]byte, error) {
	if c.fails {
		return nil, io.ErrClosedPipe
	}
	c.count++
	return append([]byte(signType), text...), nil
}
