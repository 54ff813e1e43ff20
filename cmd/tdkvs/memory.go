package main

import "runtime/debug"

// What the runtime is asked to keep to. Objects stream through buffers of fixed
// size, so the heap is small and mostly short-lived; collecting it a little
// sooner than Go's default costs little and keeps the resident set flat.
const (
	memoryLimit = 384 << 20 // bytes; soft: the runtime collects harder near it
	gcPercent   = 50
)

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
