package s3api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
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
	"tdkvs/master/metadb/memdb"
	"tdkvs/s3api"
	"tdkvs/s3api/checksum"
	"tdkvs/s3api/sigv4"
	"tdkvs/volume/volumetest"
)

const (
	rootKey    = "AKIDROOT"
	rootSecret = "root-secret"
	userKey    = "AKIDUSER"
	userSecret = "user-secret"
	region     = "eu-test-1"
	account    = "123456789012"
	owner      = "0000000000000000000000000000000000000000000000000000000000000abc"
	hostID     = "host-1"
)

// server is the handler over the real engine, in memory, behind a real HTTP
// server.
type server struct {
	t      *testing.T
	http   *httptest.Server
	blobs  *volumetest.Mem
	hooks  *hooks
	client *http.Client
	cfg    s3api.Config

	mu     sync.Mutex // owns what follows
	idle   *sync.Cond // active may have become zero
	active int        // requests being served
	info   s3api.RequestInfo
}

// hooks is a backend whose methods a test may replace.
type hooks struct {
	s3api.Backend
	createBucket   func(context.Context, meta.Bucket) error
	bucket         func(context.Context, string) (meta.Bucket, error)
	bucketConfig   func(context.Context, string, string) ([]byte, error)
	putObject      func(context.Context, meta.PutRequest, meta.Payload) (meta.Object, error)
	openObject     func(context.Context, string, string, string) (s3api.ObjectReader, error)
	object         func(context.Context, string, string, string) (meta.Object, error)
	deleteObjects  func(context.Context, string, []meta.DeleteItem) ([]meta.DeleteResult, error)
	completeUpload func(context.Context, meta.CompleteRequest) (meta.Object, error)
}

func (h *hooks) CreateBucket(ctx context.Context, b meta.Bucket) error {
	if h.createBucket != nil {
		return h.createBucket(ctx, b)
	}
	return h.Backend.CreateBucket(ctx, b)
}

func (h *hooks) Bucket(ctx context.Context, name string) (meta.Bucket, error) {
	if h.bucket != nil {
		return h.bucket(ctx, name)
	}
	return h.Backend.Bucket(ctx, name)
}

func (h *hooks) BucketConfig(ctx context.Context, bucket, kind string) ([]byte, error) {
	if h.bucketConfig != nil {
		return h.bucketConfig(ctx, bucket, kind)
	}
	return h.Backend.BucketConfig(ctx, bucket, kind)
}

func (h *hooks) PutObject(ctx context.Context, req meta.PutRequest, p meta.Payload) (meta.Object, error) {
	if h.putObject != nil {
		return h.putObject(ctx, req, p)
	}
	return h.Backend.PutObject(ctx, req, p)
}

func (h *hooks) OpenObject(ctx context.Context, bucket, key, version string) (s3api.ObjectReader, error) {
	if h.openObject != nil {
		return h.openObject(ctx, bucket, key, version)
	}
	return h.Backend.OpenObject(ctx, bucket, key, version)
}

func (h *hooks) Object(ctx context.Context, bucket, key, version string) (meta.Object, error) {
	if h.object != nil {
		return h.object(ctx, bucket, key, version)
	}
	return h.Backend.Object(ctx, bucket, key, version)
}

func (h *hooks) DeleteObjects(ctx context.Context, bucket string, items []meta.DeleteItem) ([]meta.DeleteResult, error) {
	if h.deleteObjects != nil {
		return h.deleteObjects(ctx, bucket, items)
	}
	return h.Backend.DeleteObjects(ctx, bucket, items)
}

func (h *hooks) CompleteUpload(ctx context.Context, req meta.CompleteRequest) (meta.Object, error) {
	if h.completeUpload != nil {
		return h.completeUpload(ctx, req)
	}
	return h.Backend.CompleteUpload(ctx, req)
}

// backend adapts the engine: its readers are a concrete type.
type backend struct{ *master.Engine }

func (b backend) OpenObject(ctx context.Context, bucket, key, version string) (s3api.ObjectReader, error) {
	r, err := b.Engine.OpenObject(ctx, bucket, key, version)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// newServer starts a server. Options change its configuration.
func newServer(t *testing.T, options ...func(*s3api.Config)) *server {
	t.Helper()
	s := makeServer(t, options...)
	s.http.Start()
	return s
}

// newTLSServer starts a server that speaks TLS, over which SDKs send trailers.
func newTLSServer(t *testing.T) *server {
	t.Helper()
	s := makeServer(t)
	s.http.StartTLS()
	s.client.Transport = s.http.Client().Transport
	return s
}

func makeServer(t *testing.T, options ...func(*s3api.Config)) *server {
	t.Helper()
	s := &server{t: t, blobs: volumetest.NewMem()}
	s.idle = sync.NewCond(&s.mu)
	quiet := slog.New(slog.DiscardHandler)
	db := memdb.New()
	engine, err := master.Open(t.Context(), master.Config{
		DB: db, Volumes: []master.Volume{{Name: "mem", Blobs: s.blobs}}, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.hooks = &hooks{Backend: backend{engine}}
	s.cfg = s3api.Config{
		Backend: s.hooks, Credentials: lookup, Region: region, HostID: hostID, Logger: quiet,
		Owner: s3api.Identity{UserID: owner, DisplayName: "root", AccountID: account},
	}
	for _, o := range options {
		o(&s.cfg)
	}
	handler := s3api.NewHandler(s.cfg)
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := &recorder{ResponseWriter: w}
		s.mu.Lock()
		s.active++
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			s.info = recorder.info
			s.active--
			s.idle.Broadcast()
			s.mu.Unlock()
		}()
		handler.ServeHTTP(recorder, r)
	}))
	s.client = &http.Client{Transport: &http.Transport{DisableCompression: true, ExpectContinueTimeout: time.Minute}}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		s.http.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// recorder is a front end that wants to know.
type recorder struct {
	http.ResponseWriter
	info s3api.RequestInfo
}

func (r *recorder) RequestInfo() *s3api.RequestInfo { return &r.info }

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// lookup knows the root and one user.
func lookup(_ context.Context, key string) (s3api.Credential, error) {
	switch key {
	case rootKey:
		return s3api.Credential{Secret: rootSecret, Identity: s3api.Identity{
			UserID: owner, DisplayName: "root", AccountID: account, Root: true}}, nil
	case userKey:
		return s3api.Credential{Secret: userSecret, Identity: s3api.Identity{
			UserID: "user-1", DisplayName: "user", AccountID: account}}, nil
	}
	return s3api.Credential{}, s3api.ErrNoSuchAccessKey
}

// lastInfo returns what the last request turned out to be.
func (s *server) lastInfo() s3api.RequestInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.active > 0 {
		s.idle.Wait()
	}
	return s.info
}

// request is what do sends.
type request struct {
	method, path string
	body         string
	header       map[string]string
	key, secret  string // "" for root; key "-" for anonymous
	host         string
	reader       io.Reader // instead of body: sent chunked
}

// result is what came back.
type result struct {
	t      *testing.T
	status int
	header http.Header
	body   string
	err    error // reading the body
}

// new makes a signed request.
func (s *server) new(rq request) *http.Request {
	s.t.Helper()
	var body io.Reader
	switch {
	case rq.reader != nil:
		body = rq.reader
	case rq.body != "" || rq.method == http.MethodPut || rq.method == http.MethodPost:
		body = strings.NewReader(rq.body)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), rq.method, s.http.URL+rq.path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	if rq.host != "" {
		r.Host = rq.host
	}
	for k, v := range rq.header {
		r.Header.Set(k, v)
	}
	if rq.key == "-" {
		return r
	}
	c := sigv4.Credentials{AccessKey: rootKey, SecretKey: rootSecret}
	if rq.key != "" {
		c = sigv4.Credentials{AccessKey: rq.key, SecretKey: rq.secret}
	}
	payload := "UNSIGNED-PAYLOAD"
	if rq.reader == nil {
		sum := sha256.Sum256([]byte(rq.body))
		payload = hex.EncodeToString(sum[:])
	}
	if err := (sigv4.Signer{Credentials: c, Region: region}).Sign(r, payload, time.Now()); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// do sends a request and reads the answer.
func (s *server) do(rq request) *result {
	s.t.Helper()
	return s.send(s.new(rq))
}

func (s *server) send(r *http.Request) *result {
	s.t.Helper()
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return &result{t: s.t, status: resp.StatusCode, header: resp.Header, body: string(body), err: err}
}

// The verbs, for short. Headers are pairs of name and value.
func (s *server) get(path string, headers ...string) *result {
	s.t.Helper()
	return s.do(request{method: "GET", path: path, header: pairs(headers)})
}

func (s *server) head(path string, headers ...string) *result {
	s.t.Helper()
	return s.do(request{method: "HEAD", path: path, header: pairs(headers)})
}

func (s *server) put(path, body string, headers ...string) *result {
	s.t.Helper()
	return s.do(request{method: "PUT", path: path, body: body, header: pairs(headers)})
}

func (s *server) post(path, body string, headers ...string) *result {
	s.t.Helper()
	return s.do(request{method: "POST", path: path, body: body, header: pairs(headers)})
}

func (s *server) delete(path string, headers ...string) *result {
	s.t.Helper()
	return s.do(request{method: "DELETE", path: path, header: pairs(headers)})
}

func pairs(list []string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

// bucket makes a bucket.
func (s *server) bucket(name string) {
	s.t.Helper()
	s.put("/"+name, "").want(200)
}

// want fails unless the status is as expected; it returns its result.
func (r *result) want(status int) *result {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// wantHeader fails unless the headers have these values; "" means absent.
func (r *result) wantHeader(list ...string) *result {
	r.t.Helper()
	for k, v := range pairs(list) {
		if got := r.header.Get(k); got != v {
			r.t.Errorf("header %s is %q, want %q", k, got, v)
		}
	}
	return r
}

// wantBody fails unless the body is as expected.
func (r *result) wantBody(want string) *result {
	r.t.Helper()
	if r.err != nil {
		r.t.Errorf("body: %v", r.err)
	}
	if r.body != want {
		r.t.Errorf("body is %.300q, want %.300q", r.body, want)
	}
	return r
}

// wantXML fails unless the body holds all these pieces.
func (r *result) wantXML(pieces ...string) *result {
	r.t.Helper()
	if got := r.header.Get("Content-Type"); got != "application/xml" {
		r.t.Errorf("Content-Type is %q", got)
	}
	if !strings.HasPrefix(r.body, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<") {
		r.t.Errorf("body is no XML document: %.100q", r.body)
	}
	r.wellFormed()
	for _, p := range pieces {
		if !strings.Contains(r.body, p) {
			r.t.Errorf("body lacks %s: %s", p, r.body)
		}
	}
	return r
}

func (r *result) wellFormed() {
	r.t.Helper()
	d := xml.NewDecoder(strings.NewReader(r.body))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			r.t.Errorf("body is not well-formed: %v: %s", err, r.body)
			return
		}
	}
}

// wantError fails unless the answer is this error, with these elements (pairs
// of name and value).
func (r *result) wantError(status int, code, message string, fields ...string) *result {
	r.t.Helper()
	r.want(status)
	r.wantXML("<Error><Code>"+code+"</Code>", "<RequestId>"+r.header.Get("x-amz-request-id")+"</RequestId>", "<HostId>"+hostID+"</HostId>", "<Resource>")
	if message != "" {
		r.wantXML("<Message>" + strings.ReplaceAll(escape(message), "&quot;", `"`) + "</Message>")
	}
	for i := 0; i+1 < len(fields); i += 2 {
		r.wantXML("<" + fields[i] + ">" + escape(fields[i+1]) + "</" + fields[i] + ">")
	}
	return r
}

func escape(s string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err)
	}
	return strings.NewReplacer("&#34;", "&quot;", "&#39;", "'").Replace(b.String())
}

// text returns the text of the first element of this name.
func (r *result) text(name string) string {
	r.t.Helper()
	_, rest, ok := strings.Cut(r.body, "<"+name+">")
	text, _, ok2 := strings.Cut(rest, "</"+name+">")
	if !ok || !ok2 {
		r.t.Fatalf("no <%s> in %s", name, r.body)
	}
	return text
}

// texts returns the texts of all elements of this name.
func (r *result) texts(name string) []string {
	var all []string
	rest := r.body
	for {
		_, after, ok := strings.Cut(rest, "<"+name+">")
		if !ok {
			return all
		}
		text, after, _ := strings.Cut(after, "</"+name+">")
		all, rest = append(all, text), after
	}
}

// keyPath escapes a bucket and key for a request line.
func keyPath(bucket, key string) string { return "/" + bucket + "/" + url.PathEscape(key) }

func bucketOf(name string) meta.Bucket { return meta.Bucket{Name: name, Owner: owner, Region: region} }

func putOf(bucket, key string, size int64) meta.PutRequest {
	return meta.PutRequest{Bucket: bucket, Key: key, Owner: owner, Size: size}
}

func payloadOf(s string) meta.Payload {
	return checksum.NewPayload(strings.NewReader(s), checksum.Config{Size: int64(len(s))})
}
