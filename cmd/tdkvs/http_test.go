package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// startHTTP serves handler until stop is called, and then returns what the
// component returned.
func startHTTP(t *testing.T, handler http.Handler, grace time.Duration, log *slog.Logger) (url string, stop func() error) {
	t.Helper()
	listener, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	front := serveHTTP(&http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}, listener, grace, log)
	go func() { ended <- front(ctx) }()
	return "http://" + listener.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestServeHTTPFinishesRequests(t *testing.T) {
	t.Parallel()
	arrived, proceed := make(chan struct{}), make(chan struct{})
	url, stop := startHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-proceed
		_, _ = io.WriteString(w, "done") // the test sees if it fails
	}), time.Minute, slog.New(slog.DiscardHandler))
	answer := make(chan string, 1)
	go func() {
		body, err := get(context.WithoutCancel(t.Context()), url)
		if err != nil {
			body = err.Error()
		}
		answer <- body
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("ended under a request: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(proceed)
	if got := <-answer; got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestServeHTTPCutsOff(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	url, stop := startHTTP(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}), time.Millisecond, slog.New(slog.DiscardHandler))
	failed := make(chan error, 1)
	go func() {
		_, err := get(context.WithoutCancel(t.Context()), url)
		failed <- err
	}()
	<-arrived
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
}

func TestListenTaken(t *testing.T) {
	t.Parallel()
	first, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }() // nothing was served
	second, err := listen(t.Context(), first.Addr().String())
	if err == nil {
		_ = second.Close() // the test has failed
	}
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestWarnExposed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ip        string
		protected bool
		want      string
	}{
		{"127.0.0.1", true, ""},
		{"127.0.0.1", false, ""},
		{"0.0.0.0", true, "serving clients on this one only: set it"},
		{"10.0.0.1", false, "without TLS"},
	} {
		var out bytes.Buffer
		warnExposed(slog.New(slog.NewTextHandler(&out, nil)), &net.TCPAddr{IP: net.ParseIP(tt.ip), Port: 1}, tt.protected, "set it")
		if lines := strings.Count(out.String(), "\n"); (tt.want == "") != (lines == 0) || lines > 1 || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s, protected %t: %q", tt.ip, tt.protected, out.String())
		}
	}
}
