package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"
)

// profiled gives a command the flag that lets its process be profiled.
func profiled(setup func(*flag.FlagSet) func(context.Context, invocation) error) func(*flag.FlagSet) func(context.Context, invocation) error {
	return func(flags *flag.FlagSet) func(context.Context, invocation) error {
		address := flags.String("pprof", "", "serve Go's profiles on `host:port`, a loopback address, below /debug/pprof/")
		run := setup(flags)
		return func(ctx context.Context, inv invocation) error {
			stop, err := startProfiles(ctx, *address)
			if err != nil {
				return err
			}
			defer stop()
			return run(ctx, inv)
		}
	}
}

// What a process that may be profiled looks at beside its processor: one of so
// many waits for a lock, and waits from so many nanoseconds on.
const (
	mutexFraction = 100
	blockRate     = 100_000
)

// startProfiles serves the profiles of this process until stop is called; without
// an address it does nothing. They tell what a process is at, and so go to this
// machine only.
func startProfiles(ctx context.Context, address string) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	if err := checkListen(address); err != nil {
		return nil, misusef("flag -pprof: %v", err)
	}
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, misusef("flag -pprof: want a loopback address such as 127.0.0.1:6060, not %q", address)
	}
	listener, err := listen(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	runtime.SetMutexProfileFraction(mutexFraction)
	runtime.SetBlockProfileRate(blockRate)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			slog.Warn("profiles are no longer served", "error", err)
		}
	}()
	return func() { _ = server.Close() }, nil // whoever still reads one has waited too long
}
