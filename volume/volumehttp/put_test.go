package volumehttp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

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
