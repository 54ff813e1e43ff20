package journal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master/metadb"
	"tdkvs/volume"
)

var update = flag.Bool("update", false, "rewrite the golden blobs")

const testCluster = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0ff"

// commitHeader is the header of a commit of tests, without counts and sum.
func commitHeader(seq, prev uint64) Header {
	cluster, _ := ParseCluster(testCluster)
	return Header{
		Kind: volume.MetadataEntry, Cluster: cluster, Line: 1_700_000_000_000_000_001, Run: 1_700_000_000_000_000_002,
		Time: time.Unix(1_700_000_100, 5).UTC(), Seq: seq, Prev: prev,
	}
}

func set(key, value string) metadb.Change {
	return metadb.Change{Key: []byte(key), Value: []byte(value)}
}

func deleted(key string) metadb.Change { return metadb.Change{Key: []byte(key), Deleted: true} }

func sameChanges(a, b []metadb.Change) bool {
	return slices.EqualFunc(a, b, func(x, y metadb.Change) bool {
		return bytes.Equal(x.Key, y.Key) && bytes.Equal(x.Value, y.Value) && x.Deleted == y.Deleted
	})
}

func TestEntry(t *testing.T) {
	t.Parallel()
	tests := map[string][]metadb.Change{
		"one":     {set("a", "1")},
		"empty":   {set("", "")},
		"deleted": {deleted(""), deleted("a\x00"), set("b", "")},
		"long":    {set(strings.Repeat("k", 3000), strings.Repeat("v", metadb.MaxValue)), deleted("l")},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, h := encodeEntry(nil, commitHeader(7, 99), slices.Values(want))
			read, rows, err := parse(h.ID(), b)
			if err != nil || read != h {
				t.Fatalf("%+v, %v; want %+v", read, err, h)
			}
			got, err := changes(read, rows)
			if err != nil || !sameChanges(got, want) {
				t.Errorf("%v, %v", got, err)
			}
			if again, err := ParseHeader(h.Mark()); err != nil || again != h {
				t.Errorf("mark: %+v, %v", again, err)
			}
		})
	}
}

// TestEveryBit shows that no bit of an entry can change unnoticed.
func TestEveryBit(t *testing.T) {
	t.Parallel()
	b, h := encodeEntry(nil, commitHeader(7, 99), slices.Values([]metadb.Change{set("a", "1"), deleted("b")}))
	for i := range 8 * len(b) {
		bad := slices.Clone(b)
		bad[i/8] ^= 1 << (i % 8)
		if _, _, err := parse(h.ID(), bad); !errors.Is(err, ErrBad) {
			t.Errorf("bit %d of byte %d: %v", i%8, i/8, err)
		}
	}
	for n := range len(b) {
		if _, _, err := parse(h.ID(), b[:n]); !errors.Is(err, ErrBad) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestBadRows(t *testing.T) {
	t.Parallel()
	row := func(c metadb.Change) []byte { return appendRow(nil, c) }
	tests := map[string][]byte{
		"no value length": {2},
		"long key":        {200, 1, 0, 'a'},
		"long value":      {2, 9, 'a'},
		"huge lengths":    append(bytes.Repeat([]byte{0xFF}, 9), 1, 'a'),
		"order":           append(row(set("b", "")), row(set("a", ""))...),
		"twice":           append(row(set("a", "")), row(deleted("a"))...),
		"endless number":  bytes.Repeat([]byte{0xFF}, 20),
	}
	for name, b := range tests {
		h := Header{Rows: 2, Bytes: uint64(len(b))}
		if _, err := changes(h, b); !errors.Is(err, ErrBad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	one := row(set("a", ""))
	if _, err := changes(Header{Rows: 2, Bytes: uint64(len(one))}, one); !errors.Is(err, ErrBad) {
		t.Errorf("fewer rows than the header says: %v", err)
	}
	if _, err := changes(Header{Rows: 1, Bytes: 1}, one); !errors.Is(err, ErrBad) {
		t.Errorf("more bytes than the header says: %v", err)
	}
}

func TestClusterID(t *testing.T) {
	t.Parallel()
	c, err := ParseCluster(testCluster)
	if err != nil || c.String() != testCluster {
		t.Errorf("%s, %v", c, err)
	}
	for _, bad := range []string{"", "x", strings.Repeat("g", 32), testCluster + "00"} {
		if _, err := ParseCluster(bad); !errors.Is(err, ErrBad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestGolden holds the format: what is in testdata must be read for ever.
func TestGolden(t *testing.T) {
	t.Parallel()
	entry, h := encodeEntry(nil, commitHeader(1<<40, 0xFEDCBA9876543210), slices.Values([]metadb.Change{
		set("b\x00key", "value"), deleted("c"), set("d", ""), set("e", strings.Repeat("0123456789", 20)),
	}))
	blobs := [][]byte{entry}
	k := newChunker(h, func(_ Header, b []byte) error {
		blobs = append(blobs, slices.Clone(b))
		return nil
	})
	for i := range 3 {
		if i == 2 { // a second chunk, although the first is not full
			if err := k.flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.row(fmt.Appendf(nil, "key %d", i), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.finish(); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, b := range blobs {
		fmt.Fprintln(&got, hex.EncodeToString(b))
	}
	const name = "testdata/blobs.txt"
	if *update {
		if err := os.WriteFile(name, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the format has changed:\n%s\nwas\n%s", got.String(), want)
	}
}

func FuzzParse(f *testing.F) {
	golden, err := os.ReadFile("testdata/blobs.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(golden)) {
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= headerLen {
			seal(b) // or hardly any would come further
		}
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		h, rows, err := parse(h.ID(), b)
		if err != nil {
			t.Fatalf("sealed, and not read: %v", err)
		}
		all, err := changes(h, rows)
		if err != nil {
			return
		}
		again, _ := encodeEntry(nil, h, slices.Values(all))
		if read, rows, err := parse(h.ID(), again); err != nil {
			t.Errorf("encoded again: %v", err)
		} else if got, err := changes(read, rows); err != nil || !sameChanges(got, all) {
			t.Errorf("encoded again: %v, %v; want %v", got, err, all)
		}
	})
}
