package volume_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// handClock is a clock that a test moves.
type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func damaged(t testing.TB, s *volume.Store, after uint64) []volume.Damage {
	t.Helper()
	found, err := s.Damaged(t.Context(), after, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// flip changes a byte within a blob's record.
func flip(t *testing.T, disk vfs.FS, cfg volume.Config, id volume.BlobID, at int64) {
	t.Helper()
	name, record := findRecord(t, cfg, id)
	edit(t, disk, name, func(b []byte) []byte { b[record+at] ^= 1; return b })
}

// TestFoundAnew finds the same damage again after an hour, and after a restart.
func TestFoundAnew(t *testing.T) {
	t.Parallel()
	disk, clock := vfs.NewMem(), &handClock{now: time.Unix(1_700_000_000, 0)}
	cfg := small(disk)
	cfg.Clock = clock.Now
	s := open(t, cfg)
	var ids []volume.BlobID
	for n, size := range []int{1000, 9000} {
		id, data := blob(n, size)
		ids = append(ids, id)
		mustPut(t, s, id, data)
		flip(t, disk, cfg, id, 70)
	}
	s.ScrubOnce(t.Context())
	first := damaged(t, s, 0)
	if len(first) != 2 || !first[0].Found.Equal(clock.Now()) {
		t.Fatalf("found %+v, want both", first)
	}
	clock.add(59 * time.Minute)
	s.ScrubOnce(t.Context())
	if now := damaged(t, s, 0); !slices.Equal(now, first) {
		t.Errorf("found %+v again within the hour", now)
	}
	clock.add(2 * time.Minute)
	s.ScrubOnce(t.Context())
	if now := damaged(t, s, first[1].Seq); len(now) != 2 || len(damaged(t, s, 0)) != 2 || !now[0].Found.Equal(clock.Now()) {
		t.Errorf("found %+v after an hour, want both again", damaged(t, s, 0))
	}
	run := status(t, s).Run
	closeStore(t, s)
	s = open(t, cfg)
	if status(t, s).Run == run {
		t.Error("another start has the same name")
	}
	s.ScrubOnce(t.Context())
	if now := damaged(t, s, 0); len(now) != 2 || now[0].Seq != 1 {
		t.Errorf("found %+v after a restart, want both from 1", now)
	}
	if err := s.Delete(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	if now := damaged(t, s, 0); len(now) != 0 || status(t, s).Damaged != 2 {
		t.Errorf("found %+v, and all is deleted", now)
	}
	closeStore(t, s)
}

// TestFoundAtOpen loses a record of which nobody can tell which blob it was, and
// damages the header of a segment, which costs nothing.
func TestFoundAtOpen(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	cfg := small(disk)
	s := open(t, cfg)
	for n := range 3 {
		mustPut2(t, s, n, 1000)
	}
	closeStore(t, s)
	id, _ := blob(1, 0)
	name, _ := findRecord(t, cfg, id)
	flip(t, disk, cfg, id, 20)
	edit(t, disk, name, func(b []byte) []byte { b[9] ^= 1; return b })
	s = open(t, cfg)
	found := damaged(t, s, 0)
	if len(found) != 1 || found[0].Blob != (volume.BlobID{}) || found[0].Part == "" {
		t.Errorf("found %+v, want one run of bytes", found)
	}
	if n := status(t, s).Quarantined; n != 2 {
		t.Errorf("%d quarantined, want the record and the header", n)
	}
	closeStore(t, s)
}

// TestFindingsBounded finds more than is remembered: the newest are.
func TestFindingsBounded(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	cfg := small(disk)
	s := open(t, cfg)
	const most, more = 8192, 100
	for n := range most + more {
		s.Find(volume.BlobID{1: byte(n >> 8), 2: byte(n), 15: 1})
	}
	if n := status(t, s).Damaged; n != most+more {
		t.Errorf("newest is %d, want %d", n, most+more)
	}
	if left := s.Remembered(); left != most {
		t.Errorf("%d are remembered, want %d", left, most)
	}
	if found := damaged(t, s, 0); len(found) != 0 || s.Remembered() != 0 {
		t.Errorf("found %d of which none is there; %d are remembered", len(found), s.Remembered())
	}
	closeStore(t, s)
}
