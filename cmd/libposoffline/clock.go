//go:build cgo && !sdktest

package main

import "time"

// clock is the system's. Nothing else moves it: no call, no file, no environment variable. A gate whose
// clock a rider can move takes every code that ever was.
func clock() time.Time { return time.Now() }
