package master_test

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb/memdb"
	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// BenchmarkGet64M reads an object of 64 MiB whole from volumes on disk.
func BenchmarkGet64M(b *testing.B) {
	body := randomBody(64 << 20)
	for _, c := range []struct {
		name  string
		class string
		lost  int // shards
	}{{"1 copy", "", 0}, {"4+2", "COLD", 0}, {"4+2, two lost", "COLD", 2}} {
		b.Run(c.name, func(b *testing.B) {
			e, volumes := benchEngine(b)
			req := meta.PutRequest{Bucket: bucket, Key: "k", Owner: "me", Size: int64(len(body))}
			req.Headers.StorageClass = c.class
			o, err := e.PutObject(bg, req, newPayload(body))
			if err != nil {
				b.Fatal(err)
			}
			for _, p := range o.Extents[0].Pieces[:c.lost] {
				if err := volumes[p.Volume].Delete(bg, []volume.BlobID{volume.BlobID(p.Blob)}); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := e.OpenObject(bg, bucket, "k", "")
				if err != nil {
					b.Fatal(err)
				}
				rc, err := r.Range(bg, 0, o.Size)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := rc.(io.WriterTo).WriteTo(io.Discard); err != nil || n != o.Size {
					b.Fatal(n, err)
				}
				_, _ = rc.Close(), r.Close()
			}
		})
	}
}

// benchEngine returns an engine over six volumes on disk, by their numbers.
func benchEngine(b *testing.B) (*master.Engine, map[meta.VolumeID]*volume.Store) {
	b.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	cfg := master.Config{DB: memdb.New(), Logger: quiet, Classes: map[string]master.Class{"COLD": {Code: code42}}}
	named := map[string]*volume.Store{}
	dir := b.TempDir()
	for i := range code42.Shards() {
		name := filepath.Join(dir, fmt.Sprint("volume", i))
		v, err := volume.Open(volume.Config{FS: vfs.OS(), Dir: name, Logger: quiet, Reserve: -1})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = v.Close() })
		named[name] = v
		cfg.Volumes = append(cfg.Volumes, master.Volume{Name: name, Blobs: v})
	}
	e, err := master.Open(bg, cfg)
	if err != nil {
		b.Fatal(err)
	}
	if err := e.CreateBucket(bg, meta.Bucket{Name: bucket, Owner: "me"}); err != nil {
		b.Fatal(err)
	}
	volumes := map[meta.VolumeID]*volume.Store{}
	for _, v := range e.Topology().Volumes {
		volumes[v.Number] = named[v.Name]
	}
	return e, volumes
}
