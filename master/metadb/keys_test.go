package metadb_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master/metadb"
)

// name returns a short random string over bytes that make trouble in keys. With
// plain it holds no 0x00, as bucket names and upload ids do not.
func name(r *rand.Rand, plain bool) string {
	const alphabet = "\x00\x01\x02ab/\xfe\xff"
	n := r.IntN(6)
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
		for plain && b[i] == 0 {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
	}
	return string(b)
}

// row is a key of the schema beside what it was built from, in the order in
// which its kind is to be sorted.
type row struct {
	key   []byte
	parts []string
}

// kinds builds random rows of each kind; parse inverts.
var kinds = map[string]struct {
	build func(r *rand.Rand) row
	parse func(k []byte) ([]string, bool)
}{
	"bucket": {
		func(r *rand.Rand) row { b := name(r, true); return row{metadb.BucketKey(b), []string{b}} },
		func(k []byte) ([]string, bool) { b, ok := metadb.ParseBucketKey(k); return []string{b}, ok },
	},
	"object": {
		func(r *rand.Rand) row {
			b, k := name(r, true), name(r, false)
			return row{metadb.ObjectKey(b, k), []string{b, k}}
		},
		func(k []byte) ([]string, bool) { b, key, ok := metadb.ParseObjectKey(k); return []string{b, key}, ok },
	},
	"version": {
		func(r *rand.Rand) row {
			b, k, seq := name(r, true), name(r, false), r.Uint64()
			return row{metadb.VersionKey(b, k, seq), []string{b, k, fmt.Sprintf("%016x", ^seq)}}
		},
		func(k []byte) ([]string, bool) {
			b, key, seq, ok := metadb.ParseVersionKey(k)
			return []string{b, key, fmt.Sprintf("%016x", ^seq)}, ok
		},
	},
	"upload": {
		func(r *rand.Rand) row {
			b, k, id := name(r, true), name(r, false), name(r, true)
			return row{metadb.UploadKey(b, k, id), []string{b, k, id}}
		},
		func(k []byte) ([]string, bool) {
			b, key, id, ok := metadb.ParseUploadKey(k)
			return []string{b, key, id}, ok
		},
	},
	"part": {
		func(r *rand.Rand) row {
			id, n := name(r, true), r.IntN(1<<16)
			return row{metadb.PartKey(id, n), []string{id, fmt.Sprintf("%05d", n)}}
		},
		func(k []byte) ([]string, bool) {
			id, n, ok := metadb.ParsePartKey(k)
			return []string{id, fmt.Sprintf("%05d", n)}, ok
		},
	},
	"manifest": {
		func(r *rand.Rand) row {
			id, m, c := name(r, true), name(r, true), r.Uint32()
			return row{metadb.ManifestKey(id, m, c), []string{id, m, fmt.Sprintf("%08x", c)}}
		},
		func(k []byte) ([]string, bool) {
			id, m, c, ok := metadb.ParseManifestKey(k)
			return []string{id, m, fmt.Sprintf("%08x", c)}, ok
		},
	},
	"completed": {
		func(r *rand.Rand) row { id := name(r, true); return row{metadb.CompletedKey(id), []string{id}} },
		func(k []byte) ([]string, bool) { id, ok := metadb.ParseCompletedKey(k); return []string{id}, ok },
	},
	"garbage": {
		func(r *rand.Rand) row {
			due, random := time.UnixMilli(r.Int64N(1<<47)).UTC(), [8]byte{byte(r.IntN(3)), byte(r.IntN(256))}
			return row{metadb.GarbageKey(due, random), []string{due.Format("2006-01-02T15:04:05.000"), string(random[:])}}
		},
		func(k []byte) ([]string, bool) {
			due, random, ok := metadb.ParseGarbageKey(k)
			return []string{due.Format("2006-01-02T15:04:05.000"), string(random[:])}, ok
		},
	},
	"repair": {
		func(r *rand.Rand) row {
			due, random := time.UnixMilli(r.Int64N(1<<47)).UTC(), [8]byte{byte(r.IntN(3)), byte(r.IntN(256))}
			return row{metadb.RepairKey(due, random), []string{due.Format("2006-01-02T15:04:05.000"), string(random[:])}}
		},
		func(k []byte) ([]string, bool) {
			due, random, ok := metadb.ParseRepairKey(k)
			return []string{due.Format("2006-01-02T15:04:05.000"), string(random[:])}, ok
		},
	},
	"damage": {
		func(r *rand.Rand) row {
			b, k, seq, part := name(r, true), name(r, false), r.Uint64(), r.IntN(10001)
			return row{metadb.DamageKey(b, k, seq, part), []string{b, k, fmt.Sprintf("%016x", seq), fmt.Sprintf("%05d", part)}}
		},
		func(k []byte) ([]string, bool) {
			b, key, seq, part, ok := metadb.ParseDamageKey(k)
			return []string{b, key, fmt.Sprintf("%016x", seq), fmt.Sprintf("%05d", part)}, ok
		},
	},
	"usage": {
		func(r *rand.Rand) row { b := name(r, true); return row{metadb.UsageKey(b), []string{b}} },
		func(k []byte) ([]string, bool) { b, ok := metadb.ParseUsageKey(k); return []string{b}, ok },
	},
	"config": {
		func(r *rand.Rand) row {
			b, kind := name(r, true), name(r, false)
			return row{metadb.ConfigKey(b, kind), []string{b, kind}}
		},
		func(k []byte) ([]string, bool) { b, kind, ok := metadb.ParseConfigKey(k); return []string{b, kind}, ok },
	},
	"topology": {
		func(*rand.Rand) row { return row{metadb.TopologyKey(), nil} },
		func(k []byte) ([]string, bool) { return nil, string(k) == "t" },
	},
	"identity": {
		func(*rand.Rand) row { return row{metadb.IdentityKey(), nil} },
		func(k []byte) ([]string, bool) { return nil, string(k) == "i" },
	},
}

// The order of keys is that of what they are built from, component by component;
// keys collide only where all components are equal; parsing inverts building,
// and no kind parses another's key.
func TestKeysOrderAndInverse(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for kind, k := range kinds {
		for range 4000 {
			a, b := k.build(r), k.build(r)
			if got, want := bytes.Compare(a.key, b.key), slices.Compare(a.parts, b.parts); got != want {
				t.Fatalf("%s: %q and %q compare %d as keys, %d as names", kind, a.parts, b.parts, got, want)
			}
			if parts, ok := k.parse(a.key); !ok || !slices.Equal(parts, a.parts) {
				t.Fatalf("%s: %q parses to %q, %v", kind, a.parts, parts, ok)
			}
			for other, o := range kinds {
				if _, ok := o.parse(a.key); ok && other != kind {
					t.Fatalf("a key of kind %s, %q, parses as %s", kind, a.key, other)
				}
			}
		}
	}
}

// within reports whether a key lies in a range.
func within(k []byte, r metadb.Range) bool {
	return bytes.Compare(k, r.Start) >= 0 && (r.End == nil || bytes.Compare(k, r.End) < 0)
}

// Every range holds exactly the keys that it is for.
func TestRanges(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	check := func(what string, k []byte, rng metadb.Range, want bool, about ...any) {
		t.Helper()
		if within(k, rng) != want {
			t.Fatalf("%s: key %q in range %q to %q: %v, want %v (%q)", what, k, rng.Start, rng.End, !want, want, about)
		}
	}
	for range 10000 {
		b, b2, k, k2 := name(r, true), name(r, true), name(r, false), name(r, false)
		id, id2, m, m2 := name(r, true), name(r, true), name(r, true), name(r, true)
		if r.IntN(2) == 0 {
			b2, id2 = b, id
		}
		under := b == b2 && strings.HasPrefix(k, k2)
		check("objects", metadb.ObjectKey(b, k), metadb.ObjectRange(b2, k2), under, b, k, b2, k2)
		check("versions", metadb.VersionKey(b, k, 7), metadb.VersionsRange(b2, k2), under, b, k, b2, k2)
		check("versions of a key", metadb.VersionKey(b, k, 7), metadb.VersionRange(b2, k2), b == b2 && k == k2)
		check("uploads", metadb.UploadKey(b, k, id), metadb.UploadsRange(b2, k2), under, b, k, b2, k2)
		check("uploads of a key", metadb.UploadKey(b, k, id), metadb.UploadRange(b2, k2), b == b2 && k == k2)
		check("buckets", metadb.BucketKey(b), metadb.BucketRange(b2), strings.HasPrefix(b, b2))
		check("config", metadb.ConfigKey(b, k), metadb.ConfigRange(b2), b == b2)
		n, after := r.IntN(5), r.IntN(5)-1
		check("parts", metadb.PartKey(id, n), metadb.PartRange(id2, after), id == id2 && n > after, id, n, after)
		check("manifest", metadb.ManifestKey(id, m, 3), metadb.ManifestRange(id2, m2), id == id2 && m == m2)
		check("manifests", metadb.ManifestKey(id, m, 3), metadb.ManifestsRange(id2), id == id2)
		due, at := time.UnixMilli(r.Int64N(4)), time.UnixMilli(r.Int64N(4))
		check("garbage due", metadb.GarbageKey(due, [8]byte{0xFF}), metadb.GarbageDue(at), !due.After(at), due, at)
		check("garbage", metadb.GarbageKey(due, [8]byte{0xFF}), metadb.GarbageRange(), true)
		check("repair due", metadb.RepairKey(due, [8]byte{0xFF}), metadb.RepairDue(at), !due.After(at), due, at)
		check("repair", metadb.RepairKey(due, [8]byte{0xFF}), metadb.RepairRange(), true)
		check("damage of a key", metadb.DamageKey(b, k, 1, 2), metadb.DamageRange(b, k2), k == k2, k, k2)
		check("damage", metadb.DamageKey(b, k, 1, 2), metadb.AllDamage(), true)
		// What follows a key is above all its uploads and below the next key's.
		check("seek past a key", metadb.UploadKey(b, k, id), metadb.Range{Start: metadb.UploadRange(b, k2).End}, k > k2, k, k2)
	}
}

func TestPrefixEndAndAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ prefix, end string }{
		{"a", "b"}, {"a\xff", "b"}, {"a\xff\xff", "b"}, {"a\x00", "a\x01"}, {"az", "a{"},
	} {
		if got := metadb.PrefixEnd([]byte(c.prefix)); string(got) != c.end {
			t.Errorf("PrefixEnd(%q) = %q, want %q", c.prefix, got, c.end)
		}
	}
	for _, p := range []string{"", "\xff", "\xff\xff"} {
		if got := metadb.PrefixEnd([]byte(p)); got != nil {
			t.Errorf("PrefixEnd(%q) = %q, want nil", p, got)
		}
	}
	p := []byte("a\xfe")
	metadb.PrefixEnd(p)
	if string(p) != "a\xfe" {
		t.Errorf("PrefixEnd changed its argument to %q", p)
	}
	if got := metadb.After([]byte("a")); string(got) != "a\x00" {
		t.Errorf("After = %q", got)
	}
	for _, c := range []struct {
		r     metadb.Range
		empty bool
	}{
		{metadb.Range{}, false}, {metadb.Range{Start: []byte("a")}, false},
		{metadb.Range{Start: []byte("a"), End: []byte("a")}, true},
		{metadb.Range{Start: []byte("a"), End: []byte("b")}, false},
	} {
		if c.r.Empty() != c.empty {
			t.Errorf("%q to %q: Empty is %v", c.r.Start, c.r.End, !c.empty)
		}
	}
}

// Garbage from before 1970 is due first, not last.
func TestGarbageBeforeEpoch(t *testing.T) {
	t.Parallel()
	early, now := metadb.GarbageKey(time.Unix(-5, 0), [8]byte{}), metadb.GarbageKey(time.Now(), [8]byte{})
	if bytes.Compare(early, now) >= 0 {
		t.Errorf("%x is not below %x", early, now)
	}
	if !within(early, metadb.GarbageDue(time.Unix(-9, 0))) {
		t.Error("not due before 1970")
	}
}

// FuzzParseKeys feeds arbitrary bytes to every parser: none may panic, and what
// one accepts must build the same key again.
func FuzzParseKeys(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, k := range kinds {
		f.Add(k.build(r).key)
	}
	f.Add([]byte("vb\x00a\x00"))
	f.Add([]byte("ub\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, k []byte) {
		rebuilt := map[string][]byte{}
		if b, ok := metadb.ParseBucketKey(k); ok {
			rebuilt["bucket"] = metadb.BucketKey(b)
		}
		if b, key, ok := metadb.ParseObjectKey(k); ok {
			rebuilt["object"] = metadb.ObjectKey(b, key)
		}
		if b, key, seq, ok := metadb.ParseVersionKey(k); ok {
			rebuilt["version"] = metadb.VersionKey(b, key, seq)
		}
		if b, key, id, ok := metadb.ParseUploadKey(k); ok {
			rebuilt["upload"] = metadb.UploadKey(b, key, id)
		}
		if id, n, ok := metadb.ParsePartKey(k); ok {
			rebuilt["part"] = metadb.PartKey(id, n)
		}
		if id, m, c, ok := metadb.ParseManifestKey(k); ok {
			rebuilt["manifest"] = metadb.ManifestKey(id, m, c)
		}
		if due, random, ok := metadb.ParseGarbageKey(k); ok && due.UnixMilli() >= 0 {
			rebuilt["garbage"] = metadb.GarbageKey(due, random)
		}
		if b, kind, ok := metadb.ParseConfigKey(k); ok {
			rebuilt["config"] = metadb.ConfigKey(b, kind)
		}
		for kind, again := range rebuilt {
			if !bytes.Equal(again, k) {
				t.Errorf("%s: %q parses, and builds %q", kind, k, again)
			}
		}
	})
}

// FuzzEscaping compares two keys through the escaped form.
func FuzzEscaping(f *testing.F) {
	f.Add("a", "a\x00", "x", "y")
	f.Add("a\x00", "a\x01", "", "")
	f.Add("a", "ab", "\xff", "")
	f.Fuzz(func(t *testing.T, a, b, ida, idb string) {
		got := bytes.Compare(metadb.UploadKey("q", a, ida), metadb.UploadKey("q", b, idb))
		if want := cmp.Or(strings.Compare(a, b), strings.Compare(ida, idb)); got != want {
			t.Errorf("(%q, %q) and (%q, %q) compare %d, want %d", a, ida, b, idb, got, want)
		}
	})
}
