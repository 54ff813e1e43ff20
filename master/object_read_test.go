package master_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

func TestRange(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	body := randomBody(200_000)
	s.put("k", body)
	s.assemble("parts", splitBody(body, 70_000, 1, 0, 129_999), 1, 2, 3, 9)
	for _, key := range []string{"k", "parts"} {
		r, err := s.OpenObject(bg, bucket, key, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range [][2]int64{
			{0, 200_000}, {0, 0}, {200_000, 0}, {0, 1}, {199_999, 1}, {65_535, 2}, {65_536, 1}, {69_999, 3}, {70_000, 1}, {70_001, 1}, {50_000, 100_000}, {71_000, 129_000},
		} {
			wantRange(t, r, body, c[0], c[1])
		}
		for _, c := range [][2]int64{{-1, 1}, {0, -1}, {0, 200_001}, {200_001, 0}, {1, 1<<63 - 1}} {
			if rc, err := r.Range(bg, c[0], c[1]); err == nil {
				t.Errorf("range %v: no error", c)
				_ = rc.Close()
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// wantRange reads a range in each of the ways that there are.
func wantRange(t *testing.T, r interface {
	Range(context.Context, int64, int64) (io.ReadCloser, error)
}, body string, offset, length int64,
) {
	t.Helper()
	want := body[offset : offset+length]
	for _, how := range []string{"Read", "WriteTo", "both"} {
		rc, err := r.Range(bg, offset, length)
		if err != nil {
			t.Fatalf("range %d+%d: %v", offset, length, err)
		}
		var got strings.Builder
		if how == "both" {
			if _, err := io.CopyN(&got, struct{ io.Reader }{rc}, length/2); err != nil {
				t.Fatal(err)
			}
		}
		if how == "Read" {
			_, err = io.Copy(&got, struct{ io.Reader }{rc})
		} else {
			_, err = rc.(io.WriterTo).WriteTo(&got)
		}
		if err != nil || got.String() != want {
			t.Fatalf("range %d+%d by %s: %s, %v", offset, length, how, brief(got.String()), err)
		}
		if n, err := rc.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("range %d+%d by %s: %d, %v at the end", offset, length, how, n, err)
		}
		if err := errors.Join(rc.Close(), rc.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := rc.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Fatalf("read after Close: %v", err)
		}
	}
}

func TestCorruptAndMissingBlobs(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 3) // not checked at the end: it is broken on purpose
	s.open()
	s.createBucket(bucket)
	o := s.put("k", strings.Repeat("x", 3*volume.BlockSize))
	piece := o.Extents[0].Pieces[0]
	v := s.volumes[piece.Volume-1]
	v.mem.Corrupt(volume.BlobID(piece.Blob), volume.BlockSize+5)
	r, err := s.OpenObject(bg, bucket, "k", "")
	if err != nil {
		t.Fatal(err)
	}
	wantRange(t, r, strings.Repeat("x", 3*volume.BlockSize), 0, volume.BlockSize)
	for _, writer := range []bool{false, true} {
		rc, err := r.Range(bg, 0, r.Object().Size)
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		if writer {
			n, err = rc.(io.WriterTo).WriteTo(io.Discard)
		} else {
			n, err = io.Copy(io.Discard, struct{ io.Reader }{rc})
		}
		wantKind(t, err, meta.KindCorrupt)
		if n != volume.BlockSize {
			t.Errorf("%d bytes before the bad block, want %d", n, volume.BlockSize)
		}
		_ = rc.Close()
	}
	if err := v.Delete(bg, []volume.BlobID{volume.BlobID(piece.Blob)}); err != nil {
		t.Fatal(err)
	}
	_, err = r.Range(bg, 0, 1)
	wantKind(t, err, meta.KindCorrupt)
	_ = r.Close()
	// A record that names a volume that is not there.
	o.Extents[0].Pieces[0].Volume = 99
	row, err := metadb.MarshalObject(&metadb.ObjectRow{Object: o})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Update(bg, func(tx metadb.Tx) error { return tx.Set(metadb.ObjectKey(bucket, "k"), row) }); err != nil {
		t.Fatal(err)
	}
	_, err = s.tryRead("k")
	wantKind(t, err, meta.KindUnavailable)
	// A record longer than its blob.
	o = s.put("short", "abc")
	o.Size, o.Extents[0].Size = 4, 4
	if row, err = metadb.MarshalObject(&metadb.ObjectRow{Object: o}); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Update(bg, func(tx metadb.Tx) error { return tx.Set(metadb.ObjectKey(bucket, "short"), row) }); err != nil {
		t.Fatal(err)
	}
	_, err = s.tryRead("short")
	wantKind(t, err, meta.KindCorrupt)
	// A record that can not be read.
	if err := s.db.Update(bg, func(tx metadb.Tx) error { return tx.Set(metadb.ObjectKey(bucket, "bad"), []byte{1, 0xFF}) }); err != nil {
		t.Fatal(err)
	}
	_, err = s.Object(bg, bucket, "bad", "")
	wantKind(t, err, meta.KindCorrupt)
}

// An error of the reader's own side is given back as it is.
func TestWriteToFailingWriter(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", strings.Repeat("x", 100_000))
	r, err := s.OpenObject(bg, bucket, "k", "")
	if err != nil {
		t.Fatal(err)
	}
	rc, err := r.Range(bg, 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rc.(io.WriterTo).WriteTo(failingWriter{}); err != errWriter { //nolint:errorlint // not wrapped: that is the point
		t.Errorf("%v, want the writer's error", err)
	}
	_, _ = rc.Close(), r.Close()
}

var errWriter = errors.New("broken pipe")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errWriter }
