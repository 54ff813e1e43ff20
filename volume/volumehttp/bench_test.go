package volumehttp

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"

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
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := c.Get(context.Background(), testID(1), 0, -1)
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
