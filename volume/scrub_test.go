package volume_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// running runs the background work of a store until stop, or until t ends.
func running(t *testing.T, s *volume.Store) (stop func()) {
	t.Helper()
	done := make(chan error)
	go func() { done <- s.Run(t.Context()) }()
	return func() {
		t.Helper()
		closeStore(t, s)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// fillForScrub puts blobs into sealed segments, the active one and files.
func fillForScrub(t *testing.T, s *volume.Store) (bytes int64) {
	t.Helper()
	for n := range 60 {
		size := 3000
		if n%6 == 0 {
			size = 20_000
		}
		mustPut2(t, s, n, size)
		bytes += int64(size)
		if n == 20 || n == 40 {
			mustSeal(t, s)
		}
	}
	return bytes
}

func withRate(disk vfs.FS, rate int64) volume.Config {
	cfg := small(disk)
	cfg.ScrubBytesPerSecond = rate
	return cfg
}

// TestScrubGoesOn stops a store in the middle of a round, in every part of one, and
// pulls its plug: the round goes on where it was, a minute earlier at the most.
func TestScrubGoesOn(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{30 * time.Second, 100 * time.Second, 200 * time.Second, 300 * time.Second, 340 * time.Second} {
		for _, crash := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				const rate = 1000
				disk := vfs.NewMem()
				s := open(t, withRate(disk, rate))
				total := fillForScrub(t, s)
				stop := running(t, s)
				time.Sleep(after)
				before := status(t, s).Scrub
				if !before.Running || before.Read == 0 || before.Read > total+60*300 || before.Rate != rate {
					t.Fatalf("after %v: %+v", after, before)
				}
				left := disk.CrashClone()
				stop()
				if !crash {
					left = disk
				}
				s = open(t, withRate(left, rate))
				stop = running(t, s)
				time.Sleep(time.Millisecond)
				now := status(t, s).Scrub
				lost := before.Read - now.Read
				if lost < 0 || !crash && lost > 20_000 || lost > 62*rate+20_000 || !now.Began.Equal(before.Began) && lost != before.Read {
					t.Errorf("after %v, crash %v: %+v, before it was %+v", after, crash, now, before)
				}
				for status(t, s).Scrub.Finished.IsZero() {
					time.Sleep(time.Second)
				}
				took := status(t, s).Scrub.Finished.Sub(before.Began)
				if least := time.Duration(total/rate) * time.Second; took < least || took > least+least/10+time.Duration(lost/rate)*time.Second {
					t.Errorf("after %v, crash %v: a round over %d bytes took %v", after, crash, total, took)
				}
				stop()
			})
		}
	}
}

// TestScrubFindsAll damages a blob of each kind after a start in the middle of a round:
// what lies ahead is found in this round, what lies behind in the next.
func TestScrubFindsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		cfg := withRate(disk, 1000)
		s := open(t, cfg)
		fillForScrub(t, s)
		stop := running(t, s)
		time.Sleep(57 * time.Second) // the first segment is done
		numbers := []int{1, 25, 50, 30, 59}
		for _, n := range numbers {
			id, _ := blob(n, 0)
			flip(t, disk, cfg, id, 70)
		}
		for status(t, s).Scrub.Finished.IsZero() {
			time.Sleep(time.Second)
		}
		end := status(t, s).Scrub.Finished
		ahead := slices.DeleteFunc(damaged(t, s, 0), func(d volume.Damage) bool { return !d.Found.Before(end) })
		if first, _ := blob(1, 0); len(ahead) != 4 || ahead[3].Blob == first {
			t.Errorf("the round found %+v, want the 4 that lay ahead", ahead)
		}
		time.Sleep(20 * time.Second)
		found := damaged(t, s, 0)
		if first, _ := blob(1, 0); len(found) != 5 || found[4].Blob != first {
			t.Errorf("the next round found %+v, want the first blob as well", found)
		}
		if st := status(t, s).Scrub; !st.Running || st.Bad != 1 {
			t.Errorf("%+v, want one found in this round", st)
		}
		stop()
	})
}

// TestScrubWithCompaction compacts segments while they are verified.
func TestScrubWithCompaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		cfg := withRate(disk, 2000)
		s := open(t, cfg)
		fillForScrub(t, s)
		id, _ := blob(19, 0)
		stop := running(t, s)
		time.Sleep(5 * time.Second)
		for n := range 19 {
			mustDelete(t, s, n)
		}
		start := time.Now()
		for len(segmentNames(t, disk)) > 2 && time.Since(start) < time.Minute {
			time.Sleep(time.Second)
		}
		if len(segmentNames(t, disk)) > 2 {
			t.Error("a segment that is being verified is not compacted")
		}
		flip(t, disk, cfg, id, 70) // wherever it is by now
		for status(t, s).Scrub.Finished.IsZero() {
			time.Sleep(time.Second)
		}
		if found := damaged(t, s, 0); len(found) != 1 || found[0].Blob != id {
			t.Errorf("found %+v, want %s, which was moved", found, id)
		}
		stop()
	})
}

// TestScrubPeriod: without a rate, one round in each period, in time and gently.
func TestScrubPeriod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := small(vfs.NewMem())
		cfg.ScrubPeriod = 20 * time.Second
		s := open(t, cfg)
		stop := running(t, s)
		time.Sleep(time.Minute)
		if st := status(t, s).Scrub; !st.Began.IsZero() || st.Rate != 1<<20 {
			t.Errorf("%+v of an empty store", st)
		}
		for n := range 40 {
			mustPut2(t, s, n, 1<<20)
		}
		time.Sleep(2 * time.Second)
		began := status(t, s).Scrub.Began
		for range 5 {
			time.Sleep(cfg.ScrubPeriod - time.Since(began) - 1500*time.Millisecond)
			st := status(t, s).Scrub
			if st.Running || !st.Finished.After(st.Began) || st.Read < 40<<20 || !st.Began.Equal(began) {
				t.Errorf("at the end of a period: %+v", st)
			}
			if took := st.Finished.Sub(st.Began); took < cfg.ScrubPeriod/2 {
				t.Errorf("a round took %v of %v", took, cfg.ScrubPeriod)
			}
			time.Sleep(4 * time.Second)
			next := status(t, s).Scrub
			if !next.Running || next.Began.Sub(began) > cfg.ScrubPeriod+2*time.Second {
				t.Errorf("the next round: %+v, the last began at %v", next, began)
			}
			began = next.Began
		}
		stop()
	})
}

// TestScrubByDefault is what happens without a setting.
func TestScrubByDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		s := open(t, small(disk))
		total := fillForScrub(t, s)
		stop := running(t, s)
		time.Sleep(time.Minute)
		first := status(t, s).Scrub
		if first.Running || first.Finished.IsZero() || first.Read < total || first.Rate != 1<<20 {
			t.Errorf("%+v, want it to have read %d bytes at 1 MiB/s", first, total)
		}
		stop()
		writes := func() int {
			b, err := vfs.ReadFile(disk, dir+"/scrub.json")
			if err != nil {
				t.Fatal(err)
			}
			return bytes.Count(b, []byte("\n"))
		}
		if writes() != 1 {
			t.Error("the file is not one line")
		}
		time.Sleep(13 * 24 * time.Hour)
		s = open(t, small(disk))
		stop = running(t, s)
		time.Sleep(time.Hour)
		if st := status(t, s).Scrub; !st.Began.Equal(first.Began) {
			t.Errorf("%+v after 13 days, want none since %v", st, first.Began)
		}
		time.Sleep(24 * time.Hour)
		st := status(t, s)
		if st.Scrub.Began.Sub(first.Began) < 14*24*time.Hour || st.Scrub.Finished.Before(st.Scrub.Began) {
			t.Errorf("%+v after 14 days, the last began at %v", st.Scrub, first.Began)
		}
		stop()
	})
}

// TestNoScrub: it can be turned off.
func TestNoScrub(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := small(vfs.NewMem())
		cfg.ScrubPeriod = -1
		s := open(t, cfg)
		fillForScrub(t, s)
		stop := running(t, s)
		time.Sleep(time.Hour)
		if st := status(t, s).Scrub; st.Rate != 0 || st.Running || !st.Began.IsZero() {
			t.Errorf("%+v, want no scrub", st)
		}
		stop()
	})
}

// savedScrub is a round that has read all, in the form that docs/formats.md draws.
const savedScrub = `{"format":1,"running":true,"began":"1999-12-31T00:00:00Z","finished":"1999-12-01T00:00:00Z","read":12345,"bad":6,` +
	`"position":{"large":true,"segment":0,"offset":0,"after":"ffffffffffffffffffffffffffffffff"}}`

// TestScrubFormat goes on from a file as an earlier version wrote it.
func TestScrubFormat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		s := open(t, small(disk))
		fillForScrub(t, s)
		if err := vfs.WriteFileAtomic(disk, dir+"/scrub.json", []byte(savedScrub)); err != nil {
			t.Fatal(err)
		}
		stop := running(t, s)
		time.Sleep(time.Millisecond)
		want := volume.Scrub{
			Rate: 1 << 20, Running: true, Began: time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), Finished: time.Date(1999, 12, 1, 0, 0, 0, 0, time.UTC),
			Read: 12345, Total: status(t, s).Scrub.Total, Bad: 6,
		}
		if st := status(t, s).Scrub; st != want {
			t.Errorf("%+v, want %+v", st, want)
		}
		time.Sleep(1500 * time.Millisecond)
		if st := status(t, s).Scrub; st.Running || st.Read != 12345 || !st.Finished.After(st.Began) {
			t.Errorf("%+v, want the round to have ended where it was", st)
		}
		stop()
	})
}

// TestScrubPositionIsAdvice: a position that can not be read or saved costs a round,
// and nothing else.
func TestScrubPositionIsAdvice(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"empty": "", "cut": savedScrub[:40], "newer": strings.Replace(savedScrub, `"format":1`, `"format":2`, 1),
		"foreign id": strings.Replace(savedScrub, "ffff", "xx", 1),
	} {
		synctest.Test(t, func(t *testing.T) {
			disk := vfs.NewMem()
			var l logs
			cfg := withRate(disk, 10_000)
			cfg.Logger = slog.New(slog.NewTextHandler(&l, nil))
			s := open(t, cfg)
			total := fillForScrub(t, s)
			if err := vfs.WriteFileAtomic(disk, dir+"/scrub.json", []byte(content)); err != nil {
				t.Fatal(err)
			}
			stop := running(t, s)
			time.Sleep(time.Second * time.Duration(total/10_000+5))
			if st := status(t, s).Scrub; st.Finished.IsZero() {
				t.Errorf("%s: %+v, want a round to have ended", name, st)
			}
			if !strings.Contains(l.String(), "begins anew") {
				t.Errorf("%s: the log says %s", name, l.String())
			}
			stop()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		faulty := vfs.NewFaulty(disk, vfs.Plan{Hook: func(c vfs.Call) *vfs.Fault {
			if strings.Contains(c.Name, "scrub.json") && c.Op != vfs.OpOpenRead {
				return &vfs.Fault{Err: syscall.EIO}
			}
			return nil
		}})
		var l logs
		cfg := withRate(faulty, 1000)
		cfg.Logger = slog.New(slog.NewTextHandler(&l, nil))
		s := open(t, cfg)
		fillForScrub(t, s)
		stop := running(t, s)
		time.Sleep(10 * time.Minute)
		if st := status(t, s); st.ReadOnly != "" || st.Scrub.Finished.IsZero() {
			t.Errorf("%+v, want it to take writes and to have ended a round", st)
		}
		if n := strings.Count(l.String(), "can not be saved"); n != 1 {
			t.Errorf("%d lines say that it can not be saved, want 1", n)
		}
		stop()
	})
}

// TestScrubSavesSeldom counts the syncs of a store that does nothing else.
func TestScrubSavesSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, withRate(vfs.NewMem(), -1))
		mustPut2(t, s, 1, 100)
		stop := running(t, s)
		time.Sleep(10 * time.Second)
		before := status(t, s).Syncs
		time.Sleep(time.Hour)
		if n := status(t, s).Syncs - before; n > 2*61 {
			t.Errorf("%d syncs in an hour", n)
		}
		stop()
	})
}

// TestScrubSavesBesideStatus: a disk that takes its time to save where the scrub
// stands holds up nobody who asks how the volume is.
func TestScrubSavesBesideStatus(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	faulty := vfs.NewFaulty(vfs.NewMem(), vfs.Plan{Hook: func(c vfs.Call) *vfs.Fault {
		if strings.Contains(c.Name, "scrub.json.tmp") && c.Op == vfs.OpSync {
			once.Do(func() { close(held) })
			<-release
		}
		return nil
	}})
	s := open(t, small(faulty))
	mustPut2(t, s, 1, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ScrubOnce(t.Context())
	}()
	<-held
	if st := status(t, s); st.Blobs != 1 {
		t.Errorf("%+v", st)
	}
	if _, err := s.Damaged(t.Context(), 0, 1); err != nil {
		t.Error(err)
	}
	close(release)
	<-done
	closeStore(t, s)
}
