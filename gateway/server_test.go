package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// start serves a bench on a real connection and returns its address.
func (b *bench) start(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, NewServer(b.handler, nil), Gather(listener), patience) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return listener.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // some were closed by the other side
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// roundTrip writes a raw request and returns the status and body of the answer.
func roundTrip(t *testing.T, conn net.Conn, in *bufio.Reader, raw string) (int, string) {
	t.Helper()
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("no answer to %.60q: %v", raw, err)
	}
	b, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func rawPut(key, head string) string {
	return "PUT /set/" + key + " HTTP/1.1\r\nHost: x\r\nAuthorization: " + basicHeader(testKey, testSecret) + "\r\n" + head
}

// TestStalledBody: a client that stops sending, or sends a byte now and then, is
// told so and hung up on.
func TestStalledBody(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Timeout = 200 * time.Millisecond })
	addr := b.start(t)
	t.Run("stops", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, addr)
		in := bufio.NewReader(conn)
		status, text := roundTrip(t, conn, in, rawPut("stalled", "Content-Length: 100\r\n\r\nhalf"))
		if status != 408 || !strings.Contains(text, "too long") {
			t.Errorf("answer %d %q", status, text)
		}
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the connection stays open: %v", err)
		}
	})
	t.Run("unread", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, addr)
		in := bufio.NewReader(conn)
		status, _ := roundTrip(t, conn, in, "PUT /set/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
		if status != 401 {
			t.Errorf("answer %d", status)
		}
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the connection stays open: %v", err)
		}
	})
	t.Run("drips", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, addr)
		if _, err := io.WriteString(conn, rawPut("dripping", "Content-Length: 100000\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var dripping sync.WaitGroup
		dripping.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
					if _, err := conn.Write([]byte("x")); err != nil {
						return
					}
				}
			}
		})
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		close(stop)
		dripping.Wait()
		if err != nil || resp.StatusCode != 408 {
			t.Fatalf("answer %v, %v", resp, err)
		}
		_ = resp.Body.Close() // only its status matters
	})
	if _, ok := b.store.objects["stalled"]; ok {
		t.Error("half a value was stored")
	}
}

// TestSlowStore: the time that the store takes is not the client's fault, and a
// deadline that has passed meanwhile neither fails nor cancels the request.
func TestSlowStore(t *testing.T) {
	t.Parallel()
	const timeout = 100 * time.Millisecond
	var canceled error
	b := newBench(t, func(c *Config) {
		c.Timeout = timeout
		c.S3 = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first := make([]byte, 2)
			_, err := io.ReadFull(r.Body, first)
			time.Sleep(3 * timeout) // the store is busy, the rest of the body waits
			rest, err2 := io.ReadAll(r.Body)
			time.Sleep(3 * timeout) // and again before it answers
			canceled = r.Context().Err()
			_, _ = fmt.Fprint(w, string(first), string(rest), err, err2)
		})
	})
	conn := dial(t, b.start(t))
	in := bufio.NewReader(conn)
	for range 2 { // the second request must not inherit a deadline
		big := strings.Repeat("y", 100_000)
		status, text := roundTrip(t, conn, in, "PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100002\r\n\r\nxx"+big)
		if status != 200 || text != "xx"+big+"<nil> <nil>" || canceled != nil {
			t.Fatalf("answer %d, %d bytes, %q, context %v", status, len(text), text[max(0, len(text)-40):], canceled)
		}
	}
}

// TestSlowReader: a client that does not take its answer is hung up on.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	b := newBench(t, func(c *Config) {
		c.Timeout = 100 * time.Millisecond
		c.S3 = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			piece := make([]byte, 1<<20)
			for {
				if _, err := w.Write(piece); err != nil {
					ended <- err
					return
				}
			}
		})
	})
	conn := dial(t, b.start(t))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(patience):
		t.Fatal("the answer goes on for ever")
	}
}

func TestHostileHeaders(t *testing.T) {
	t.Parallel()
	addr := newBench(t, nil).start(t)
	for raw, status := range map[string]int{
		"GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("h", 2*MaxHeaderBytes) + "\r\n\r\n": 431,
		"GET /" + strings.Repeat("a", 2*MaxHeaderBytes) + " HTTP/1.1\r\nHost: x\r\n\r\n":            431,
		"GET / HTTP/1.1\r\n\r\n":                                   400,
		"GET /get/%zz HTTP/1.1\r\nHost: x\r\n\r\n":                 400,
		"PUT /set/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n": 400,
	} {
		conn := dial(t, addr)
		// The server may answer and hang up before it has read it all.
		go func() { _, _ = io.WriteString(conn, raw+"\r\n") }()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != status {
			t.Errorf("%.40q: %v, %v, want %d", raw, resp, err, status)
			continue
		}
		_ = resp.Body.Close() // only its status matters
	}
}

// TestTooLargeIsNotRead: who asks first is told before sending anything.
func TestTooLargeIsNotRead(t *testing.T) {
	t.Parallel()
	conn := dial(t, newBench(t, nil).start(t))
	status, text := roundTrip(t, conn, bufio.NewReader(conn), rawPut("x", "Content-Length: 999999999999\r\nExpect: 100-continue\r\n\r\n"))
	if status != 413 || !strings.Contains(text, "5 GiB") {
		t.Errorf("answer %d %q", status, text)
	}
}

// TestServeEnds: the requests in flight are finished, new ones refused; what
// takes longer than the grace is cut off.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	for name, grace := range map[string]time.Duration{"finishes": patience, "cuts off": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inside, release := make(chan struct{}), make(chan struct{})
			h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				close(inside)
				<-release
				_, _ = io.WriteString(w, "done")
			})
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := listener.Addr().String()
			ctx, cancel := context.WithCancel(t.Context())
			served := make(chan error, 1)
			go func() { served <- Serve(ctx, NewServer(h, nil), Gather(listener), grace) }()
			got := make(chan error, 1)
			go func() {
				resp, err := http.Get("http://" + addr + "/")
				if err == nil {
					var b []byte
					b, err = io.ReadAll(resp.Body)
					if err = errors.Join(err, resp.Body.Close()); err == nil && string(b) != "done" {
						err = fmt.Errorf("answer %q", b)
					}
				}
				got <- err
			}()
			<-inside
			cancel()
			if grace == patience {
				waitRefused(t, addr)
				close(release)
				if err := <-got; err != nil {
					t.Errorf("the request in flight: %v", err)
				}
			} else {
				if err := <-got; err == nil {
					t.Error("the request in flight was not cut off")
				}
				close(release)
			}
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), NewServer(http.NotFoundHandler(), nil), listener, time.Second); err == nil {
		t.Error("Serve on a closed listener: no error")
	}
}

// waitRefused waits until nothing listens at addr.
func waitRefused(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_ = conn.Close() // it only knocked
		if time.Now().After(deadline) {
			t.Fatal("new connections are still taken")
		}
	}
}
