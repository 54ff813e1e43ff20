package compattests

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// BenchmarkSmallObjects puts and gets objects of 4 KiB by S3, with 32 clients, in either deployment. The requests are
// presigned before the clock runs, so that the client costs little. Beside the rate it reports latencies and, for PUT,
// how many syncs of the volumes and durable commits of the metadata each object cost.
func BenchmarkSmallObjects(b *testing.B) {
	for _, kind := range []string{serverKind, clusterKind} {
		b.Run("put/"+kind, func(b *testing.B) {
			d := startDeployment(b, kind, settings{})
			d.benchmark(b, http.MethodPut, d.presignMany(b, http.MethodPut, b.N))
			d.stop(b)
			b.ReportMetric(float64(d.counted(b, "syncs"))/float64(b.N), "syncs/op")
			b.ReportMetric(float64(d.counted(b, "commits"))/float64(b.N), "commits/op")
		})
		b.Run("get/"+kind, func(b *testing.B) {
			d := startDeployment(b, kind, settings{})
			puts, gets := d.presignMany(b, http.MethodPut, b.N), d.presignMany(b, http.MethodGet, b.N)
			d.each(b, http.MethodPut, puts)
			d.benchmark(b, http.MethodGet, gets)
		})
	}
}

const benchClients = 32

// benchmark sends the requests and reports rate and latencies.
func (d *deployment) benchmark(b *testing.B, method string, urls []string) {
	b.Helper()
	b.SetBytes(4 << 10)
	b.ResetTimer()
	latencies := d.each(b, method, urls)
	b.StopTimer()
	slices.Sort(latencies)
	b.ReportMetric(float64(len(urls))/b.Elapsed().Seconds(), "objects/s")
	b.ReportMetric(float64(latencies[len(latencies)/2].Microseconds())/1e3, "p50-ms")
	b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds())/1e3, "p99-ms")
}

// presignMany returns n URLs for objects of one bucket, which it makes where it is missing.
func (d *deployment) presignMany(b *testing.B, method string, n int) []string {
	b.Helper()
	c, name := d.sdk(b), aws.String("benchmark")
	if _, err := c.HeadBucket(b.Context(), &s3.HeadBucketInput{Bucket: name}); err != nil {
		if _, err := c.CreateBucket(b.Context(), &s3.CreateBucketInput{Bucket: name}); err != nil {
			b.Fatal(err)
		}
	}
	signer, urls := s3.NewPresignClient(c), make([]string, n)
	for i := range urls {
		key := aws.String(fmt.Sprintf("%02x/%07d", i%256, i))
		if method == http.MethodPut {
			r, err := signer.PresignPutObject(b.Context(), &s3.PutObjectInput{Bucket: name, Key: key})
			if err != nil {
				b.Fatal(err)
			}
			urls[i] = r.URL
			continue
		}
		r, err := signer.PresignGetObject(b.Context(), &s3.GetObjectInput{Bucket: name, Key: key})
		if err != nil {
			b.Fatal(err)
		}
		urls[i] = r.URL
	}
	return urls
}

// each sends one request to each URL, from all clients at once, and returns how long each took.
func (d *deployment) each(b *testing.B, method string, urls []string) []time.Duration {
	b.Helper()
	web, body := d.httpClient(b, benchClients), content("benchmark", 4<<10)
	latencies := make([]time.Duration, len(urls))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range benchClients {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(urls) && !b.Failed(); i = int(next.Add(1)) - 1 {
				start := time.Now()
				if err := request(web, method, urls[i], body); err != nil {
					b.Error(err)
				}
				latencies[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return latencies
}

// request sends one request; a GET must return the body.
func request(web *http.Client, method, url string, body []byte) error {
	var send io.Reader
	if method == http.MethodPut {
		send = bytes.NewReader(body)
	}
	req, err := http.NewRequest(method, url, send)
	if err != nil {
		return err
	}
	resp, err := web.Do(req)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end
	if err == nil && (resp.StatusCode != http.StatusOK || method == http.MethodGet && !bytes.Equal(got, body)) {
		err = fmt.Errorf("%s: %s, %d bytes", method, resp.Status, len(got))
	}
	return err
}

// counted adds up a number that the processes log at their end.
func (d *deployment) counted(b *testing.B, name string) (sum int) {
	b.Helper()
	pattern := regexp.MustCompile(`at the end".* ` + name + `=(\d+)`)
	for _, p := range d.processes() {
		for _, found := range pattern.FindAllStringSubmatch(p.log(b), -1) {
			n, err := strconv.Atoi(found[1])
			if err != nil {
				b.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
