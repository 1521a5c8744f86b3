package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/shuama/shuama/edge/scan"
)

// run runs a source to its end and returns what it found, as text.
func run(ctx context.Context, source Source) (found string, err error) {
	got := &gathered{}
	err = source.Run(ctx, func(s Scan) { got.take(s.Payload, s.Err) })
	return got.text(), err
}

func TestLinesAndFramed(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		source Source
		want   string
		err    error
	}{
		"lines":             {Lines(strings.NewReader("4142\nxyz\n0201"), "in"), `"AB" "\x02\x01" !`, nil},
		"nothing":           {Lines(strings.NewReader(""), "in"), ``, nil},
		"broken":            {Lines(io.MultiReader(strings.NewReader("4142\n"), iotest.ErrReader(broken)), "in"), `"AB"`, broken},
		"framed":            {Framed(strings.NewReader("\x00\x02AB\x00\x01C"), "in"), `"AB" "C"`, nil},
		"framed, cut short": {Framed(strings.NewReader("\x00\x02AB\x00\x02C"), "in"), `"AB"`, io.ErrUnexpectedEOF},
		"framed, no length": {Framed(strings.NewReader("\x00\x02AB\x00\x00C"), "in"), `"AB" !`, scan.ErrFrame},
	} {
		if found, err := run(t.Context(), c.source); found != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %s, %v; want %s, %v", name, found, err, c.want, c.err)
		}
	}
}

func TestSourceNamesItself(t *testing.T) {
	for _, s := range []Source{Lines(strings.NewReader("4142\nx\n"), "line 1"), Framed(strings.NewReader("\x00\x01A"), "line 1")} {
		if err := s.Run(t.Context(), func(s Scan) {
			if s.Source != "line 1" || (s.Err == nil) == (s.Payload == nil) {
				t.Errorf("%+v", s)
			}
		}); err != nil {
			t.Error(err)
		}
		if err := s.Run(t.Context(), nil); err == nil {
			t.Error("ran twice")
		}
	}
}

// The end of ctx ends a Run that waits for input, and takes a read of a pipe back.
func TestContextEndsRun(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	fmt.Fprintln(w, "4142")
	if err := Lines(r, "pipe").Run(ctx, func(Scan) { cancel() }); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(w, "0201")
	w.Close()
	if found, err := run(t.Context(), Lines(r, "pipe")); found != `"\x02\x01"` || err != nil {
		t.Errorf("the pipe's next reader: %s, %v", found, err)
	}
}

func TestNothingAfterContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	count := 0
	err := Lines(strings.NewReader("4142\n0201\n"), "in").Run(ctx, func(Scan) { count++; cancel() })
	if count != 1 || err != nil {
		t.Errorf("%d scans, %v", count, err)
	}
}

// Raw codes are told apart by silence, in the time at which they came: a gate that is busy with one
// rider neither glues the next two together nor cuts one apart.
func TestBusyGateKeepsSilences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		go func() {
			for _, part := range []string{"A", "B", "pause", "C", "pause", "D", "E"} {
				if part == "pause" {
					time.Sleep(60 * time.Millisecond)
					continue
				}
				io.WriteString(out, part)
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(10 * time.Second)
			out.Close()
		}()
		source := &stream{name: "in", in: in, cut: &bursts{}, silence: 50 * time.Millisecond}
		got := &gathered{}
		err := source.Run(t.Context(), func(s Scan) {
			time.Sleep(time.Second)
			got.take(s.Payload, s.Err)
		})
		if got.text() != `"AB" "C" "DE"` || err != nil {
			t.Errorf("%s, %v", got.text(), err)
		}
	})
}

func TestSilenceInALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		go func() {
			for _, part := range []string{"41", "42\r\n", "414"} {
				io.WriteString(out, part)
				time.Sleep(cutShortAfter - time.Millisecond)
			}
			time.Sleep(time.Minute)
			io.WriteString(out, "0201\r")
			out.Close()
		}()
		found, err := run(t.Context(), &stream{name: "in", in: in, cut: &textLines{}, silence: cutShortAfter})
		if found != `"AB" "\x02\x01" !` || err != nil {
			t.Errorf("%s, %v", found, err)
		}
	})
}

// script is a source that does what it is told.
type script func(ctx context.Context, found func(Scan)) error

func (s script) Run(ctx context.Context, found func(Scan)) error { return s(ctx, found) }

func TestReopening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var opened, told []string
		open := func() (Source, error) {
			opened = append(opened, time.Since(began).String())
			switch n := len(opened); {
			case n <= 4:
				return nil, os.ErrNotExist
			case n == 5:
				return script(func(_ context.Context, found func(Scan)) error {
					found(Scan{Payload: []byte("A")})
					time.Sleep(time.Minute)
					return ErrGone
				}), nil
			case n == 6:
				return nil, os.ErrNotExist
			}
			return Lines(strings.NewReader("42\n"), "in"), nil
		}
		tell := func(err error) { told = append(told, fmt.Sprint(err)) }
		found, err := run(t.Context(), Reopening(open, Backoff{First: time.Second, Most: 3 * time.Second}, tell))
		if found != `"A" "B"` || err != nil {
			t.Errorf("%s, %v", found, err)
		}
		if got, want := strings.Join(opened, " "), "0s 1s 3s 6s 9s 1m10s 1m12s"; got != want {
			t.Errorf("opened at %s, want %s", got, want)
		}
		want := fmt.Sprint([]string{os.ErrNotExist.Error(), "<nil>", ErrGone.Error(), os.ErrNotExist.Error(), "<nil>"})
		if fmt.Sprint(told) != want {
			t.Errorf("told %v, want %v", told, want)
		}
	})
}

func TestReopeningStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		count := 0
		err := Reopening(func() (Source, error) { count++; return nil, os.ErrNotExist }, Backoff{}, nil).Run(ctx, nil)
		if err != nil || count < 700 || count > 730 {
			t.Errorf("%v after %d attempts in an hour at five seconds", err, count)
		}
	})
}

func TestDebounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := script(func(_ context.Context, found func(Scan)) error {
			see := func(text string, after time.Duration) {
				time.Sleep(after)
				found(Scan{Payload: []byte(text)})
			}
			for range 100 { // two phones before a camera, for 50 seconds
				see("A", 250*time.Millisecond)
				see("B", 250*time.Millisecond)
			}
			see("A", 2*time.Second) // out of sight long enough
			found(Scan{Err: ErrCutShort})
			found(Scan{Err: ErrCutShort})
			for i := range rememberedCount {
				see(fmt.Sprint(i), 0)
			}
			see("B", 0)
			return nil
		})
		debounced := Debounce(source, 2*time.Second).(*debounce)
		found, err := run(t.Context(), debounced)
		want := `"A" "B" "A" "0" "1" "2" "3" "4" "5" "6" "7" "8" "9" "10" "11" "12" "13" "14" "15" "B" ! !`
		if found != want || err != nil {
			t.Errorf("%s, %v", found, err)
		}
		if len(debounced.seen) != rememberedCount {
			t.Errorf("remembers %d codes", len(debounced.seen))
		}
	})
}

// Sources together: everything is found, one scan at a time, and one failure does not stop the others.
func TestTogether(t *testing.T) {
	var lines []Source
	for i := range 8 {
		lines = append(lines, Lines(strings.NewReader(strings.Repeat("4142\n", 50)), fmt.Sprint(i)))
	}
	broken := script(func(context.Context, func(Scan)) error { return ErrGone })
	busy, count := false, 0
	err := Together(append(lines, broken)...).Run(t.Context(), func(Scan) {
		if busy {
			t.Error("two scans at a time")
		}
		busy = true
		count++
		busy = false
	})
	if count != 400 || !errors.Is(err, ErrGone) {
		t.Errorf("%d scans, %v", count, err)
	}
}
