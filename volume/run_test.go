package volume_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// TestRunDoesTheWork lets fake time pass over a store in the background.
func TestRunDoesTheWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		cfg := small(disk)
		cfg.CompactBytesPerSecond = 10_000
		cfg.ScrubBytesPerSecond = 10_000
		s := open(t, cfg)
		done := make(chan error)
		go func() { done <- s.Run(t.Context()) }()
		for n := range 30 {
			mustPut2(t, s, n, 4000)
		}
		mustSeal(t, s)
		for n := range 20 {
			mustDelete(t, s, n)
		}
		start := time.Now()
		for len(segmentNames(t, disk)) > 1 {
			time.Sleep(time.Second)
			if time.Since(start) > time.Hour {
				t.Fatal("the segment was not compacted")
			}
		}
		// 10 blobs of 4 KB at 10 KB/s, begun within 10 s.
		if took := time.Since(start); took < 4*time.Second || took > 20*time.Second {
			t.Errorf("compaction of 40 KB at 10 KB/s was done after %v", took)
		}
		// The log is idle now, so a mark vouches for all of it: damage is damage.
		last, _ := blob(29, 0)
		time.Sleep(2 * time.Second)
		name, at := findRecord(t, cfg, last)
		edit(t, disk, name, func(b []byte) []byte { b[at+20] ^= 1; return b })
		crash := open(t, small(disk.CrashClone()))
		if n := status(t, crash).Quarantined; n != 1 {
			t.Errorf("%d quarantined, want 1", n)
		}
		closeStore(t, crash)
		// The scrubber comes round to it.
		time.Sleep(time.Minute)
		if n := status(t, s).CorruptReads; n == 0 {
			t.Error("scrubbing found nothing")
		}
		closeStore(t, s)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestMovedMeanwhile reads a blob by where it was before compaction moved it.
func TestMovedMeanwhile(t *testing.T) {
	t.Parallel()
	s := open(t, small(vfs.NewMem()))
	for n := range 4 {
		mustPut2(t, s, n, 1000)
	}
	mustSeal(t, s)
	id, data := blob(3, 1000)
	stale := s.Place(id)
	mustDelete(t, s, 0, 1, 2)
	compactAll(t, s)
	if err := stale.Read(); err == nil || errors.Is(err, volume.ErrCorrupt) {
		t.Errorf("read at the old place: %v", err)
	}
	expect(t, s, id, data)
	checkStore(t, s)
	closeStore(t, s)
}

// TestLostFile removes the files of blobs behind the store's back.
func TestLostFile(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	s := open(t, small(disk))
	large, largeData := blob(1, 9000)
	mustPut(t, s, large, largeData)
	name, _ := findRecord(t, small(disk), large)
	if err := disk.Remove(name); err != nil {
		t.Fatal(err)
	}
	_, getErr := get(t.Context(), s, large)
	_, statErr := s.Stat(t.Context(), large)
	for _, err := range []error{getErr, statErr, s.Verify(t.Context(), large)} {
		if !errors.Is(err, volume.ErrCorrupt) || !strings.Contains(err.Error(), name) {
			t.Errorf("lost file: %v, want ErrCorrupt that names it", err)
		}
	}
	if n := status(t, s).CorruptReads; n != 3 {
		t.Errorf("%d corrupt reads, want 3", n)
	}
	if err := s.Delete(t.Context(), []volume.BlobID{large}); err != nil {
		t.Errorf("delete: %v", err)
	}
	expectGone(t, s, large)
	closeStore(t, s)
}

// TestShortFile cuts files short: the missing bytes must not look like the end
// of a blob.
func TestShortFile(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	s := open(t, small(disk))
	large, largeData := blob(1, 5*volume.BlockSize)
	mustPut(t, s, large, largeData)
	tiny, tinyData := blob(2, 2000)
	mustPut(t, s, tiny, tinyData)
	for _, id := range []volume.BlobID{large, tiny} {
		name, at := findRecord(t, small(disk), id)
		for _, length := range []int{1, 64, 100, volume.BlockSize + 68, 4*(volume.BlockSize+4) + 64} {
			edit(t, disk, name, func(b []byte) []byte { return b[:min(int(at)+length, len(b))] })
		}
		if got, err := get(t.Context(), s, id); !errors.Is(err, volume.ErrCorrupt) {
			t.Errorf("%d bytes, %v; want ErrCorrupt", len(got), err)
		}
		if err := s.Verify(t.Context(), id); !errors.Is(err, volume.ErrCorrupt) {
			t.Errorf("verify: %v", err)
		}
	}
	closeStore(t, s)
}

// TestStrangers leaves files alone that are not the store's.
func TestStrangers(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	s := open(t, small(disk))
	mustPut2(t, s, 1, 9000)
	mustPut2(t, s, 2, 10)
	closeStore(t, s)
	id, _ := blob(1, 0)
	ab := dir + "/blobs/" + id.String()[:2]
	strangers := []string{
		dir + "/notes.txt", dir + "/segments/1.seg", dir + "/segments/00000001.bak", dir + "/blobs/x",
		ab + "/" + id.String(), ab + "/" + id.String() + "-5-5", dir + "/blobs/zz", dir + "/segments/00000000.seg",
	}
	for _, name := range strangers {
		f, err := disk.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	leftover, err := disk.Create(dir + "/tmp/abc.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := leftover.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, small(disk))
	checkStore(t, s)
	if n := status(t, s).Blobs; n != 2 {
		t.Errorf("%d blobs, want 2", n)
	}
	closeStore(t, s)
	for _, name := range strangers {
		if _, err := disk.Stat(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := disk.Stat(dir + "/tmp/abc.1"); err == nil {
		t.Error("a temporary file was left")
	}
}
