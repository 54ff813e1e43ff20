package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// wire is the connection below: it keeps what each write sent.
type wire struct {
	net.Conn // nothing else is called
	sent     []string
	fails    error
	closed   bool
	ended    bool
	block    chan struct{} // where it is not nil, writes wait for it
}

func (w *wire) Write(p []byte) (int, error) {
	if w.block != nil {
		<-w.block
		return 0, net.ErrClosed
	}
	if w.fails != nil {
		return 0, w.fails
	}
	w.sent = append(w.sent, string(p))
	return len(p), nil
}

func (w *wire) Read([]byte) (int, error)         { return 0, io.EOF }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) CloseWrite() error                { w.ended = true; return nil }

func (w *wire) Close() error {
	w.closed = true
	if w.block != nil {
		close(w.block)
	}
	return nil
}

func TestConnHolds(t *testing.T) {
	t.Parallel()
	for name, event := range map[string]func(*conn) error{
		"nothing":        func(*conn) error { return nil },
		"read":           func(c *conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"write deadline": func(c *conn) error { return c.SetWriteDeadline(time.Time{}) },
		"deadline":       func(c *conn) error { return c.SetDeadline(time.Time{}) },
		"flush":          (*conn).flush,
		"flush twice":    func(c *conn) error { return errors.Join(c.flush(), c.flush()) },
		"close":          (*conn).Close,
		"close write":    (*conn).CloseWrite,
	} {
		w := new(wire)
		c := &conn{Conn: w}
		for _, piece := range []string{"head", "-", "body"} {
			if n, err := io.WriteString(c, piece); n != len(piece) || err != nil {
				t.Errorf("%s: %d %v", name, n, err)
			}
		}
		if len(w.sent) > 0 {
			t.Errorf("%s: sent before it: %q", name, w.sent)
		}
		if err := event(c); err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		want := "head-body"
		if name == "nothing" {
			want = ""
		}
		if got := strings.Join(w.sent, "|"); got != want || w.closed != (name == "close") || w.ended != (name == "close write") {
			t.Errorf("%s: sent %q, want %q; %+v", name, got, want, w)
		}
	}
}

// TestConnLong: what there is no room for goes at once, behind what is held.
func TestConnLong(t *testing.T) {
	t.Parallel()
	full, long := strings.Repeat("f", holdSize), strings.Repeat("l", holdSize+1)
	for _, tt := range []struct {
		writes, want []string
	}{
		{[]string{full}, nil},
		{[]string{long}, []string{long}},
		{[]string{full, "x"}, []string{full, "x"}}, // one system call on a socket: its two pieces
		{[]string{"x", full, "y"}, []string{"x", full}},
		{[]string{"x", long, long, "y"}, []string{"x", long, long}},
	} {
		w := new(wire)
		c := &conn{Conn: w}
		for _, piece := range tt.writes {
			if n, err := io.WriteString(c, piece); n != len(piece) || err != nil {
				t.Errorf("%d bytes: %d %v", len(piece), n, err)
			}
		}
		if strings.Join(w.sent, "|") != strings.Join(tt.want, "|") {
			t.Errorf("%d writes became %d, want %d", len(tt.writes), len(w.sent), len(tt.want))
		}
	}
}

// TestConnFails: what was taken and not sent is the error of all that comes after.
func TestConnFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	w := &wire{fails: broken}
	c := &conn{Conn: w}
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Fatal(err)
	}
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		t.Error(err)
	}
	w.fails = nil
	_, wrote := io.WriteString(c, "y")
	_, read := c.Read(make([]byte, 1))
	for _, err := range []error{wrote, read, c.flush()} {
		if !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
	}
	if err := c.Close(); err != nil || len(w.sent) > 0 {
		t.Errorf("%v, sent %q", err, w.sent)
	}
	if _, err := (&conn{Conn: &wire{fails: broken}}).Write(make([]byte, holdSize+1)); !errors.Is(err, broken) {
		t.Errorf("long write: %v", err)
	}
}

// TestConnClosedInWrite: closing does not wait for a client that takes nothing.
func TestConnClosedInWrite(t *testing.T) {
	t.Parallel()
	c := &conn{Conn: &wire{block: make(chan struct{})}}
	done := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, holdSize+1))
		done <- err
	}()
	for c.mu.TryLock() { // until the write has begun
		c.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("write: %v", err)
	}
}

// TestConnOrder: bytes of many connections at the same time arrive as they were
// written, whatever is flushed in between; a buffer that two of them used would show.
func TestConnOrder(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			here, there := net.Pipe()
			c := &conn{Conn: here}
			got := make(chan []byte)
			go func() {
				b, _ := io.ReadAll(there) // it ends with the connection
				got <- b
			}()
			rng := rand.New(rand.NewPCG(uint64(g), 7))
			var want []byte
			for range 100 {
				piece := bytes.Repeat([]byte{byte(rng.Uint32())}, rng.IntN(holdSize/2)*rng.IntN(4))
				want = append(want, piece...)
				if _, err := c.Write(piece); err != nil {
					t.Error(err)
				}
				if rng.IntN(5) == 0 {
					if err := c.flush(); err != nil {
						t.Error(err)
					}
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if b := <-got; !bytes.Equal(b, want) {
				t.Errorf("%d bytes arrived, not the %d that were written", len(b), len(want))
			}
		})
	}
	wg.Wait()
}

// counting counts the writes of a listener's connections.
type counting struct {
	net.Listener
	conns chan *countedConn
}

type countedConn struct {
	net.Conn
	mu     sync.Mutex
	writes int
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.writes++
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (l counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &countedConn{Conn: c}
	l.conns <- counted
	return counted, nil
}

// TestOneWrite: an answer with an object of 4 KiB is one write, also when it is the
// answer to a request that waited to be told to go on, which is one more.
func TestOneWrite(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan *countedConn, 1)
	server := NewServer(b.handler, nil)
	go func() { _ = server.Serve(Gather(counting{listener, conns})) }() // until it is closed
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	conn := dial(t, listener.Addr().String())
	in := bufio.NewReader(conn)
	value := strings.Repeat("v", 4096)
	if status, _ := roundTrip(t, conn, in, rawPut("k", "Content-Length: 4096\r\n\r\n"+value)); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	counted := <-conns
	count := func() int {
		counted.mu.Lock()
		defer counted.mu.Unlock()
		n := counted.writes
		counted.writes = 0
		return n
	}
	count()
	get := "GET /get/k HTTP/1.1\r\nHost: x\r\nAuthorization: " + basicHeader(testKey, testSecret) + "\r\n\r\n"
	for range 10 {
		if status, body := roundTrip(t, conn, in, get); status != http.StatusOK || body != value {
			t.Fatalf("status %d, %d bytes", status, len(body))
		}
	}
	if n := count(); n < 10 || n > 12 { // a read that comes late may send the first piece alone
		t.Errorf("%d writes for 10 answers", n)
	}
	if _, err := io.WriteString(conn, rawPut("k", "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if status, _ := roundTrip(t, conn, in, "ok"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if n := count(); n != 2 {
		t.Errorf("%d writes, want 2", n)
	}
}

// TestFlushIsSent: what a handler flushes is there while it goes on.
func TestFlushIsSent(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	b := newBench(t, func(cfg *Config) {
		cfg.S3 = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "first")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-arrived
			_, _ = io.WriteString(w, "second")
		})
	})
	addr := b.start(t)
	resp, err := http.Get("http://" + addr + "/bucket")
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first" {
		t.Errorf("%q, %v", first, err)
	}
	close(arrived)
	rest, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil || string(rest) != "second" {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestSlowSource: what is held while its source is slower than clients may be is sent
// under the deadline of what comes next.
func TestSlowSource(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(cfg *Config) {
		cfg.Timeout = 300 * time.Millisecond
		cfg.S3 = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "60000")
			time.Sleep(30 * time.Millisecond) // until net/http waits for the next request
			_, _ = w.Write(bytes.Repeat([]byte("a"), 8000))
			time.Sleep(600 * time.Millisecond)
			_, _ = w.Write(bytes.Repeat([]byte("b"), 52000))
		})
	})
	addr := b.start(t)
	resp, err := http.Get("http://" + addr + "/bucket/key")
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil || len(all) != 60000 {
		t.Errorf("%d bytes, %v", len(all), err)
	}
}
