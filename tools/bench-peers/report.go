//go:build peers

package main

/*
#include "peers.h"
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// target is one line of the promise: ours against the sum of the peers.
type target struct {
	ours   string
	peers  []string
	accept float64
	aim    float64
}

var targets = []target{
	{ours192Verify, []string{openssl192Verify}, 0.13, 0.095},
	{ours192Sign, []string{openssl192Sign}, 0.12, 0.08},
	{ours256Known, []string{libsecpVerify}, 0.50, 0.33},
	{ours256Unknown, []string{libsecpVerify}, 1.3, 0.9},
	{oursBoth, []string{libsecpVerify, openssl192Verify}, 0.18, 0.13},
	{gateAccept, []string{openssl256Verify, openssl192Verify}, 0, 0},
	{gateJournal, []string{openssl256Verify, openssl192Verify}, 0, 0},
	{walletPresent, []string{openssl192Sign}, 0, 0},
}

func report(all []*contender, rounds int) {
	fmt.Printf("%s, %s, %s, %s/%s, %s\n", time.Now().UTC().Format(time.DateOnly), cpuName(), runtime.Version(),
		runtime.GOOS, runtime.GOARCH, C.GoString(C.openssl_version()))
	fmt.Printf("one pinned core, %d interleaved rounds of %v, %d signatures of %d keys rotating, SHA-1 digests\n\n",
		rounds, sliceTime, caseCount, keyCount)
	fmt.Println("| operation | µs |\n|---|---|")
	for _, c := range all {
		fmt.Printf("| %s | %.2f |\n", c.name, median(c.rounds)/1000)
	}
	fmt.Println("\n| ours | against | ratio | accept at | aim |\n|---|---|---|---|---|")
	for _, t := range targets {
		fmt.Printf("| %s | %s | **%.3f** | %s | %s |\n", t.ours, strings.Join(t.peers, " + "), ratio(all, t), promise(t.accept), promise(t.aim))
	}
}

// promise leaves open what nothing was promised for.
func promise(bound float64) string {
	if bound == 0 {
		return ""
	}
	return fmt.Sprintf("%.3g", bound)
}

// ratio is the median of the ratios of the rounds.
func ratio(all []*contender, t target) float64 {
	var ratios []float64
	for i, own := range find(all, t.ours).rounds {
		var sum float64
		for _, p := range t.peers {
			sum += find(all, p).rounds[i]
		}
		ratios = append(ratios, own/sum)
	}
	return median(ratios)
}

func find(all []*contender, name string) *contender {
	return all[slices.IndexFunc(all, func(c *contender) bool { return c.name == name })]
}

func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	_, after, found := strings.Cut(string(b), "model name\t: ")
	if !found {
		return runtime.GOARCH
	}
	name, _, _ := strings.Cut(after, "\n")
	return name
}
