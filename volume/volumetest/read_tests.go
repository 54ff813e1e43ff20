package volumetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"tdkvs/volume"
)

func testMissing(t *testing.T, s *suite) {
	id := newID()
	s.expectMissing(t, id)
	if err := s.Verify(t.Context(), id); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("verify: %v, want ErrNotFound", err)
	}
	if err := s.Delete(t.Context(), []volume.BlobID{id}); err != nil {
		t.Errorf("delete: %v", err)
	}
}

func testRanges(t *testing.T, s *suite) {
	for _, size := range []int{0, 1, volume.BlockSize, 3*volume.BlockSize + 100, mib + volume.BlockSize + 1} {
		id, data := newID(), payload(size)
		s.put(t, id, data)
		edges := rangeEdges(size)
		for _, from := range edges {
			for _, to := range append(edges, -1) {
				length := to - from
				if to == -1 {
					length, to = -1, size
				} else if length < 0 {
					continue
				}
				got, err := s.read(t.Context(), id, int64(from), int64(length))
				if err != nil || !bytes.Equal(got, data[from:to]) {
					t.Fatalf("%d+%d of %d: %d bytes, %v", from, length, size, len(got), err)
				}
			}
		}
	}
}

// rangeEdges returns the offsets about the block edges of a blob, sparsely for
// a large one.
func rangeEdges(size int) []int {
	edges := []int{0, size}
	for _, block := range []int{0, 1, 2, 3, 16, 17} {
		for _, off := range []int{-1, 0, 1} {
			at := block*volume.BlockSize + off
			if at > 0 && at < size && (size < mib || off == 0) {
				edges = append(edges, at)
			}
		}
	}
	return edges
}

func testInvalidRanges(t *testing.T, s *suite) {
	for _, size := range []int64{0, 10, volume.BlockSize, 2 * mib} {
		id := newID()
		s.put(t, id, payload(int(size)))
		for _, r := range [][2]int64{
			{-1, 1}, {-1, -1}, {0, -2}, {0, size + 1}, {size, 1}, {size + 1, 0}, {size + 1, -1},
			{1, size}, {1, math.MaxInt64}, {math.MaxInt64, 1}, {math.MaxInt64, math.MaxInt64},
			{math.MaxInt64, -1}, {math.MinInt64, 1}, {0, math.MinInt64},
		} {
			if _, err := s.read(t.Context(), id, r[0], r[1]); !errors.Is(err, volume.ErrInvalid) {
				t.Errorf("%d+%d of %d: %v, want ErrInvalid", r[0], r[1], size, err)
			}
		}
		s.expect(t, id, payload(int(size)))
	}
}

func testWriterTo(t *testing.T, s *suite) {
	for _, size := range []int{0, 100, volume.BlockSize, 2*mib + 9} {
		id, data := newID(), payload(size)
		s.put(t, id, data)
		for _, before := range []int{0, 10, volume.BlockSize + 1} {
			before = min(before, size)
			got, err := s.readMixed(t.Context(), id, before)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes by Read, then WriteTo, of %d: %d bytes, %v", before, size, len(got), err)
			}
		}
		if size > 0 {
			err := s.writeToBroken(t.Context(), id)
			if !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("WriteTo a writer that fails: %v, want its error", err)
			}
		}
	}
}

// readMixed reads some bytes by Read and the rest by WriteTo.
func (s *suite) readMixed(ctx context.Context, id volume.BlobID, before int) ([]byte, error) {
	r, err := s.Get(ctx, id, 0, -1)
	if err != nil {
		return nil, err
	}
	w, ok := r.(io.WriterTo)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%T is no io.WriterTo", r), r.Close())
	}
	var got bytes.Buffer
	_, err = io.CopyN(&got, onlyReader{r}, int64(before))
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	n, err := w.WriteTo(&got)
	if n != int64(got.Len()-before) {
		err = errors.Join(err, fmt.Errorf("WriteTo says %d bytes, wrote %d", n, got.Len()-before))
	}
	return got.Bytes(), errors.Join(err, r.Close())
}

type onlyReader struct{ io.Reader }

func (s *suite) writeToBroken(ctx context.Context, id volume.BlobID) error {
	r, err := s.Get(ctx, id, 0, -1)
	if err != nil {
		return err
	}
	pr, pw := io.Pipe()
	if err := pr.Close(); err != nil {
		return err
	}
	_, err = io.Copy(pw, r)
	return errors.Join(err, r.Close())
}

func testReadSurvivesDelete(t *testing.T, s *suite) {
	for _, size := range []int{1000, 3 * volume.BlockSize, 5 * mib} {
		id, data := newID(), payload(size)
		s.put(t, id, data)
		r, err := s.Get(t.Context(), id, 0, -1)
		if err != nil {
			t.Fatalf("get: %v", err)
		}
		var first [1]byte
		if _, err := io.ReadFull(r, first[:]); err != nil {
			t.Fatalf("first byte: %v", err)
		}
		if err := s.Delete(t.Context(), []volume.BlobID{id}); err != nil {
			t.Fatalf("delete: %v", err)
		}
		s.expectMissing(t, id)
		rest, err := readAll(r)
		if err != nil || !bytes.Equal(rest, data[1:]) {
			t.Errorf("rest of %d bytes after delete: %d, %v", size, len(rest), err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func testCanceledMidRead(t *testing.T, s *suite) {
	id, data := newID(), payload(8*mib)
	s.put(t, id, data)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := s.Get(ctx, id, 0, -1)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	start := make([]byte, volume.BlockSize)
	if _, err := io.ReadFull(r, start); err != nil {
		t.Fatalf("first block: %v", err)
	}
	cancel()
	rest, err := readAll(r)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("read on after %d bytes: %v, want context.Canceled", len(rest), err)
	}
	if !bytes.Equal(append(start, rest...), data[:len(start)+len(rest)]) {
		t.Error("wrong bytes before the cancellation was seen")
	}
	if err := r.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	s.expect(t, id, data)
}

func testVerify(t *testing.T, s *suite) {
	for _, size := range []int{0, 10, volume.BlockSize, 2*mib + 1} {
		id := newID()
		s.put(t, id, payload(size))
		if err := s.Verify(t.Context(), id); err != nil {
			t.Errorf("verify of %d bytes: %v", size, err)
		}
	}
}

func testCorrupt(t *testing.T, s *suite) {
	s.damaged = true
	for _, size := range []int{1, 4096, 3*volume.BlockSize + 5, 2*mib + 5} {
		for _, at := range []int{0, size / 2, size - 1} {
			id, data := newID(), payload(size)
			s.put(t, id, data)
			s.Corrupt(t, s.Blobs, id, int64(at))
			got, err := s.read(t.Context(), id, 0, -1)
			if !errors.Is(err, volume.ErrCorrupt) {
				t.Errorf("byte %d of %d changed: read ends with %v, want ErrCorrupt", at, size, err)
			}
			block := at / volume.BlockSize * volume.BlockSize
			if !bytes.Equal(got, data[:min(block, len(got))]) {
				t.Errorf("byte %d of %d changed: %d bytes were handed out, or wrong ones", at, size, len(got))
			}
			if err := s.Verify(t.Context(), id); !errors.Is(err, volume.ErrCorrupt) {
				t.Errorf("byte %d of %d changed: verify: %v, want ErrCorrupt", at, size, err)
			}
		}
	}
}
