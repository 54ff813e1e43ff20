package volumehttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

const testSecret = "correct horse battery staple"

// fixture is a server on a loopback port over a store.
type fixture struct {
	server   *Server
	url      string
	volume   string
	newConns atomic.Int64
}

// serve starts a server. wrap, where not nil, stands before its handler.
func serve(t testing.TB, blobs volume.Blobs, config ServerConfig, wrap func(http.Handler) http.Handler) *fixture {
	t.Helper()
	config = quiet(config)
	s, err := NewServer(context.Background(), blobs, config)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{server: s, volume: s.volume}
	var handler http.Handler = s
	if wrap != nil {
		handler = wrap(s)
	}
	server := NewHTTPServer(handler, config.Logger)
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			f.newConns.Add(1)
		}
	}
	listener := listen(t)
	f.url = "http://" + listener.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ErrServerClosed
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return f
}

// quiet drops the log of failures that a test makes on purpose.
func quiet(config ServerConfig) ServerConfig {
	config.Logger = slog.New(slog.DiscardHandler)
	return config
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// dial returns a client of the fixture; change, where not nil, its config.
func (f *fixture) dial(t testing.TB, change func(*Config)) *Client {
	t.Helper()
	config := Config{URL: f.url, VolumeUUID: f.volume}
	if change != nil {
		change(&config)
	}
	c, err := NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// proxy forwards connections to a server and harms them on the way.
type proxy struct {
	url string

	mu   sync.Mutex
	harm harm
}

// harm is what a proxy does to each connection. Offsets are from 1, in the
// bytes of one direction of one connection; 0 does nothing.
type harm struct {
	flipUp, flipDown int64
	bit              uint
	cutUp, cutDown   int64
	stallDown        int64 // silence from this byte on
}

func newProxy(t testing.TB, target *fixture) *proxy {
	t.Helper()
	listener := listen(t)
	p := &proxy{url: "http://" + listener.Addr().String()}
	address := target.url[len("http://"):]
	var group sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { p.forward(ctx, client, address) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		group.Wait()
	})
	return p
}

func (p *proxy) set(h harm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.harm = h
}

func (p *proxy) forward(ctx context.Context, client net.Conn, address string) {
	p.mu.Lock()
	h := p.harm
	p.mu.Unlock()
	server, err := net.Dial("tcp", address)
	if err != nil {
		_ = client.Close()
		return
	}
	closeBoth := func() {
		_ = client.Close()
		_ = server.Close()
	}
	defer context.AfterFunc(ctx, closeBoth)()
	var group sync.WaitGroup
	group.Go(func() {
		defer closeBoth()
		pump(ctx, server, client, h.flipUp, h.bit, h.cutUp, 0)
	})
	group.Go(func() {
		defer closeBoth()
		pump(ctx, client, server, h.flipDown, h.bit, h.cutDown, h.stallDown)
	})
	group.Wait()
}

func pump(ctx context.Context, dst io.Writer, src io.Reader, flip int64, bit uint, cut, stall int64) {
	buf := make([]byte, 32<<10)
	for at := int64(0); ; {
		n, err := src.Read(buf)
		if flip > at && flip <= at+int64(n) {
			buf[flip-at-1] ^= 1 << bit
		}
		keep := int64(n)
		if cut > 0 {
			keep = min(keep, cut-at)
		}
		if stall > 0 {
			keep = min(keep, stall-at)
		}
		if _, err := dst.Write(buf[:keep]); err != nil {
			return
		}
		at += keep
		if stall > 0 && at == stall {
			<-ctx.Done()
			return
		}
		if err != nil || cut > 0 && at == cut {
			return
		}
	}
}

// fakeBlobs is a Mem with some methods replaced.
type fakeBlobs struct {
	*volumetest.Mem
	put    func(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error
	get    func(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error)
	verify func(ctx context.Context, id volume.BlobID) error
}

func (f *fakeBlobs) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	if f.put == nil {
		return f.Mem.Put(ctx, id, size, body, desc)
	}
	return f.put(ctx, id, size, body, desc)
}

func (f *fakeBlobs) Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
	if f.get == nil {
		return f.Mem.Get(ctx, id, offset, length)
	}
	return f.get(ctx, id, offset, length)
}

func (f *fakeBlobs) Verify(ctx context.Context, id volume.BlobID) error {
	if f.verify == nil {
		return f.Mem.Verify(ctx, id)
	}
	return f.verify(ctx, id)
}

func testID(n int) volume.BlobID { return volume.BlobID{1, byte(n >> 16), byte(n >> 8), byte(n)} }

func testData(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // never fails
	return data
}

func testDescriptor() ([]byte, error) { return []byte("descriptor"), nil }

func put(t testing.TB, b volume.Blobs, id volume.BlobID, data []byte) {
	t.Helper()
	if err := b.Put(context.Background(), id, int64(len(data)), bytes.NewReader(data), testDescriptor); err != nil {
		t.Fatalf("put: %v", err)
	}
}

func read(ctx context.Context, b volume.Blobs, id volume.BlobID, offset, length int64) ([]byte, error) {
	r, err := b.Get(ctx, id, offset, length)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func expectError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// impatient is a client that gives up soon.
func impatient(limit time.Duration) func(*Config) {
	return func(c *Config) { c.DialTimeout, c.ResponseTimeout, c.IdleTimeout = limit, limit, limit }
}
