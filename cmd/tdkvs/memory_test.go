package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 3200, 4 << 20: 800, 32 << 20: 100, 64 << 20: 50, 300 << 20: 50} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MiB live: %d %%, want %d", live>>20, got, want)
		}
	}
}

// TestPacer: each collection sets by how much the heap may grow until the next.
func TestPacer(t *testing.T) { // not parallel: there is one heap
	before := debug.SetGCPercent(gcPercent)
	defer debug.SetGCPercent(before)
	new(pacer).watch()
	for size := range 3 { // it goes on watching
		held := make([]byte, size*96<<20)
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			runtime.GC()
			percent := debug.SetGCPercent(gcPercent)
			debug.SetGCPercent(percent)
			if (percent > gcPercent) == (size == 0) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d %% with %d MiB held", percent, len(held)>>20)
			}
		}
		runtime.KeepAlive(held)
	}
}
