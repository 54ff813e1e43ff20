package compattests

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestFillingStore fills a store with objects of 256 bytes. When it holds a tenth of them, half of them and all, it logs what
// should not depend on how many there are: the rates of PUT and GET, the time of a page of prefixes and that of a start, and
// memory; and checks what is read. TDKVS_FILLING_OBJECTS is how many there are in the end (make scale: 10,000,000).
//
// Covers: PutObject, GetObject, ListObjectsV2.
func TestFillingStore(t *testing.T) {
	count := sizeFromEnv(t, "TDKVS_FILLING_OBJECTS", 1000)
	t.Parallel()
	d := startDeployment(t, serverKind, settings{})
	f := &filling{d: d, web: d.httpClient(t, fillers)}
	for _, n := range []int{count / 10, count / 2, count} {
		t.Logf("%d objects:", n)
		f.upTo(t, n-count/20)
		f.rate(t, "PUT", count/20, f.putNext)
		f.rate(t, "GET", count/50, func(int) error { return f.get(rand.IntN(n)) })
		f.page(t)
		f.restart(t)
		f.page(t)
		f.rate(t, "GET after the start", count/50, func(int) error { return f.get(rand.IntN(n)) })
	}
}

const (
	fillers         = 32
	fillingPrefixes = 500 // all of them on one page
)

// filling is a store that is being filled.
type filling struct {
	d      *deployment
	web    *http.Client
	stored atomic.Int64
}

func fillingKey(i int) string  { return fmt.Sprintf("filling/%03d/%08d", i%fillingPrefixes, i) }
func fillingBody(i int) []byte { return content(fmt.Sprint("filling", i), 256) }

// putNext stores one object more.
func (f *filling) putNext(int) error {
	i := int(f.stored.Add(1)) - 1
	return f.d.nativePut(f.web, fillingKey(i), fillingBody(i))
}

func (f *filling) get(i int) error {
	got, err := f.d.nativeGet(f.web, fillingKey(i))
	if err == nil && !bytes.Equal(got, fillingBody(i)) {
		err = fmt.Errorf("object %d is not what was stored", i)
	}
	return err
}

// upTo stores objects until there are n.
func (f *filling) upTo(t *testing.T, n int) {
	t.Helper()
	f.all(t, n-int(f.stored.Load()), f.putNext)
}

// all does something so many times, by all fillers.
func (f *filling) all(t *testing.T, times int, do func(i int) error) {
	t.Helper()
	mustTogether(t, fillers, times, func(i int) {
		if err := do(i); err != nil {
			t.Error(err)
		}
	})
}

// rate does something so many times, and logs how fast that went.
func (f *filling) rate(t *testing.T, what string, times int, do func(i int) error) {
	t.Helper()
	took := make([]time.Duration, times)
	began := time.Now()
	f.all(t, times, func(i int) error {
		start := time.Now()
		defer func() { took[i] = time.Since(start) }()
		return do(i)
	})
	rate := float64(times) / time.Since(began).Seconds()
	slices.Sort(took)
	t.Logf("  %s: %.0f/s, p50 %v, p99 %v", what, rate, quantile(took, 50), quantile(took, 99))
}

// page lists the prefixes, of which each holds one in fillingPrefixes of the objects.
func (f *filling) page(t *testing.T) {
	t.Helper()
	c := f.d.sdk(t)
	var took []time.Duration
	for range 5 {
		began := time.Now()
		page, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
			Bucket: aws.String("kv"), Prefix: aws.String("filling/"), Delimiter: aws.String("/"),
		})
		took = append(took, time.Since(began))
		if err != nil {
			t.Fatal(err)
		}
		if n, want := len(page.CommonPrefixes), min(int(f.stored.Load()), fillingPrefixes); n != want || len(page.Contents) > 0 {
			t.Fatalf("a page of %d prefixes and %d keys, want %d prefixes", n, len(page.Contents), want)
		}
	}
	first := took[0]
	slices.Sort(took)
	t.Logf("  a page of %d prefixes: %v, the first %v", fillingPrefixes, quantile(took, 50), first.Round(10*time.Microsecond))
}

// restart stops the store and starts it, kills it and starts it, and logs how long until it is ready, and what memory it takes.
func (f *filling) restart(t *testing.T) {
	t.Helper()
	t.Logf("  memory: at most %d MiB", f.d.front.peakMemory(t)>>20)
	f.d.stop(t)
	t.Logf("  ready after an orderly stop: %v", f.d.start(t).Round(time.Millisecond))
	f.d.killAll(t)
	t.Logf("  ready after SIGKILL: %v, memory: %d MiB", f.d.start(t).Round(time.Millisecond), f.d.front.peakMemory(t)>>20)
}
