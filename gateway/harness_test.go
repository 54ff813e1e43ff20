package gateway

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/s3api"
)

var _ Store = (*master.Engine)(nil)

const (
	testKey    = "AKIDEXAMPLE0TEST"
	testSecret = "a secret/with+signs"
)

// fakeStore keeps objects in memory, and fails when told to.
type fakeStore struct {
	mu       sync.Mutex
	bucket   bool
	objects  map[string]fakeObject
	err      error // what every operation fails with
	breakAt  int   // bytes after which reading a value fails; 0: never
	readErr  error
	attempts int
}

type fakeObject struct {
	meta.Object
	value []byte
}

func (s *fakeStore) Bucket(context.Context, string) (meta.Bucket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return meta.Bucket{}, s.err
	}
	if !s.bucket {
		return meta.Bucket{}, &meta.Error{Kind: meta.KindNoSuchBucket}
	}
	return meta.Bucket{Name: Bucket}, nil
}

func (s *fakeStore) CreateBucket(_ context.Context, b meta.Bucket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Name != Bucket || b.Owner == "" || b.Region == "" || b.Created.IsZero() {
		return fmt.Errorf("unexpected bucket %+v", b)
	}
	if s.bucket {
		return &meta.Error{Kind: meta.KindBucketExists}
	}
	s.bucket = true
	return nil
}

func (s *fakeStore) PutObject(_ context.Context, req meta.PutRequest, payload meta.Payload) (meta.Object, error) {
	b, err := io.ReadAll(payload)
	if err != nil {
		return meta.Object{}, &meta.Error{Kind: meta.KindInternal, Op: "put object", Err: err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	if s.err != nil {
		return meta.Object{}, s.err
	}
	if !s.bucket {
		return meta.Object{}, &meta.Error{Kind: meta.KindNoSuchBucket}
	}
	var cur *meta.Object
	if o, ok := s.objects[req.Key]; ok {
		cur = &o.Object
	}
	if err := req.Check(cur); err != nil {
		return meta.Object{}, err
	}
	o := meta.Object{Bucket: req.Bucket, Key: req.Key, Size: int64(len(b)), Owner: req.Owner, Attributes: req.Attributes,
		Modified: time.Date(2026, 3, 4, 5, 6, 7, 890, time.UTC), Digests: payload.Digests()}
	s.objects[req.Key] = fakeObject{o, b}
	return o, nil
}

func (s *fakeStore) lookup(key string) (fakeObject, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return fakeObject{}, s.err
	}
	if !s.bucket {
		return fakeObject{}, &meta.Error{Kind: meta.KindNoSuchBucket}
	}
	o, ok := s.objects[key]
	if !ok {
		return fakeObject{}, &meta.Error{Kind: meta.KindNoSuchKey, Key: key}
	}
	return o, nil
}

func (s *fakeStore) Object(_ context.Context, _, key, _ string) (meta.Object, error) {
	o, err := s.lookup(key)
	return o.Object, err
}

func (s *fakeStore) OpenObject(_ context.Context, _, key, _ string) (s3api.ObjectReader, error) {
	o, err := s.lookup(key)
	if err != nil {
		return nil, err
	}
	return fakeReader{s, o}, nil
}

func (s *fakeStore) DeleteObjects(_ context.Context, _ string, items []meta.DeleteItem) ([]meta.DeleteResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if !s.bucket {
		return nil, &meta.Error{Kind: meta.KindNoSuchBucket}
	}
	out := make([]meta.DeleteResult, len(items))
	for i, it := range items {
		var cur *meta.Object
		if o, ok := s.objects[it.Key]; ok {
			cur = &o.Object
		}
		if out[i].Err = it.Check(cur); out[i].Err == nil {
			delete(s.objects, it.Key)
		}
	}
	return out, nil
}

type fakeReader struct {
	store *fakeStore
	o     fakeObject
}

func (r fakeReader) Object() meta.Object { return r.o.Object }
func (r fakeReader) Close() error        { return nil }

func (r fakeReader) Range(_ context.Context, offset, length int64) (io.ReadCloser, error) {
	body := io.Reader(bytes.NewReader(r.o.value[offset : offset+length]))
	if r.store.readErr != nil {
		body = io.MultiReader(io.LimitReader(body, int64(r.store.breakAt)), failingReader{r.store.readErr})
	}
	return io.NopCloser(body), nil
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// lockedBuffer takes log lines from many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// bench is a gateway over a fake store.
type bench struct {
	handler http.Handler
	store   *fakeStore
	log     *lockedBuffer
	health  master.Health
}

// newBench makes a gateway; edit may change its Config. The S3 handler behind it
// answers with the path that it was given.
func newBench(t *testing.T, edit func(*Config)) *bench {
	t.Helper()
	b := &bench{store: &fakeStore{objects: map[string]fakeObject{}}, log: new(lockedBuffer), health: master.Health{Ready: true}}
	cfg := Config{
		S3: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Served-By", "s3")
			_, _ = io.WriteString(w, r.URL.EscapedPath())
		}),
		Store:       b.store,
		Health:      func(context.Context) master.Health { return b.health },
		Admin:       Admin{Operator: newFakeOperator()},
		Credentials: RootCredentials(testKey, testSecret),
		Logger:      slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		HostID:      "test-host",
	}
	if edit != nil {
		edit(&cfg)
	}
	var err error
	if b.handler, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return b
}

// do sends a request with the right credentials, unless it has others. Header
// fields come in pairs.
func (b *bench) do(method, target, value string, header ...string) *httptest.ResponseRecorder {
	var r *http.Request
	if value == "" {
		r = httptest.NewRequest(method, "/", nil)
	} else {
		r = httptest.NewRequest(method, "/", strings.NewReader(value))
	}
	return b.send(r, target, header...)
}

func (b *bench) send(r *http.Request, target string, header ...string) *httptest.ResponseRecorder {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		panic(err)
	}
	r.URL, r.Host, r.RequestURI = u, "127.0.0.1:3000", target
	r.RemoteAddr = "127.0.0.1:5555"
	r.SetBasicAuth(testKey, testSecret)
	for i := 0; i < len(header); i += 2 {
		switch header[i] {
		case "Host":
			r.Host = header[i+1]
		case "Remote":
			r.RemoteAddr = header[i+1]
		default:
			r.Header.Set(header[i], header[i+1])
			if header[i+1] == "" {
				r.Header.Del(header[i])
			}
		}
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

func etagOf(value string) string {
	sum := md5.Sum([]byte(value))
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// wantText checks an error of the native routes: one line of plain text.
func wantText(t *testing.T, w *httptest.ResponseRecorder, status int, text string) {
	t.Helper()
	body := w.Body.String()
	if w.Code != status || !strings.Contains(body, text) {
		t.Errorf("got %d %q, want %d with %q", w.Code, body, status, text)
	}
	if got := w.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
	if strings.Count(body, "\n") != 1 || !strings.HasSuffix(body, "\n") {
		t.Errorf("%q is not one line", body)
	}
}

var errSecretCause = errors.New("disk /dev/sdz9 said no")
