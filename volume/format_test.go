package volume

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tdkvs/volume/vfs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var goldenUUID = uuid.MustParse("6ba7b810-9dad-41d1-80b4-00c04fd430c8")

// golden compares bytes with a file that holds their hex dump. The files pin
// the formats: a store written by one release is read by the next.
func golden(t *testing.T, name string, b []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".hex")
	got := hex.Dump(b)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs from its golden file:\n%s\nwant:\n%s", name, got, want)
	}
}

func goldenRecord() (b []byte, h header) {
	id := BlobID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	payload, desc := []byte("hello, world"), []byte("{}")
	h = header{
		kind: kindBlob, id: id, payload: uint64(len(payload)), created: 1_700_000_000_000_000_000,
		durable: 64, desc: uint32(len(desc)), seg: 7, off: 4096,
	}
	b = make([]byte, h.length())
	h.encode(b, newSeed(goldenUUID))
	n := headerLen + copy(b[headerLen:], payload)
	putSum(b, n, id, 0, payload)
	finishRecord(b, n+sumLen, id, desc)
	return b, h
}

func TestGolden(t *testing.T) {
	t.Parallel()
	s := newSeed(goldenUUID)
	record, h := goldenRecord()
	golden(t, "record", record)
	tomb := header{kind: kindTombstone, id: h.id, payload: place(7, 4096), created: h.created, durable: 128, seg: 8, off: 192}
	var b [headerLen]byte
	tomb.encode(b[:], s)
	golden(t, "tombstone", b[:])
	golden(t, "segment", encodeSegmentHeader(7, goldenUUID, h.created))
	golden(t, "footer", appendTrailer(appendRow(appendRow(nil, &h), &tomb), s, 7, 4200))
	id := identityRecord{Format: 1, Volume: goldenUUID, Cluster: "c", Created: time.Unix(0, h.created).UTC()}
	identity, err := id.encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "identity", identity)
	golden(t, "large-name", []byte(largeName(h.id, largeEntry(5<<30, h.created))))
}

func TestHeaderRoundTrip(t *testing.T) {
	t.Parallel()
	s := newSeed(goldenUUID)
	b, want := goldenRecord()
	got, ok := parseHeader(b, s, 7, 4096)
	if !ok || got != want || badPart(b, &got) != nil {
		t.Fatalf("%+v, %v; want %+v", got, ok, want)
	}
	for name, refused := range map[string]func() bool{
		"another segment": func() bool { _, ok := parseHeader(b, s, 8, 4096); return !ok },
		"another offset":  func() bool { _, ok := parseHeader(b, s, 7, 4104); return !ok },
		"another volume":  func() bool { _, ok := parseHeader(b, newSeed([16]byte{1}), 7, 4096); return !ok },
		"too short":       func() bool { _, ok := parseHeader(b[:headerLen-1], s, 7, 4096); return !ok },
	} {
		if !refused() {
			t.Errorf("%s: the header was accepted", name)
		}
	}
	for name, change := range map[string]func(*header){
		"payload too long":        func(h *header) { h.payload = maxSmallLimit + 1 },
		"descriptor too long":     func(h *header) { h.desc = MaxDescriptor + 1 },
		"durable beyond itself":   func(h *header) { h.durable = uint64(h.off) + 8 },
		"unknown kind":            func(h *header) { h.kind = 9 },
		"tombstone, descriptor":   func(h *header) { h.kind = kindTombstone },
		"mark with payload":       func(h *header) { h.kind, h.desc = kindMark, 0 },
		"large blob much too big": func(h *header) { h.seg, h.off, h.durable, h.payload = 0, 0, 0, maxLargePayload+1 },
	} {
		h := want
		change(&h)
		c := bytes.Clone(b)
		h.encode(c, s)
		if _, ok := parseHeader(c, s, h.seg, h.off); ok {
			t.Errorf("%s: the header was accepted", name)
		}
	}
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 1
		h, ok := parseHeader(c, s, 7, 4096)
		padding := i >= int(fileLen(12, 2))
		if ok && badPart(c, &h) == nil && !padding {
			t.Errorf("byte %d flipped: the record was accepted", i)
		}
	}
}

func TestLargeNames(t *testing.T) {
	t.Parallel()
	id := BlobID{0xab, 15: 1}
	for _, size := range []int64{0, 1, 1 << 32, 5<<30 + 7, maxLargePayload} {
		e := largeEntry(size, 1_700_000_000_000_000_000)
		gotID, got, ok := parseLargeName(largeName(id, e))
		if !ok || gotID != id || got != e || got.size() != size {
			t.Errorf("size %d: %s, %+v, %v", size, gotID, got, ok)
		}
	}
	for _, name := range []string{
		"", "x", id.String(), id.String() + "-1", id.String() + "-1-2-3", id.String() + "-01-2", id.String() + "--1-2",
		id.String() + "-1-zz", id.String() + "-ffffffffffffffff-1", "AB" + id.String()[2:] + "-1-2", id.String() + "-+1-2",
	} {
		if _, _, ok := parseLargeName(name); ok {
			t.Errorf("%q was accepted", name)
		}
	}
}

// memFile returns a file in memory with these bytes.
func memFile(t testing.TB, b []byte) vfs.File {
	t.Helper()
	f, err := vfs.NewMem().Create("/f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return f
}

// resum makes the sums of mutated input right, so that fuzzing reaches what lies
// behind them.
func resum(b []byte, from, at int) {
	if at+sumLen <= len(b) {
		s := newSeed(goldenUUID)
		sum := s.sum(b[from:at])
		b[at], b[at+1], b[at+2], b[at+3] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	}
}

func FuzzHeader(f *testing.F) {
	record, _ := goldenRecord()
	f.Add(record, uint32(7), uint32(4096))
	f.Add([]byte{}, uint32(0), uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, seg, off uint32) {
		s := newSeed(goldenUUID)
		b = bytes.Clone(b)
		resum(b, 0, 60)
		h, ok := parseHeader(b, s, seg, off)
		if !ok {
			return
		}
		if h.length() < headerLen || h.length()%recordAlign != 0 && seg != 0 {
			t.Fatalf("length %d", h.length())
		}
		var again [headerLen]byte
		h.encode(again[:], s)
		if !bytes.Equal(again[:], b[:headerLen]) {
			t.Fatalf("%x was read as %+v and written as %x", b[:headerLen], h, again)
		}
		if seg != 0 && int64(len(b)) >= h.length() && h.kind == kindBlob {
			_ = badPart(b[:h.length()], &h)
		}
	})
}

func FuzzFooter(f *testing.F) {
	_, h := goldenRecord()
	h.off = segmentHeaderLen
	prefix := make([]byte, segmentHeaderLen+h.length())
	f.Add(append(prefix, appendTrailer(appendRow(nil, &h), newSeed(goldenUUID), 7, int64(len(prefix)))...))
	f.Add(append(make([]byte, segmentHeaderLen), appendTrailer(nil, newSeed(goldenUUID), 7, segmentHeaderLen)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newSeed(goldenUUID)
		b = bytes.Clone(b)
		if n := len(b) - trailerLen; n >= 0 {
			at := int(b[n+12]) | int(b[n+13])<<8
			if at <= n {
				resum(b, at, n) // overwritten below where it is part of the trailer
				copy(b[n+20:n+24], b[n:n+4])
				copy(b[n:], footerMagic)
				sum := s.sum(b[at:n])
				b[n+20], b[n+21], b[n+22], b[n+23] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
			}
			resum(b, n, n+28)
		}
		rows, end, err := readFooter(memFile(t, b), s, 7, int64(len(b)))
		if errors.Is(err, errNoFooter) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(rows)%rowLen != 0 || end+int64(len(rows))+trailerLen != int64(len(b)) {
			t.Fatalf("%d bytes of rows from %d in %d", len(rows), end, len(b))
		}
		for ; len(rows) > 0; rows = rows[rowLen:] {
			h := parseRow(rows, 7)
			if int64(h.off)+h.length() > end {
				t.Fatalf("record at %d ends behind %d", h.off, end)
			}
			if !bytes.Equal(appendRow(nil, &h), rows[:rowLen]) {
				t.Fatalf("row %x was read as %+v", rows[:rowLen], h)
			}
		}
	})
}

// FuzzScan places a good record into a segment of arbitrary bytes: it is found,
// and records never overlap.
func FuzzScan(f *testing.F) {
	f.Add([]byte("garbage"), uint16(64))
	f.Add([]byte(recordMagic+recordMagic), uint16(200))
	f.Add(bytes.Repeat([]byte(recordMagic), 100), uint16(640))
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		s := newSeed(goldenUUID)
		off := max(int(at)&^7, segmentHeaderLen)
		record, h := goldenRecord()
		h.off, h.durable = uint32(off), 0
		h.encode(record, s)
		file := make([]byte, max(len(b), off+len(record)))
		copy(file, b)
		copy(file[off:], record)
		found, err := scanRecords(bytes.NewReader(file), s, 7, int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		seen, end := false, int64(segmentHeaderLen)
		for _, r := range found.records {
			if int64(r.off) < end {
				t.Fatalf("record at %d overlaps one that ends at %d", r.off, end)
			}
			end = int64(r.off) + r.length()
			seen = seen || r.off == h.off
		}
		if !seen || end != found.end || end > int64(len(file)) {
			t.Fatalf("record at %d: seen %v; end %d, %d", off, seen, end, found.end)
		}
	})
}

// TestScanAcrossWindows finds a record wherever it lies about the edges of the
// runs in which a file is read.
func TestScanAcrossWindows(t *testing.T) {
	t.Parallel()
	s := newSeed(goldenUUID)
	record, h := goldenRecord()
	for _, around := range []int{scanWindow, 2 * scanWindow, scanWindow + segmentHeaderLen, 2*scanWindow + segmentHeaderLen} {
		for off := around - 200; off < around+200; off += recordAlign {
			file := make([]byte, off+len(record))
			h.off = uint32(off)
			h.encode(record, s)
			copy(file[off:], record)
			found, err := scanRecords(bytes.NewReader(file), s, 7, int64(len(file)))
			if err != nil || len(found.records) != 1 || len(found.gaps) != 1 || found.end != int64(len(file)) {
				t.Fatalf("record at %d: %d found, end %d, %v", off, len(found.records), found.end, err)
			}
		}
	}
}

func FuzzIdentity(f *testing.F) {
	id := identityRecord{Format: 1, Volume: goldenUUID, Cluster: "c", Created: time.Unix(1, 0).UTC()}
	b, err := id.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("\ncrc32c 00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseIdentity(b)
		if err == nil && (r.Format != identityFormat || r.Volume == uuid.Nil) {
			t.Fatalf("%q was read as %+v", b, r)
		}
	})
}

func FuzzLargeName(f *testing.F) {
	f.Add(largeName(BlobID{1}, largeEntry(1<<20, 1)))
	f.Fuzz(func(t *testing.T, name string) {
		if id, e, ok := parseLargeName(name); ok && largeName(id, e) != name {
			t.Fatalf("%q was read as %s, %+v", name, id, e)
		}
	})
}

// TestIndexList pages through ids that crowd in one shard, and through spread
// ones.
func TestIndexList(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]func(i int) BlobID{
		"one shard": func(i int) BlobID { return BlobID{7, 14: byte(i >> 8), 15: byte(i)} },
		"spread":    func(i int) BlobID { return BlobID{byte(i * 37), byte(i), 14: byte(i >> 8), 15: 1} },
	} {
		var x index
		const n = 3000
		for i := range n {
			x.set(id(i), entry{seg: 1, length: uint32(i)})
		}
		x.reserve(BlobID{7, 7, 7})
		for _, limit := range []int{1, 10, 999, n, n + 1} {
			seen := 0
			for after := (BlobID{}); ; {
				page := x.list(after, limit)
				for _, info := range page {
					if bytes.Compare(info.ID[:], after[:]) <= 0 {
						t.Fatalf("%s: %s comes after %s", name, info.ID, after)
					}
					after = info.ID
				}
				seen += len(page)
				if len(page) < limit {
					break
				}
			}
			if want := n; seen != want {
				t.Errorf("%s, limit %d: %d blobs, want %d", name, limit, seen, want)
			}
		}
	}
}

func TestBuffers(t *testing.T) {
	t.Parallel()
	var p buffers
	for _, n := range []int{0, 1, 1280, 1281, 20480, 1 << 20, 10 << 20, 11 << 20} {
		b := p.get(n)
		if len(b.b) < n {
			t.Errorf("asked for %d bytes, got %d", n, len(b.b))
		}
		p.put(b)
	}
	b := p.get(1000)
	copy(b.b, "abc")
	b = p.grow(b, 3, 5000)
	if string(b.b[:3]) != "abc" || len(b.b) < 5000 {
		t.Errorf("grown to %d bytes that begin with %q", len(b.b), b.b[:3])
	}
	p.put(nil)
}

// TestTable compares the hash table with a map, with ids that collide and ids
// that do not, through growing and shrinking.
func TestTable(t *testing.T) {
	t.Parallel()
	for _, spread := range []int{16, 1000, 50_000} {
		rng := rand.New(rand.NewPCG(uint64(spread), 1))
		var tab table
		want := map[BlobID]entry{}
		for step := range 40_000 {
			id := BlobID{14: byte(rng.IntN(spread) >> 8), 15: byte(rng.IntN(spread)), 0: 1}
			// Fill at first, then empty again.
			if rng.IntN(40_000) > step {
				e := entry{seg: uint32(step + 1)}
				tab.put(id, e)
				want[id] = e
			} else {
				tab.remove(id)
				delete(want, id)
			}
			if got, ok := tab.get(id); ok != (want[id] != entry{}) || got != want[id] && ok {
				t.Fatalf("step %d: %+v, %v; want %+v", step, got, ok, want[id])
			}
			if step%1000 != 0 {
				continue
			}
			for id, e := range want {
				if got, ok := tab.get(id); !ok || got != e {
					t.Fatalf("step %d, %s: %+v, %v; want %+v", step, id, got, ok, e)
				}
			}
			if tab.used != len(want) {
				t.Fatalf("step %d: %d entries, want %d", step, tab.used, len(want))
			}
		}
	}
}

// FuzzSegmentHeader reads arbitrary bytes as the head of a segment: what is
// accepted is what would be written.
func FuzzSegmentHeader(f *testing.F) {
	f.Add(encodeSegmentHeader(7, goldenUUID, 1_700_000_000_000_000_000))
	f.Add([]byte(segmentMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		if len(b) >= segmentHeaderLen {
			sum := seed(0).sum(b[:60])
			b[60], b[61], b[62], b[63] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		}
		h, ok := parseSegmentHeader(b)
		if ok && h.version == segmentVersion {
			created := int64(binary.LittleEndian.Uint64(b[32:]))
			if again := encodeSegmentHeader(h.num, h.volume, created); !bytes.Equal(again[:40], b[:40]) {
				t.Fatalf("%x was read as %+v", b[:40], h)
			}
		}
	})
}

// FuzzScrub reads arbitrary bytes as the place where the scrub stands: it begins
// anew, or goes on and comes to its end.
func FuzzScrub(f *testing.F) {
	f.Add([]byte(`{"format":1,"running":true,"position":{"segment":4294967295,"offset":4294967295}}`))
	f.Add([]byte(`{"format":1,"running":true,"position":{"large":true,"after":"ffffffffffffffffffffffffffffffff"}}`))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := vfs.NewMem()
		s, err := Open(Config{
			FS: fsys, Dir: "/v", Reserve: -1, ScrubBytesPerSecond: -1, Logger: slog.New(slog.DiscardHandler),
			SmallLimit: 4096, SegmentSize: 300 << 10, PreallocateStep: 4096,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), BlobID{1}, 3, strings.NewReader("abc"), nil); err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFileAtomic(fsys, s.path(scrubFile), b); err != nil {
			t.Fatal(err)
		}
		s.loadScrub()
		s.scrub(t.Context())
		if s.scrubber.at.Running {
			t.Errorf("the round did not end: %+v", s.scrubber.at)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
