package volumehttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// TestConnectionsAreKept makes many calls of all kinds over two connections.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	f := serve(t, volumetest.NewMem(), ServerConfig{Secret: testSecret}, nil)
	c := f.dial(t, func(c *Config) { c.Secret = testSecret })
	for i, size := range []int{0, 100, 4096, volume.BlockSize, 300_000, 3 << 20} {
		id := testID(i)
		put(t, c, id, testData(size))
		if got, err := read(t.Context(), c, id, 0, -1); err != nil || len(got) != size {
			t.Fatalf("get: %d bytes, %v", len(got), err)
		}
		if _, err := c.Stat(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		_, err := c.Stat(t.Context(), testID(1000))
		expectError(t, "stat", err, volume.ErrNotFound)
		err = c.Put(t.Context(), id, 1, strings.NewReader("x"), testDescriptor)
		expectError(t, "put", err, volume.ErrExists)
	}
	if n := f.newConns.Load(); n != 2 {
		t.Errorf("%d connections were made, want one for gets and short puts, and one for all else", n)
	}
}

// TestGivenUp breaks the caller's body midway: Put returns its error only after
// the server has let go of the id, and the connection stays.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	f := serve(t, volumetest.NewMem(), ServerConfig{}, nil)
	c := f.dial(t, nil)
	broken := errors.New("body broke")
	for range 5 {
		body := &brokenReader{io.LimitReader(zeros{}, 2<<20), broken}
		expectError(t, "put", c.Put(t.Context(), testID(1), 3<<20, body, testDescriptor), broken)
	}
	put(t, c, testID(1), testData(3<<20))
	if n := f.newConns.Load(); n != 1 {
		t.Errorf("%d connections were made, want 1", n)
	}
}

// older is a server that knows of no lanes.
func older(s http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del(headerLane)
		s.ServeHTTP(w, r)
	})
}

// warm has a client make the connections that turn stale.
func warm(t *testing.T, c *Client) {
	t.Helper()
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := read(t.Context(), c, testID(1000), 0, 1)
	expectError(t, "get", err, volume.ErrNotFound)
}

// hangUp answers a put by closing the connection, once, after the first request
// on it was answered: a server that closes an idle connection just as the next
// request arrives. It serves that one before if it is told to.
func hangUp(s http.Handler, serveFirst bool, hungUp *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || hungUp.Swap(true) {
			s.ServeHTTP(w, r)
			return
		}
		if serveFirst {
			s.ServeHTTP(httptest.NewRecorder(), r)
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
}

func TestStaleConnection(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 4096, 1 << 20, 3 << 20} {
		for _, serveFirst := range []bool{false, true} {
			if serveFirst && size > maxBuffered {
				continue // streamed: can not be repeated once it was read
			}
			var hungUp atomic.Bool
			mem := volumetest.NewMem()
			f := serve(t, mem, ServerConfig{}, func(s http.Handler) http.Handler { return hangUp(older(s), serveFirst, &hungUp) })
			c := f.dial(t, nil)
			warm(t, c)
			put(t, c, testID(1), testData(size))
			if !hungUp.Load() {
				t.Error("the connection was never closed")
			}
			if got, err := read(t.Context(), mem, testID(1), 0, -1); err != nil || !bytes.Equal(got, testData(size)) {
				t.Errorf("%d bytes, served first %v: %d stored, %v", size, serveFirst, len(got), err)
			}
		}
	}
}

// TestStaleConnectionExists repeats a put whose id another blob has.
func TestStaleConnectionExists(t *testing.T) {
	t.Parallel()
	var hungUp atomic.Bool
	mem := volumetest.NewMem()
	put(t, mem, testID(1), []byte("another"))
	f := serve(t, mem, ServerConfig{}, func(s http.Handler) http.Handler { return hangUp(older(s), true, &hungUp) })
	c := f.dial(t, nil)
	warm(t, c)
	err := c.Put(t.Context(), testID(1), -1, strings.NewReader("mine"), testDescriptor)
	expectError(t, "put", err, volume.ErrExists)
}

// listenSilently returns the URL of a server that takes connections, answers the
// first bytes on each, where answer is not empty, and then does nothing.
func listenSilently(t *testing.T, answer string) string {
	listener := listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }() // at the end of the test
			if answer != "" {
				_, _ = conn.Read(make([]byte, 1000))
				_, _ = io.WriteString(conn, answer)
			}
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return "http://" + listener.Addr().String()
}

func TestSilentServer(t *testing.T) {
	t.Parallel()
	config := Config{URL: listenSilently(t, ""), VolumeUUID: "volume"}
	impatient(50 * time.Millisecond)(&config)
	c, err := NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Status(t.Context())
	expectError(t, "status", err, volume.ErrUnavailable)
	err = c.Put(t.Context(), testID(1), 5, strings.NewReader("small"), testDescriptor)
	expectError(t, "put", err, volume.ErrUnavailable)
	err = c.Put(t.Context(), testID(1), 64<<20, io.LimitReader(zeros{}, 64<<20), testDescriptor)
	expectError(t, "large put", err, volume.ErrUnavailable)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = c.Status(ctx)
	expectError(t, "status with a deadline", err, context.DeadlineExceeded)
	if errors.Is(err, volume.ErrUnavailable) {
		t.Errorf("%v: the caller gave up, not the volume", err)
	}
}
