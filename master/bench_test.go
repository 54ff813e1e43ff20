package master_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"tdkvs/master/meta"
)

// Benchmarks run over stores in memory: they show what the engine itself costs.

func BenchmarkPut4K(b *testing.B) {
	s := newStore(b)
	body := strings.Repeat("x", 4096)
	b.SetBytes(4096)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		s.put(fmt.Sprint(n%1000), body)
		n++
	}
}

func BenchmarkGet4K(b *testing.B) {
	s := newStore(b)
	s.put("k", strings.Repeat("x", 4096))
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.OpenObject(bg, bucket, "k", "")
		if err != nil {
			b.Fatal(err)
		}
		rc, err := r.Range(bg, 0, 4096)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := rc.(io.WriterTo).WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
		_, _ = rc.Close(), r.Close()
	}
}

func BenchmarkListPage(b *testing.B) {
	s := newStore(b)
	for i := range 2000 {
		s.put(fmt.Sprintf("dir%d/%06d", i%2, i), "")
	}
	for _, c := range []struct {
		name      string
		delimiter string
		want      int
	}{{"1000 keys", "", 1000}, {"2 common prefixes", "/", 2}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, err := s.ListObjects(bg, meta.ListRequest{Bucket: bucket, Delimiter: c.delimiter, Limit: 1000})
				if err != nil || len(page.Objects)+len(page.Prefixes) != c.want {
					b.Fatal(len(page.Objects), err)
				}
			}
		})
	}
}
