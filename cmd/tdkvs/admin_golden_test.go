package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tdkvs/gateway/adminapi"
)

// Documents of a store with something of everything.
const (
	goldenRebalance = `{"epoch": 4, "active": true, "pass": 1, "scanned": 1200, "expected": 50000, "moved": 300, "moved_bytes": 314572800,
		"started": "2026-03-04T05:06:07Z", "concurrency": 8, "bytes_per_second": 67108864, "last_error": "volume 3 does not answer",
		"short": 60, "repaired": 1234, "repairs": 12, "stuck": [{"volume": 3, "damaged": 1, "parts": 2, "short": 3}, {"volume": 4, "short": 1000}]}`
	goldenPaused  = `{"epoch": 4, "active": true, "paused": true, "pass": 1, "moved": 1, "concurrency": 8, "bytes_per_second": -1}`
	goldenVolumes = `[
		{"number": 1, "uuid": "u-1", "url": "http://10.0.0.1:3001", "state": "active", "zone": "roof", "slots": 2, "capacity": 1000000000000,
			"free": 400000000000, "blobs": 123456, "bytes": 500000000000, "health": "ok", "since": "2026-03-01T00:00:00Z",
			"scrub": {"running": true, "bytes_per_second": 1048576, "read": 100000000000, "total": 500000000000, "bad": 1, "began": "2026-03-02T00:00:00Z"}},
		{"number": 3, "uuid": "u-3", "url": "http://10.0.0.3:3001", "state": "draining", "slots": 1, "capacity": 500000000000, "free": 1000,
			"blobs": 5, "bytes": 70000, "health": "unreachable", "error": "connection refused", "since": "2026-03-04T05:00:00Z",
			"quarantined": 1, "corrupt_reads": 2}]`
	goldenCluster = `{"cluster": "c-1", "version": "v9", "ready": true, "metadata": {"state": "ok"}, "replicas": 2,
		"classes": [{"name": "COLD", "data": 8, "parity": 3, "min_size": 4194304}, {"name": "STANDARD_IA", "data": 4, "parity": 2, "min_size": 1048576}],
		"volumes": ` + goldenVolumes + `, "zones": [{"name": "roof", "volumes": 1, "slots": 2, "down": 0, "capacity": 1000000000000, "free": 400000000000, "bytes": 500000000000}],
		"totals": {"volumes": 2, "slots": 3, "capacity": 1500000000000, "free": 400000001000, "blobs": 123461, "bytes": 500000070000},
		"skew": 1.04, "rebalance": ` + goldenRebalance + `, "repair": {"queued": 12, "damaged": 10000}, "garbage": {"blobs": 7, "last_error": "oops"},
		"leftovers": {"left": 1, "found": 4, "bytes": 2048, "trouble": "volume 3 is down"}}`
	goldenLocation = `{"bucket": "b", "key": "big one", "version_id": "v1", "size": 12000000, "hash": "00000000000000ab", "slots": [1, 2], "volumes": [1, 3],
		"in_place": false, "extents": [
			{"part": 1, "offset": 0, "size": 8000000, "hash": "01", "slots": [0, 1, 2], "volumes": [1, 3, 4], "in_place": false, "code": {"data": 2, "parity": 1},
				"pieces": [{"volume": 1, "blob": "aa", "in_place": true}, {"volume": 0, "blob": "", "in_place": false}, {"volume": 7, "blob": "cc", "in_place": false}]},
			{"part": 2, "offset": 8000000, "size": 4000000, "hash": "02", "slots": [0, 1], "volumes": [1, 3], "in_place": false,
				"pieces": [{"volume": 3, "blob": "dd", "in_place": true}]}]}`
	goldenDamage = `{"damage": [
		{"bucket": "b", "key": "k\u001b[2J", "version_id": "v1", "part": 3, "size": 5242880, "cause": "1 of its 3 pieces are left, 2 are needed", "found": "2026-03-04T05:06:07Z"}]%s}`
	goldenStats = `{"started": "2026-03-04T05:00:00Z", "at": "2026-03-04T05:06:07Z", "latency_bounds": [0.001, 0.01, 0.1],
		"operations": [{"name": "GetObject", "requests": 100, "bytes_out": 1000, "latency": [100, 0, 0, 0]}],
		"volumes": [{"number": 1, "reads": 10, "read_latency": [10, 0, 0, 0], "write_latency": [0, 0, 0, 0]}]}`
	goldenStatsLater = `{"started": "2026-03-04T05:00:00Z", "at": "2026-03-04T05:06:09Z", "latency_bounds": [0.001, 0.01, 0.1],
		"operations": [{"name": "GetObject", "requests": 300, "failed": 4, "bytes_out": 4195304, "latency": [100, 200, 0, 0]}, {"name": "PutObject", "requests": 10, "bytes_in": 1048576, "latency": [0, 0, 10, 0]}],
		"volumes": [{"number": 1, "reads": 210, "writes": 10, "bytes_read": 4194304, "bytes_written": 1048576, "read_latency": [10, 200, 0, 0], "write_latency": [0, 0, 10, 0]}]}`
)

// goldenStore gives each path its documents in turn, the last one for ever.
func goldenStore(t *testing.T) string {
	t.Helper()
	answers := map[string][]string{
		"/cluster": {goldenCluster}, "/volumes": {`{"volumes": ` + goldenVolumes + `}`}, "/rebalance": {goldenRebalance}, "/locate": {goldenLocation},
		"/damage": {strings.Replace(goldenDamage, "%s", `, "next": "AB"`, 1), strings.Replace(goldenDamage, "%s", "", 1)},
		"/stats":  {goldenStats, goldenStatsLater}, "/replicas": {`{"replicas": 2}`},
	}
	var mu sync.Mutex
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		path := strings.TrimPrefix(r.URL.Path, adminapi.Prefix)
		if r.Method == http.MethodPatch {
			_, _ = w.Write([]byte(goldenPaused))
			return
		}
		next := answers[path]
		if len(next) == 0 {
			http.NotFound(w, r)
			return
		}
		if len(next) > 1 {
			answers[path] = next[1:]
		}
		_, _ = w.Write([]byte(next[0]))
	}))
	t.Cleanup(store.Close)
	return store.URL
}

// TestAdminOutput holds what people see to golden files.
func TestAdminOutput(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{
		"status": "status", "volumes": "volume ls", "rebalance": "rebalance status", "paused": "rebalance pause", "locate": "locate b/big", "damage": "damage",
		"top": "top -once -interval 10ms", "replicas": "replicas",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := admin(t, envOf(envEndpoint, goldenStore(t)), strings.Fields(args)...)
			if code != exitDone || stderr != "" {
				t.Fatalf("exit %d, %s", code, stderr)
			}
			file := filepath.Join("testdata", "admin", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(stdout), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil || stdout != string(want) {
				t.Errorf("%s (%v):\n%s\nwant:\n%s", file, err, stdout, want)
			}
		})
	}
}
