package master_test

import (
	"context"
	"strings"
	"testing"
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
	s.remove("key")
	s.clock.advance(24 * 3600 * 1e9)
	s.collect()
	if v := s.VolumeStats()[at-1]; v.Deletes == 0 {
		t.Errorf("%+v", v)
	}
}
