package volumetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"tdkvs/volume"
)

func testDelete(t *testing.T, s *suite) {
	for _, size := range []int{0, 100, 2 * mib} {
		id, kept := newID(), newID()
		s.put(t, id, payload(size))
		s.put(t, kept, payload(size))
		for range 2 { // the second time it is not there any more
			if err := s.Delete(t.Context(), []volume.BlobID{id}); err != nil {
				t.Fatalf("delete: %v", err)
			}
			s.expectMissing(t, id)
		}
		s.expect(t, kept, payload(size))
	}
	if err := s.Delete(t.Context(), nil); err != nil {
		t.Errorf("delete of nothing: %v", err)
	}
}

// testDeleteBatch removes more blobs at once than a request might carry, with
// strangers and repetitions among them.
func testDeleteBatch(t *testing.T, s *suite) {
	var gone, kept []volume.BlobID
	for i := range 60 {
		id := newID()
		s.put(t, id, payload(i))
		if i%3 == 0 {
			kept = append(kept, id)
		} else {
			gone = append(gone, id, id)
		}
	}
	batch := slices.Clone(gone)
	for range 2500 {
		batch = append(batch, newID())
	}
	if err := s.Delete(t.Context(), batch); err != nil {
		t.Fatalf("delete: %v", err)
	}
	infos, err := s.List(t.Context(), volume.BlobID{}, 1000)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	slices.SortFunc(kept, compareIDs)
	if got := idsOf(infos); !slices.Equal(got, kept) {
		t.Errorf("%d blobs left, want %d", len(got), len(kept))
	}
}

func testList(t *testing.T, s *suite) {
	var ids []volume.BlobID
	sizes := map[volume.BlobID]int64{}
	for i := range 40 {
		id := newID()
		if i == 0 {
			id = volume.BlobID{15: 1} // right after the zero id
		}
		size := i
		if i == 20 {
			size = mib + 1
		}
		s.put(t, id, payload(size))
		ids, sizes[id] = append(ids, id), int64(size)
	}
	slices.SortFunc(ids, compareIDs)
	for _, limit := range []int{1, 7, 39, 40, 41, 5000} {
		var got []volume.BlobID
		var after volume.BlobID
		for {
			page, err := s.List(t.Context(), after, limit)
			if err != nil {
				t.Fatalf("list: %v", err)
			}
			if len(page) > limit || len(page) < min(limit, len(ids)-len(got)) {
				t.Fatalf("page of %d, limit %d, %d left", len(page), limit, len(ids)-len(got))
			}
			if len(page) == 0 {
				break
			}
			for _, info := range page {
				if info.Size != sizes[info.ID] || info.Descriptor != nil || info.Created.IsZero() {
					t.Errorf("listed %s: size %d, want %d; %d bytes of descriptor; created %v",
						info.ID, info.Size, sizes[info.ID], len(info.Descriptor), info.Created)
				}
			}
			got = append(got, idsOf(page)...)
			after = page[len(page)-1].ID
		}
		if !slices.Equal(got, ids) {
			t.Errorf("limit %d: %d ids, want %d in order", limit, len(got), len(ids))
		}
	}
	between := ids[5] // an id that is not there is a place to go on from, too
	if err := s.Delete(t.Context(), []volume.BlobID{between}); err != nil {
		t.Fatalf("delete: %v", err)
	}
	page, err := s.List(t.Context(), between, 2)
	if err != nil || !slices.Equal(idsOf(page), ids[6:8]) {
		t.Errorf("list after a deleted id: %v, %v", idsOf(page), err)
	}
}

func idsOf(infos []volume.Info) []volume.BlobID {
	ids := make([]volume.BlobID, len(infos))
	for i, info := range infos {
		ids[i] = info.ID
	}
	return ids
}

func compareIDs(a, b volume.BlobID) int { return bytes.Compare(a[:], b[:]) }

func testStatus(t *testing.T, s *suite) {
	before, err := s.Status(t.Context())
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	if before.Volume == "" || before.Cluster != "" || before.Blobs != 0 || before.Bytes != 0 {
		t.Errorf("a new store says %+v", before)
	}
	if before.ReadOnly != "" || before.Full || before.Capacity == 0 || before.Free > before.Capacity {
		t.Errorf("a new store says %+v", before)
	}
	small, large := newID(), newID()
	s.put(t, small, payload(1000))
	s.put(t, large, payload(2*mib))
	after, err := s.Status(t.Context())
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	if after.Blobs != 2 || after.Bytes != 1000+2*mib || after.Volume != before.Volume {
		t.Errorf("two blobs put, status says %+v", after)
	}
	if after.Writes < before.Writes+2 || after.Syncs <= before.Syncs {
		t.Errorf("writes %d to %d, syncs %d to %d after two puts", before.Writes, after.Writes, before.Syncs, after.Syncs)
	}
	if err := s.Delete(t.Context(), []volume.BlobID{small, large}); err != nil {
		t.Fatalf("delete: %v", err)
	}
	end, err := s.Status(t.Context())
	if err != nil || end.Blobs != 0 || end.Bytes != 0 {
		t.Errorf("all deleted, status says %+v, %v", end, err)
	}
}

func testClaim(t *testing.T, s *suite) {
	cluster := randomUUID()
	if err := s.Claim(t.Context(), ""); !errors.Is(err, volume.ErrInvalid) {
		t.Errorf("claim for no cluster: %v, want ErrInvalid", err)
	}
	for range 2 {
		if err := s.Claim(t.Context(), cluster); err != nil {
			t.Fatalf("claim: %v", err)
		}
	}
	if err := s.Claim(t.Context(), randomUUID()); !errors.Is(err, volume.ErrWrongVolume) {
		t.Errorf("claim for another cluster: %v, want ErrWrongVolume", err)
	}
	status, err := s.Status(t.Context())
	if err != nil || status.Cluster != cluster {
		t.Errorf("claimed for %s, status says %q, %v", cluster, status.Cluster, err)
	}
}

func testReopen(t *testing.T, s *suite) {
	want := map[volume.BlobID][]byte{}
	var gone []volume.BlobID
	for i, size := range slices.Concat(edgeSizes, edgeSizes) {
		id := newID()
		s.put(t, id, payload(size))
		if i < len(edgeSizes) {
			want[id] = payload(size)
		} else {
			gone = append(gone, id)
		}
	}
	cluster := randomUUID()
	if err := s.Claim(t.Context(), cluster); err != nil {
		t.Fatalf("claim: %v", err)
	}
	if err := s.Delete(t.Context(), gone); err != nil {
		t.Fatalf("delete: %v", err)
	}
	before, err := s.Status(t.Context())
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	for range 2 {
		s.Blobs = s.Reopen(t, s.Blobs)
		for id, data := range want {
			s.expect(t, id, data)
			desc, _ := describe(id)()
			if info, err := s.Stat(t.Context(), id); err != nil || !bytes.Equal(info.Descriptor, desc) {
				t.Errorf("stat after reopen: %q, %v", info.Descriptor, err)
			}
		}
		for _, id := range gone {
			s.expectMissing(t, id)
		}
		after, err := s.Status(t.Context())
		if err != nil || after.Identity != before.Identity || after.Blobs != before.Blobs || after.Bytes != before.Bytes {
			t.Errorf("status after reopen: %+v, %v; before: %+v", after, err, before)
		}
	}
	if err := s.Claim(t.Context(), randomUUID()); !errors.Is(err, volume.ErrWrongVolume) {
		t.Errorf("claim for another cluster after reopen: %v, want ErrWrongVolume", err)
	}
}

// testConcurrent has workers put, read, list and delete blobs of their own, all
// at once, over one store.
func testConcurrent(t *testing.T, s *suite) {
	const workers, rounds = 8, 12
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range rounds {
				size := []int{0, 300, 5000, 70_000, mib + 100}[(w+i)%5]
				if err := s.lifeCycle(t, size, i%3 == 0); err != nil {
					t.Errorf("worker %d round %d, %d bytes: %v", w, i, size, err)
					return
				}
			}
		})
	}
	group.Wait()
}

// lifeCycle is the life of one blob, checked at every step.
func (s *suite) lifeCycle(t *testing.T, size int, keep bool) error {
	ctx, id, data := t.Context(), newID(), payload(size)
	if err := s.Put(ctx, id, int64(size), bytes.NewReader(data), describe(id)); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	got, err := s.read(ctx, id, int64(size/3), -1)
	if err != nil || !bytes.Equal(got, data[size/3:]) {
		return fmt.Errorf("get: %d bytes: %w", len(got), err)
	}
	before := id
	if before[15] == 0 {
		before[14]--
	}
	before[15]--
	infos, err := s.List(ctx, before, 1)
	if err != nil || len(infos) != 1 || infos[0].ID != id || infos[0].Size != int64(size) {
		return fmt.Errorf("list: %v: %w", infos, err)
	}
	if keep {
		return nil
	}
	if err := s.Delete(ctx, []volume.BlobID{id}); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if _, err := s.Stat(ctx, id); !errors.Is(err, volume.ErrNotFound) {
		return fmt.Errorf("stat after delete: %w", err)
	}
	return nil
}
