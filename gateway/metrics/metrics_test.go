package metrics

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tdkvs/master"
	"tdkvs/master/latency"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

var update = flag.Bool("update", false, "rewrite the golden file and the table in docs")

// sample has something of everything.
func sample() *Snapshot {
	var h latency.Histogram
	for _, d := range []time.Duration{50 * time.Microsecond, time.Millisecond, time.Second, time.Hour} {
		h.Add(d)
	}
	l := Latency{h.Counts(), h.Sum()}
	at := time.Unix(1_700_000_000, 500_000_000)
	status := volume.Status{
		Identity: volume.Identity{Volume: "u1", Cluster: "c1"}, Blobs: 3, Bytes: 4, Capacity: 100, Free: 50, Reserve: 10, CorruptReads: 1, Quarantined: 2,
		Scrub: volume.Scrub{Running: true, Began: at, Finished: at, Read: 5, Total: 6, Bad: 1},
	}
	down := status
	return &Snapshot{
		Version: "v1", InFlight: 2,
		Operations: []Operation{
			{API: "s3", Name: "GetObject", Statuses: map[string]uint64{"2xx": 3, "4xx": 1}, Errors: map[string]uint64{"AccessDenied": 1}, BytesIn: 1, BytesOut: 2, FirstByte: l, Total: l},
			{API: "native", Name: "NativeSet", Statuses: map[string]uint64{"2xx": 1}, FirstByte: l, Total: l},
		},
		Cluster: master.ClusterStatus{
			Ready: true, Disk: metadb.Disk{Free: 1, Total: 2, Reserve: 1, Bytes: 7, State: metadb.DiskFull, Reason: "full"},
			Volumes: []master.VolumeStatus{
				{VolumeHealth: master.VolumeHealth{Number: 1, UUID: "u1", Status: status}, State: metadb.VolumeDraining, Zone: "z", Slots: 1},
				{VolumeHealth: master.VolumeHealth{Number: 2, UUID: "u2", Err: errors.New("down"), Status: down}},
			},
		},
		Volumes: []master.VolumeStats{{Number: 1, Reads: 1, ReadLatency: h.Counts(), WriteLatency: h.Counts()}},
		Engine:  master.Stats{Metadata: metadb.Stats{Commits: 1, Updates: 2, CommitLatency: h.Counts()}},
		Check: master.CheckStatus{State: master.CheckDone, Finished: at, Report: master.CheckReport{Findings: map[master.FindingKind]master.Tally{
			master.FindingOrphan: {Count: 3},
		}}},
	}
}

func storeTable() prometheus.Collector {
	return newTable(storeFamilies(), func(context.Context) *Snapshot { return sample() })
}

func volumeTable() prometheus.Collector {
	return newTable(volumeFamilies(), func(context.Context) *VolumeSnapshot { return &VolumeSnapshot{} })
}

// golden compares a text with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs: names and labels are what dashboards and alerts rest on; -update writes it\n%s", file, got)
	}
}

// TestNames holds every name, type, label and help text to what they were.
func TestNames(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, f := range storeFamilies() {
		fmt.Fprintf(&b, "store %s %s{%s} %s\n", f.kind, f.name, f.labels, f.help)
	}
	for _, f := range volumeFamilies() {
		fmt.Fprintf(&b, "volume %s %s{%s} %s\n", f.kind, f.name, f.labels, f.help)
	}
	golden(t, "testdata/names.txt", b.String())
}

// TestLint holds the names to the rules of Prometheus.
func TestLint(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]prometheus.Collector{"store": storeTable(), "volume": volumeTable()} {
		problems, err := testutil.CollectAndLint(c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", name, p.Metric, p.Text)
		}
	}
	bad := prometheus.NewCounter(prometheus.CounterOpts{Name: "tdkvs_things"}) // without help, and no _total
	if problems, err := testutil.CollectAndLint(bad); err != nil || len(problems) == 0 {
		t.Errorf("a bad name is not found: %v", err)
	}
}

// TestEveryFamilyIsShown, of a store that has something of everything, in the text
// that Prometheus reads.
func TestEveryFamilyIsShown(t *testing.T) {
	t.Parallel()
	page := ForStore("v1", func(context.Context) *Snapshot { return sample() }, slog.New(slog.DiscardHandler))
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest("GET", Path, nil))
	text := w.Body.String()
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, text)
	}
	for _, f := range storeFamilies() {
		if !strings.Contains(text, "# TYPE "+f.name+" "+string(f.kind)+"\n") || !regexp.MustCompile(`(?m)^`+f.name+`(_count)?[ {]`).MatchString(text) {
			t.Errorf("%s is not shown", f.name)
		}
	}
	for _, line := range []string{
		`tdkvs_requests_total{api="s3",operation="GetObject",status="2xx"} 3`,
		`tdkvs_request_errors_total{api="s3",code="AccessDenied",operation="GetObject"} 1`,
		`tdkvs_auth_failures_total{code="AccessDenied"} 1`,
		`tdkvs_request_duration_seconds_bucket{api="s3",operation="GetObject",le="0.0001"} 1`,
		`tdkvs_request_duration_seconds_bucket{api="s3",operation="GetObject",le="+Inf"} 4`,
		`tdkvs_request_duration_seconds_count{api="s3",operation="GetObject"} 4`,
		`tdkvs_request_duration_seconds_sum{api="s3",operation="GetObject"} 3601.00105`,
		`tdkvs_metadata_state{state="full"} 1`,
		`tdkvs_metadata_state{state="ok"} 0`,
		`tdkvs_volume_up{volume="1"} 1`,
		`tdkvs_volume_up{volume="2"} 0`,
		`tdkvs_volume_condition{condition="unreachable",volume="2"} 1`,
		`tdkvs_volume_draining{volume="1"} 1`,
		`tdkvs_volume_scrub_finished_timestamp_seconds{volume="1"} 1.7000000005e+09`,
		`tdkvs_fsck_findings{kind="orphan"} 3`,
		`tdkvs_fsck_clean 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("not shown: %s", line)
		}
	}
	if !strings.Contains(text, "tdkvs_build_info{") || !strings.Contains(text, "go_goroutines ") || !strings.Contains(text, "process_resident_memory_bytes ") {
		t.Error("the process is not shown")
	}
}

// TestVolumePage shows what a volume process says of itself.
func TestVolumePage(t *testing.T) {
	t.Parallel()
	page := ForVolume("v1", func(context.Context) *VolumeSnapshot {
		return &VolumeSnapshot{Status: volume.Status{Identity: volume.Identity{Volume: "u", Cluster: "c"}, Free: 5, Full: true}}
	}, slog.New(slog.DiscardHandler))
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest("GET", Path, nil))
	for _, line := range []string{`tdkvs_disk_info{cluster="c",uuid="u"} 1`, "tdkvs_disk_free_bytes 5", "tdkvs_disk_full 1", "tdkvs_disk_read_only 0"} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("not shown: %s", line)
		}
	}
}

// TestBusy: scrapes beyond a few at a time are turned away.
func TestBusy(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	page := ForStore("v1", func(context.Context) *Snapshot {
		entered <- struct{}{}
		<-leave
		return sample()
	}, slog.New(slog.DiscardHandler))
	scrape := func() int {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest("GET", Path, nil))
		return w.Code
	}
	codes := make(chan int, scrapesAtOnce)
	for range scrapesAtOnce {
		go func() { codes <- scrape() }()
	}
	for range scrapesAtOnce {
		<-entered
	}
	if code := scrape(); code != 503 {
		t.Errorf("one scrape too many is answered %d", code)
	}
	close(leave)
	for range scrapesAtOnce {
		if code := <-codes; code != 200 {
			t.Errorf("a scrape is answered %d", code)
		}
	}
}

const (
	docsFile   = "../../docs/operations.md"
	alertsFile = "../../docs/alerts.yaml"
)

// TestDocumented keeps the table of docs/operations.md as the code says; -update
// writes it.
func TestDocumented(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- metrics -->\n", "<!-- end of metrics -->"
	b, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the metrics", docsFile)
	}
	golden(t, docsFile, before+begin+docsTables()+end+after)
}

func docsTables() string {
	var b strings.Builder
	row := func(name string, k kind, labels, help string) {
		if labels != "" {
			name += "{" + strings.ReplaceAll(labels, " ", ",") + "}"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, k, help)
	}
	b.WriteString("\nOf a master or server:\n\n| metric | type | meaning |\n| --- | --- | --- |\n")
	for _, f := range storeFamilies() {
		row(f.name, f.kind, f.labels, f.help)
	}
	row(buildInfoName, gauge, "version goversion", buildInfoHelp)
	b.WriteString("\nOf a volume process:\n\n| metric | type | meaning |\n| --- | --- | --- |\n")
	for _, f := range volumeFamilies() {
		row(f.name, f.kind, f.labels, f.help)
	}
	row(buildInfoName, gauge, "version goversion", buildInfoHelp)
	b.WriteString("\n")
	return b.String()
}

// TestAlertsNameMetrics: every metric that the alerts rest on exists.
func TestAlertsNameMetrics(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{buildInfoName: true}
	for _, f := range storeFamilies() {
		known[f.name] = true
		if f.kind == histogram {
			known[f.name+"_bucket"], known[f.name+"_sum"], known[f.name+"_count"] = true, true, true
		}
	}
	for _, f := range volumeFamilies() {
		known[f.name] = true
	}
	names := regexp.MustCompile(`\btdkvs_[a-z_]+`).FindAllString(string(b), -1)
	if len(names) < 10 {
		t.Fatalf("only %d names in %s", len(names), alertsFile)
	}
	for _, name := range names {
		if !known[name] {
			t.Errorf("%s rests on %s, which there is not", alertsFile, name)
		}
	}
}
