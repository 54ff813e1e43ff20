package gateway

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits of the server.
const (
	ReadHeaderTimeout = 15 * time.Second  // from the first byte of a request to the end of its headers
	IdleTimeout       = 120 * time.Second // between two requests of a connection
	MaxHeaderBytes    = 64 << 10          // S3 allows 8 KiB of headers; URLs of 1 KiB keys triple when encoded
)

// NewServer returns the server for a gateway's handler, with limits against slow
// and huge headers. It has no timeout for whole requests: bodies of any length
// must only keep coming, which the handler sees to. HTTP/1.1 only.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	if logger == nil {
		logger = slog.Default()
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: ReadHeaderTimeout,
		IdleTimeout:       IdleTimeout,
		MaxHeaderBytes:    MaxHeaderBytes,
		ErrorLog:          log.New(serverLog{logger}, "", 0),
		ConnContext:       withConn,
	}
}

// serverLog takes what the server has to say of connections that broke, which is
// of little interest.
type serverLog struct{ logger *slog.Logger }

func (l serverLog) Write(b []byte) (int, error) {
	l.logger.Debug("http server", slog.String("message", string(b[:max(len(b)-1, 0)])))
	return len(b), nil
}

// Serve serves on a listener, which it closes, until ctx is done. It then takes
// no more connections and lets the requests in flight finish, for as long as
// grace; what is left then is cut off, which is no error. It returns nil after
// that, and the server's error where it ended by itself.
func Serve(ctx context.Context, server *http.Server, listener net.Listener, grace time.Duration) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(ending)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	if err != nil {
		return fmt.Errorf("end server: %w", err)
	}
	return nil
}
