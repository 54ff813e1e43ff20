package volumehttp

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// sink stores nothing, so that only the wire is measured.
func sink() *fakeBlobs {
	return &fakeBlobs{
		Mem: volumetest.NewMem(),
		put: func(_ context.Context, _ volume.BlobID, _ int64, body io.Reader, desc volume.Descriptor) error {
			if _, err := io.Copy(io.Discard, body); err != nil {
				return err
			}
			_, err := desc()
			return err
		},
	}
}

// reportProcessorTime adds the processor time of the process, which says more than the
// time that has passed where a machine has other work.
func reportProcessorTime(b *testing.B) func() {
	spent := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := spent()
	return func() { b.ReportMetric(float64(spent()-before)/float64(b.N), "cpu-ns/op") }
}

func BenchmarkPut4K(b *testing.B)  { benchmarkPut(b, 4<<10) }
func BenchmarkPut64K(b *testing.B) { benchmarkPut(b, 64<<10) }
func BenchmarkPut8M(b *testing.B)  { benchmarkPut(b, 8<<20) }

func benchmarkPut(b *testing.B, size int) {
	c := serve(b, sink(), ServerConfig{Secret: testSecret}, nil).dial(b, func(c *Config) { c.Secret = testSecret })
	data := testData(size)
	var next atomic.Int64
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.SetParallelism(8)
	defer reportProcessorTime(b)()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			err := c.Put(context.Background(), testID(int(next.Add(1))), int64(size), bytes.NewReader(data), testDescriptor)
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkGet4K(b *testing.B)  { benchmarkGet(b, 4<<10) }
func BenchmarkGet64K(b *testing.B) { benchmarkGet(b, 64<<10) }
func BenchmarkGet8M(b *testing.B)  { benchmarkGet(b, 8<<20) }

func benchmarkGet(b *testing.B, size int) {
	fake := sink()
	put(b, fake.Mem, testID(1), testData(size))
	c := serve(b, fake, ServerConfig{Secret: testSecret}, nil).dial(b, func(c *Config) { c.Secret = testSecret })
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.SetParallelism(8)
	defer reportProcessorTime(b)()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := c.Get(context.Background(), testID(1), 0, int64(size))
			if err != nil {
				b.Error(err)
				return
			}
			n, err := io.Copy(io.Discard, r)
			if err != nil || n != int64(size) {
				b.Errorf("%d bytes, %v", n, err)
			}
			if err := r.Close(); err != nil {
				b.Error(err)
			}
		}
	})
}
