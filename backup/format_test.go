package backup

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden backup")

// goldenRow is a row with bodies of every shape.
func goldenRow() Row {
	return Row{Key: []byte("o\x00key"), Value: []byte("value"), Bodies: []Body{
		{ID: ID{1, 2, 3}, Size: runLen + 5, runs: []run{{0, 16, 0xAABBCCDD}, {1, 300, 1}}}, {ID: ID{4}, Size: 0},
	}}
}

// TestGoldenFormat pins every byte that docs/formats.md draws.
func TestGoldenFormat(t *testing.T) {
	t.Parallel()
	r := goldenRow()
	p := newPackBuilder(nil)
	p.add(runID{ID{1, 2, 3}, 7}, []byte("a run"))
	p.add(runID{ID{4}, 0}, []byte("another"))
	pack := p.seal()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	manifest, err := sealDocument(Manifest{
		Format: Format, ID: "20260102T030405Z-0a1b2c3d", Cluster: "c", Created: at, Finished: at, Program: "p", Base: "b", Rows: 1, Bodies: 2, Bytes: 3, NewBytes: 4,
		RowFiles: []Sum{{5, "aa"}}, Packs: Sum{6, "bb"},
	})
	if err != nil {
		t.Fatal(err)
	}
	place, err := sealDocument(mark{Format: Format, Kind: markKind, Created: at})
	if err != nil {
		t.Fatal(err)
	}
	var now bytes.Buffer
	fmt.Fprintf(&now, "row: %x\npack: %x\ntable: %x\nrows header: %x\nmanifest: %s\nplace: %s\n", appendRow(nil, &r), pack,
		sealTable([]packRef{{sum: sha256.Sum256(pack), size: uint32(len(pack)), used: 12}}), appendHeader(nil, rowsMagic, 3), manifest, place)
	file := filepath.Join("testdata", "format.txt")
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, now.Bytes(), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, now.Bytes()) {
		t.Errorf("%v; now:\n%s", err, now.Bytes())
	}
}

// TestGoldenBackup: a backup that was made by the first program that made any is
// read by every later one.
func TestGoldenBackup(t *testing.T) {
	t.Parallel()
	file := filepath.Join("testdata", "backup-1.tar")
	f, at := newFakeStore(), newClock()
	f.add("no body")
	f.add("bodies", []byte("first"), nil, bytes.Repeat([]byte("long"), 1000))
	if *update {
		if err := os.Remove(file); err != nil && !absent(err) {
			t.Fatal(err)
		}
		w, err := NewFile(file)
		if err != nil {
			t.Fatal(err)
		}
		mustCreate(t, w, f, Options{Clock: at.now, Program: "golden"})
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	a, err := OpenArchive(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	wantBackup(t, a, nil, "", f.want())
	wantVerified(t, a, nil)
}

// FuzzFormat: whatever a file holds, reading it ends in what was written or in an
// error that says so.
func FuzzFormat(f *testing.F) {
	r := goldenRow()
	p := newPackBuilder(nil)
	p.add(runID{ID{1}, 0}, []byte("a run"))
	codec, err := newRowsCodec()
	if err != nil {
		f.Fatal(err)
	}
	doc, err := sealDocument(Manifest{Format: Format, ID: "x"})
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{appendRow(nil, &r), p.seal(), sealTable([]packRef{{size: 1}}), codec.seal(appendRow(nil, &r), 1), doc} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := (&rowReader{b: bytes.Clone(b)}).backedUp(); err == nil {
			again, err := (&rowReader{b: appendRow(nil, &x)}).backedUp()
			if err != nil || !bytes.Equal(again.Key, x.Key) || len(again.Bodies) != len(x.Bodies) {
				t.Errorf("%+v is not read back: %+v, %v", x, again, err)
			}
		}
		wantBad := func(err error) {
			if err != nil && !IsBad(err) {
				t.Errorf("an error of no kind: %v", err)
			}
		}
		_, err := (&rowReader{b: bytes.Clone(b)}).spooled()
		wantBad(err)
		index, err := checkPack(b, sha256.Sum256(b))
		wantBad(err)
		if slices.ContainsFunc(index, func(x indexed) bool { return int(x.offset+x.length) > len(b) }) {
			t.Errorf("a run outside of its pack: %+v", index)
		}
		_, err = openTable(b)
		wantBad(err)
		_, err = codec.open(b, 1)
		wantBad(err)
		var m Manifest
		wantBad(openDocument(b, &m))
	})
}
