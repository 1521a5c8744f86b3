//go:build cgo && sdktest

package main

// #include "pos_crypto.h"
import "C"

import (
	"sync/atomic"
	"time"
)

// testClock is the moment that pos_test_set_clock set, Unix seconds; 0: the system's. It is in test
// builds alone: the tests hold the shipped library to not having it.
var testClock atomic.Int64

func clock() time.Time {
	if seconds := testClock.Load(); seconds != 0 {
		return time.Unix(seconds, 0)
	}
	return time.Now()
}

//export pos_test_set_clock
func pos_test_set_clock(unixSeconds C.longlong) { testClock.Store(int64(unixSeconds)) }
