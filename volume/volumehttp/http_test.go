package volumehttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// TestErrorsCrossTheWire sends each error of a store through every call.
func TestErrorsCrossTheWire(t *testing.T) {
	t.Parallel()
	var current error
	fail := func() error { return fmt.Errorf("here and now: %w", current) }
	fake := &fakeBlobs{
		Mem: volumetest.NewMem(),
		put: func(_ context.Context, _ volume.BlobID, _ int64, body io.Reader, _ volume.Descriptor) error {
			_, err := io.Copy(io.Discard, body)
			return errors.Join(err, fail())
		},
		get:    func(context.Context, volume.BlobID, int64, int64) (io.ReadCloser, error) { return nil, fail() },
		verify: func(context.Context, volume.BlobID) error { return fail() },
	}
	c := serve(t, fake, ServerConfig{}, nil).dial(t, nil)
	sentinels := []error{
		volume.ErrNotFound, volume.ErrExists, volume.ErrCorrupt, volume.ErrReadOnly, volume.ErrNoSpace,
		volume.ErrWrongVolume, volume.ErrLocked, volume.ErrUnavailable, volume.ErrDenied, volume.ErrInvalid,
	}
	for _, current = range append(sentinels, errors.New("disk on fire")) {
		calls := map[string]error{
			"put":       c.Put(t.Context(), testID(1), -1, strings.NewReader("x"), testDescriptor),
			"large put": c.Put(t.Context(), testID(1), -1, bytes.NewReader(testData(3<<20)), testDescriptor),
			"verify":    c.Verify(t.Context(), testID(1)),
		}
		_, calls["get"] = c.Get(t.Context(), testID(1), 0, -1)
		for name, err := range calls {
			for _, sentinel := range sentinels {
				if errors.Is(err, sentinel) != errors.Is(current, sentinel) {
					t.Errorf("%s: %v: errors.Is %v", name, err, sentinel)
				}
			}
			if err == nil || !strings.Contains(err.Error(), "here and now") || !strings.Contains(err.Error(), c.String()) {
				t.Errorf("%s: %v: names neither cause nor volume", name, err)
			}
		}
	}
}

// brokenReader fails after its bytes.
type brokenReader struct {
	io.Reader
	err error
}

func (r *brokenReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = r.err
	}
	return n, err
}

func (r *brokenReader) Close() error { return nil }

func TestReadFailsMidway(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{volume.ErrCorrupt, io.ErrUnexpectedEOF, volume.ErrUnavailable} {
		for _, good := range []int{0, 10, volume.BlockSize, volume.BlockSize + 10, 3 * volume.BlockSize} {
			fake := &fakeBlobs{Mem: volumetest.NewMem()}
			fake.get = func(context.Context, volume.BlobID, int64, int64) (io.ReadCloser, error) {
				return &brokenReader{bytes.NewReader(testData(good)), cause}, nil
			}
			c := serve(t, fake, ServerConfig{}, nil).dial(t, nil)
			got, err := read(t.Context(), c, testID(1), 0, -1)
			if !bytes.Equal(got, testData(good)) {
				t.Errorf("%d good bytes, then %v: got %d", good, cause, len(got))
			}
			if errors.Is(cause, io.ErrUnexpectedEOF) { // has no code of its own
				if err == nil || errors.Is(err, volume.ErrUnavailable) {
					t.Errorf("%d good bytes, then %v: %v", good, cause, err)
				}
				continue
			}
			expectError(t, fmt.Sprintf("after %d good bytes", good), err, cause)
		}
	}
}

// waitingReader gives its bytes and then nothing until its context ends.
type waitingReader struct {
	io.Reader
	ctx    context.Context
	closed chan<- struct{}
}

func (r *waitingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 || !errors.Is(err, io.EOF) {
		return n, nil
	}
	<-r.ctx.Done()
	return 0, r.ctx.Err()
}

func (r *waitingReader) Close() error {
	close(r.closed)
	return nil
}

// TestReadGivenUp has the caller give up a read that waits for the volume in the
// middle of a blob: it ends at once, and so does the volume's own.
func TestReadGivenUp(t *testing.T) {
	t.Parallel()
	const good = volume.BlockSize
	fake := &fakeBlobs{Mem: volumetest.NewMem()}
	closed := make(chan struct{})
	fake.get = func(ctx context.Context, _ volume.BlobID, _, _ int64) (io.ReadCloser, error) {
		return &waitingReader{bytes.NewReader(testData(good)), ctx, closed}, nil
	}
	c := serve(t, fake, ServerConfig{}, nil).dial(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := c.Get(ctx, testID(1), 0, 3*volume.BlockSize)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, good)); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(50*time.Millisecond, cancel)
	defer timer.Stop()
	began := time.Now()
	_, err = r.Read(make([]byte, 1))
	expectError(t, "read", err, context.Canceled)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the volume reads on")
	}
}

// TestShortRange has a store that delivers less than it was asked for.
func TestShortRange(t *testing.T) {
	t.Parallel()
	fake := &fakeBlobs{Mem: volumetest.NewMem()}
	fake.get = func(context.Context, volume.BlobID, int64, int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(testData(100))), nil
	}
	c := serve(t, fake, ServerConfig{}, nil).dial(t, nil)
	for _, length := range []int64{101, 100_000} {
		_, err := read(t.Context(), c, testID(1), 5, length)
		expectError(t, fmt.Sprintf("%d bytes", length), err, volume.ErrCorrupt)
	}
	if got, err := read(t.Context(), c, testID(1), 5, 100); err != nil || len(got) != 100 {
		t.Errorf("100 bytes: %d, %v", len(got), err)
	}
}

func TestNotAVolume(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 204, 301, 404, 500} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"code":"ok"}`)
		}))
		t.Cleanup(other.Close)
		checkUnavailable(t, fmt.Sprint("a web server that says ", status), other.URL)
	}
	listener := listen(t)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	checkUnavailable(t, "nobody", "http://"+listener.Addr().String())
}

func checkUnavailable(t *testing.T, what, url string) {
	t.Helper()
	c, err := NewClient(Config{URL: url, VolumeUUID: "volume"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	calls := map[string]error{
		"put":       c.Put(t.Context(), testID(1), -1, strings.NewReader("x"), testDescriptor),
		"large put": c.Put(t.Context(), testID(1), -1, bytes.NewReader(testData(3<<20)), testDescriptor),
		"verify":    c.Verify(t.Context(), testID(1)),
		"delete":    c.Delete(t.Context(), []volume.BlobID{testID(1)}),
		"claim":     c.Claim(t.Context(), "cluster"),
	}
	_, calls["get"] = c.Get(t.Context(), testID(1), 0, -1)
	_, calls["stat"] = c.Stat(t.Context(), testID(1))
	_, calls["list"] = c.List(t.Context(), volume.BlobID{}, 1)
	_, calls["status"] = c.Status(t.Context())
	for name, err := range calls {
		expectError(t, what+": "+name, err, volume.ErrUnavailable)
	}
}

func TestClientURL(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"http://10.0.0.1:3001": true, "https://volume-1.example.org/": true, "http://[::1]:3001": true,
		"": false, "10.0.0.1:3001": false, "ftp://x": false, "http://": false, "http://x/path": false,
		"http://x?y=1": false, "http://user:pass@x": false, "http://x#f": false, "http://\x7f": false,
	} {
		if _, err := NewClient(Config{URL: url}); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestConnectionsAreKept makes many calls of all kinds over one connection.
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
	if n := f.newConns.Load(); n != 1 {
		t.Errorf("%d connections were made, want 1", n)
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
			f := serve(t, mem, ServerConfig{}, func(s http.Handler) http.Handler { return hangUp(s, serveFirst, &hungUp) })
			c := f.dial(t, nil)
			if _, err := c.Status(t.Context()); err != nil { // makes the connection that turns stale
				t.Fatal(err)
			}
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
	f := serve(t, mem, ServerConfig{}, func(s http.Handler) http.Handler { return hangUp(s, true, &hungUp) })
	c := f.dial(t, nil)
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := c.Put(t.Context(), testID(1), -1, strings.NewReader("mine"), testDescriptor)
	expectError(t, "put", err, volume.ErrExists)
}

// guardedReader fails the test when it is read after done.
type guardedReader struct {
	t    *testing.T
	r    io.Reader
	done atomic.Bool
}

func (g *guardedReader) Read(p []byte) (int, error) {
	if g.done.Load() {
		g.t.Error("the body was read after Put had returned")
	}
	return g.r.Read(p)
}

// TestRefusedMidBody has the store give up in the middle of a long body.
func TestRefusedMidBody(t *testing.T) {
	t.Parallel()
	fake := &fakeBlobs{Mem: volumetest.NewMem()}
	fake.put = func(_ context.Context, _ volume.BlobID, _ int64, body io.Reader, _ volume.Descriptor) error {
		if _, err := io.CopyN(io.Discard, body, 100_000); err != nil {
			return err
		}
		return volume.ErrNoSpace
	}
	c := serve(t, fake, ServerConfig{}, nil).dial(t, nil)
	for i := range 8 {
		body := &guardedReader{t: t, r: io.LimitReader(zeros{}, 16<<20)}
		err := c.Put(t.Context(), testID(i), 16<<20, body, testDescriptor)
		body.done.Store(true)
		expectError(t, "put", err, volume.ErrNoSpace)
	}
}

func TestRefusedBeforeBody(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	put(t, mem, testID(1), []byte("x"))
	c := serve(t, mem, ServerConfig{}, nil).dial(t, nil)
	body := &guardedReader{t: t, r: bytes.NewReader(nil)}
	body.done.Store(true) // it must not be read at all
	err := c.Put(t.Context(), testID(1), 16<<20, body, testDescriptor)
	expectError(t, "put", err, volume.ErrExists)
}

// TestSlowBody has a caller's body that is slower than the server may be: pauses
// longer than the client's patience, and altogether longer than the server's.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	f := serve(t, mem, ServerConfig{IdleTimeout: 1500 * time.Millisecond}, nil)
	c := f.dial(t, impatient(300*time.Millisecond))
	const pieces, piece = 5, 300_000
	data := testData(pieces * piece)
	var body []io.Reader
	for i := range pieces {
		pause := func([]byte) (int, error) {
			time.Sleep(400 * time.Millisecond) // the pace of the body is what is tested
			return 0, io.EOF
		}
		body = append(body, readerFunc(pause), bytes.NewReader(data[i*piece:][:piece]))
	}
	if err := c.Put(t.Context(), testID(1), int64(len(data)), io.MultiReader(body...), testDescriptor); err != nil {
		t.Errorf("put: %v", err)
	}
	if got, err := read(t.Context(), mem, testID(1), 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("get: %d bytes, %v", len(got), err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

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

// TestServerStopsReading has a server that asks for a body and does not read it.
func TestServerStopsReading(t *testing.T) {
	t.Parallel()
	config := Config{URL: listenSilently(t, "HTTP/1.1 100 Continue\r\n\r\n"), VolumeUUID: "volume"}
	impatient(100 * time.Millisecond)(&config)
	c, err := NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	body := &counter{r: io.LimitReader(zeros{}, 64<<20)}
	err = c.Put(t.Context(), testID(1), 64<<20, body, testDescriptor)
	expectError(t, "put", err, volume.ErrUnavailable)
	if body.n == 0 || body.n == 64<<20 {
		t.Errorf("%d bytes were sent to a server that reads none", body.n)
	}
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// TestSilentClient sends half a put and then nothing: the server gives up.
func TestSilentClient(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	f := serve(t, mem, ServerConfig{IdleTimeout: 50 * time.Millisecond}, nil)
	conn, err := net.Dial("tcp", f.url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	stream := putStreamOf(t, testID(1), testData(1000), nil)
	_, err = fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s",
		blobPath(testID(1)), headerVolume, f.volume, len(stream), stream[:500])
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn) // to the end: the server must close
	if err != nil || !bytes.Contains(answer, []byte(`"code":"unavailable"`)) {
		t.Errorf("%q, %v", answer, err)
	}
	_, err = mem.Stat(t.Context(), testID(1))
	expectError(t, "stat", err, volume.ErrNotFound)
}

// TestLongVerify takes longer than the client waits for a silent server.
func TestLongVerify(t *testing.T) {
	t.Parallel()
	for _, outcome := range []error{nil, volume.ErrCorrupt} {
		fake := &fakeBlobs{Mem: volumetest.NewMem()}
		fake.verify = func(ctx context.Context, _ volume.BlobID) error {
			select {
			case <-time.After(time.Second):
				return outcome
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		f := serve(t, fake, ServerConfig{}, nil)
		f.server.heartbeat = 20 * time.Millisecond
		err := f.dial(t, impatient(400*time.Millisecond)).Verify(t.Context(), testID(1))
		if !errors.Is(err, outcome) {
			t.Errorf("verify: %v, want %v", err, outcome)
		}
	}
}

// TestVerifyStopsWithClient checks that nobody verifies for a client that left.
func TestVerifyStopsWithClient(t *testing.T) {
	t.Parallel()
	started, stopped := make(chan struct{}), make(chan struct{})
	fake := &fakeBlobs{Mem: volumetest.NewMem()}
	fake.verify = func(ctx context.Context, _ volume.BlobID) error {
		close(started)
		<-ctx.Done()
		close(stopped)
		return ctx.Err()
	}
	c := serve(t, fake, ServerConfig{}, nil).dial(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-started
		cancel()
	}()
	expectError(t, "verify", c.Verify(ctx, testID(1)), context.Canceled)
	<-stopped
}

func TestReadAfterClose(t *testing.T) {
	t.Parallel()
	c := serve(t, volumetest.NewMem(), ServerConfig{}, nil).dial(t, nil)
	put(t, c, testID(1), testData(3<<20))
	for range 3 { // a reader that went back to its pool must not serve another
		r, err := c.Get(t.Context(), testID(1), 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if n, err := r.Read(make([]byte, 10)); n != 0 || err == nil || errors.Is(err, io.EOF) {
			t.Errorf("read after close: %d, %v", n, err)
		}
	}
	if got, err := read(t.Context(), c, testID(1), 0, -1); err != nil || !bytes.Equal(got, testData(3<<20)) {
		t.Errorf("get: %d bytes, %v", len(got), err)
	}
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	put(t, mem, testID(1), testData(12345))
	s, err := NewServer(t.Context(), mem, quiet(ServerConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/-/healthz", "", 200, ""},
		{"HEAD", blobPath(testID(1)), "", 200, ""},
		{"HEAD", blobPath(testID(2)), "", 404, "not_found"},
		{"GET", blobPath(testID(2)), "", 404, "not_found"},
		{"GET", blobPath(testID(1)) + "?offset=99999", "", 400, "invalid"},
		{"GET", blobPath(testID(1)) + "?offset=x", "", 400, "invalid"},
		{"GET", blobPath(testID(1)) + "?length=x", "", 400, "invalid"},
		{"GET", "/v1/blobs/xyz", "", 400, "invalid"},
		{"GET", "/v1/blobs/xyz/stat", "", 400, "invalid"},
		{"POST", "/v1/blobs/xyz/verify", "", 400, "invalid"},
		{"PUT", "/v1/blobs/xyz", "", 400, "invalid"},
		{"DELETE", "/v1/blobs/xyz", "", 400, "invalid"},
		{"PUT", blobPath(testID(3)), "", 503, "unavailable"},
		{"GET", "/v1/blobs?limit=x", "", 400, "invalid"},
		{"GET", "/v1/blobs?after=x", "", 400, "invalid"},
		{"GET", "/v1/blobs?limit=-1", "", 200, ""},
		{"POST", "/v1/delete", `{"ids":[]}`, 200, ""},
		{"POST", "/v1/delete", `{"ids":["x"]}`, 400, "invalid"},
		{"POST", "/v1/delete", `{"ids":`, 400, "invalid"},
		{"POST", "/v1/delete", `{"ids":["` + strings.Repeat("x", maxJSON) + `"]}`, 400, "invalid"},
		{"POST", "/v1/delete", `{"ids":[""` + strings.Repeat(`,""`, pageSize) + `]}`, 400, "invalid"},
		{"POST", "/v1/claim", `[]`, 400, "invalid"},
		{"POST", "/v1/claim", `{}`, 400, "invalid"},
		{"PATCH", blobPath(testID(1)), "", 400, "invalid"},
		{"GET", "/", "", 400, "invalid"},
		{"GET", "/v2/status", "", 400, "invalid"},
		{"DELETE", blobPath(testID(1)), "", 200, ""},
		{"HEAD", blobPath(testID(1)), "", 404, "not_found"},
	}
	for _, test := range tests {
		r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set(headerVolume, s.volume)
		r.Header.Set(headerCRC, jsonChecksum([]byte(test.body)))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		path := test.path[:min(len(test.path), 60)]
		if w.Code != test.status || w.Header().Get(headerError) != test.code {
			t.Errorf("%s %s: %d %q, want %d %q: %.100s", test.method, path, w.Code, w.Header().Get(headerError), test.status, test.code, w.Body)
		}
		if test.method == "HEAD" && test.status == 200 && w.Header().Get(headerSize) != "12345" {
			t.Errorf("%s %s: size %q", test.method, path, w.Header().Get(headerSize))
		}
	}
	r := httptest.NewRequest("POST", "/v1/claim", strings.NewReader(`{"cluster":"x"}`))
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set(headerVolume, s.volume)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("a message without a checksum: %d", w.Code)
	}
}

// TestStatusIsWhole fills each field and sees it again: a new one can not be
// forgotten on the wire.
func TestStatusIsWhole(t *testing.T) {
	t.Parallel()
	var status volume.Status
	fill(reflect.ValueOf(&status).Elem(), 1)
	if got := encodeStatus(status).decode(); got != status {
		t.Errorf("%+v became %+v", status, got)
	}
}

func fill(v reflect.Value, n int) {
	for i := range v.NumField() {
		switch field := v.Field(i); field.Kind() {
		case reflect.String:
			field.SetString(fmt.Sprint("text ", n, i))
		case reflect.Int64:
			field.SetInt(int64(n*100 + i))
		case reflect.Uint64:
			field.SetUint(uint64(n*100 + i))
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Struct:
			if moment, ok := field.Addr().Interface().(*time.Time); ok {
				*moment = time.Unix(int64(n*100+i), 0)
				continue
			}
			fill(field, n+1)
		default:
			panic("a kind of field that this test can not fill: " + field.Kind().String())
		}
	}
}

// TestMemoryIsBounded streams 64 MiB both ways and counts what was allocated.
// It is not parallel: the count is the process's.
func TestMemoryIsBounded(t *testing.T) {
	const size = 64 << 20
	fake := &fakeBlobs{Mem: volumetest.NewMem()}
	fake.put = func(_ context.Context, _ volume.BlobID, _ int64, body io.Reader, desc volume.Descriptor) error {
		if n, err := io.Copy(io.Discard, body); n != size || err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
		_, err := desc()
		return err
	}
	fake.get = func(context.Context, volume.BlobID, int64, int64) (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(zeros{}, size)), nil
	}
	c := serve(t, fake, ServerConfig{}, nil).dial(t, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, hint := range []int64{size, -1} {
		if err := c.Put(t.Context(), testID(1), hint, io.LimitReader(zeros{}, size), testDescriptor); err != nil {
			t.Fatal(err)
		}
	}
	r, err := c.Get(t.Context(), testID(1), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); n != size || err != nil {
		t.Errorf("get: %d bytes, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("%d MiB allocated to move 192 MiB", got>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
