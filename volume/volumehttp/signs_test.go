package volumehttp

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// watchedBody takes its time over each piece, and counts the signs of life.
type watchedBody struct {
	io.Reader
	taken atomic.Int64
}

func (b *watchedBody) Taken() { b.taken.Add(1) }

func slowly(data []byte, piece int, pause time.Duration) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if len(data) == 0 {
			return 0, io.EOF
		}
		time.Sleep(pause) // the pace of the body is what is tested
		n := copy(p, data[:min(piece, len(data))])
		data = data[n:]
		return n, nil
	})
}

// TestSignsOfLife: a server that takes a long body says so before it answers, to whoever wants to know.
func TestSignsOfLife(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	var asked atomic.Int64
	f := serve(t, mem, ServerConfig{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(headerSigns) != "" {
				asked.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	})
	f.server.signEvery = 10 * time.Millisecond
	c := f.dial(t, nil)
	data := testData(20 * volume.BlockSize)
	body := &watchedBody{Reader: slowly(data, volume.BlockSize, 5*time.Millisecond)}
	if err := c.Put(t.Context(), testID(1), int64(len(data)), body, testDescriptor); err != nil {
		t.Fatal(err)
	}
	if n := body.taken.Load(); n < 2 || n > 20 || asked.Load() != 1 {
		t.Errorf("%d signs of life, asked for %d times", n, asked.Load())
	}
	if got, err := read(t.Context(), mem, testID(1), 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := c.Put(t.Context(), testID(2), int64(len(data)), slowly(data, volume.BlockSize, 5*time.Millisecond), testDescriptor); err != nil || asked.Load() != 1 {
		t.Errorf("a body that is not watched: %v, asked for %d times", err, asked.Load())
	}
}

// TestNoSignsOfLife: what the kernel takes for a server that stands still is no sign of life.
func TestNoSignsOfLife(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	f := serve(t, volumetest.NewMem(), ServerConfig{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPut {
				next.ServeHTTP(w, r)
				return
			}
			_, _ = r.Body.Read(make([]byte, 1)) // it asks for the body, and stops
			<-release
		})
	})
	t.Cleanup(func() { close(release) })
	f.server.signEvery = time.Millisecond
	c := f.dial(t, impatient(300*time.Millisecond))
	data := testData(64 * volume.BlockSize)
	body := &watchedBody{Reader: bytes.NewReader(data)}
	err := c.Put(t.Context(), testID(1), int64(len(data)), body, testDescriptor)
	if !errors.Is(err, volume.ErrUnavailable) || body.taken.Load() != 0 {
		t.Errorf("%v, %d signs of life", err, body.taken.Load())
	}
}
