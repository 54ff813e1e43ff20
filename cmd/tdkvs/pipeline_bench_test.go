package main

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"tdkvs/cmd/tdkvs/bench"
	"tdkvs/master"
	"tdkvs/master/metadb/memdb"
	"tdkvs/s3api/sigv4"
	"tdkvs/volume/volumetest"
)

// BenchmarkPipeline sends signed requests through all of the program but the
// network and the disks: front, protocol, engine, volumes in memory. What
// "bare" does is what there would be to do without a store.
func BenchmarkPipeline(b *testing.B) {
	const size = 4 << 10
	body := bytes.Repeat([]byte{0xA5}, size)
	large := bytes.Repeat([]byte{0xA5}, 1<<20)
	for _, tt := range []struct {
		name, method, target string
		body                 []byte
	}{
		{"PUT-4KiB", http.MethodPut, "/bucket/key-4096", body},
		{"GET-4KiB", http.MethodGet, "/bucket/key-4096", nil},
		{"HEAD", http.MethodHead, "/bucket/key-4096", nil},
		{"PUT-1MiB", http.MethodPut, "/bucket/big-1048576", large},
		{"GET-1MiB", http.MethodGet, "/bucket/big-1048576", nil},
		{"DELETE", http.MethodDelete, "/bucket/gone-4096", nil},
		{"DELETE-100", http.MethodPost, "/bucket?delete=", deleteDocument(100)},
		{"LIST-1000", http.MethodGet, "/bucket?list-type=2&prefix=list%2F", nil},
	} {
		b.Run(tt.name, func(b *testing.B) {
			p := newPipeline(b)
			p.send(b, http.MethodPut, "/bucket", nil)
			p.send(b, http.MethodPut, "/bucket/key-4096", body)
			p.send(b, http.MethodPut, "/bucket/big-1048576", large)
			if tt.name == "LIST-1000" {
				for i := range 1000 {
					p.send(b, http.MethodPut, fmt.Sprintf("/bucket/list/%06d", i), body[:1])
				}
			}
			p.measure(b, tt.method, tt.target, tt.body)
		})
	}
	for _, tt := range []struct {
		method string
		body   []byte
	}{{http.MethodPut, body}, {http.MethodGet, nil}, {http.MethodHead, nil}} {
		b.Run("bare-"+tt.method, func(b *testing.B) {
			p := &pipeline{handler: bench.Bare()}
			p.measure(b, tt.method, "/bucket/1-4096", tt.body)
		})
	}
}

// deleteDocument asks for the deletion of n objects, which need not exist.
func deleteDocument(n int) []byte {
	doc := []byte("<Delete><Quiet>true</Quiet>")
	for i := range n {
		doc = fmt.Appendf(doc, "<Object><Key>gone/%06d</Key></Object>", i)
	}
	return append(doc, "</Delete>"...)
}

// pipeline is the handler that a process serves.
type pipeline struct {
	handler http.Handler
	keys    credentialsConfig
	answer  forgetful
}

func newPipeline(b *testing.B) *pipeline {
	b.Helper()
	quiet, db := slog.New(slog.DiscardHandler), memdb.New()
	engine, err := master.Open(b.Context(), master.Config{
		DB: db, Volumes: []master.Volume{{Name: "mem", Blobs: volumetest.NewMem()}}, Logger: quiet,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return pipelineOf(b, engine)
}

// pipelineOf is what serves an engine.
func pipelineOf(b *testing.B, engine *master.Engine) *pipeline {
	b.Helper()
	var err error
	p := &pipeline{keys: credentialsConfig{AccessKey: "AKIDBENCHMARK", SecretKey: "a secret of the benchmark"}}
	p.handler, err = front{
		engine: engine, keys: credentials{credentialsConfig: p.keys, source: fromFile}, settings: frontConfig{Region: "us-east-1"},
		log: slog.New(slog.DiscardHandler),
	}.handler()
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// request makes a signed one, without its body.
func (p *pipeline) request(b *testing.B, method, target string, body []byte) *http.Request {
	b.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		b.Fatal(err)
	}
	r := &http.Request{
		Method: method, URL: u, RequestURI: target, Host: "127.0.0.1:3000", RemoteAddr: "127.0.0.1:5555", Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body)), Body: http.NoBody,
	}
	if method == http.MethodPost {
		sum := md5.Sum(body)
		r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	signer := sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: p.keys.AccessKey, SecretKey: p.keys.SecretKey}, Region: "us-east-1"}
	if err := signer.Sign(r, "UNSIGNED-PAYLOAD", time.Now()); err != nil {
		b.Fatal(err)
	}
	return r.WithContext(b.Context())
}

func (p *pipeline) send(b *testing.B, method, target string, body []byte) {
	b.Helper()
	p.serve(b, p.request(b, method, target, body), bytes.NewReader(body))
}

// serve serves one request; the answer must be a success.
func (p *pipeline) serve(b *testing.B, r *http.Request, body *bytes.Reader) {
	if r.ContentLength > 0 {
		r.Body = io.NopCloser(body)
	}
	clear(p.answer.header)
	p.answer.status = http.StatusOK
	p.handler.ServeHTTP(&p.answer, r)
	if p.answer.status/100 != 2 {
		b.Fatalf("%s %s: status %d: %s", r.Method, r.RequestURI, p.answer.status, p.answer.start)
	}
}

func (p *pipeline) measure(b *testing.B, method, target string, body []byte) {
	b.Helper()
	r, reader := p.request(b, method, target, body), bytes.NewReader(body)
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		p.serve(b, r, reader)
	}
}

// forgetful is a response that keeps its status, and the start of its last piece
// for messages.
type forgetful struct {
	header http.Header
	status int
	start  [200]byte
}

func (f *forgetful) Header() http.Header {
	if f.header == nil {
		f.header = http.Header{}
	}
	return f.header
}

func (f *forgetful) WriteHeader(status int) { f.status = status }

func (f *forgetful) Write(p []byte) (int, error) {
	copy(f.start[:], p)
	return len(p), nil
}

func (f *forgetful) Flush()                           {}
func (f *forgetful) SetReadDeadline(time.Time) error  { return nil }
func (f *forgetful) SetWriteDeadline(time.Time) error { return nil }
func (f *forgetful) EnableFullDuplex() error          { return nil }
