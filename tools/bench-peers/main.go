//go:build peers

// Command bench-peers (基准对照) measures the two curve packages against OpenSSL and libsecp256k1, and prints
// the table of docs/BENCHMARKS.md. It is the only program of the curve floor that needs cgo, and
// therefore sits behind the build tag peers:
//
//	apt-get install libssl-dev libsecp256k1-dev
//	go run -tags peers ./tools/bench-peers
//
// All contenders run interleaved in one process on one pinned core; every operation takes the next of 64
// signatures made with 32 keys. Processor time of the thread is counted, so that other programs do not
// matter. A ratio is the median over the rounds of the ratio inside a round, so that a change of clock
// speed between rounds does not matter either.
package main

/*
#cgo CFLAGS: -O2
#cgo LDFLAGS: -lcrypto -lsecp256k1
#include "peers.h"
*/
import "C"

import (
	"crypto/sha1"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
	"unsafe"
)

const (
	keyCount  = 32
	caseCount = 64
	sliceTime = 60 * time.Millisecond // one contender, one round
)

// contender runs count operations and returns how many gave the right answer.
type contender struct {
	name string
	run  func(count int) int
	wall bool // it waits for a disk: the time of the wall counts

	count  int       // operations in one slice
	rounds []float64 // nanoseconds an operation
}

func main() {
	rounds := flag.Int("rounds", 11, "rounds, at least 5")
	core := flag.Int("core", 0, "core to pin to")
	flag.Parse()
	if err := run(max(*rounds, 5), *core); err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
}

func run(rounds, core int) error {
	runtime.LockOSThread()
	if C.pin_to_core(C.int(core)) != 0 {
		return fmt.Errorf("cannot pin to core %d", core)
	}
	all, err := contenders()
	if err != nil {
		return err
	}
	for _, c := range all {
		if err := c.calibrate(); err != nil {
			return err
		}
	}
	for range rounds {
		for _, c := range all {
			if err := c.round(); err != nil {
				return err
			}
		}
	}
	report(all, rounds)
	return nil
}

// calibrate finds how many operations fill a slice.
func (c *contender) calibrate() error {
	c.run(caseCount) // tables, caches
	for c.count = caseCount; ; c.count *= 2 {
		start := c.clock()
		if good := c.run(c.count); good != c.count {
			return fmt.Errorf("%s: %d of %d answers are wrong", c.name, c.count-good, c.count)
		}
		if c.clock()-start > sliceTime/2 {
			return nil
		}
	}
}

func (c *contender) round() error {
	start := c.clock()
	good := c.run(c.count)
	elapsed := c.clock() - start
	if good != c.count {
		return fmt.Errorf("%s: %d of %d answers are wrong", c.name, c.count-good, c.count)
	}
	c.rounds = append(c.rounds, float64(elapsed.Nanoseconds())/float64(c.count))
	return nil
}

// cpuTime is the processor time of the one thread that all contenders run on.
func cpuTime() time.Duration { return time.Duration(C.thread_cpu_nanosec()) }

func (c *contender) clock() time.Duration {
	if c.wall {
		return time.Duration(time.Now().UnixNano())
	}
	return cpuTime()
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// cases holds the same signatures for C and for Go.
type cases struct {
	c       []C.peer_case
	keys    [][]byte
	digests [][]byte
	ders    [][]byte
}

func (s *cases) add(key, digest, der, secret []byte, padTo int) {
	var c C.peer_case
	padded := append(make([]byte, padTo-len(digest)), digest...)
	put(c.key[:], key)
	put(c.digest[:], padded)
	put(c.der[:], der)
	put(c.secret[:], secret)
	c.key_len, c.digest_len = C.size_t(len(key)), C.size_t(len(padded))
	c.der_len, c.secret_len = C.size_t(len(der)), C.size_t(len(secret))
	s.c = append(s.c, c)
	s.keys, s.digests, s.ders = append(s.keys, key), append(s.digests, digest), append(s.ders, der)
}

func put(dst []C.uchar, src []byte) {
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), len(dst)), src)
}

func digestOf(i int) []byte {
	d := sha1.Sum(fmt.Appendf(nil, "message %d", i))
	return d[:]
}
