package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"tdkvs/cmd/tdkvs/bench"
	"tdkvs/gateway"
)

// serveBare runs the server that stores nothing. Its first line of output is
// where it is.
func (f *benchFlags) serveBare(ctx context.Context, inv invocation) error {
	for name := range f.given {
		if name != "listen" && name != "until-eof" && name != "pprof" {
			return misusef("bench: flag -%s is not for %q", name, bareServer)
		}
	}
	if err := checkListen(f.listen); err != nil {
		return misusef("bench: flag -listen: %v", err)
	}
	listener, err := listen(ctx, f.listen)
	if err != nil {
		return err
	}
	printLine(inv.stdout, endpointOf(listener.Addr()))
	if f.untilEOF {
		var end context.CancelFunc
		ctx, end = context.WithCancel(ctx)
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // that it ends is what counts
			end()
		}()
	}
	server := &http.Server{Handler: bench.Bare(), ReadHeaderTimeout: time.Minute}
	return gateway.Serve(ctx, server, listener, time.Second)
}

// endpoints are all that are to be loaded, the store first. stop ends what had to
// be started for it.
func (f *benchFlags) endpoints(ctx context.Context, inv invocation) (all []bench.Endpoint, stop func(), err error) {
	f.where.command, f.where.regionGiven = "bench", f.given["region"]
	store, err := f.where.find(inv.env)
	if err != nil {
		return nil, nil, err
	}
	_, name, _ := strings.Cut(store.base, "://")
	all = append(all, bench.Endpoint{
		Name: name, URL: store.base, AccessKey: store.keys.AccessKey, SecretKey: store.keys.SecretKey, Region: store.region, PIDs: f.pids,
	})
	stop = func() {}
	for _, text := range f.compare {
		var e bench.Endpoint
		if text == bareServer {
			before := stop
			var end func()
			if e, end, err = startBare(ctx); err == nil {
				stop = func() { end(); before() }
			}
		} else {
			e, err = comparedEndpoint(text)
		}
		if err != nil {
			stop()
			return nil, nil, err
		}
		e.Region = store.region
		if e.Bare { // it signs as much as the other does
			e.AccessKey, e.SecretKey = store.keys.AccessKey, store.keys.SecretKey
		}
		all = append(all, e)
	}
	return all, stop, nil
}

// startBare runs the bare server as a process of its own, as what it is compared
// with is one: it shares neither a scheduler nor a heap with the load.
func startBare(ctx context.Context) (bench.Endpoint, func(), error) {
	program, err := os.Executable()
	if err != nil {
		return bench.Endpoint{}, nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, "bench", bareServer, "-until-eof") // it ends with us, and after the clean-up
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return bench.Endpoint{}, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return bench.Endpoint{}, nil, err
	}
	if err := cmd.Start(); err != nil {
		return bench.Endpoint{}, nil, fmt.Errorf("start the bare server: %w", err)
	}
	stop := func() {
		_ = in.Close() // it ends when this does
		_ = cmd.Wait() // how, nobody asks
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return bench.Endpoint{}, nil, fmt.Errorf("start the bare server: %w", err)
	}
	return bench.Endpoint{Name: bareServer, URL: strings.TrimSpace(line), PIDs: []int{cmd.Process.Pid}, Bare: true}, stop, nil
}
