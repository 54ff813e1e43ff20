package gateway

import (
	"errors"
	"strings"
	"testing"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/latency"
	"tdkvs/master/meta"
)

// wantDone checks what the engine was told, and forgets it.
func (b adminBench) wantDone(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(b.operator.done, ", "); got != strings.Join(want, ", ") {
		t.Errorf("done: %s, want %v", got, want)
	}
	b.operator.done = nil
}

func TestAdminChangeVolume(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	if v := wantDocument[adminapi.Volume](t, b.ask(t, "PATCH", "/volumes/u-1", `{"weight": 3}`), 202); v.Number != 1 {
		t.Errorf("%+v", v)
	}
	wantDocument[adminapi.Volume](t, b.ask(t, "PATCH", "/volumes/1", `{"zone": "roof"}`), 202)
	wantDocument[adminapi.Volume](t, b.ask(t, "PATCH", "/volumes/1", `{"zone": "", "weight": 64}`), 202)
	b.wantDone(t, `configure 1 3 "-"`, `configure 1 0 "roof"`, `configure 1 64 ""`)
	wantFailure(t, b.ask(t, "PATCH", "/volumes/7", `{"weight": 3}`), 404, "NoSuchVolume", "7")
	wantFailure(t, b.ask(t, "PATCH", "/volumes/1", ""), 400, "InvalidRequest", "a body is needed")
	wantFailure(t, b.ask(t, "PATCH", "/volumes/1", "{}"), 400, "InvalidArgument", "nothing to change")
	wantFailure(t, b.ask(t, "PATCH", "/volumes/1", `{"weight": 0}`), 400, "InvalidArgument", "want 1 to 64")
	wantFailure(t, b.ask(t, "PATCH", "/volumes/1", `{"weight": 65}`), 400, "InvalidArgument", "want 1 to 64")
	wantFailure(t, b.ask(t, "PATCH", "/volumes/1", `{"zone": "`+strings.Repeat("z", 129)+`"}`), 400, "InvalidArgument", "at most 128 bytes")
	b.operator.err = &master.ChangeError{Message: "the engine's sentence"}
	wantFailure(t, b.ask(t, "PATCH", "/volumes/1", `{"weight": 3}`), 409, "Refused", "the engine's sentence")
	b.wantDone(t)
}

// TestAdminLoseVolume: nothing is given up without its UUID.
func TestAdminLoseVolume(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	const needed = "ConfirmationNeeded"
	wantFailure(t, b.ask(t, "POST", "/volumes/1/lost", "{}"), 409, needed, "volume 1 at http://a:1 holds 3 blobs of 300 bytes; the store keeps 2 copies")
	wantFailure(t, b.ask(t, "POST", "/volumes/1/lost", `{"confirm": "1"}`), 409, needed, "u-1, as confirm")
	wantFailure(t, b.ask(t, "POST", "/volumes/1/lost", `{"confirm": "u-2"}`), 409, needed, "")
	wantFailure(t, b.ask(t, "POST", "/volumes/1/lost", ""), 400, "InvalidRequest", "a body is needed")
	wantFailure(t, b.ask(t, "POST", "/volumes/7/lost", `{"confirm": "u-1"}`), 404, "NoSuchVolume", "7")
	b.operator.cluster.Replicas = 1
	wantFailure(t, b.ask(t, "POST", "/volumes/2/lost", "{}"), 409, needed, "does not answer; when it last did it held 0 blobs of 0 bytes; the store keeps one copy")
	b.wantDone(t)

	l := wantDocument[adminapi.LostVolume](t, b.ask(t, "POST", "/volumes/2/lost", `{"confirm": "u-2"}`), 202)
	if l.Volume.Number != 2 || l.Volume.State != "lost" || l.Replicas != 1 || !strings.Contains(l.AtStake, "lost for good") {
		t.Errorf("%+v", l)
	}
	b.wantDone(t, "lose 2")
	b.operator.err = &master.ChangeError{Message: "the engine's sentence"}
	wantFailure(t, b.ask(t, "POST", "/volumes/2/lost", `{"confirm": "u-2"}`), 409, "Refused", "the engine's sentence")
}

func TestAdminReplicas(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	if r := wantDocument[adminapi.Replicas](t, b.ask(t, "GET", "/replicas", ""), 200); r.Replicas != 2 {
		t.Errorf("%+v", r)
	}
	wantDocument[adminapi.Replicas](t, b.ask(t, "PUT", "/replicas", `{"replicas": 3}`), 202)
	if x := wantDocument[adminapi.Bucket](t, b.ask(t, "PATCH", "/buckets/a", `{"replicas": 2}`), 202); x.Name != "a" || x.Replicas != 2 {
		t.Errorf("%+v", x)
	}
	wantDocument[adminapi.Bucket](t, b.ask(t, "PATCH", "/buckets/a", `{"replicas": 0}`), 202)
	wantDocument[adminapi.Rebalance](t, b.ask(t, "POST", "/rebalance", ""), 202)
	b.wantDone(t, `replicas "" 3`, `replicas "a" 2`, `replicas "a" 0`, "start")
	for _, body := range []string{`{"replicas": 0}`, `{"replicas": 9}`, `{}`} {
		wantFailure(t, b.ask(t, "PUT", "/replicas", body), 400, "InvalidArgument", "want 1 to 8")
	}
	wantFailure(t, b.ask(t, "PUT", "/replicas", ""), 400, "InvalidRequest", "a body is needed")
	wantFailure(t, b.ask(t, "GET", "/replicas", "{}"), 400, "InvalidRequest", "no body")
	wantFailure(t, b.ask(t, "POST", "/rebalance", "{}"), 400, "InvalidRequest", "no body")
	wantFailure(t, b.ask(t, "PATCH", "/buckets/a", `{"replicas": 9}`), 400, "InvalidArgument", "want 1 to 8, or 0")
	wantFailure(t, b.ask(t, "PATCH", "/buckets/a", `{"replicas": -1}`), 400, "InvalidArgument", "want 1 to 8, or 0")
	wantFailure(t, b.ask(t, "PATCH", "/buckets/a", "{}"), 400, "InvalidArgument", "nothing to change")
	wantFailure(t, b.ask(t, "PATCH", "/buckets/a", ""), 400, "InvalidRequest", "a body is needed")
	b.operator.err = &master.ChangeError{Message: "the engine's sentence"}
	wantFailure(t, b.ask(t, "PUT", "/replicas", `{"replicas": 3}`), 409, "Refused", "the engine's sentence")
	wantFailure(t, b.ask(t, "PATCH", "/buckets/a", `{"replicas": 3}`), 409, "Refused", "the engine's sentence")
	wantFailure(t, b.ask(t, "POST", "/rebalance", ""), 409, "Refused", "the engine's sentence")
	b.operator.err = &meta.Error{Kind: meta.KindNoSuchBucket}
	wantFailure(t, b.ask(t, "PATCH", "/buckets/nobody", `{"replicas": 3}`), 404, "NoSuchBucket", "")
}

func TestAdminDamage(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	all := wantDocument[adminapi.Damages](t, b.ask(t, "GET", "/damage", ""), 200)
	if len(all.Damage) != 2 || all.Next != "" || all.Damage[0].Cause != "gone" || all.Damage[0].Size != 5 || all.Damage[1].Part != 3 || all.Damage[1].VersionID != "v2" {
		t.Errorf("%+v", all)
	}
	page := wantDocument[adminapi.Damages](t, b.ask(t, "GET", "/damage?limit=1", ""), 200)
	if len(page.Damage) != 1 || page.Damage[0].Key != "k1" || page.Next == "" {
		t.Errorf("%+v", page)
	}
	page = wantDocument[adminapi.Damages](t, b.ask(t, "GET", "/damage?limit=2&after="+page.Next, ""), 200)
	if len(page.Damage) != 1 || page.Damage[0].Key != "k2" || page.Next != "" {
		t.Errorf("%+v", page)
	}
	b.wantDone(t, "damage after , 100", "damage after , 1", "damage after 01, 2")
	wantFailure(t, b.ask(t, "GET", "/damage?limit=0", ""), 400, "InvalidArgument", "want 1 to 1000")
	wantFailure(t, b.ask(t, "GET", "/damage?limit=1001", ""), 400, "InvalidArgument", "want 1 to 1000")
	wantFailure(t, b.ask(t, "GET", "/damage?after=%21", ""), 400, "InvalidArgument", "after")
	wantFailure(t, b.ask(t, "GET", "/damage", "{}"), 400, "InvalidRequest", "no body")
	b.operator.err = errors.New("broken")
	wantFailure(t, b.ask(t, "GET", "/damage", ""), 500, "InternalError", "")
}

// TestAdminStats: requests are counted under their operations, with their bytes,
// and how long they took.
func TestAdminStats(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	b.do("PUT", "/set/key", "value")
	b.do("GET", "/get/key", "")
	b.do("GET", "/get/key", "")
	b.store.err = errSecretCause
	b.do("GET", "/get/key", "")
	s := wantDocument[adminapi.Stats](t, b.ask(t, "GET", "/stats", ""), 200)
	if s.At.Before(s.Started) || len(s.LatencyBounds) != len(latency.Bounds()) {
		t.Errorf("%+v", s)
	}
	counted := map[string]adminapi.OperationStats{}
	for _, o := range s.Operations {
		counted[o.Name] = o
		total := uint64(0)
		for _, n := range o.Latency {
			total += n
		}
		if total != o.Requests || len(o.Latency) != len(s.LatencyBounds)+1 {
			t.Errorf("%+v", o)
		}
	}
	if o := counted["NativeSet"]; o.Requests != 1 || o.Failed != 0 || o.BytesIn != 5 {
		t.Errorf("%+v", o)
	}
	if o := counted["NativeGet"]; o.Requests != 3 || o.Failed != 1 || o.BytesOut < 10 || o.BytesIn != 0 {
		t.Errorf("%+v", o)
	}
	if v := s.Volumes; len(v) != 1 || v[0].Number != 1 || v[0].Reads != 2 || v[0].Writes != 3 || v[0].Deletes != 4 || v[0].Failed != 5 || v[0].BytesRead != 6 || v[0].BytesWritten != 7 || v[0].WriteLatency == nil {
		t.Errorf("%+v", v)
	}
	wantFailure(t, b.ask(t, "GET", "/stats", "{}"), 400, "InvalidRequest", "no body")
}
