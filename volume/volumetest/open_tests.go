package volumetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"testing"

	"tdkvs/volume"
)

// open reads a range of a blob by Open, and returns what it said of the blob.
func (s *suite) open(ctx context.Context, id volume.BlobID, offset, length int64) (volume.Info, []byte, error) {
	info, r, err := s.Blobs.Open(ctx, id, offset, length)
	if err != nil {
		return info, nil, err
	}
	data, err := readAll(r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	return info, data, err
}

func testOpen(t *testing.T, s *suite) {
	for _, size := range []int{0, 1, volume.BlockSize, 3*volume.BlockSize + 100, mib + volume.BlockSize + 1} {
		id, data := newID(), payload(size)
		s.put(t, id, data)
		want, err := s.Stat(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range [][2]int{
			{0, -1}, {0, size}, {size, -1}, {size, 0}, {0, 0}, {size / 2, -1}, {size / 2, size / 3}, {0, min(size, volume.BlockSize)},
		} {
			from, length := r[0], r[1]
			info, got, err := s.open(t.Context(), id, int64(from), int64(length))
			if length == -1 {
				length = size - from
			}
			if err != nil || !bytes.Equal(got, data[from:from+length]) {
				t.Fatalf("%d+%d of %d: %d bytes, %v", from, r[1], size, len(got), err)
			}
			if info.ID != id || info.Size != int64(size) || !info.Created.Equal(want.Created) || !bytes.Equal(info.Descriptor, want.Descriptor) {
				t.Fatalf("%d+%d of %d: %+v, want what Stat says: %+v", from, r[1], size, info, want)
			}
		}
	}
}

// testOpenDescriptors opens blobs without a descriptor and with the longest one.
func testOpenDescriptors(t *testing.T, s *suite) {
	for _, n := range []int{0, 1, volume.MaxDescriptor} {
		for _, size := range []int{0, 100, volume.BlockSize + 1, 2 * mib} {
			id, data, desc := newID(), payload(size), payload(n)
			err := s.Put(t.Context(), id, int64(size), bytes.NewReader(data), func() ([]byte, error) { return desc, nil })
			if err != nil {
				t.Fatal(err)
			}
			info, got, err := s.open(t.Context(), id, 0, -1)
			if err != nil || !bytes.Equal(got, data) || !bytes.Equal(info.Descriptor, desc) {
				t.Errorf("descriptor of %d bytes, %d of payload: %d and %d, %v", n, size, len(info.Descriptor), len(got), err)
			}
		}
	}
}

func testOpenRefused(t *testing.T, s *suite) {
	if _, _, err := s.open(t.Context(), newID(), 0, -1); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("a blob that is not there: %v, want ErrNotFound", err)
	}
	for _, size := range []int64{0, 10, 2 * mib} {
		id := newID()
		s.put(t, id, payload(int(size)))
		for _, r := range [][2]int64{
			{-1, 1}, {0, -2}, {0, size + 1}, {size, 1}, {size + 1, 0}, {size + 1, -1}, {math.MaxInt64, 1}, {0, math.MaxInt64},
		} {
			if _, _, err := s.open(t.Context(), id, r[0], r[1]); !errors.Is(err, volume.ErrInvalid) {
				t.Errorf("%d+%d of %d: %v, want ErrInvalid", r[0], r[1], size, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := s.open(ctx, id, 0, -1); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled before: %v, want context.Canceled", err)
		}
	}
}

// testOpenSurvivesDelete deletes a blob between its first byte and the others.
func testOpenSurvivesDelete(t *testing.T, s *suite) {
	for _, size := range []int{1000, 5 * mib} {
		id, data := newID(), payload(size)
		s.put(t, id, data)
		info, r, err := s.Blobs.Open(t.Context(), id, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), []volume.BlobID{id}); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(r)
		if err != nil || !bytes.Equal(got, data) || info.Size != int64(size) {
			t.Errorf("%d bytes after delete: %d, %v", size, len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if _, ok := r.(io.WriterTo); !ok {
			t.Errorf("%T is no io.WriterTo", r)
		}
	}
}

func testOpenCorrupt(t *testing.T, s *suite) {
	s.damaged = true
	for _, size := range []int{1, 3*volume.BlockSize + 5, 2*mib + 5} {
		id, data := newID(), payload(size)
		s.put(t, id, data)
		s.Corrupt(t, s.Blobs, id, int64(size-1))
		_, got, err := s.open(t.Context(), id, 0, -1)
		if !errors.Is(err, volume.ErrCorrupt) {
			t.Errorf("last byte of %d changed: the read ends with %v, want ErrCorrupt", size, err)
		}
		if last := (size - 1) / volume.BlockSize * volume.BlockSize; !bytes.Equal(got, data[:min(last, len(got))]) {
			t.Errorf("last byte of %d changed: %d bytes were handed out, or wrong ones", size, len(got))
		}
	}
}
