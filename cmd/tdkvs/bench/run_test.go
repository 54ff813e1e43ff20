package bench

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb/memdb"
	"tdkvs/s3api"
	"tdkvs/volume/vfs"
	"tdkvs/volume/volumetest"
)

// store is the real engine, in memory, behind the real protocol.
type store struct {
	*master.Engine
	Endpoint
}

type backend struct{ *master.Engine }

func (b backend) OpenObject(ctx context.Context, bucket, key, version string) (s3api.ObjectReader, error) {
	r, err := b.Engine.OpenObject(ctx, bucket, key, version)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// newStore starts one; around may change what it answers.
func newStore(t *testing.T, around func(http.Handler) http.Handler) store {
	t.Helper()
	quiet, db := slog.New(slog.DiscardHandler), memdb.New()
	engine, err := master.Open(t.Context(), master.Config{DB: db, Volumes: []master.Volume{{Name: "mem", Blobs: volumetest.NewMem()}}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	root := func(_ context.Context, key string) (s3api.Credential, error) {
		if key != testAccess {
			return s3api.Credential{}, s3api.ErrNoSuchAccessKey
		}
		return s3api.Credential{Secret: testSecret, Identity: s3api.Identity{UserID: "root", AccountID: "1", Root: true}}, nil
	}
	handler := s3api.NewHandler(s3api.Config{Backend: backend{engine}, Credentials: root, Region: testRegion, Logger: quiet})
	if around != nil {
		handler = around(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return store{engine, Endpoint{Name: "store", URL: server.URL, AccessKey: testAccess, SecretKey: testSecret, Region: testRegion}}
}

// left lists what is in the bucket; nil: there is no bucket.
func (s store) left(t *testing.T) []string {
	t.Helper()
	page, err := s.ListObjects(t.Context(), meta.ListRequest{Bucket: "tdkvs-bench", Limit: 1000})
	if meta.KindOf(err) == meta.KindNoSuchBucket {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for _, o := range page.Objects {
		keys = append(keys, o.Key)
	}
	return keys
}

func testLoad(kind string) Load {
	return Load{
		Kind: kind, Clients: 4, Sizes: Sizes{Least: 100, Most: 100_000, Log: true}, Objects: 250, Page: 100, Batch: 30,
		PartSize: 5 << 20, Mix: DefaultMix(),
	}
}

func testConfig(loads []Load, endpoints ...Endpoint) Config {
	return Config{
		Endpoints: endpoints, Loads: loads, Duration: 80 * time.Millisecond, WarmUp: 10 * time.Millisecond, Rounds: 2,
		Bucket: "tdkvs-bench", Verify: true, Seed: 1,
	}
}

// TestLoads runs each load against the store: every answer is right, and nothing
// is left.
func TestLoads(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		for _, keys := range []Keys{"", Sequential, Random, Zipf} {
			if keys != "" && k.keys == "" {
				continue
			}
			t.Run(k.name+" "+string(keys), func(t *testing.T) {
				t.Parallel()
				s := newStore(t, nil)
				l := testLoad(k.name)
				l.Keys = keys
				if k.name == "multipart" {
					l.Sizes = Sizes{Least: 6 << 20, Most: 6 << 20}
				}
				cfg := testConfig([]Load{l}, s.Endpoint)
				cfg.SignBodies = keys == Random
				report, err := Run(t.Context(), cfg)
				if err != nil || report.Failed() != 0 || len(report.Loads) != 1 {
					t.Fatalf("%+v, %v", report, err)
				}
				e := report.Loads[0].Endpoints[0]
				if e.Requests == 0 || e.Rate <= 0 || e.Objects <= 0 || e.Latency.P50 <= 0 || e.ClientTime <= 0 {
					t.Errorf("%+v", e)
				}
				if (k.name == "mixed") != (len(e.Operations) > 1) {
					t.Errorf("operations: %+v", e.Operations)
				}
				if left := s.left(t); left != nil {
					t.Errorf("left: %q", left)
				}
			})
		}
	}
}

// TestCleanUpTakesItsOwn: what was in the bucket before stays there, as does the
// bucket, and what another run makes meanwhile.
func TestCleanUpTakesItsOwn(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	if err := s.CreateBucket(t.Context(), meta.Bucket{Name: "tdkvs-bench"}); err != nil {
		t.Fatal(err)
	}
	c := connTo(t, s.URL)
	for _, key := range []string{"mine", "bench-0011/0000000001-5"} {
		r := &call{method: methodPut, path: []byte("/tdkvs-bench/" + key), body: [][]byte{[]byte("hello")}, length: 5, payload: unsignedPayload}
		if _, err := c.do(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Run(t.Context(), testConfig([]Load{testLoad("put"), testLoad("mixed")}, s.Endpoint)); err != nil {
		t.Fatal(err)
	}
	if left := s.left(t); len(left) != 2 || left[0] != "bench-0011/0000000001-5" || left[1] != "mine" {
		t.Errorf("left: %q", left)
	}
	cfg := testConfig([]Load{testLoad("get")}, s.Endpoint)
	cfg.Keep = true
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if left := s.left(t); len(left) != 2+250 {
		t.Errorf("%d left with Keep", len(left))
	}
}

// TestCleanUpAfterCancel: a run that is broken off removes what it has made, and
// the uploads that were in progress.
func TestCleanUpAfterCancel(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"put", "multipart", "multi-delete"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var seen atomic.Int64
			s := newStore(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPut && seen.Add(1) == 20 {
						cancel()
					}
					if kind == "multipart" && ctx.Err() == nil && r.Method == http.MethodDelete { // uploads that nobody ends but the clean-up
						w.WriteHeader(http.StatusServiceUnavailable)
						return
					}
					if r.URL.Query().Has("partNumber") && seen.Load()%3 == 0 {
						w.WriteHeader(http.StatusServiceUnavailable)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			cfg := testConfig([]Load{testLoad(kind)}, s.Endpoint)
			cfg.Duration = time.Minute
			if _, err := Run(ctx, cfg); err == nil {
				t.Error("a run that was broken off has no error")
			}
			if left := s.left(t); left != nil {
				t.Errorf("left: %q", left)
			}
			if seen.Load() < 20 {
				t.Errorf("only %d requests: nothing was broken off", seen.Load())
			}
		})
	}
}

// TestWrongAnswersCount: each kind of wrong answer is found, and counted as what
// it is.
func TestWrongAnswersCount(t *testing.T) {
	t.Parallel()
	tests := []struct {
		load, kind string
		answer     http.HandlerFunc
	}{
		{"put", "503 SlowDown", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "<Error><Code>SlowDown</Code></Error>")
		}},
		{"put", wrongAnswer, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }},
		{"get", wrongLength, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }},
		{"stat", wrongLength, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "7") }},
		{"get", brokenOff, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"list", wrongList, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<ListBucketResult><Key>a</Key></ListBucketResult>")
		}},
		{"multi-delete", "200 InternalError", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<DeleteResult><Error><Code>InternalError</Code></Error></DeleteResult>")
		}},
		{"delete", "404 NoSuchKey", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
		}},
		{"multipart", wrongAnswer, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<InitiateMultipartUploadResult/>")
		}},
		{"multipart", "200 InternalError", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"x"`)
			if r.URL.Query().Has("uploads") {
				_, _ = io.WriteString(w, "<R><UploadId>x</UploadId></R>")
			} else {
				_, _ = io.WriteString(w, "<Error><Code>InternalError</Code></Error>")
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.load+" "+tt.kind, func(t *testing.T) {
			t.Parallel()
			report := runAgainst(t, tt.load, tt.answer)
			e := report.Loads[0].Endpoints[0]
			if e.Errors[tt.kind] == 0 || e.Failed != report.Failed() || e.Failed == 0 {
				t.Errorf("%d failed: %v", e.Failed, e.Errors)
			}
			if e.Requests == 0 {
				t.Error("the answers that were right do not count")
			}
		})
	}
}

// runAgainst runs a load of which, once it is prepared, every second request is
// answered wrongly.
func runAgainst(t *testing.T, kind string, wrong http.HandlerFunc) *Report {
	t.Helper()
	var measuring atomic.Bool
	var seen atomic.Int64
	method := map[string]string{
		"put": "PUT", "get": "GET", "stat": "HEAD", "list": "GET", "multi-delete": "POST", "delete": "DELETE", "multipart": "POST",
	}[kind]
	s := newStore(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := strings.Count(r.URL.Path, "/") > 1 || r.URL.RawQuery != ""
			if measuring.Load() && key && r.Method == method && seen.Add(1)%2 == 0 {
				wrong(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	l := testLoad(kind)
	if kind == "multipart" {
		l.Sizes = Sizes{Least: 1, Most: 1}
	}
	cfg := testConfig([]Load{l}, s.Endpoint)
	cfg.Keep, cfg.Rounds, cfg.WarmUp = true, 1, 0
	r := newTestRunner(cfg)
	if err := r.buckets(t.Context()); err != nil {
		t.Fatal(err)
	}
	session, err := newSession(t.Context(), cfg, s.Endpoint, l, r.content, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := session.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	measuring.Store(true)
	res := newResult(s.Endpoint)
	done, took := session.round(t.Context(), cfg.Duration)
	session.disconnect()
	res.add(done, took, time.Millisecond, usage{})
	r.report.add(l, []*result{res})
	return r.report
}

func newTestRunner(cfg Config) *runner {
	return &runner{Config: cfg, content: newContent(), made: make([]bool, len(cfg.Endpoints)), report: newReport(cfg), told: map[string]bool{}}
}

// TestWrongBytesAreFound: with Verify, a bit that has changed is seen.
func TestWrongBytesAreFound(t *testing.T) {
	t.Parallel()
	s := newStore(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w = &flipping{ResponseWriter: w}
			}
			next.ServeHTTP(w, r)
		})
	})
	for _, verify := range []bool{false, true} {
		cfg := testConfig([]Load{testLoad("get")}, s.Endpoint)
		cfg.Verify = verify
		report, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if e := report.Loads[0].Endpoints[0]; (e.Errors[wrongBytes] > 0) != verify || (e.Requests == 0) != verify {
			t.Errorf("verify %v: %d requests, %v", verify, e.Requests, e.Errors)
		}
	}
}

type flipping struct{ http.ResponseWriter }

func (f *flipping) Write(p []byte) (int, error) {
	p = append([]byte(nil), p...)
	p[len(p)-1] ^= 1
	return f.ResponseWriter.Write(p)
}

// TestCompared runs each load at two endpoints in turns.
func TestCompared(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	bare := httptest.NewServer(Bare())
	t.Cleanup(bare.Close)
	var loads []Load
	for _, k := range kinds() {
		l := testLoad(k.name)
		l.Sizes.Most = 1000
		loads = append(loads, l)
	}
	cfg := testConfig(loads, s.Endpoint, Endpoint{Name: "bare", URL: bare.URL, AccessKey: testAccess, SecretKey: testSecret, Region: testRegion, Bare: true})
	cfg.Duration = 50 * time.Millisecond
	var lines []string
	cfg.Progress = func(line string) { lines = append(lines, line) }
	report, err := Run(t.Context(), cfg)
	if err != nil || report.Failed() != 0 || len(report.Loads) != len(loads) {
		t.Fatalf("%+v, %v", report, err)
	}
	for _, l := range report.Loads {
		if l.Load == "list" {
			if len(l.Endpoints) != 1 {
				t.Error("there is nothing to be listed where nothing is stored")
			}
			continue
		}
		if len(l.Endpoints) != 2 || l.Endpoints[1].Ratio <= 0 || l.Endpoints[0].Ratio != 0 {
			t.Errorf("%s: %+v", l.Title, l.Endpoints)
		}
	}
	if want := 2 * (2*len(loads) - 1); len(lines) != want {
		t.Errorf("%d lines of progress, want %d", len(lines), want)
	}
	if s.left(t) != nil {
		t.Errorf("left: %q", s.left(t))
	}
}

// TestRunFails: what keeps a run from going on is an error that says where.
func TestRunFails(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	wrongKey := s.Endpoint
	wrongKey.SecretKey = "other"
	nobody := Endpoint{Name: "nobody", URL: "http://127.0.0.1:1"}
	full := newStore(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "bench-") {
				w.WriteHeader(http.StatusInsufficientStorage)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	disk := testConfig([]Load{testLoad("put")}, s.Endpoint)
	disk.Disk, disk.FS = t.TempDir()+"/none", vfs.OS()
	gone := s.Endpoint
	gone.PIDs = []int{1 << 30}
	for want, cfg := range map[string]Config{
		"bucket tdkvs-bench at store: 403":                           testConfig([]Load{testLoad("put")}, wrongKey),
		"bucket tdkvs-bench at nobody: no connection":                testConfig([]Load{testLoad("put")}, nobody),
		"get log:100B..100000B x4 at store: prepare objects: 507":    testConfig([]Load{testLoad("get")}, full.Endpoint),
		"there is no load \"xyz\"":                                   testConfig([]Load{testLoad("xyz")}, s.Endpoint),
		"measure the disk: ":                                         disk,
		"put log:100B..100000B x4 at store: open /proc/1073741824/s": testConfig([]Load{testLoad("put")}, gone),
	} {
		report, err := Run(t.Context(), cfg)
		if err == nil || !strings.HasPrefix(err.Error(), want) || len(report.Loads) != 0 {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if s.left(t) != nil || full.left(t) != nil {
		t.Errorf("left: %q, %q", s.left(t), full.left(t))
	}
}

// TestMeasureDisk leaves no file behind, also where the disk fails.
func TestMeasureDisk(t *testing.T) {
	t.Parallel()
	sample, err := measureDisk(vfs.OS(), t.TempDir(), 8<<20, newContent())
	if err != nil || sample.rate < 1<<20 || sample.sync <= 0 {
		t.Errorf("%+v, %v", sample, err)
	}
	for _, op := range []vfs.Op{vfs.OpWriteAt, vfs.OpSync, vfs.OpAllocate} {
		fsys := vfs.NewMem()
		faulty := vfs.NewFaulty(fsys, vfs.Plan{Rules: []vfs.Rule{{Op: op, Fault: vfs.Fault{Err: syscall.EIO}}}})
		if _, err := measureDisk(faulty, ".", 2<<20, newContent()); err == nil {
			t.Errorf("%v: no error", op)
		}
		if left, err := fsys.ReadDir("."); err != nil || len(left) != 0 {
			t.Errorf("%v: left %v, %v", op, left, err)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	if n, err := processorTicks([]byte("12 (a) b) R 1 2 3 4 5 6 7 8 9 10 31 11 14 15")); n != 42 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", "12 (a) R 1 2", "12 (a) R 1 2 3 4 5 6 7 8 9 10 x 11", "12 (a) R 1 2 3 4 5 6 7 8 9 10 11 x"} {
		if n, err := processorTicks([]byte(bad)); err == nil {
			t.Errorf("%q is %d", bad, n)
		}
	}
	if n := peakMemory([]byte("VmPeak:\t 9 kB\nVmHWM:\t    12 kB\n")); n != 12<<10 {
		t.Errorf("%d bytes", n)
	}
	if n := peakMemory([]byte("Name: kthread\n")); n != 0 {
		t.Errorf("%d bytes", n)
	}
}
