package volumetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"testing"
	"testing/iotest"

	"tdkvs/volume"
)

const mib = 1 << 20

// edgeSizes are payload lengths about every limit that a store could have.
var edgeSizes = []int{
	0, 1, 4096, volume.BlockSize - 1, volume.BlockSize, volume.BlockSize + 1,
	mib - 1, mib, mib + 1, mib + volume.BlockSize, 3*mib + 12345,
}

func testRoundTrip(t *testing.T, s *suite) {
	for _, size := range edgeSizes {
		for _, known := range []bool{true, false} {
			id, data := newID(), payload(size)
			hint := int64(size)
			if !known {
				hint = -1
			}
			if err := s.Put(t.Context(), id, hint, bytes.NewReader(data), describe(id)); err != nil {
				t.Fatalf("put of %d bytes, size %d: %v", size, hint, err)
			}
			s.expect(t, id, data)
			info, err := s.Stat(t.Context(), id)
			if err != nil {
				t.Fatalf("stat of %d bytes: %v", size, err)
			}
			if want, _ := describe(id)(); info.ID != id || info.Size != int64(size) || !bytes.Equal(info.Descriptor, want) {
				t.Errorf("stat of %d bytes: id %s, size %d, descriptor %q", size, info.ID, info.Size, info.Descriptor)
			}
			if info.Created.IsZero() {
				t.Errorf("stat of %d bytes: no time of creation", size)
			}
		}
	}
}

func testSizeMismatch(t *testing.T, s *suite) {
	sizes := []int{0, 1, 100, volume.BlockSize, mib - 1, mib, mib + 1, 2 * mib}
	for _, size := range sizes {
		for _, off := range []int{-1, 1} {
			if size+off < 0 {
				continue
			}
			id := newID()
			described := false
			err := s.Put(t.Context(), id, int64(size+off), bytes.NewReader(payload(size)), func() ([]byte, error) {
				described = true
				return nil, nil
			})
			if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, volume.ErrInvalid) {
				t.Errorf("%d bytes announced as %d: %v, want io.ErrUnexpectedEOF or ErrInvalid", size, size+off, err)
			}
			if described {
				t.Errorf("%d bytes announced as %d: the descriptor was asked for", size, size+off)
			}
			s.expectMissing(t, id)
		}
	}
}

// testBodyReaders puts bodies that return their bytes in every way that the
// contract of io.Reader allows.
func testBodyReaders(t *testing.T, s *suite) {
	wraps := []struct {
		name string
		wrap func(io.Reader) io.Reader
		size int
	}{
		{"one byte", iotest.OneByteReader, 3000},
		{"halves", iotest.HalfReader, 300_000},
		{"data with EOF", iotest.DataErrReader, 300_000},
		{"data with EOF, large", iotest.DataErrReader, 2*mib + 5},
		{"data with EOF, whole blocks", iotest.DataErrReader, 2 * volume.BlockSize},
		{"empty reads", func(r io.Reader) io.Reader { return &stutter{r: r} }, 2*mib + 5},
	}
	for _, w := range wraps {
		for _, size := range []int64{int64(w.size), -1} {
			id, data := newID(), payload(w.size)
			if err := s.Put(t.Context(), id, size, w.wrap(bytes.NewReader(data)), describe(id)); err != nil {
				t.Fatalf("%s, size %d: %v", w.name, size, err)
			}
			s.expect(t, id, data)
		}
	}
}

// stutter returns no bytes and no error at every other Read.
type stutter struct {
	r    io.Reader
	idle bool
}

func (s *stutter) Read(p []byte) (int, error) {
	s.idle = !s.idle
	if s.idle {
		return 0, nil
	}
	return s.r.Read(p)
}

func testBodyError(t *testing.T, s *suite) {
	broken := errors.New("body broke")
	for _, good := range []int{0, 1, volume.BlockSize, mib - 1, mib, 2*mib + 77} {
		for _, size := range []int64{-1, int64(good), int64(good) + 1000} {
			id := newID()
			described := false
			body := io.MultiReader(bytes.NewReader(payload(good)), iotest.ErrReader(broken))
			err := s.Put(t.Context(), id, size, body, func() ([]byte, error) {
				described = true
				return nil, nil
			})
			if !errors.Is(err, broken) {
				t.Errorf("body error after %d bytes of %d: %v", good, size, err)
			}
			if described {
				t.Errorf("body error after %d bytes of %d: the descriptor was asked for", good, size)
			}
			s.expectMissing(t, id)
		}
	}
}

func testDescriptorError(t *testing.T, s *suite) {
	broken := errors.New("checksum differs")
	for _, size := range []int{0, 100, volume.BlockSize, mib, 2*mib + 77} {
		id, data := newID(), payload(size)
		err := s.Put(t.Context(), id, int64(size), bytes.NewReader(data), func() ([]byte, error) { return nil, broken })
		if !errors.Is(err, broken) {
			t.Errorf("descriptor error after %d bytes: %v", size, err)
		}
		s.expectMissing(t, id)
		s.put(t, id, data) // the id is still free
		s.expect(t, id, data)
	}
}

func testDescriptors(t *testing.T, s *suite) {
	for _, size := range []int{10, 2 * mib} {
		for _, length := range []int{0, 1, 1000, volume.MaxDescriptor - 1, volume.MaxDescriptor} {
			id, want := newID(), payload(length)
			body := payload(size)
			calls, seen := 0, &counter{r: bytes.NewReader(body)}
			err := s.Put(t.Context(), id, int64(size), seen, func() ([]byte, error) {
				calls++
				if seen.n != size {
					t.Errorf("descriptor asked for after %d of %d bytes", seen.n, size)
				}
				return want, nil
			})
			if err != nil || calls != 1 {
				t.Fatalf("descriptor of %d bytes: %d calls, %v", length, calls, err)
			}
			info, err := s.Stat(t.Context(), id)
			if err != nil || !bytes.Equal(info.Descriptor, want) {
				t.Errorf("descriptor of %d bytes: got %d back, %v", length, len(info.Descriptor), err)
			}
			s.expect(t, id, body)
		}
		id := newID()
		err := s.Put(t.Context(), id, int64(size), bytes.NewReader(payload(size)), func() ([]byte, error) {
			return make([]byte, volume.MaxDescriptor+1), nil
		})
		if !errors.Is(err, volume.ErrInvalid) {
			t.Errorf("descriptor too long: %v, want ErrInvalid", err)
		}
		s.expectMissing(t, id)
	}
}

// counter counts the bytes that were read.
type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func testExists(t *testing.T, s *suite) {
	for _, first := range []int{0, 100, 2 * mib} {
		id, data := newID(), payload(first)
		s.put(t, id, data)
		for _, second := range []int{0, 200, 3 * mib} {
			err := s.Put(t.Context(), id, int64(second), bytes.NewReader(payload(second)), noDescriptor)
			if !errors.Is(err, volume.ErrExists) {
				t.Errorf("%d bytes over %d: %v, want ErrExists", second, first, err)
			}
		}
		s.expect(t, id, data)
	}
}

func testCanceledBefore(t *testing.T, s *suite) {
	id := newID()
	s.put(t, id, payload(100))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other := newID()
	calls := map[string]func() error{
		"put":    func() error { return s.Put(ctx, other, 3, bytes.NewReader([]byte("abc")), noDescriptor) },
		"get":    func() error { _, err := s.read(ctx, id, 0, -1); return err },
		"stat":   func() error { _, err := s.Stat(ctx, id); return err },
		"delete": func() error { return s.Delete(ctx, []volume.BlobID{id}) },
		"list":   func() error { _, err := s.List(ctx, volume.BlobID{}, 10); return err },
		"verify": func() error { return s.Verify(ctx, id) },
		"claim":  func() error { return s.Claim(ctx, randomUUID()) },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	s.expectMissing(t, other)
	s.expect(t, id, payload(100))
}

func testCanceledMidBody(t *testing.T, s *suite) {
	for _, size := range []int{5 * volume.BlockSize, 4 * mib} {
		for _, hint := range []int64{int64(size), -1} {
			t.Run(strconv.Itoa(size)+" as "+strconv.FormatInt(hint, 10), func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				id := newID()
				body := io.MultiReader(
					bytes.NewReader(payload(size/2)),
					readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF }),
					bytes.NewReader(payload(size-size/2)),
				)
				err := s.Put(ctx, id, hint, body, noDescriptor)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("put: %v, want context.Canceled", err)
				}
				s.expectMissing(t, id)
			})
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func testOneWinner(t *testing.T, s *suite) {
	for _, size := range []int{1000, mib + 1000} {
		const writers = 8
		id := newID()
		errs := make(chan error, writers)
		for i := range writers {
			go func() {
				data := bytes.Repeat([]byte{byte(i)}, size)
				errs <- s.Put(t.Context(), id, int64(size), bytes.NewReader(data), noDescriptor)
			}()
		}
		won := 0
		for range writers {
			switch err := <-errs; {
			case err == nil:
				won++
			case !errors.Is(err, volume.ErrExists):
				t.Errorf("lost with %v, want ErrExists", err)
			}
		}
		if won != 1 {
			t.Errorf("%d of %d writers of one id were told that they won", won, writers)
		}
		data, err := s.read(t.Context(), id, 0, -1)
		if err != nil || len(data) != size || !bytes.Equal(data, bytes.Repeat(data[:1], size)) {
			t.Errorf("%d bytes, %v: not the body of one writer", len(data), err)
		}
	}
}
