package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"tdkvs/gateway"
)

// listen opens the listener of a process.
func listen(ctx context.Context, address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", address) // its errors say what was tried
}

// serveHTTP returns the component that serves on a listener, which it closes.
// When its context is done it stops accepting and lets the requests in flight
// finish, for as long as grace.
func serveHTTP(server *http.Server, listener net.Listener, grace time.Duration, log *slog.Logger) component {
	return func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() {
			log.Info("ending: requests in flight may finish", "for_at_most", grace)
		})()
		return gateway.Serve(ctx, server, listener, grace)
	}
}

// warnExposed logs what a person should know of a process that other machines
// can reach.
func warnExposed(log *slog.Logger, addr net.Addr, protected bool, remedy string) {
	switch {
	case isLoopback(addr):
	case protected:
		log.Warn("listening for other machines, but serving clients on this one only: "+remedy, "address", addr.String())
	default:
		log.Warn("listening for other machines without TLS: keep it on a private network, or put a proxy with TLS in front",
			"address", addr.String())
	}
}
