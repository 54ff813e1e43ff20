package volumehttp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

func TestParseHead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]answerHead{
		"HTTP/1.1 200 OK\r\nContent-Length: 12\r\ntdkvs-PROTOCOL:1\r\nTdkvs-Volume: \t v \r\n": {status: 200, length: 12, protocol: "1", volume: "v"},
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n":               {status: 200, length: -1, closing: true},
		"HTTP/1.1 404 Not: Found\r\nTdkvs-Crc32c: ab\r\nContent-Length: 0\r\n":                 {status: 404, checksum: "ab"},
		"HTTP/1.1 201\r\nContent-Length: 0\r\nX:\r\n":                                          {status: 201},
		"HTTP/1.1 100 Continue\r\n":                                                            {status: 100},
		"HTTP/1.1 204 \r\n":                                                                    {status: 204},
	} {
		if h, err := parseHead([]byte(text), "v"); err != nil || h != want {
			t.Errorf("%q: %+v, %v", text, h, err)
		}
	}
	for _, text := range []string{
		"", "HTTP/1.0 200 OK\r\n", "HTTP/2 200 OK\r\n", "HTTP/1.1 20\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 099 OK\r\n", "HTTP/1.1 +20 OK\r\n",
		"HTTP/1.1 200 OK\r\n", // a body without a length
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n",
	} {
		if h, err := parseHead([]byte(text), "v"); !errors.Is(err, errMalformed) {
			t.Errorf("%q: %+v, %v", text, h, err)
		}
	}
}

// FuzzParseHead: what net/http makes of a head that is accepted is the same.
func FuzzParseHead(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nTdkvs-Protocol: 1\r\nTdkvs-Volume: v\r\n")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n")
	f.Add("HTTP/1.1 100 Continue\r\n")
	f.Add("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nTdkvs-Crc32c: a1\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHead([]byte(text), "v")
		if err != nil {
			return
		}
		ref, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text+"\r\n")), &http.Request{Method: http.MethodGet})
		if err != nil {
			return // net/http asks for more, of names and values that are of no concern here
		}
		defer func() { _ = ref.Body.Close() }()
		if h.status != ref.StatusCode || h.length > 0 && h.length != ref.ContentLength {
			t.Errorf("%q: %+v, and %d %d", text, h, ref.StatusCode, ref.ContentLength)
		}
	})
}

// scripted is a server that answers each request on a connection by a text of its
// own, and hangs up after the last. It counts connections.
type scripted struct {
	url string

	mu    sync.Mutex
	conns int
}

func (s *scripted) made() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

func script(t *testing.T, answers ...string) *scripted {
	t.Helper()
	l := listen(t)
	s := &scripted{url: "http://" + l.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
			running.Go(func() { play(c, answers) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return s
}

func play(c net.Conn, answers []string) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	for _, answer := range answers {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(c, answer)
	}
}

// okAnswer is that of a volume to a command, with more header fields.
func okAnswer(fields string) string {
	body := `{"code":"ok"}`
	return fmt.Sprintf("HTTP/1.1 200 OK\r\n%s: 1\r\n%s: volume\r\n%s: %s\r\nContent-Length: %d\r\n%s\r\n%s",
		headerProtocol, headerVolume, headerCRC, jsonChecksum([]byte(body)), len(body), fields, body)
}

func (s *scripted) dial(t *testing.T, change func(*Config)) *Client {
	t.Helper()
	return (&fixture{url: s.url, volume: "volume"}).dial(t, change)
}

// TestConnectionReuse counts the connections that answers of each kind cost.
func TestConnectionReuse(t *testing.T) {
	t.Parallel()
	ok := okAnswer("")
	for name, test := range map[string]struct {
		answers []string
		conns   int
	}{
		"kept":                         {[]string{ok, ok, ok, ok}, 1},
		"the server closes after each": {[]string{ok}, 4},
		"the server says so":           {[]string{okAnswer("Connection: close\r\n"), ok, ok, ok}, 4},
		"after two":                    {[]string{ok, ok}, 2},
		"bytes behind the answer":      {[]string{ok + "x", ok, ok, ok}, 4},
		"a word before the answer":     {[]string{"HTTP/1.1 102 Processing\r\n\r\n" + ok, ok, ok, ok}, 1},
	} {
		s := script(t, test.answers...)
		c := s.dial(t, nil)
		for range 4 {
			if err := c.Claim(t.Context(), "cluster"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := s.made(); n != test.conns {
			t.Errorf("%s: %d connections, want %d", name, n, test.conns)
		}
	}
}

// TestBadAnswers: what is no answer fails the call, soon, and is not asked for again
// on a connection that was not kept.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		"", "HTTP", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r\n", "SSH-2.0-x\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 4000) + "\r\n",
		okAnswer("")[:len(okAnswer(""))-1],
		"HTTP/1.1 200 OK\r\nTdkvs-Protocol: 1\r\nTdkvs-Volume: volume\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
		"HTTP/1.1 200 OK\r\nTdkvs-Protocol: 1\r\nTdkvs-Volume: volume\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nab",
		"HTTP/1.1 200 OK\r\nTdkvs-Protocol: 1\r\nTdkvs-Volume: volume\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
	} {
		s := script(t, answer)
		c := s.dial(t, nil)
		expectError(t, fmt.Sprintf("claim, %.60q", answer), c.Claim(t.Context(), "cluster"), volume.ErrUnavailable)
		_, err := read(t.Context(), c, testID(1), 0, -1)
		expectError(t, fmt.Sprintf("get, %.60q", answer), err, volume.ErrUnavailable)
		if n := s.made(); n != 2 {
			t.Errorf("%.60q: %d connections for two calls", answer, n)
		}
	}
}

// TestAbandonedBody: a reader that is closed before its end costs its connection, and
// nothing else: no byte of its blob shows up in another's.
func TestAbandonedBody(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	f := serve(t, mem, ServerConfig{}, nil)
	c := f.dial(t, nil)
	sizes := []int{100, 4096, 100_000, 1 << 20}
	for i, size := range sizes {
		put(t, mem, testID(i), testData(size))
	}
	for round := range 40 {
		size := sizes[round%len(sizes)]
		r, err := c.Get(t.Context(), testID(round%len(sizes)), 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, r, int64(round*size/50)); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		next := (round + 1) % len(sizes)
		if got, err := read(t.Context(), c, testID(next), 0, -1); err != nil || !bytes.Equal(got, testData(sizes[next])) {
			t.Fatalf("after %d of %d bytes: %d bytes, %v", round*size/50, size, len(got), err)
		}
	}
}

// TestCancelled gives up calls at every stage, beside others that go on: those are not
// disturbed, and no connection of a call that was given up is used again.
func TestCancelled(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	f := serve(t, mem, ServerConfig{}, nil)
	c := f.dial(t, nil)
	sizes := []int{100, 5000, 300_000}
	for i, size := range sizes {
		put(t, mem, testID(i), testData(size))
	}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				timer := time.AfterFunc(time.Duration((worker*100+i)%97)*10*time.Microsecond, cancel)
				got, err := read(ctx, c, testID(i%3), 0, -1)
				cancel()
				timer.Stop()
				if err == nil && !bytes.Equal(got, testData(sizes[i%3])) || !bytes.HasPrefix(testData(sizes[i%3]), got) {
					t.Errorf("wrong bytes, %v", err)
				}
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				if got, err := read(t.Context(), c, testID((i+1)%3), 0, -1); err != nil || !bytes.Equal(got, testData(sizes[(i+1)%3])) {
					t.Errorf("a call that nobody gave up: %d bytes, %v", len(got), err)
				}
			}
		})
	}
	group.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := read(ctx, c, testID(0), 0, -1)
	expectError(t, "given up before it began", err, context.Canceled)
}

// TestCancelledWait gives up a call whose server says nothing, and one to an address
// that nobody answers at.
func TestCancelledWait(t *testing.T) {
	t.Parallel()
	c, err := NewClient(Config{URL: listenSilently(t, ""), VolumeUUID: "volume"})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(context.Context) error{
		"get": func(ctx context.Context) error { _, err := c.Get(ctx, testID(1), 0, -1); return err },
		"put": func(ctx context.Context) error {
			return c.Put(ctx, testID(1), 1, strings.NewReader("x"), testDescriptor)
		},
		"large put": func(ctx context.Context) error { return c.Put(ctx, testID(1), 9<<20, zeros{}, testDescriptor) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		began := time.Now()
		expectError(t, name, call(ctx), context.DeadlineExceeded)
		cancel()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: given up after %s", name, took)
		}
	}
}

// TestKeptConnections: not more than allowed are kept, and none for too long.
func TestKeptConnections(t *testing.T) {
	t.Parallel()
	f := serve(t, volumetest.NewMem(), ServerConfig{}, nil)
	c := f.dial(t, func(c *Config) { c.MaxIdleConns = 2 })
	take := func(n int) (all []*conn) {
		for range n {
			cn, err := c.conns.take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, cn)
		}
		return all
	}
	give := func(all []*conn) {
		for _, cn := range all {
			c.conns.give(cn)
		}
	}
	four := take(4)
	give(four)
	if n := len(c.conns.idle); n != 2 {
		t.Fatalf("%d connections are kept, want 2", n)
	}
	if cn := take(1)[0]; cn != four[1] || !cn.used {
		t.Error("the connection that was used last is not used first")
	}
	give(four[1:2])
	four[0].kept = time.Now().Add(-clientKeepAlive)
	c.conns.expire()
	if n := len(c.conns.idle); n != 1 || c.conns.idle[0] != four[1] || c.conns.timer == nil {
		t.Errorf("%d connections are left, want the newer one", n)
	}
	if _, err := four[0].Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("one that was kept for too long: %v", err)
	}
	held := take(1)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	give(held)
	if n := len(c.conns.idle); n != 0 || c.conns.timer != nil {
		t.Errorf("%d connections are kept after the end", n)
	}
	if _, err := c.Status(t.Context()); err != nil || len(c.conns.idle) != 1 {
		t.Errorf("a call after the end: %v, %d kept", err, len(c.conns.idle))
	}
}

// TestTLS talks to a volume behind TLS, and to none whose certificate is unknown.
func TestTLS(t *testing.T) {
	t.Parallel()
	s, err := NewServer(t.Context(), volumetest.NewMem(), quiet(ServerConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = NewHTTPServer(s, s.log).ErrorLog
	server.StartTLS()
	t.Cleanup(server.Close)
	c := (&fixture{url: server.URL, volume: s.volume}).dial(t, nil)
	_, err = c.Status(t.Context())
	expectError(t, "unknown certificate", err, volume.ErrUnavailable)
	c.conns.tls.RootCAs = x509.NewCertPool()
	c.conns.tls.RootCAs.AddCert(server.Certificate())
	for i, size := range []int{0, 4096, 300_000, 3 << 20} {
		put(t, c, testID(i), testData(size))
		if got, err := read(t.Context(), c, testID(i), 0, -1); err != nil || !bytes.Equal(got, testData(size)) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	if n, m := len(c.conns.idle), len(c.lanes.idle); n != 1 || m != 1 {
		t.Errorf("%d and %d connections are kept, want 1 of each kind", n, m)
	}
}
