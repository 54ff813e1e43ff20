package master_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"tdkvs/volume"
)

// TestVolumeStats: what clients write and read is counted where it lies.
func TestVolumeStats(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	body := strings.Repeat("x", 1000)
	s.put("key", body)
	l, err := s.Locate(context.Background(), bucket, "key", "")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Extents[0].Pieces[0].Volume
	s.wantBody("key", body)
	s.wantBody("key", body)
	s.volumes[at-1].down.Store(true)
	if _, err := s.tryRead("key"); err == nil {
		t.Error("read from a volume that is down")
	}
	s.volumes[at-1].down.Store(false)
	for _, v := range s.VolumeStats() {
		total := func(counts []uint64) (n uint64) {
			for _, c := range counts {
				n += c
			}
			return n
		}
		switch {
		case v.Number != at && (v.Reads != 0 || v.Writes != 0 || v.BytesRead != 0 || v.Failed != 0):
			t.Errorf("nothing is there: %+v", v)
		case v.Number != at:
		case v.Reads < 2 || v.Writes != 1 || v.Failed == 0 || v.BytesRead != 2000 || v.BytesWritten != 1000 || total(v.ReadLatency) != 2 || total(v.WriteLatency) != 1:
			t.Errorf("%+v", v)
		}
	}
	// Whatever a volume is asked counts when it fails, and a put whose body breaks
	// is not its fault.
	blobs, err := s.Blobs(at)
	if err != nil {
		t.Fatal(err)
	}
	before := s.VolumeStats()[at-1]
	if _, err := blobs.Stat(context.Background(), volume.BlobID{1}); !errors.Is(err, volume.ErrNotFound) {
		t.Error(err)
	}
	broken := io.MultiReader(strings.NewReader("some"), iotest.ErrReader(volume.ErrCorrupt))
	if err := blobs.Put(context.Background(), volume.BlobID{1}, 10, broken, nil); !errors.Is(err, volume.ErrCorrupt) {
		t.Error(err)
	}
	if now := s.VolumeStats()[at-1]; now.Failed != before.Failed || now.Writes != before.Writes+1 || now.BytesWritten != before.BytesWritten+4 {
		t.Errorf("%+v, was %+v", now, before)
	}
	s.volumes[at-1].down.Store(true)
	if _, err := blobs.Stat(context.Background(), volume.BlobID{1}); !errors.Is(err, volume.ErrUnavailable) {
		t.Error(err)
	}
	s.volumes[at-1].down.Store(false)
	if now := s.VolumeStats()[at-1]; now.Failed != before.Failed+1 {
		t.Errorf("%+v, was %+v", now, before)
	}
	s.ProbeRound(context.Background())
	s.remove("key")
	s.clock.advance(24 * 3600 * 1e9)
	s.collect()
	if v := s.VolumeStats()[at-1]; v.Deletes == 0 {
		t.Errorf("%+v", v)
	}
}
