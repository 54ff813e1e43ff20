package compattests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// BenchmarkClientCost measures what a request costs the side that sends it: processor time of the client's process, for
// objects of 4 KiB with 32 at the same time, against the server that stores nothing. What a load generator takes on a machine
// that it shares, the server does not have.
func BenchmarkClientCost(b *testing.B) {
	base := startBareServer(b)
	address := strings.TrimPrefix(base, "http://")
	plain := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchClients, DisableCompression: true}}
	library := libraryClient(b, address, "access", "secret")
	const name = "bench-1/0000000001-4096"
	body := content("benchmark", 4<<10)
	b.Run("get/tdkvs bench", func(b *testing.B) { benchmarkGenerator(b, base, "get") })
	b.Run("put/tdkvs bench", func(b *testing.B) { benchmarkGenerator(b, base, "put") })
	b.Run("get/net-http, unsigned", func(b *testing.B) {
		benchmarkClient(b, func() error { return readAway(plain, base+"/b/"+name) })
	})
	b.Run("put/net-http, unsigned", func(b *testing.B) {
		benchmarkClient(b, func() error { return request(plain, http.MethodPut, base+"/b/"+name, body) })
	})
	b.Run("get/minio-go", func(b *testing.B) {
		benchmarkClient(b, func() error {
			o, err := library.GetObject(b.Context(), "bucket", name, minio.GetObjectOptions{})
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, o)
			return err
		})
	})
	b.Run("put/minio-go", func(b *testing.B) {
		benchmarkClient(b, func() error {
			_, err := library.PutObject(b.Context(), "bucket", name, bytes.NewReader(body), int64(len(body)),
				minio.PutObjectOptions{DisableContentSha256: true})
			return err
		})
	})
}

// readAway gets a body and forgets it.
func readAway(web *http.Client, url string) error {
	resp, err := web.Get(url)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close() // read to its end
	if err == nil && (resp.StatusCode != http.StatusOK || n != 4<<10) {
		err = fmt.Errorf("%s, %d bytes", resp.Status, n)
	}
	return err
}

// startBareServer starts the server that stores nothing, as a process of its own.
func startBareServer(b *testing.B) string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), binary(b), "bench", "bare")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	base := strings.TrimSpace(line)
	if u, err := url.Parse(base); err != nil || u.Host == "" {
		b.Fatalf("the bare server says %q", line)
	}
	return base
}

// benchmarkClient sends b.N requests, and reports what they cost this process.
func benchmarkClient(b *testing.B, send func() error) {
	b.Helper()
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	before := ownProcessorTime(b)
	for range benchClients {
		wg.Go(func() {
			for left.Add(-1) >= 0 && !b.Failed() {
				if err := send(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((ownProcessorTime(b)-before).Nanoseconds())/1e3/float64(b.N), "client-us/op")
}

func ownProcessorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchmarkGenerator has the load generator say itself what it took.
func benchmarkGenerator(b *testing.B, base, load string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), binary(b), "bench", load, "-endpoint", base, "-o", "json", "-duration", "2s")
	cmd.Env = neutralEnv("TDKVS_ACCESS_KEY="+randomHex(8), "TDKVS_SECRET_KEY="+randomHex(20))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%v: %s%s", err, out, errs.String())
	}
	var report loadReport
	if err := json.Unmarshal(out, &report); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(report.Loads[0].Endpoints[0].ClientTime)/1e3, "client-us/op")
	b.ReportMetric(0, "ns/op") // of all b.N, which it does not know
}
