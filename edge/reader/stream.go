package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Lines reads lines of hex or base64 (scan.ParseText): standard input, or a scanner that types into
// it. A blank line is passed over. name is the Source of its scans.
//
// r is not closed. When ctx ends while r has nothing to give, one read of it stays behind, unless r
// has a SetReadDeadline that works.
func Lines(r io.Reader, name string) Source {
	return &stream{name: name, in: r, cut: &textLines{}}
}

// Framed reads raw bytes, each code with a length of two bytes in front (scan.ReadFramed). A length
// out of range ends it with scan.ErrFrame, for nobody knows where the next frame begins. Otherwise it
// is as Lines.
func Framed(r io.Reader, name string) Source {
	return &stream{name: name, in: r, cut: &frames{}}
}

// stream cuts codes off a reader.
type stream struct {
	name    string
	in      io.Reader
	device  io.Closer // in, when it is ours to close and its end means that it is gone
	cut     cutter
	silence time.Duration // after which cut.pause is due; 0: this reader knows no silence
	ran     atomic.Bool
}

// piece is what one read gave. The moment of the read is kept with it: while the gate is busy with
// one rider, the silence before the next one must not be lost, nor one be found that was none.
type piece struct {
	bytes []byte
	at    time.Time
	err   error
}

const (
	pieceSize = 4096
	// aheadCount is how many pieces are read ahead of a busy gate.
	aheadCount = 64
)

// Run reads until the input ends, the device is gone or ctx is done.
func (s *stream) Run(ctx context.Context, found func(Scan)) error {
	if s.ran.Swap(true) {
		return errRunTwice
	}
	pieces, stop := make(chan piece, aheadCount), make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.read(pieces, stop)
	}()
	err := s.cutAll(ctx, pieces, func(payload []byte, err error) {
		if ctx.Err() == nil {
			found(Scan{Payload: payload, Source: s.name, Err: err})
		}
	})
	close(stop)
	s.letGo(stopped)
	return err
}

// read is the only one that reads.
func (s *stream) read(pieces chan<- piece, stop <-chan struct{}) {
	for {
		buffer := make([]byte, pieceSize)
		n, err := s.in.Read(buffer)
		select {
		case pieces <- piece{buffer[:n], time.Now(), err}:
		case <-stop:
			return
		}
		if err != nil {
			return
		}
	}
}

func (s *stream) cutAll(ctx context.Context, pieces <-chan piece, found emit) error {
	var last time.Time
	for ctx.Err() == nil {
		var got piece
		var silent bool
		if got, silent = s.next(ctx, pieces, last); silent {
			s.cut.pause(found)
			continue
		}
		if s.silence > 0 && s.cut.waiting() && got.at.Sub(last) >= s.silence {
			s.cut.pause(found)
		}
		last = got.at
		if err := s.cut.push(got.bytes, found); err != nil && s.silence == 0 {
			return fmt.Errorf("reader: %s: %w", s.name, err)
		}
		if got.err != nil {
			return s.over(ctx, got.err, found)
		}
	}
	return nil
}

// next waits for a piece. It tells of silence only when none is there.
func (s *stream) next(ctx context.Context, pieces <-chan piece, last time.Time) (got piece, silent bool) {
	var due <-chan time.Time
	if s.silence > 0 && s.cut.waiting() {
		timer := time.NewTimer(time.Until(last.Add(s.silence)))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case got = <-pieces:
		return got, false
	case <-ctx.Done():
		return piece{err: ctx.Err()}, false
	case <-due:
	}
	select {
	case got = <-pieces:
		return got, false
	default:
		return piece{}, true
	}
}

// over says how the input ended.
func (s *stream) over(ctx context.Context, err error, found emit) error {
	if ctx.Err() != nil {
		return nil
	}
	if s.device != nil {
		return s.gone(err, found)
	}
	if cutShort := s.cut.end(found); errors.Is(err, io.EOF) {
		err = cutShort
	}
	if err != nil {
		return fmt.Errorf("reader: %s: %w", s.name, err)
	}
	return nil
}

// gone drops what had come of a code when the plug was pulled: nobody knows whether it is whole.
func (s *stream) gone(err error, found emit) error {
	if s.cut.waiting() {
		found(nil, ErrCutShort)
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("reader: %s: %w", s.name, ErrGone)
	}
	return fmt.Errorf("reader: %s: %w: %w", s.name, ErrGone, err)
}

// letGo ends the read that may still be waiting. What closing a device answers is of no interest:
// nothing was written to it.
func (s *stream) letGo(stopped <-chan struct{}) {
	if s.device != nil {
		_ = s.device.Close()
		<-stopped
		return
	}
	in, can := s.in.(interface{ SetReadDeadline(time.Time) error })
	if can && in.SetReadDeadline(time.Unix(1, 0)) == nil {
		<-stopped
		_ = in.SetReadDeadline(time.Time{})
	}
}
