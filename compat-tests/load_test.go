package compattests

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// loadReport is what the load generator prints.
type loadReport struct {
	Loads []struct {
		Title     string
		Endpoints []struct {
			Endpoint string
			Requests int64
			Failed   int64
			Bytes    float64 `json:"bytes/s"`
			Latency  struct {
				P50 int64 `json:"p50_ns"`
				Max int64 `json:"max_ns"`
			}
			Ratio      float64 `json:"first_by_this"`
			ClientTime int64   `json:"client_cpu_ns_per_request"`
		}
	}
	Disk struct {
		Rate float64 `json:"sequential_write_bytes/s"`
	}
}

// bench runs the load generator against a store.
func (d *deployment) bench(t *testing.T, args ...string) loadReport {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(t), append([]string{"bench", "-endpoint", "http://" + d.addr, "-region", region, "-o", "json"}, args...)...)
	cmd.Env = neutralEnv("TDKVS_ACCESS_KEY="+d.accessKey, "TDKVS_SECRET_KEY="+d.secretKey)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("bench %q: %v\n%s%s", args, err, errs.String(), out)
	}
	var report loadReport
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return report
}

// TestLoadGenerator runs each load for a moment, on both deployments: no request fails, each byte is right, and nothing is
// left.
func TestLoadGenerator(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		report := d.bench(t, "put", "get", "stat", "delete", "list", "multi-delete", "multipart", "mixed",
			"-duration", "250ms", "-warmup", "50ms", "-clients", "8", "-objects", "500", "-size", "log:1KiB..64KiB", "-verify", "-sign-bodies")
		if len(report.Loads) != 8 {
			t.Fatalf("%+v", report)
		}
		for _, l := range report.Loads {
			for _, e := range l.Endpoints {
				if e.Requests == 0 || e.Failed != 0 || e.Latency.P50 <= 0 || e.Latency.Max < e.Latency.P50 {
					t.Errorf("%s: %+v", l.Title, e)
				}
			}
		}
		buckets, err := d.sdk(t).ListBuckets(t.Context(), &s3.ListBucketsInput{})
		if err != nil || len(buckets.Buckets) != 0 {
			t.Errorf("left: %+v, %v", buckets.Buckets, err)
		}
	})
}

// TestLoadGeneratorCompares runs two endpoints in turns, of which one stores nothing, and measures the disk.
func TestLoadGeneratorCompares(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, serverKind, settings{})
	report := d.bench(t, "put", "stat", "-compare", "bare", "-disk", d.dir, "-duration", "200ms", "-warmup", "0s", "-rounds", "3", "-clients", "8")
	for _, l := range report.Loads {
		if len(l.Endpoints) != 2 || l.Endpoints[1].Endpoint != "bare" || l.Endpoints[1].Ratio <= 0 || l.Endpoints[1].Failed != 0 {
			t.Errorf("%+v", l)
		}
	}
	if len(report.Loads) != 2 || report.Disk.Rate <= 0 {
		t.Errorf("%+v", report)
	}
	d.stillWhole(t)
}
