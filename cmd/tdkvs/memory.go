package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"tdkvs/volume"
)

// What the runtime is asked to keep to. Objects stream through buffers of fixed
// size, so the heap is small and mostly short-lived: a large one is collected sooner
// than by Go's default, which keeps the resident set flat, and a small one later, or
// it would be collected a dozen times a second.
const (
	memoryLimit = 384 << 20 // bytes; soft: the runtime collects harder near it
	gcPercent   = 50        // by how much of what is live the heap may grow
	gcGrowth    = 32 << 20  // bytes; it may grow by so much in any case
)

// budgets are the memory for payloads that the volumes of one process share.
type budgets struct{ write, read *volume.Budget }

func newBudgets() budgets {
	return budgets{volume.NewBudget(volume.DefaultBudget), volume.NewBudget(volume.DefaultBudget)}
}

// tuneMemory sets the runtime's limits, except those that the environment
// already set (GOMEMLIMIT, GOGC).
func tuneMemory(env lookupEnv) {
	if _, set := env("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(memoryLimit)
	}
	if _, set := env("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
		new(pacer).watch()
	}
}

// pacer sets the runtime's goal after each collection, of which the runtime tells it by
// its finalizer.
type pacer struct {
	percent int // that is set; 0: gcPercent
}

func (p *pacer) watch() { runtime.SetFinalizer(p, (*pacer).collected) }

func (p *pacer) collected() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	// To set it stops the program for a moment, so it is not done for a trifle.
	if percent := percentFor(live[0].Value.Uint64()); percent < p.percent*9/10 || percent > p.percent*11/10 {
		p.percent = percent
		debug.SetGCPercent(percent)
	}
	p.watch()
}

// percentFor returns by how many percent a heap may grow of which so many bytes are live.
func percentFor(live uint64) int {
	return int(max(gcPercent, 100*gcGrowth/max(live, 1<<20)))
}
