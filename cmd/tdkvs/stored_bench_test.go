package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

	"tdkvs/master"
	"tdkvs/master/metadb/badgerdb"
	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// storedObjects is how many objects BenchmarkStored reads, in turns.
const storedObjects = 2000

// BenchmarkStored is BenchmarkPipeline over a store on disk, without its journal:
// reads and listings of what lies in tables and segments by then.
func BenchmarkStored(b *testing.B) {
	p := newStoredPipeline(b)
	body := bytes.Repeat([]byte{0xA5}, 4<<10)
	p.send(b, http.MethodPut, "/bucket", nil)
	targets := make([]string, storedObjects)
	for i := range targets {
		targets[i] = fmt.Sprintf("/bucket/list/%06d", i)
		p.send(b, http.MethodPut, targets[i], body)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		b.Run(method+"-4KiB", func(b *testing.B) { p.measureInTurns(b, method, targets) })
	}
	b.Run("LIST-1000", func(b *testing.B) {
		p.measure(b, http.MethodGet, "/bucket?list-type=2&prefix=list%2F", nil)
	})
}

func newStoredPipeline(b *testing.B) *pipeline {
	b.Helper()
	quiet, dir := slog.New(slog.DiscardHandler), b.TempDir()
	db, err := badgerdb.Open(filepath.Join(dir, "meta"), badgerdb.Options{Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	blobs, err := volume.Open(volume.Config{FS: vfs.OS(), Dir: filepath.Join(dir, "data"), Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := blobs.Close(); err != nil {
			b.Error(err)
		}
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	engine, err := master.Open(b.Context(), master.Config{DB: db, Volumes: []master.Volume{{Name: "disk", Blobs: blobs}}, Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	return pipelineOf(b, engine)
}

// measureInTurns sends a request for each of the targets.
func (p *pipeline) measureInTurns(b *testing.B, method string, targets []string) {
	b.Helper()
	requests := make([]*http.Request, len(targets))
	for i, target := range targets {
		requests[i] = p.request(b, method, target, nil)
	}
	n := 0
	none := bytes.NewReader(nil)
	b.ReportAllocs()
	for b.Loop() {
		p.serve(b, requests[n%len(requests)], none)
		n++
	}
}
