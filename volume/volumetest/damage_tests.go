package volumetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"tdkvs/volume"
)

func testDamagedNothing(t *testing.T, s *suite) {
	s.put(t, newID(), payload(1000))
	if found := s.findings(t, 0, 10); len(found) != 0 {
		t.Errorf("a sound store found %v", found)
	}
	for _, limit := range []int{0, -1} {
		if _, err := s.Damaged(t.Context(), 0, limit); !errors.Is(err, volume.ErrInvalid) {
			t.Errorf("limit %d: %v, want ErrInvalid", limit, err)
		}
	}
	status, err := s.Status(t.Context())
	if err != nil || status.Run == 0 || status.Damaged != 0 {
		t.Errorf("a sound store says %+v, %v", status, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Damaged(ctx, 0, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func testDamaged(t *testing.T, s *suite) {
	s.damaged = true
	ids := []volume.BlobID{newID(), newID(), newID(), newID()}
	for i, size := range []int{2*mib + 5, 1000, 4 * volume.BlockSize, 10} {
		s.put(t, ids[i], payload(size))
	}
	if err := s.Verify(t.Context(), ids[3]); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids[:3] {
		s.Corrupt(t, s.Blobs, id, 9)
	}
	s.Corrupt(t, s.Blobs, ids[2], 3*volume.BlockSize) // and is one finding all the same
	for range 2 {
		for _, id := range ids[:2] {
			if err := s.Verify(t.Context(), id); !errors.Is(err, volume.ErrCorrupt) {
				t.Fatalf("verify: %v", err)
			}
		}
		for _, from := range []int64{0, 3 * volume.BlockSize} {
			if _, err := s.read(t.Context(), ids[2], from, -1); !errors.Is(err, volume.ErrCorrupt) {
				t.Fatalf("read: %v", err)
			}
		}
	}
	all := s.findings(t, 0, 10)
	if got := blobsOf(all); !slices.Equal(got, ids[:3]) {
		t.Fatalf("found %v, want %v in the order of finding", got, ids[:3])
	}
	for _, limit := range []int{1, 2, 3, 5000} {
		var got []volume.Damage
		after := uint64(0)
		for page := s.findings(t, after, limit); len(page) > 0; page = s.findings(t, after, limit) {
			if len(page) != min(limit, len(all)-len(got)) {
				t.Fatalf("page of %d, limit %d, %d left", len(page), limit, len(all)-len(got))
			}
			got = append(got, page...)
			after = page[len(page)-1].Seq
		}
		if !slices.Equal(blobsOf(got), ids[:3]) {
			t.Errorf("limit %d: found %v, want %v", limit, blobsOf(got), ids[:3])
		}
	}
	if err := s.Delete(t.Context(), ids[1:2]); err != nil {
		t.Fatal(err)
	}
	if got := blobsOf(s.findings(t, 0, 2)); !slices.Equal(got, []volume.BlobID{ids[0], ids[2]}) {
		t.Errorf("found %v after one was deleted, want %v and %v", got, ids[0], ids[2])
	}
}

// findings asks for findings, which it checks for what each has to say.
func (s *suite) findings(t *testing.T, after uint64, limit int) []volume.Damage {
	t.Helper()
	found, err := s.Damaged(t.Context(), after, limit)
	if err != nil {
		t.Fatalf("damaged after %d: %v", after, err)
	}
	status, err := s.Status(t.Context())
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	for _, d := range found {
		if d.Seq <= after || d.Seq > status.Damaged || d.Part == "" || d.Found.IsZero() {
			t.Errorf("after %d: %+v; status says %d", after, d, status.Damaged)
		}
		after = d.Seq
	}
	return found
}

func blobsOf(found []volume.Damage) []volume.BlobID {
	ids := make([]volume.BlobID, len(found))
	for i, d := range found {
		ids[i] = d.Blob
	}
	return ids
}
