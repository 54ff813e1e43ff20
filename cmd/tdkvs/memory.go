package main

import (
	"runtime/debug"

	"tdkvs/volume"
)

// What the runtime is asked to keep to. Objects stream through buffers of fixed
// size, so the heap is small and mostly short-lived; collecting it a little
// sooner than Go's default costs little and keeps the resident set flat.
const (
	memoryLimit = 384 << 20 // bytes; soft: the runtime collects harder near it
	gcPercent   = 50
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
	}
}
