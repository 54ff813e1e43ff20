package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/s3api"
	"tdkvs/s3api/sigv4"
	"tdkvs/volume"
)

var _ Operator = (*master.Engine)(nil)

// fakeOperator is an engine that answers what it is told to. Tests use it from
// one goroutine at a time.
type fakeOperator struct {
	backup   fakeBackup
	cluster  master.ClusterStatus
	location master.Location
	object   meta.Object
	buckets  []meta.Bucket
	check    master.CheckStatus
	err      error // of everything that can fail
	done     []string
}

func newFakeOperator() *fakeOperator {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	return &fakeOperator{
		cluster: master.ClusterStatus{
			Cluster: "c-1", Ready: true, Replicas: 2,
			Classes: map[string]master.Class{"": {Code: meta.Code{Data: 4, Parity: 2}, MinSize: 9}, "COLD": {Code: meta.Code{Data: 2, Parity: 1}}},
			Volumes: []master.VolumeStatus{
				{VolumeHealth: master.VolumeHealth{Number: 1, UUID: "u-1", Name: "http://a:1", Status: volume.Status{Blobs: 3, Bytes: 300, Free: 10, Capacity: 20, Reserve: 2, DeadBytes: 7, Scrub: volume.Scrub{Rate: -7, Running: true, Began: time.Unix(1, 0), Read: 1, Total: 2, Bad: 3}}}, Zone: "z", Slots: 2},
				{VolumeHealth: master.VolumeHealth{Number: 2, UUID: "u-2", Name: "http://b:1", Err: errors.New("gone")}, State: metadb.VolumeDraining, Slots: 1},
				{VolumeHealth: master.VolumeHealth{Number: 3, UUID: "u-3", Name: "http://c:1", Status: volume.Status{Bytes: 50, ReadOnly: "disk broke"}}, Slots: 1},
			},
			Rebalance: master.RebalanceStatus{Rebalance: metadb.Rebalance{Epoch: 4, Active: true, Pass: 1, Scanned: 5, Moved: 2, MovedBytes: 99, Started: at, Short: 3, Repaired: 4, Stuck: []metadb.Stuck{{Volume: 1, Damaged: 7, Parts: 8, Short: 9}}},
				Expected: 10, Backlog: master.Backlog{Repairs: 6, Damaged: 1}, Retry: at},
			Garbage:  master.GarbageStats{Blobs: 8, LastError: "oops"},
			Findings: master.FindingsStats{Taken: 5, Queued: 4, Searching: true},
		},
		location: master.Location{
			Object:    meta.Object{VersionID: "v1", Size: 30},
			Placement: master.Placement{Hash: 0xAB, Slots: []int{1}, Volumes: []meta.VolumeID{2}},
			Extents: []master.ExtentLocation{
				{Part: 1, Extent: meta.Extent{Size: 20, Pieces: []meta.Piece{{Volume: 3}}}, Placement: master.Placement{Hash: 1, Slots: []int{2}, Volumes: []meta.VolumeID{3}}},
				{Part: 2, Offset: 20, Extent: meta.Extent{Size: 10, Pieces: []meta.Piece{{Volume: 1}}}, Placement: master.Placement{Hash: 2, Slots: []int{2}, Volumes: []meta.VolumeID{3}}},
			},
		},
		object: meta.Object{
			VersionID: "v1", Modified: at, Size: 30, Digests: meta.Digests{ETag: "e", Checksum: meta.Checksum{Algorithm: "CRC32", Type: "FULL_OBJECT", Value: "AAAA"}},
			Attributes: meta.Attributes{Headers: meta.Headers{ContentType: "text/plain"}, UserMeta: map[string]string{"a": "b"},
				Lock: meta.Lock{Retention: meta.Retention{Mode: meta.Governance, Until: at}, LegalHold: meta.LegalHoldOn}},
		},
		buckets: []meta.Bucket{{Name: "a", Created: at, Versioning: meta.VersioningEnabled, Lock: meta.BucketLock{Enabled: true, Mode: meta.Compliance, Days: 3}}, {Name: "b"}, {Name: "c"}},
	}
}

func (f *fakeOperator) note(format string, args ...any) error {
	if f.err == nil {
		f.done = append(f.done, fmt.Sprintf(format, args...))
	}
	return f.err
}

func (f *fakeOperator) Cluster(context.Context) master.ClusterStatus { return f.cluster }

func (f *fakeOperator) FindVolume(name string) (meta.VolumeID, bool) {
	for _, v := range f.cluster.Volumes {
		if name == fmt.Sprint(v.Number) || name == v.UUID || name == v.Name {
			return v.Number, true
		}
	}
	return 0, false
}

func (f *fakeOperator) DrainVolume(_ context.Context, n meta.VolumeID) error {
	return f.note("drain %d", n)
}

func (f *fakeOperator) CancelDrain(_ context.Context, n meta.VolumeID) error {
	return f.note("cancel %d", n)
}

func (f *fakeOperator) LoseVolume(_ context.Context, n meta.VolumeID) error {
	return f.note("lose %d", n)
}

func (f *fakeOperator) ConfigureVolume(_ context.Context, n meta.VolumeID, s master.VolumeSettings) error {
	zone := "-"
	if s.Zone != nil {
		zone = *s.Zone
	}
	return f.note("configure %d %d %q", n, s.Weight, zone)
}

func (f *fakeOperator) SetReplicas(_ context.Context, bucket string, n int) error {
	for i := range f.buckets {
		if f.buckets[i].Name == bucket {
			f.buckets[i].Replicas = n
		}
	}
	return f.note("replicas %q %d", bucket, n)
}

func (f *fakeOperator) StartRebalance(context.Context) error { return f.note("start") }

func (f *fakeOperator) ListDamage(_ context.Context, after []byte, limit int) ([]master.Damage, error) {
	list := []master.Damage{
		{Bucket: "a", Key: "k1", Damage: metadb.Damage{Found: f.cluster.Rebalance.Started, Cause: "gone", Size: 5}, Cursor: []byte{1}},
		{Bucket: "a", Key: "k2", Part: 3, Damage: metadb.Damage{Cause: "bad", VersionID: "v2", Size: 6}, Cursor: []byte{2}},
	}
	if len(after) > 0 {
		list = list[after[0]:]
	}
	return list[:min(limit, len(list))], f.note("damage after %x, %d", after, limit)
}

func (f *fakeOperator) Stats() master.Stats { return master.Stats{} }

func (f *fakeOperator) VolumeStats() []master.VolumeStats {
	return []master.VolumeStats{{Number: 1, Reads: 2, Writes: 3, Deletes: 4, Failed: 5, BytesRead: 6, BytesWritten: 7, ReadLatency: []uint64{1}}}
}

func (f *fakeOperator) RebalanceStatus(context.Context) (master.RebalanceStatus, error) {
	return f.cluster.Rebalance, f.err
}

func (f *fakeOperator) ChangeRebalance(_ context.Context, c master.RebalanceChange) error {
	if c.Paused != nil {
		f.cluster.Rebalance.Paused = *c.Paused
	}
	if c.Concurrency != nil {
		f.cluster.Rebalance.Concurrency = *c.Concurrency
	}
	if c.Rate != nil {
		f.cluster.Rebalance.Rate = *c.Rate
	}
	return f.note("limits")
}

func (f *fakeOperator) Locate(_ context.Context, bucket, key, version string) (master.Location, error) {
	return f.location, f.note("locate %s/%s@%s", bucket, key, version)
}

func (f *fakeOperator) Object(_ context.Context, bucket, key, version string) (meta.Object, error) {
	return f.object, f.note("object %s/%s@%s", bucket, key, version)
}

func (f *fakeOperator) Bucket(_ context.Context, name string) (meta.Bucket, error) {
	for _, b := range f.buckets {
		if b.Name == name {
			return b, f.err
		}
	}
	return meta.Bucket{}, &meta.Error{Kind: meta.KindNoSuchBucket}
}

func (f *fakeOperator) ListBuckets(_ context.Context, req meta.BucketsRequest) (meta.BucketsPage, error) {
	var page meta.BucketsPage
	for _, b := range f.buckets {
		if b.Name > req.After && strings.HasPrefix(b.Name, req.Prefix) {
			page.Buckets = append(page.Buckets, b)
		}
	}
	if len(page.Buckets) > req.Limit {
		page.Buckets, page.Truncated = page.Buckets[:req.Limit], true
	}
	return page, f.err
}

func (f *fakeOperator) Usage(_ context.Context, bucket string) (meta.Usage, error) {
	if bucket == "b" {
		return meta.Usage{}, &meta.Error{Kind: meta.KindNoSuchBucket} // deleted since it was listed
	}
	return meta.Usage{Objects: 1, Bytes: 2, Noncurrent: 3, NoncurrentBytes: 4, DeleteMarkers: 5}, f.err
}

// adminBench is a gateway whose operator is at hand.
type adminBench struct {
	*bench
	operator *fakeOperator
}

func newAdminBench(t *testing.T, edit func(*Config)) adminBench {
	t.Helper()
	op := newFakeOperator()
	b := newBench(t, func(c *Config) {
		c.Admin = Admin{Operator: op, Version: "v9", AddVolume: func(_ context.Context, v adminapi.NewVolume) (metadb.Volume, error) {
			return metadb.Volume{Number: 3}, op.note("add %s %d %s", v.URL, v.Weight, v.Zone)
		}}
		if edit != nil {
			edit(c)
		}
	})
	return adminBench{b, op}
}

// ask sends a signed request with a body that the signature covers.
func (b adminBench) ask(t *testing.T, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	return b.signed(t, testSecret, method, adminapi.Prefix+path, body, hexSHA256(body), nil)
}

// wantFailure checks an error of the admin API.
func wantFailure(t *testing.T, w *httptest.ResponseRecorder, status int, code, text string) {
	t.Helper()
	var f adminapi.Failure
	if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil {
		t.Errorf("%q: %v", w.Body, err)
	}
	if w.Code != status || f.Error.Code != code || !strings.Contains(f.Error.Message, text) {
		t.Errorf("got %d %+v, want %d %s %q", w.Code, f.Error, status, code, text)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
}

// wantDocument decodes a success.
func wantDocument[T any](t *testing.T, w *httptest.ResponseRecorder, status int) T {
	t.Helper()
	var doc T
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil || w.Code != status {
		t.Fatalf("%d %v, want %d", w.Code, err, status)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", w.Header())
	}
	return doc
}

func TestAdminCluster(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	c := wantDocument[adminapi.Cluster](t, b.ask(t, "GET", "/cluster", ""), 200)
	v := c.Volumes[0]
	switch {
	case c.Cluster != "c-1" || c.Version != "v9" || !c.Ready || c.Metadata.State != "ok" || len(c.Volumes) != 3:
		t.Errorf("%+v", c)
	case v.Number != 1 || v.UUID != "u-1" || v.URL != "http://a:1" || v.State != "active" || v.Zone != "z" || v.Slots != 2 || v.Health != "ok" || v.Bytes != 300 || v.Blobs != 3 || v.Free != 10 || v.Capacity != 20 || v.Reserve != 2 || v.DeadBytes != 7:
		t.Errorf("%+v", v)
	case !v.Scrub.Running || v.Scrub.BytesPerSecond != -1 || v.Scrub.Read != 1 || v.Scrub.Total != 2 || v.Scrub.Bad != 3 || v.Scrub.Began.Unix() != 1 || v.Scrub.Finished != nil:
		t.Errorf("%+v", v.Scrub)
	case c.Volumes[1].State != "draining" || c.Volumes[1].Health != "unreachable" || c.Volumes[1].Error != "gone":
		t.Errorf("%+v", c.Volumes[1])
	case c.Volumes[2].Health != "read-only" || c.Volumes[2].Error != "disk broke":
		t.Errorf("%+v", c.Volumes[2])
	case c.Totals != adminapi.Totals{Volumes: 3, Slots: 4, Capacity: 20, Free: 10, Blobs: 3, Bytes: 350, DeadBytes: 7}:
		t.Errorf("%+v", c.Totals)
	case c.Skew < 1.28 || c.Skew > 1.29: // 150 per slot, of 350/3
		t.Errorf("skew %v", c.Skew)
	case !c.Rebalance.Active || c.Rebalance.Concurrency != master.DefaultMoves || c.Rebalance.BytesPerSecond != master.DefaultMoveRate || c.Rebalance.Expected != 10 || c.Rebalance.Started == nil || c.Rebalance.Finished != nil:
		t.Errorf("%+v", c.Rebalance)
	case c.Replicas != 2 || c.Repair != adminapi.Repair{Queued: 6, Damaged: 1, Found: 4, Searching: true}:
		t.Errorf("%d replicas, %+v", c.Replicas, c.Repair)
	case !slices.Equal(c.Classes, []adminapi.Class{{Name: "COLD", Data: 2, Parity: 1}, {Name: "STANDARD", Data: 4, Parity: 2, MinSize: 9}}):
		t.Errorf("%+v", c.Classes)
	case !slices.Equal(c.Zones, []adminapi.Zone{{Name: "z", Volumes: 1, Slots: 2, Capacity: 20, Free: 10, Bytes: 300}}):
		t.Errorf("%+v", c.Zones)
	case c.Garbage.Blobs != 8 || c.Garbage.LastError != "oops":
		t.Errorf("%+v", c.Garbage)
	}
	b.operator.cluster.Metadata = "disk full"
	if c := wantDocument[adminapi.Cluster](t, b.ask(t, "GET", "/cluster", ""), 200); c.Metadata != (adminapi.Metadata{State: "failed", Error: "disk full"}) {
		t.Errorf("%+v", c.Metadata)
	}
	if l := wantDocument[adminapi.Volumes](t, b.ask(t, "GET", "/volumes", ""), 200); len(l.Volumes) != 3 {
		t.Errorf("%+v", l)
	}
}

func TestAdminVolumes(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	v := wantDocument[adminapi.Volume](t, b.ask(t, "POST", "/volumes", `{"url": "http://c:1", "weight": 2, "zone": "z"}`), 201)
	if v.Number != 3 || v.URL != "http://c:1" {
		t.Errorf("%+v", v)
	}
	for _, name := range []string{"2", "u-2", "http%3A%2F%2Fb%3A1"} {
		if v := wantDocument[adminapi.Volume](t, b.ask(t, "DELETE", "/volumes/"+name, ""), 202); v.Number != 2 || v.State != "draining" {
			t.Errorf("%+v", v)
		}
	}
	wantDocument[adminapi.Volume](t, b.ask(t, "POST", "/volumes/2/cancel", ""), 202)
	if got := strings.Join(b.operator.done, ", "); got != "add http://c:1 2 z, drain 2, drain 2, drain 2, cancel 2" {
		t.Errorf("done: %s", got)
	}

	wantFailure(t, b.ask(t, "DELETE", "/volumes/7", ""), 404, "NoSuchVolume", "7")
	wantFailure(t, b.ask(t, "DELETE", "/volumes/2", "{}"), 400, "InvalidRequest", "no body")
	wantFailure(t, b.ask(t, "POST", "/volumes", ""), 400, "InvalidRequest", "a body is needed")
	wantFailure(t, b.ask(t, "POST", "/volumes", "{}"), 400, "InvalidArgument", "url is missing")
	wantFailure(t, b.ask(t, "POST", "/volumes", `{"url": "http://c:1", "wait": 1}`), 400, "InvalidRequest", `unknown field`)
	wantFailure(t, b.ask(t, "POST", "/volumes", `{"url": "http://c:1"} {}`), 400, "InvalidRequest", "behind the JSON")
	wantFailure(t, b.ask(t, "POST", "/volumes", `{"url": "http://c:1", "weight": 65}`), 400, "InvalidArgument", "want 1 to 64")
	wantFailure(t, b.ask(t, "POST", "/volumes", `{"url": "http://c:1", "weight": -1}`), 400, "InvalidArgument", "want 1 to 64")
	wantFailure(t, b.ask(t, "POST", "/volumes", strings.Repeat(" ", maxAdminBody)+"{}"), 413, "EntityTooLarge", "larger")
	for _, tt := range []struct {
		err    error
		status int
		code   string
	}{
		{&master.ChangeError{Message: "the engine's sentence"}, 409, "Refused"},
		{fmt.Errorf("the engine's sentence: %w", volume.ErrDenied), 409, "Refused"},
		{fmt.Errorf("the engine's sentence: %w", volume.ErrUnavailable), 503, "VolumeUnreachable"},
		{fmt.Errorf("%w: the engine's sentence", ErrVolumeURL), 400, "InvalidArgument"},
	} {
		b.operator.err = tt.err
		wantFailure(t, b.ask(t, "POST", "/volumes", `{"url": "http://c:1"}`), tt.status, tt.code, "the engine's sentence")
	}
	b.operator.err = errSecretCause
	w := b.ask(t, "POST", "/volumes", `{"url": "http://c:1"}`)
	wantFailure(t, w, 500, "InternalError", "request id")
	if strings.Contains(w.Body.String(), "sdz9") {
		t.Errorf("the cause was sent: %s", w.Body)
	}
	b.operator.err = &master.ChangeError{Message: "the engine's sentence"}
	wantFailure(t, b.ask(t, "DELETE", "/volumes/2", ""), 409, "Refused", "the engine's sentence")
	wantFailure(t, b.ask(t, "POST", "/volumes/2/cancel", ""), 409, "Refused", "the engine's sentence")

	still := newAdminBench(t, func(c *Config) { c.Admin.AddVolume = nil })
	wantFailure(t, still.ask(t, "POST", "/volumes", `{"url": "http://c:1"}`), 409, "Refused", "directories")
}

func TestAdminRebalance(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	if r := wantDocument[adminapi.Rebalance](t, b.ask(t, "GET", "/rebalance", ""), 200); r.Paused || r.Moved != 2 || r.MovedBytes != 99 ||
		r.Short != 3 || r.Repaired != 4 || r.Repairs != 6 || r.Retry == nil || !slices.Equal(r.Stuck, []adminapi.Stuck{{Volume: 1, Damaged: 7, Parts: 8, Short: 9}}) {
		t.Errorf("%+v", r)
	}
	r := wantDocument[adminapi.Rebalance](t, b.ask(t, "PATCH", "/rebalance", `{"paused": true, "concurrency": 3, "bytes_per_second": -1}`), 200)
	if !r.Paused || r.Concurrency != 3 || r.BytesPerSecond != -1 {
		t.Errorf("%+v", r)
	}
	if r := wantDocument[adminapi.Rebalance](t, b.ask(t, "PATCH", "/rebalance", `{"bytes_per_second": 1000000}`), 200); !r.Paused || r.Concurrency != 3 || r.BytesPerSecond != 1000000 {
		t.Errorf("what was not given has changed: %+v", r)
	}
	for body, text := range map[string]string{
		"":                         "a body is needed",
		"{}":                       "nothing to change",
		"[]":                       "not the JSON",
		`{"paused": 1}`:            "not the JSON",
		`{"speed": 1}`:             "unknown field",
		`{"concurrency": 257}`:     "want 0 to 256",
		`{"concurrency": -1}`:      "want 0 to 256",
		`{"bytes_per_second": -2}`: "bytes_per_second",
		`{"bytes_per_second": 99}`: "262144 and more",
	} {
		if w := b.ask(t, "PATCH", "/rebalance", body); w.Code != 400 || !strings.Contains(w.Body.String(), text) {
			t.Errorf("%s: %d %s, want %q", body, w.Code, w.Body, text)
		}
	}
	b.operator.err = &meta.Error{Kind: meta.KindUnavailable}
	wantFailure(t, b.ask(t, "GET", "/rebalance", ""), 503, "Unavailable", "")
	wantFailure(t, b.ask(t, "PATCH", "/rebalance", `{"paused": true}`), 503, "Unavailable", "")
}

func TestAdminLocate(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	l := wantDocument[adminapi.Location](t, b.ask(t, "GET", "/locate?bucket=a&key=x%2F%20y&versionId=v1", ""), 200)
	if l.Key != "x/ y" || l.VersionID != "v1" || l.Hash != "00000000000000ab" || l.InPlace || len(l.Extents) != 2 {
		t.Fatalf("%+v", l)
	}
	if x := l.Extents[0]; !x.InPlace || x.Part != 1 || x.Size != 20 || !x.Pieces[0].InPlace || x.Pieces[0].Volume != 3 || len(x.Pieces[0].Blob) != 32 {
		t.Errorf("%+v", x)
	}
	if x := l.Extents[1]; x.InPlace || x.Offset != 20 || x.Pieces[0].InPlace || x.Volumes[0] != 3 {
		t.Errorf("%+v", x)
	}
	o := wantDocument[adminapi.Object](t, b.ask(t, "GET", "/objects?bucket=a&key=x", ""), 200)
	if o.ETag != "e" || o.Headers["Content-Type"] != "text/plain" || o.UserMetadata["a"] != "b" || o.Tags == nil || o.Checksum.Value != "AAAA" || o.Retention.Mode != "GOVERNANCE" || o.LegalHold != "ON" {
		t.Errorf("%+v", o)
	}
	if got := strings.Join(b.operator.done, ", "); got != "locate a/x/ y@v1, object a/x@" {
		t.Errorf("done: %s", got)
	}
	for _, path := range []string{"/locate", "/objects"} {
		wantFailure(t, b.ask(t, "GET", path, ""), 400, "InvalidArgument", "bucket is missing")
		wantFailure(t, b.ask(t, "GET", path+"?bucket=a", ""), 400, "InvalidArgument", "key is missing")
		wantFailure(t, b.ask(t, "GET", path+"?bucket=a&key=b&key=c", ""), 400, "InvalidArgument", "twice")
		wantFailure(t, b.ask(t, "GET", path+"?bucket=a&key=b&what=c", ""), 400, "InvalidArgument", `"what"`)
		wantFailure(t, b.ask(t, "GET", path+"?bucket=a&key=b", "{}"), 400, "InvalidRequest", "no body")
		for kind, want := range adminRows() {
			b.operator.err = &meta.Error{Kind: kind}
			wantFailure(t, b.ask(t, "GET", path+"?bucket=a&key=b", ""), want.status, want.code, want.message)
		}
		b.operator.err = nil
	}
}

func TestAdminBuckets(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	l := wantDocument[adminapi.Buckets](t, b.ask(t, "GET", "/buckets", ""), 200)
	if len(l.Buckets) != 2 || l.Next != "" || l.Buckets[1].Name != "c" { // b was deleted meanwhile
		t.Fatalf("%+v", l)
	}
	want := adminapi.Bucket{Name: "a", Created: l.Buckets[0].Created, Versioning: "Enabled", Lock: adminapi.Lock{Enabled: true, Mode: "COMPLIANCE", Days: 3},
		Objects: 1, Bytes: 2, Noncurrent: 3, NoncurrentBytes: 4, DeleteMarkers: 5}
	if l.Buckets[0] != want {
		t.Errorf("%+v", l.Buckets[0])
	}
	if l := wantDocument[adminapi.Buckets](t, b.ask(t, "GET", "/buckets?limit=1", ""), 200); len(l.Buckets) != 1 || l.Next != "a" {
		t.Errorf("%+v", l)
	}
	if l := wantDocument[adminapi.Buckets](t, b.ask(t, "GET", "/buckets?after=a&prefix=c", ""), 200); len(l.Buckets) != 1 || l.Next != "" {
		t.Errorf("%+v", l)
	}
	if got := wantDocument[adminapi.Bucket](t, b.ask(t, "GET", "/buckets/a", ""), 200); got != want {
		t.Errorf("%+v", got)
	}
	wantFailure(t, b.ask(t, "GET", "/buckets/nobody", ""), 404, "NoSuchBucket", "no such bucket")
	wantFailure(t, b.ask(t, "GET", "/buckets/b", ""), 404, "NoSuchBucket", "no such bucket")
	for _, limit := range []string{"0", "1001", "x"} {
		wantFailure(t, b.ask(t, "GET", "/buckets?limit="+limit, ""), 400, "InvalidArgument", "want 1 to 1000")
	}
}

// TestAdminPaths: what is no route, and every method that a route does not take.
func TestAdminPaths(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	for _, path := range []string{"", "/", "/cluster/", "/volumes/", "/volumes/1/2", "/volumes//cancel", "/bucket", "/buckets/a/b", "/nothing"} {
		wantFailure(t, b.ask(t, "GET", path, ""), 404, "NoSuchRoute", "no such path")
	}
	allowed := map[string][]string{}
	for _, route := range adminRoutes() {
		allowed[route.path] = append(allowed[route.path], route.method)
	}
	for path, methods := range allowed {
		path = strings.NewReplacer("{volume}", "1", "{bucket}", "a").Replace(path)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			w := b.ask(t, method, path, "")
			if known := strings.Contains(strings.Join(methods, " "), method); known == (w.Code == 405) {
				t.Errorf("%s %s: %d", method, path, w.Code)
			} else if !known && strings.ReplaceAll(w.Header().Get("Allow"), ", ", " ") != strings.Join(methods, " ") {
				t.Errorf("%s %s: Allow %q, want %v", method, path, w.Header().Get("Allow"), methods)
			}
		}
	}
	for _, path := range []string{"/-/admin", "/-/admin/v2/cluster", "/-/admin/v1x"} { // names of the S3 side
		if w := b.do("GET", path, ""); w.Header().Get("X-Served-By") != "s3" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestAdminAuthentication: root only, by a signature in the headers that covers
// the body.
func TestAdminAuthentication(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, func(c *Config) {
		root := c.Credentials
		c.Credentials = func(ctx context.Context, key string) (s3api.Credential, error) {
			if key == "AKSOMEBODY" {
				return s3api.Credential{Secret: testSecret, Identity: s3api.Identity{UserID: "u"}}, nil
			}
			return root(ctx, key)
		}
	})
	const target = adminapi.Prefix + "/cluster"
	w := b.do("GET", target, "") // basic, and right
	wantFailure(t, w, 401, "Unauthorized", "signed")
	anonymous := b.do("GET", target, "", "Authorization", "")
	wantFailure(t, anonymous, 401, "Unauthorized", "signed")
	if anonymous.Header().Get("WWW-Authenticate") == "" {
		t.Error("no challenge")
	}
	wantFailure(t, b.do("GET", adminapi.Prefix+"/nothing", "", "Authorization", ""), 401, "Unauthorized", "signed")
	wantFailure(t, b.signed(t, "wrong", "GET", target, "", hexSHA256(""), nil), 403, "SignatureDoesNotMatch", "")
	wantFailure(t, b.signed(t, testSecret, "GET", target, "", hexSHA256(""), func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), testKey, "AKNOBODY", 1))
	}), 403, "InvalidAccessKeyId", "")
	r := httptest.NewRequest("GET", "http://127.0.0.1:3000"+target, nil)
	r.RemoteAddr = "127.0.0.1:5555"
	somebody := sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: "AKSOMEBODY", SecretKey: testSecret}, Region: "us-east-1"}
	if err := somebody.Sign(r, hexSHA256(""), time.Now()); err != nil {
		t.Fatal(err)
	}
	w = httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	wantFailure(t, w, 403, "AccessDenied", "root")

	r = httptest.NewRequest("GET", "http://127.0.0.1:3000"+target, nil)
	presigned, err := signer(testSecret).Presign(r, time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(presigned)
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, b.do("GET", u.RequestURI(), "", "Authorization", ""), 401, "Unauthorized", "header")

	add := `{"url": "http://c:1"}`
	volumes := adminapi.Prefix + "/volumes"
	wantFailure(t, b.signed(t, testSecret, "POST", volumes, add, "", nil), 400, "InvalidRequest", "cover the body")
	wantFailure(t, b.signed(t, testSecret, "POST", volumes, add, hexSHA256("else"), nil), 400, "XAmzContentSHA256Mismatch", "")
	if len(b.operator.done) != 0 {
		t.Errorf("done: %v", b.operator.done)
	}
	// Nor does a policy of a bucket give anything here, or the log the secret.
	if strings.Contains(b.log.String(), testSecret) {
		t.Error("the secret was logged")
	}
}

// TestAdminProtectedMode: without credentials, this machine and nobody else.
func TestAdminProtectedMode(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, func(c *Config) { c.Credentials = nil })
	const target = adminapi.Prefix + "/cluster"
	if w := b.do("GET", target, "", "Authorization", ""); w.Code != 200 {
		t.Errorf("loopback: %d %s", w.Code, w.Body)
	}
	if w := b.ask(t, "GET", "/cluster", ""); w.Code != 200 {
		t.Errorf("loopback, signed: %d %s", w.Code, w.Body)
	}
	if w := b.do("PATCH", adminapi.Prefix+"/rebalance", `{"paused": true}`, "Authorization", ""); w.Code != 200 {
		t.Errorf("loopback, with a body: %d %s", w.Code, w.Body)
	}
	for _, header := range [][]string{{"Remote", "10.0.0.7:99"}, {"Host", "evil.example"}, {"Origin", "http://evil.example"}} {
		wantFailure(t, b.do("GET", target, "", append(header, "Authorization", "")...), 403, "AccessDenied", "no credentials")
	}
	if n := len(b.operator.done); n != 1 {
		t.Errorf("done: %v", b.operator.done)
	}
}
