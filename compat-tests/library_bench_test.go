package compattests

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// libraryLoad is a load of minio-go, which many load generators are made of, with its own defaults: bodies are signed in chunks.
type libraryLoad struct {
	verb    string // put, get or stat
	size    int
	clients int
}

// BenchmarkLibraryRatio loads the store and the server that stores nothing in turns, by minio-go in this process, and reports
// the median of the rounds' ratios: what those see whose client costs several times what the server does. One iteration is
// one pair of rounds: -benchtime 5x makes five.
func BenchmarkLibraryRatio(b *testing.B) {
	for _, l := range []libraryLoad{
		{"put", 4 << 10, 32}, {"get", 4 << 10, 32}, {"stat", 4 << 10, 32},
		{"put", 128 << 10, 16}, {"get", 128 << 10, 16}, {"put", 10 << 20, 4}, {"get", 10 << 20, 4},
	} {
		b.Run(fmt.Sprintf("%s/%dKiB/%dclients", l.verb, l.size>>10, l.clients), func(b *testing.B) {
			d := startDeployment(b, serverKind, settings{lines: "log: {level: warn}\n"})
			store := libraryClient(b, strings.TrimPrefix(d.url(), "http://"), d.accessKey, d.secretKey)
			bare := libraryClient(b, strings.TrimPrefix(startBareServer(b), "http://"), "access", "secret")
			if err := store.MakeBucket(b.Context(), libraryBucket, minio.MakeBucketOptions{}); err != nil {
				b.Fatal(err)
			}
			if l.verb != "put" {
				l.fill(b, store)
			}
			l.compare(b, store, bare)
		})
	}
}

const (
	libraryBucket  = "library"
	libraryObjects = 100
	libraryRound   = 2 * time.Second
)

func libraryClient(b *testing.B, address, access, secret string) *minio.Client {
	b.Helper()
	c, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(access, secret, ""), Region: region})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// name is that of an object, from which the server that stores nothing knows its size.
func (l libraryLoad) name(i int) string {
	return fmt.Sprintf("bench-1/%010d-%d", i%libraryObjects, l.size)
}

func (l libraryLoad) fill(b *testing.B, c *minio.Client) {
	b.Helper()
	put, body := libraryLoad{"put", l.size, l.clients}, content("library", l.size)
	for i := range libraryObjects {
		if err := put.send(b, c, i, body); err != nil {
			b.Fatal(err)
		}
	}
}

// compare loads both in turns. Who is first takes turns, too.
func (l libraryLoad) compare(b *testing.B, store, bare *minio.Client) {
	b.Helper()
	ratios, rates := make([]float64, 0, b.N), [2][]float64{}
	b.ResetTimer()
	for i := range b.N {
		var rate [2]float64
		for j := range 2 {
			which := (i + j) % 2
			rate[which] = l.round(b, []*minio.Client{store, bare}[which])
			rates[which] = append(rates[which], rate[which])
		}
		ratios = append(ratios, rate[0]/rate[1])
	}
	for _, of := range [][]float64{ratios, rates[0], rates[1]} {
		slices.Sort(of)
	}
	b.ReportMetric(0, "ns/op") // of no interest: rounds have a length of their own
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(rates[0][len(rates[0])/2], "store-objects/s")
	b.ReportMetric(rates[1][len(rates[1])/2], "bare-objects/s")
}

// round loads one server, and returns how many requests it answered in a second.
func (l libraryLoad) round(b *testing.B, c *minio.Client) float64 {
	b.Helper()
	var next, done atomic.Int64
	body := content("library", l.size)
	began := time.Now()
	var wg sync.WaitGroup
	for range l.clients {
		wg.Go(func() {
			for time.Since(began) < libraryRound {
				if err := l.send(b, c, int(next.Add(1)), body); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(began).Seconds()
}

func (l libraryLoad) send(b *testing.B, c *minio.Client, i int, body []byte) error {
	b.Helper()
	switch l.verb {
	case "put":
		_, err := c.PutObject(b.Context(), libraryBucket, l.name(i), bytes.NewReader(body), int64(l.size), minio.PutObjectOptions{})
		return err
	case "stat":
		_, err := c.StatObject(b.Context(), libraryBucket, l.name(i), minio.StatObjectOptions{})
		return err
	}
	o, err := c.GetObject(b.Context(), libraryBucket, l.name(i), minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, o)
	if err == nil && n != int64(l.size) {
		err = fmt.Errorf("%d bytes, want %d", n, l.size)
	}
	return err
}
