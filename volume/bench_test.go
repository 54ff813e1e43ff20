package volume_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

func benchStore(b *testing.B) *volume.Store {
	b.Helper()
	s, err := volume.Open(volume.Config{FS: vfs.OS(), Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// benchID spreads numbers over the id space as random ids are.
func benchID(n uint64) volume.BlobID {
	var id volume.BlobID
	binary.LittleEndian.PutUint64(id[:], n*0x9E3779B97F4A7C15)
	binary.LittleEndian.PutUint64(id[8:], n)
	return id
}

// BenchmarkPut measures durable puts and how many of them share a sync.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{4 << 10, 16 << 10} {
		for _, writers := range []int{1, 32, 64} {
			b.Run(fmt.Sprintf("%dKiB/writers=%d", size>>10, writers), func(b *testing.B) {
				s := benchStore(b)
				data := bytes.Repeat([]byte{0xA5}, size)
				desc := func() ([]byte, error) { return data[:200], nil }
				before, err := s.Status(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				var next atomic.Uint64
				var group sync.WaitGroup
				for range writers {
					group.Go(func() {
						for n := next.Add(1); n <= uint64(b.N); n = next.Add(1) {
							if err := s.Put(b.Context(), benchID(n), int64(size), bytes.NewReader(data), desc); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				group.Wait()
				b.StopTimer()
				after, err := s.Status(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
				b.ReportMetric(float64(after.Writes-before.Writes)/float64(max(after.Syncs-before.Syncs, 1)), "puts/sync")
			})
		}
	}
}

// BenchmarkGet reads whole small blobs from the page cache.
func BenchmarkGet(b *testing.B) {
	for _, size := range []int{4 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := benchStore(b)
			const blobs = 64
			for n := range uint64(blobs) {
				if err := s.Put(b.Context(), benchID(n+1), int64(size), bytes.NewReader(make([]byte, size)), nil); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			var next atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, err := s.Get(b.Context(), benchID(next.Add(1)%blobs+1), 0, -1)
					if err != nil {
						b.Error(err)
						return
					}
					if _, err := r.(io.WriterTo).WriteTo(io.Discard); err != nil {
						b.Error(err)
					}
					if err := r.Close(); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkOpen opens a store of many blobs of 1 KiB and reports the memory
// that stays in use per blob; TDKVS_BENCH_BLOBS in the environment sets how many.
func BenchmarkOpen(b *testing.B) {
	blobs := 100_000
	if n, err := strconv.Atoi(os.Getenv("TDKVS_BENCH_BLOBS")); err == nil {
		blobs = n
	}
	cfg := volume.Config{FS: vfs.OS(), Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler), Reserve: -1}
	s, err := volume.Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	const batch = 1000
	data := make([]byte, 1<<10)
	for n := 0; n < blobs; n += batch {
		ids, payloads := make([]volume.BlobID, batch), make([][]byte, batch)
		for i := range batch {
			ids[i], payloads[i] = benchID(uint64(n+i+1)), data
		}
		if err := s.PutBatch(ids, payloads, func(volume.BlobID) []byte { return data[:200] }); err != nil {
			b.Fatal(err)
		}
	}
	closeStore(b, s)
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		s, err := volume.Open(cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(blobs), "heap-B/blob")
		closeStore(b, s)
		b.StartTimer()
	}
}

// BenchmarkScrub reads everything once, as fast as it goes.
func BenchmarkScrub(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 4 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := benchStore(b)
			data := bytes.Repeat([]byte{0xA5}, size)
			desc := func() ([]byte, error) { return data[:300], nil }
			count := min(128<<20/size, 20_000)
			var next atomic.Uint64
			var group sync.WaitGroup
			for range 32 {
				group.Go(func() {
					for n := next.Add(1); n <= uint64(count); n = next.Add(1) {
						if err := s.Put(b.Context(), benchID(n), int64(size), bytes.NewReader(data), desc); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			b.SetBytes(int64(count * size))
			for b.Loop() {
				s.ScrubOnce(b.Context())
			}
		})
	}
}

// BenchmarkVerify checks every byte of a blob, from the page cache: a record of a
// segment, or a file of its own.
func BenchmarkVerify(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20, 8 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := benchStore(b)
			data := bytes.Repeat([]byte{0xA5}, size)
			if err := s.Put(b.Context(), benchID(1), int64(size), bytes.NewReader(data), func() ([]byte, error) { return data[:200], nil }); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Verify(b.Context(), benchID(1)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
