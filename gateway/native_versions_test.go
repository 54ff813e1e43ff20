package gateway

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb/memdb"
	"tdkvs/s3api"
	"tdkvs/volume/volumetest"
)

// engineStore is the real engine: its readers are of a type of its own.
type engineStore struct{ *master.Engine }

func (s engineStore) OpenObject(ctx context.Context, bucket, key, version string) (s3api.ObjectReader, error) {
	return s.Engine.OpenObject(ctx, bucket, key, version)
}

// TestVersionedKeys: whatever is kept of them beneath, native keys are there or
// are not.
func TestVersionedKeys(t *testing.T) {
	t.Parallel()
	for _, v := range []meta.Versioning{meta.Unversioned, meta.VersioningEnabled, meta.VersioningSuspended} {
		t.Run("versioning "+string(v), func(t *testing.T) {
			t.Parallel()
			db := memdb.New()
			t.Cleanup(func() { _ = db.Close() }) // in memory
			engine, err := master.Open(t.Context(), master.Config{
				DB: db, Volumes: []master.Volume{{Name: "mem", Blobs: volumetest.NewMem()}}, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			b := newBench(t, func(c *Config) { c.Store = engineStore{engine} })
			b.want(t, "PUT", "/set/key", "before", 200, "")
			if v != meta.Unversioned {
				if err := engine.SetBucketVersioning(t.Context(), Bucket, v); err != nil {
					t.Fatal(err)
				}
			}
			b.want(t, "GET", "/get/key", "", 200, "before")
			for range 2 {
				for _, value := range []string{"one", "two"} {
					b.want(t, "PUT", "/set/key", value, 200, "")
					b.want(t, "GET", "/get/key", "", 200, value)
					b.want(t, "HEAD", "/get/key", "", 200, "")
				}
				b.want(t, "DELETE", "/delete/key", "", 412, "the condition of the request does not hold\n", "If-Match", etagOf("one"))
				b.want(t, "DELETE", "/delete/key", "", 204, "", "If-Match", etagOf("two"))
				for range 2 {
					b.want(t, "GET", "/get/key", "", 404, "no such key\n")
					b.want(t, "HEAD", "/get/key", "", 404, "no such key\n") // the server drops the body
					b.want(t, "GET", "/get/key", "", 404, "no such key\n", "If-None-Match", etagOf("two"), "Range", "bytes=0-0")
					b.want(t, "DELETE", "/delete/key", "", 404, "no such key\n")
					b.want(t, "DELETE", "/delete/key", "", 404, "no such key\n", "If-Match", etagOf("two"))
				}
				b.want(t, "PUT", "/set/key", "x", 404, "no such key\n", "If-Match", etagOf("two"))
				b.want(t, "PUT", "/set/key", "first again", 200, "", "If-None-Match", "*")
				b.want(t, "PUT", "/set/key", "x", 412, "the condition of the request does not hold\n", "If-None-Match", "*")
				b.want(t, "GET", "/get/key", "", 200, "first again")
				b.want(t, "DELETE", "/delete/key", "", 204, "")
			}
			b.want(t, "DELETE", "/delete/never", "", 404, "no such key\n")
			b.want(t, "GET", "/get/key?versionId=null", "", 400, "unexpected query; write a ? of the key as %3F\n")
		})
	}
}

// want sends a request and checks the answer, which never speaks of versions.
func (b *bench) want(t *testing.T, method, target, value string, status int, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := b.do(method, target, value, header...)
	if w.Code != status || w.Body.String() != body {
		t.Errorf("%s %s: got %d %q, want %d %q", method, target, w.Code, w.Body, status, body)
	}
	for name := range w.Header() {
		if lower := strings.ToLower(name); strings.Contains(lower, "version") || strings.Contains(lower, "marker") || lower == "allow" {
			t.Errorf("%s %s: header %s: %q", method, target, name, w.Header().Get(name))
		}
	}
	return w
}
