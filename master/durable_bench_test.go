package master_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb/badgerdb"
	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// BenchmarkDurablePut stores objects of 4 KiB as a process does, in one directory, with the
// journal of the metadata: everything below the protocol. Beside allocations it tells how much
// processor time an object takes, with all that is done in the background, and how many syncs.
func BenchmarkDurablePut(b *testing.B) {
	for _, clients := range []int{1, 32} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
			s := openDurable(b)
			body := strings.Repeat("x", 4<<10)
			b.ReportAllocs()
			before := s.usage(b)
			b.ResetTimer()
			took := make([]time.Duration, b.N)
			var next atomic.Int64
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						began := time.Now()
						req := meta.PutRequest{Bucket: bucket, Key: fmt.Sprintf("2026/album-%03d/IMG_%08d.jpg", n%500, n), Size: int64(len(body))}
						if _, err := s.engine.PutObject(b.Context(), req, newPayload(body)); err != nil {
							b.Error(err)
							return
						}
						took[n-1] = time.Since(began)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			s.usage(b).report(b, before)
			slices.Sort(took)
			b.ReportMetric(float64(took[b.N/2].Microseconds()), "p50-us")
		})
	}
}

// durable is a store in one directory.
type durable struct {
	engine *master.Engine
	db     *badgerdb.DB
	vol    *volume.Store
}

func openDurable(b *testing.B) durable {
	b.Helper()
	dir, quiet := b.TempDir(), slog.New(slog.DiscardHandler)
	db, err := badgerdb.Open(filepath.Join(dir, "meta"), badgerdb.Options{Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	vol, err := volume.Open(volume.Config{FS: vfs.OS(), Dir: filepath.Join(dir, "volume"), Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	engine, err := master.Open(b.Context(), master.Config{
		DB: db, Volumes: []master.Volume{{Name: "disk", Blobs: vol}}, Logger: quiet, MetadataCopies: master.UsualCopies,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
		if err := vol.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := engine.CreateBucket(b.Context(), meta.Bucket{Name: bucket}); err != nil {
		b.Fatal(err)
	}
	return durable{engine, db, vol}
}

// usage is what a store has taken so far.
type usage struct {
	processor      float64 // microseconds, of this process
	switches       float64 // of threads, of their own will
	syncs, commits float64
}

func (s durable) usage(b *testing.B) usage {
	b.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	st, err := s.vol.Status(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	micros := func(t unix.Timeval) float64 { return float64(t.Nano()) / 1e3 }
	return usage{
		processor: micros(r.Utime) + micros(r.Stime), switches: float64(r.Nvcsw),
		syncs: float64(st.Syncs), commits: float64(s.db.Stats().Commits),
	}
}

func (u usage) report(b *testing.B, before usage) {
	b.Helper()
	n := float64(b.N)
	b.ReportMetric((u.processor-before.processor)/n, "cpu-us/op")
	b.ReportMetric((u.switches-before.switches)/n, "switches/op")
	b.ReportMetric((u.syncs-before.syncs)/n, "syncs/op")
	b.ReportMetric((u.commits-before.commits)/n, "commits/op")
}
