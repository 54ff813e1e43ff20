package volumehttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// TestErrorsCrossTheWire sends each error of a store through every call.
func TestErrorsCrossTheWire(t *testing.T) {
	t.Parallel()
	var now atomic.Pointer[error]
	fail := func() error { return fmt.Errorf("here and now: %w", *now.Load()) }
	fake := &fakeBlobs{
		Mem: volumetest.NewMem(),
		put: func(_ context.Context, _ volume.BlobID, _ int64, body io.Reader, _ volume.Descriptor) error {
			_, err := io.Copy(io.Discard, body)
			return errors.Join(err, fail())
		},
		get:    func(context.Context, volume.BlobID, int64, int64) (io.ReadCloser, error) { return nil, fail() },
		verify: func(context.Context, volume.BlobID) error { return fail() },
	}
	c := serve(t, fake, ServerConfig{}, nil).dial(t, nil)
	sentinels := []error{
		volume.ErrNotFound, volume.ErrExists, volume.ErrCorrupt, volume.ErrReadOnly, volume.ErrNoSpace,
		volume.ErrWrongVolume, volume.ErrLocked, volume.ErrUnavailable, volume.ErrDenied, volume.ErrInvalid,
	}
	for _, current := range append(sentinels, errors.New("disk on fire")) {
		now.Store(&current)
		calls := map[string]error{
			"put":       c.Put(t.Context(), testID(1), -1, strings.NewReader("x"), testDescriptor),
			"large put": c.Put(t.Context(), testID(1), -1, bytes.NewReader(testData(3<<20)), testDescriptor),
			"verify":    c.Verify(t.Context(), testID(1)),
		}
		_, calls["get"] = c.Get(t.Context(), testID(1), 0, -1)
		for name, err := range calls {
			for _, sentinel := range sentinels {
				if errors.Is(err, sentinel) != errors.Is(current, sentinel) {
					t.Errorf("%s: %v: errors.Is %v", name, err, sentinel)
				}
			}
			if err == nil || !strings.Contains(err.Error(), "here and now") || !strings.Contains(err.Error(), c.String()) {
				t.Errorf("%s: %v: names neither cause nor volume", name, err)
			}
		}
	}
}

func TestNotAVolume(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 204, 301, 404, 500} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"code":"ok"}`)
		}))
		t.Cleanup(other.Close)
		checkUnavailable(t, fmt.Sprint("a web server that says ", status), other.URL)
	}
	listener := listen(t)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	checkUnavailable(t, "nobody", "http://"+listener.Addr().String())
}

func checkUnavailable(t *testing.T, what, url string) {
	t.Helper()
	c, err := NewClient(Config{URL: url, VolumeUUID: "volume"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	calls := map[string]error{
		"put":       c.Put(t.Context(), testID(1), -1, strings.NewReader("x"), testDescriptor),
		"large put": c.Put(t.Context(), testID(1), -1, bytes.NewReader(testData(3<<20)), testDescriptor),
		"verify":    c.Verify(t.Context(), testID(1)),
		"delete":    c.Delete(t.Context(), []volume.BlobID{testID(1)}),
		"claim":     c.Claim(t.Context(), "cluster"),
	}
	_, calls["get"] = c.Get(t.Context(), testID(1), 0, -1)
	_, calls["stat"] = c.Stat(t.Context(), testID(1))
	_, calls["list"] = c.List(t.Context(), volume.BlobID{}, 1)
	_, calls["status"] = c.Status(t.Context())
	for name, err := range calls {
		expectError(t, what+": "+name, err, volume.ErrUnavailable)
	}
}

func TestClientURL(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"http://10.0.0.1:3001": true, "https://volume-1.example.org/": true, "http://[::1]:3001": true,
		"": false, "10.0.0.1:3001": false, "ftp://x": false, "http://": false, "http://x/path": false,
		"http://x?y=1": false, "http://user:pass@x": false, "http://x#f": false, "http://\x7f": false,
	} {
		if _, err := NewClient(Config{URL: url}); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestLongVerify takes longer than the client waits for a silent server.
func TestLongVerify(t *testing.T) {
	t.Parallel()
	for _, outcome := range []error{nil, volume.ErrCorrupt} {
		fake := &fakeBlobs{Mem: volumetest.NewMem()}
		fake.verify = func(ctx context.Context, _ volume.BlobID) error {
			select {
			case <-time.After(time.Second):
				return outcome
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		f := serve(t, fake, ServerConfig{}, nil)
		f.server.heartbeat = 20 * time.Millisecond
		err := f.dial(t, impatient(400*time.Millisecond)).Verify(t.Context(), testID(1))
		if !errors.Is(err, outcome) {
			t.Errorf("verify: %v, want %v", err, outcome)
		}
	}
}

// TestVerifyStopsWithClient checks that nobody verifies for a client that left.
func TestVerifyStopsWithClient(t *testing.T) {
	t.Parallel()
	started, stopped := make(chan struct{}), make(chan struct{})
	fake := &fakeBlobs{Mem: volumetest.NewMem()}
	fake.verify = func(ctx context.Context, _ volume.BlobID) error {
		close(started)
		<-ctx.Done()
		close(stopped)
		return ctx.Err()
	}
	c := serve(t, fake, ServerConfig{}, nil).dial(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-started
		cancel()
	}()
	expectError(t, "verify", c.Verify(ctx, testID(1)), context.Canceled)
	<-stopped
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	put(t, mem, testID(1), testData(12345))
	s, err := NewServer(t.Context(), mem, quiet(ServerConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/-/healthz", "", 200, ""},
		{"HEAD", blobPath(testID(1)), "", 200, ""},
		{"HEAD", blobPath(testID(2)), "", 404, "not_found"},
		{"GET", blobPath(testID(2)), "", 404, "not_found"},
		{"GET", blobPath(testID(1)) + "?offset=99999", "", 400, "invalid"},
		{"GET", blobPath(testID(1)) + "?offset=x", "", 400, "invalid"},
		{"GET", blobPath(testID(1)) + "?length=x", "", 400, "invalid"},
		{"GET", "/v1/blobs/xyz", "", 400, "invalid"},
		{"GET", "/v1/blobs/xyz/stat", "", 400, "invalid"},
		{"POST", "/v1/blobs/xyz/verify", "", 400, "invalid"},
		{"PUT", "/v1/blobs/xyz", "", 400, "invalid"},
		{"DELETE", "/v1/blobs/xyz", "", 400, "invalid"},
		{"PUT", blobPath(testID(3)), "", 503, "unavailable"},
		{"GET", "/v1/blobs?limit=x", "", 400, "invalid"},
		{"GET", "/v1/blobs?after=x", "", 400, "invalid"},
		{"GET", "/v1/blobs?limit=-1", "", 200, ""},
		{"POST", "/v1/delete", `{"ids":[]}`, 200, ""},
		{"POST", "/v1/delete", `{"ids":["x"]}`, 400, "invalid"},
		{"POST", "/v1/delete", `{"ids":`, 400, "invalid"},
		{"POST", "/v1/delete", `{"ids":["` + strings.Repeat("x", maxJSON) + `"]}`, 400, "invalid"},
		{"POST", "/v1/delete", `{"ids":[""` + strings.Repeat(`,""`, pageSize) + `]}`, 400, "invalid"},
		{"POST", "/v1/claim", `[]`, 400, "invalid"},
		{"POST", "/v1/claim", `{}`, 400, "invalid"},
		{"PATCH", blobPath(testID(1)), "", 400, "invalid"},
		{"GET", "/", "", 400, "invalid"},
		{"GET", "/v2/status", "", 400, "invalid"},
		{"DELETE", blobPath(testID(1)), "", 200, ""},
		{"HEAD", blobPath(testID(1)), "", 404, "not_found"},
	}
	for _, test := range tests {
		r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set(headerVolume, s.volume)
		r.Header.Set(headerCRC, jsonChecksum([]byte(test.body)))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		path := test.path[:min(len(test.path), 60)]
		if w.Code != test.status || w.Header().Get(headerError) != test.code {
			t.Errorf("%s %s: %d %q, want %d %q: %.100s", test.method, path, w.Code, w.Header().Get(headerError), test.status, test.code, w.Body)
		}
		if test.method == "HEAD" && test.status == 200 && w.Header().Get(headerSize) != "12345" {
			t.Errorf("%s %s: size %q", test.method, path, w.Header().Get(headerSize))
		}
	}
	r := httptest.NewRequest("POST", "/v1/claim", strings.NewReader(`{"cluster":"x"}`))
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set(headerVolume, s.volume)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("a message without a checksum: %d", w.Code)
	}
}

// TestStatusIsWhole fills each field and sees it again: a new one can not be
// forgotten on the wire.
func TestStatusIsWhole(t *testing.T) {
	t.Parallel()
	var status volume.Status
	fill(reflect.ValueOf(&status).Elem(), 1)
	if got := encodeStatus(status).decode(); got != status {
		t.Errorf("%+v became %+v", status, got)
	}
}

func fill(v reflect.Value, n int) {
	for i := range v.NumField() {
		switch field := v.Field(i); field.Kind() {
		case reflect.String:
			field.SetString(fmt.Sprint("text ", n, i))
		case reflect.Int64:
			field.SetInt(int64(n*100 + i))
		case reflect.Uint64:
			field.SetUint(uint64(n*100 + i))
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Struct:
			if moment, ok := field.Addr().Interface().(*time.Time); ok {
				*moment = time.Unix(int64(n*100+i), 0)
				continue
			}
			fill(field, n+1)
		default:
			panic("a kind of field that this test can not fill: " + field.Kind().String())
		}
	}
}
