package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tdkvs/cmd/tdkvs/bench"
)

func TestBenchMisuse(t *testing.T) {
	t.Parallel()
	const usage = "\nusage: tdkvs bench <load ...> [flags]\n"
	tests := []wrongCommand{
		{"bench putt", "tdkvs: bench: there is no load \"putt\": did you mean \"put\"?\nrun \"tdkvs help bench\" for the list\n"},
		{"bench put standard", "tdkvs: bench: \"standard\" stands alone\n"},
		{"bench bare put", "tdkvs: bench: \"bare\" stands alone\n"},
		{"bench standard -size 4KiB", "tdkvs: bench: the standard loads have their own: flag -size is for a load that is named\n"},
		{"bench put -sizes 4KiB", "tdkvs: bench: unknown flag -sizes: did you mean \"size\"?" + usage},
		{"bench put -size 4Kb", "tdkvs: bench: flag -size: want a size such as 512MiB, 10GB or 4096, not \"4Kb\"\n"},
		{"bench put -size 2KiB..x", "tdkvs: bench: flag -size: want a size such as 512MiB, 10GB or 4096, not \"x\"\n"},
		{"bench put -size 2KiB..1KiB", "tdkvs: bench: flag -size: 2KiB is more than 1KiB\n"},
		{"bench put -size log:2KiB", "tdkvs: bench: flag -size: want two bounds such as log:1KiB..1MiB, not \"log:2KiB\"\n"},
		{"bench put -size 6TiB", "tdkvs: bench: flag -size: 6TiB is more than an object holds (5TiB)\n"},
		{"bench multipart -part-size 1MiB", "tdkvs: bench: flag -part-size: want 5MiB to 5GiB, not 1MiB\n"},
		{"bench multipart -part-size x", "tdkvs: bench: flag -part-size: want a size such as 512MiB, 10GB or 4096, not \"x\"\n"},
		{"bench get -keys pareto", "tdkvs: bench: flag -keys: want sequential, random or zipf, not \"pareto\"\n"},
		{"bench mixed -mix get=50,put", "tdkvs: bench: flag -mix: want shares such as get=45,stat=30,put=15,delete=10, not \"put\"\n"},
		{"bench mixed -mix list=100", "tdkvs: bench: flag -mix: want shares such as get=45,stat=30,put=15,delete=10, not \"list=100\"\n"},
		{"bench mixed -mix get=50,put=40", "tdkvs: bench: flag -mix: the shares are 90 together, not 100\n"},
		{"bench put -clients 0", "tdkvs: bench: flag -clients: want 1 to 10000, not 0\n"},
		{"bench put -objects -1", "tdkvs: bench: flag -objects: want 0 to 1000000000, not -1\n"},
		{"bench list -page 1001", "tdkvs: bench: flag -page: want 1 to 1000, not 1001\n"},
		{"bench multi-delete -batch 0", "tdkvs: bench: flag -batch: want 1 to 1000, not 0\n"},
		{"bench put -rounds -1", "tdkvs: bench: flag -rounds: want 0 to 1000, not -1\n"},
		{"bench put -duration 1ms", "tdkvs: bench: flag -duration: want 10ms to 24h, not 1ms\n"},
		{"bench put -warmup -1s", "tdkvs: bench: flag -warmup: want 0s to 1h, not -1s\n"},
		{"bench put -bucket A/b", "tdkvs: bench: flag -bucket: want letters, digits, dots and dashes, not \"A/b\"\n"},
		{"bench put -o xml", "tdkvs: bench: flag -o: want table or json, not \"xml\"\n"},
		{"bench put -pid 1,x", "tdkvs: bench: flag -pid: want numbers of processes such as 12,34, not \"1,x\"\n"},
		{"bench put -listen :1", "tdkvs: bench: flags -listen and -until-eof are for \"bare\"\n"},
		{"bench bare -size 1KiB", "tdkvs: bench: flag -size is not for \"bare\"\n"},
		{"bench bare -listen 3000", "tdkvs: bench: flag -listen: want host:port such as 127.0.0.1:3000, not \"3000\"\n"},
		{"bench put -compare localhost", "tdkvs: bench: flag -compare: want bare, or a URL such as http://access:secret@127.0.0.1:9000\n"},
		{"bench put -compare http://access@localhost", "tdkvs: bench: flag -compare: give both keys before the host, or none\n"},
		{"bench put -endpoint localhost", "tdkvs: bench: the endpoint is a URL such as http://127.0.0.1:3000, not \"localhost\"\n"},
		{"bench put -access-key a", "tdkvs: bench: give both -access-key and -secret-key, or neither\n"},
		{"bench put -access-key a -secret-key b -data c", "tdkvs: bench: give keys or -data, not both\n"},
		{"bench put -pprof 6060", "tdkvs: flag -pprof: want host:port such as 127.0.0.1:3000, not \"6060\"\n"},
		{"bench put -pprof 10.0.0.1:6060", "tdkvs: flag -pprof: want a loopback address such as 127.0.0.1:6060, not \"10.0.0.1:6060\"\n"},
	}
	refused(t, tests)
	code, _, stderr := runCommand(t, envOf(), "bench")
	if code != exitMisuse || !strings.HasPrefix(stderr, "tdkvs: bench: which load? one or more of these:\n\n  put ") {
		t.Errorf("no load: exit %d, %q", code, stderr)
	}
}

// TestBenchFlags: what is given is what is done.
func TestBenchFlags(t *testing.T) {
	t.Parallel()
	var f benchFlags
	for _, set := range []error{
		f.setSize("log:1KiB..1MiB"), f.setPartSize("16MiB"), f.setKeys("zipf"), f.setMix("get=20, put=80"), f.setPIDs("12, 34"),
		f.addCompared("bare"), f.addCompared("https://a:b@host:9000/"),
	} {
		if set != nil {
			t.Error(set)
		}
	}
	want := bench.Load{Sizes: bench.Sizes{Least: 1 << 10, Most: 1 << 20, Log: true}, PartSize: 16 << 20, Keys: bench.Zipf, Mix: bench.Mix{Get: 20, Put: 80}}
	if f.load != want || len(f.pids) != 2 || f.pids[1] != 34 || len(f.compare) != 2 {
		t.Errorf("%+v", f)
	}
	e, err := comparedEndpoint(f.compare[1])
	if err != nil || e.Name != "host:9000" || e.URL != "https://host:9000" || e.AccessKey != "a" || e.SecretKey != "b" {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := comparedEndpoint("http://host"); err != nil || e.AccessKey != "" {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestBenchCommand runs loads against the bare handler, over the command line.
func TestBenchCommand(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(bench.Bare())
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	var out, errs strings.Builder
	args := "bench put get -duration 20ms -warmup 0s -clients 2 -o json -verify -access-key a -secret-key b -endpoint " + server.URL + " -compare " + server.URL
	if code := run(ctx, strings.Fields(args), envOf(), &out, &errs); code != exitDone {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	var report bench.Report
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Loads) != 2 || len(report.Loads[1].Endpoints) != 2 || report.Rounds != 5 || report.Failed() != 0 || report.Loads[0].Endpoints[1].Ratio <= 0 {
		t.Errorf("%+v", report)
	}
	out.Reset()
	errs.Reset()
	args = "bench list -duration 20ms -warmup 0s -endpoint " + server.URL
	if code := run(ctx, strings.Fields(args), envOf(), &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "requests failed\n") ||
		!strings.Contains(out.String(), " x 501") {
		t.Errorf("failed requests: exit %d, %q, %q", code, out.String(), errs.String())
	}
}

// TestBenchCommandAlone: with nobody there it ends with the reason.
func TestBenchCommandAlone(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := runCommand(t, envOf(envEndpoint, "http://127.0.0.1:1"), "bench", "put")
	if code != exitFailed || stdout != "" || !strings.HasPrefix(stderr, "tdkvs: bucket tdkvs-bench at 127.0.0.1:1: ") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

// TestProfiles: a process that was told to serves its profiles, until it ends.
func TestProfiles(t *testing.T) {
	t.Parallel()
	taken := httptest.NewServer(http.NotFoundHandler())
	address := strings.TrimPrefix(taken.URL, "http://")
	if _, err := startProfiles(t.Context(), address); err == nil {
		t.Error("two listen on one address")
	}
	taken.Close()
	stop, err := startProfiles(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + address + "/debug/pprof/allocs?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(content), "# Mallocs = ") {
		t.Errorf("%s, %v: %.200s", resp.Status, err, content)
	}
	stop()
	if resp, err := http.Get("http://" + address + "/debug/pprof/"); err == nil {
		_ = resp.Body.Close()
		t.Error("still served behind the end")
	}
}
