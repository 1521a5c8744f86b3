package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
)

const (
	idleCount      = 10_000
	idleBytesMax   = 48 << 10 // of heap and stack, for a connection
	settleWait     = 60 * time.Second
	idleChild      = "SHUAMA_TEST_IDLE_ADDRESS"
	idleChildReady = "ready"
)

// TestIdleChild is the other side of the test below, in a process of its own: a process may not open files enough for
// both.
func TestIdleChild(t *testing.T) {
	address := os.Getenv(idleChild)
	if address == "" {
		return // not a test of its own
	}
	conns := make([]net.Conn, idleCount)
	for i := range conns {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		fmt.Fprintf(conn, "POST %s?app_id=none HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", gateway.Path)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("connection %d: status %d, %v", i, response.StatusCode, err)
		}
		conns[i] = conn
	}
	fmt.Println(idleChildReady)
	io.Copy(io.Discard, os.Stdin) // until the parent has seen enough
	runtime.KeepAlive(conns)
}

// Ten thousand connections that asked once and stay open cost little memory, keep nobody waiting, and leave nothing
// behind.
func TestIdleConnections(t *testing.T) {
	w := newWorld(t, nil)
	client := w.client(t)
	if _, err := client.KeyQuery(t.Context()); err != nil {
		t.Fatal(err)
	}
	memoryBefore, goroutinesBefore := memoryInUse(), runtime.NumGoroutine()
	child := exec.Command(os.Args[0], "-test.run=^TestIdleChild$", "-test.v")
	child.Env = append(os.Environ(), idleChild+"="+strings.TrimSuffix(strings.TrimPrefix(w.url, "http://"), gateway.Path))
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer stdin.Close()
	lines := bufio.NewScanner(stdout)
	var said []string
	for lines.Scan() && lines.Text() != idleChildReady {
		said = append(said, lines.Text())
	}
	if lines.Text() != idleChildReady {
		t.Fatalf("the other side (it needs ulimit -n of %d): %s", idleCount+100, strings.Join(said, "\n"))
	}
	perConnection := (int64(memoryInUse()) - int64(memoryBefore)) / idleCount
	t.Logf("%d idle connections: %d bytes each, %d goroutines", idleCount, perConnection, runtime.NumGoroutine())
	if perConnection > idleBytesMax {
		t.Errorf("an idle connection holds %d bytes", perConnection)
	}
	if _, err := client.KeyQuery(t.Context()); err != nil {
		t.Errorf("in the crowd: %v", err)
	}
	stdin.Close()
	waitFor(t, "the goroutines of the idle connections to end", func() bool { return runtime.NumGoroutine() < goroutinesBefore+100 })
}

func memoryInUse() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapInuse + stats.StackInuse
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(settleWait); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Slow clients, with half a header or half a body, hold nobody up, and are let go when their time is over.
func TestSlowClients(t *testing.T) {
	w := newWorld(t, nil)
	slow := httptest.NewUnstartedServer(nil)
	handler, err := gateway.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	slow.Config = gateway.NewHTTPServer("", handler)
	slow.Config.ReadTimeout = slow.Config.ReadHeaderTimeout // a test need not wait as long as a network
	slow.Start()
	defer slow.Close()
	w.url = slow.URL + gateway.Path
	var conns []net.Conn
	for i := range 200 {
		conn := w.dial(t)
		text := "POST " + gateway.Path + " HTTP/1.1\r\nHost: x\r\nContent-Type: " + formType + "\r\nContent-Length: " + strconv.Itoa(openapi.MaxRequestSize) + "\r\n\r\n" + strings.Repeat("a", 20_000)
		if i%2 == 0 {
			text = "POST " + gateway.Path + " HTTP/1.1\r\nHost: x\r\nX-Slow: "
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	if _, err := w.client(t).KeyQuery(t.Context()); err != nil {
		t.Errorf("beside slow clients: %v", err)
	}
	for i, conn := range conns {
		conn.SetReadDeadline(time.Now().Add(settleWait))
		answer, err := io.ReadAll(conn)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatalf("connection %d is held: %v", i, err)
		}
		if i%2 == 1 && len(answer) > 0 && !strings.Contains(string(answer), "isv.invalid-parameter") {
			t.Errorf("connection %d was answered %.300s", i, answer)
		}
	}
}
