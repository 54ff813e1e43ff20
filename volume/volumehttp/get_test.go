package volumehttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

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
