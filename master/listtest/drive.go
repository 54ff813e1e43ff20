package listtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
)

// Bucket is a bucket under test, empty and unversioned at first. Version ids are
// as S3 shows them: meta.NullVersion for the null version, also in a bucket that
// never was versioned.
type Bucket interface {
	Put(key string) (versionID string, err error)
	// Delete removes a version, or the current object where versionID is empty,
	// and returns the id of the delete marker that this makes, if it makes one.
	Delete(key, versionID string) (markerID string, err error)
	SetVersioning(v meta.Versioning) error
	Objects(req meta.ListRequest) (meta.ListPage, error)
	Versions(req meta.VersionsRequest) (meta.VersionsPage, error)
}

// Config says how a listing is tried.
type Config struct {
	Seed  uint64 // of all random choices; logged on failure
	Cases int    // pages to compare
	Keys  int    // of a bucket, about
	// Letters are what keys, prefixes and delimiters are made of.
	Letters []string
	New     func() Bucket
}

// FromEnv returns the configuration of a test that takes a share, in percent, of
// all cases: 10,000, or as many as TDKVS_MODEL_CASES says. The seed is that of
// TDKVS_SEED, or a new one.
func FromEnv(t testing.TB, percent int) Config {
	t.Helper()
	number := func(name string, def uint64) uint64 {
		text := os.Getenv(name)
		if text == "" {
			return def
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	return Config{
		Seed:    number("TDKVS_SEED", uint64(time.Now().UnixNano())),
		Cases:   int(number("TDKVS_MODEL_CASES", 10_000)) * percent / 100,
		Keys:    120,
		Letters: Letters(),
	}
}

// Letters are hard for whatever sorts, escapes or encodes: neighbors in byte
// order, delimiters, what URLs and XML give a meaning to, control characters, and
// runes of two to four bytes, the first and the last of their length among them.
func Letters() []string {
	return []string{
		"a", "b", "a", "b", "/", "/", "/", "//", ".", "..", " ", "%", "+", "%2F", "&", "<", ">", "\"", "'", "*", "~", "-", "0", "\x01", "\x02",
		"\n", "\r", "\t", "\x7f", "\u0080", "é", "ÿ", "\u07ff", "\u0800", "語", "\ufffd", "😀", "\U00010000", "\U0010ffff",
	}
}

// driver is one run.
type driver struct {
	t    testing.TB
	cfg  Config
	rand *rand.Rand
	b    Bucket
	ref  *reference
	done int // cases
}

// Run compares listings with the reference until enough pages were compared: of
// single requests, and of walks over all pages while the bucket changes.
func Run(t testing.TB, cfg Config) {
	t.Helper()
	d := &driver{t: t, cfg: cfg, rand: rand.New(rand.NewPCG(cfg.Seed, 1))}
	defer func() {
		if t.Failed() {
			t.Logf("the random choices are those of seed %d", cfg.Seed)
		}
	}()
	for round := 0; d.done < cfg.Cases && !t.Failed(); round++ {
		d.fill(round)
		for stop := min(cfg.Cases, d.done+min(20*cfg.Keys, cfg.Cases/10)); d.done < stop && !t.Failed(); {
			switch n := d.rand.IntN(20); {
			case n == 0:
				d.walkObjects()
			case n == 1:
				d.walkVersions()
			case n < 8:
				d.oneOfVersions()
			default:
				d.oneOfObjects()
			}
		}
	}
	t.Logf("%d pages compared, seed %d", d.done, cfg.Seed)
}

// fill makes a new bucket: in turn unversioned, versioned from the start, and
// with some history.
func (d *driver) fill(round int) {
	d.t.Helper()
	d.b, d.ref = d.cfg.New(), newReference()
	if round%3 == 1 {
		d.setVersioning(meta.VersioningEnabled)
	}
	for range d.cfg.Keys {
		d.put(d.key())
	}
	if round%3 == 0 {
		return
	}
	for i := range d.cfg.Keys {
		if i%(d.cfg.Keys/4+1) == 0 && round%3 == 2 {
			d.setVersioning([]meta.Versioning{meta.VersioningEnabled, meta.VersioningSuspended}[d.rand.IntN(2)])
		}
		d.change("")
	}
}

func (d *driver) setVersioning(v meta.Versioning) {
	d.t.Helper()
	if err := d.b.SetVersioning(v); err != nil {
		d.t.Fatal(err)
	}
	d.ref.state = v
}

func (d *driver) put(key string) {
	d.t.Helper()
	id, err := d.b.Put(key)
	if err != nil {
		d.t.Fatalf("put %q: %v", key, err)
	}
	d.ref.add(key, id, false)
}

func (d *driver) delete(key, id string) {
	d.t.Helper()
	marker, err := d.b.Delete(key, id)
	if err != nil {
		d.t.Fatalf("delete %q %s: %v", key, id, err)
	}
	if id != "" {
		d.ref.drop(key, id)
	} else {
		d.ref.delete(key, marker)
	}
}

// change puts or deletes something, but not a key that is spared.
func (d *driver) change(spared string) {
	d.t.Helper()
	key := d.key()
	if keys := d.ref.sorted(); len(keys) > 0 && d.rand.IntN(3) > 0 {
		key = keys[d.rand.IntN(len(keys))]
	}
	if key == spared {
		return
	}
	versions := d.ref.keys[key]
	switch n := d.rand.IntN(8); {
	case len(versions) > 0 && (n > 5 || d.ref.count > 2*d.cfg.Keys): // lest it grow and grow
		d.delete(key, versions[d.rand.IntN(len(versions))].id)
	case n < 4:
		d.put(key)
	default:
		d.delete(key, "")
	}
}

// text returns up to n letters.
func (d *driver) text(n int) string {
	var s strings.Builder
	for range d.rand.IntN(n + 1) {
		s.WriteString(d.cfg.Letters[d.rand.IntN(len(d.cfg.Letters))])
	}
	return s.String()
}

// key returns a key; many begin with one that there is.
func (d *driver) key() string {
	key := d.text(6)
	if keys := d.ref.sorted(); len(keys) > 0 && d.rand.IntN(2) == 0 {
		key = d.cut(keys[d.rand.IntN(len(keys))]) + key
	}
	// A path of dots alone is no path to every client.
	if key == "" || len(key) > 200 {
		return d.cfg.Letters[d.rand.IntN(len(d.cfg.Letters))]
	}
	return key
}

// cut returns the beginning of s, or all of it.
func (d *driver) cut(s string) string {
	runes := []rune(s)
	return string(runes[:d.rand.IntN(len(runes)+1)])
}

// prefix returns a prefix: none, of a key that there is, or of none.
func (d *driver) prefix() string {
	keys := d.ref.sorted()
	switch n := d.rand.IntN(6); {
	case n < 2 || len(keys) == 0:
		return ""
	case n < 5:
		return d.cut(keys[d.rand.IntN(len(keys))])
	}
	return d.text(3)
}

// delimiter returns a delimiter: none, the usual one, or up to four letters.
func (d *driver) delimiter() string {
	switch d.rand.IntN(4) {
	case 0:
		return ""
	case 1:
		return "/"
	}
	return d.text(4)
}

// marker returns a place to begin at: the start, a name of the listing or
// something just before or behind it, a key, or anything.
func (d *driver) marker(prefix, delimiter string, versions bool) string {
	names, _ := d.ref.names(prefix, delimiter, versions)
	if keys := d.ref.sorted(); d.rand.IntN(3) == 0 {
		names = keys
	}
	if n := d.rand.IntN(8); n < 2 || len(names) == 0 {
		return d.text(4 * (n % 2))
	}
	name := names[d.rand.IntN(len(names))]
	switch d.rand.IntN(4) {
	case 0:
		return d.cut(name)
	case 1:
		return name + d.text(2)
	}
	return name
}

func (d *driver) limit() int {
	if d.rand.IntN(3) == 0 {
		return []int{0, 1, 2, 999, 1000}[d.rand.IntN(5)]
	}
	return 1 + d.rand.IntN(20)
}

func (d *driver) oneOfObjects() {
	d.t.Helper()
	req := meta.ListRequest{Prefix: d.prefix(), Delimiter: d.delimiter(), Limit: d.limit()}
	req.After = d.marker(req.Prefix, req.Delimiter, false)
	d.compareObjects(req)
}

// compareObjects lists a page and compares it.
func (d *driver) compareObjects(req meta.ListRequest) meta.ListPage {
	d.t.Helper()
	d.done++
	got, err := d.b.Objects(req)
	if err != nil {
		d.t.Fatalf("%+v: %v", req, err)
	}
	want := d.ref.objects(req)
	if !slices.Equal(got.Prefixes, want.Prefixes) || got.Truncated != want.Truncated || got.Next != want.Next ||
		!slices.EqualFunc(got.Objects, want.Objects, func(a, b meta.Listed) bool { return a.Key == b.Key }) {
		d.t.Fatalf("objects %+v, case %d:\n got %s\nwant %s", req, d.done, showObjects(got), showObjects(want))
	}
	return got
}

func showObjects(p meta.ListPage) string {
	var keys []string
	for _, o := range p.Objects {
		keys = append(keys, o.Key)
	}
	return fmt.Sprintf("keys %q, prefixes %q, truncated %v, next %q", keys, p.Prefixes, p.Truncated, p.Next)
}

func (d *driver) oneOfVersions() {
	d.t.Helper()
	req := meta.VersionsRequest{Prefix: d.prefix(), Delimiter: d.delimiter(), Limit: d.limit()}
	req.KeyMarker = d.marker(req.Prefix, req.Delimiter, true)
	if versions := d.ref.keys[req.KeyMarker]; len(versions) > 0 && d.rand.IntN(4) > 0 {
		req.VersionIDMarker = versions[d.rand.IntN(len(versions))].id
	} else if req.KeyMarker != "" && d.rand.IntN(4) == 0 {
		req.VersionIDMarker = meta.NullVersion
	}
	d.compareVersions(req)
}

func (d *driver) compareVersions(req meta.VersionsRequest) meta.VersionsPage {
	d.t.Helper()
	d.done++
	got, err := d.b.Versions(req)
	if err != nil {
		d.t.Fatalf("%+v: %v", req, err)
	}
	want := d.ref.versions(req)
	same := func(a, b meta.Version) bool {
		return a.Key == b.Key && a.VersionID == b.VersionID && a.Latest == b.Latest && a.DeleteMarker == b.DeleteMarker
	}
	if !slices.Equal(got.Prefixes, want.Prefixes) || got.Truncated != want.Truncated || got.NextKeyMarker != want.NextKeyMarker ||
		got.NextVersionIDMarker != want.NextVersionIDMarker || !slices.EqualFunc(got.Versions, want.Versions, same) {
		d.t.Fatalf("versions %+v, case %d:\n got %s\nwant %s", req, d.done, showVersions(got), showVersions(want))
	}
	return got
}

func showVersions(p meta.VersionsPage) string {
	var s strings.Builder
	for _, v := range p.Versions {
		fmt.Fprintf(&s, "%q %s latest=%v marker=%v; ", v.Key, v.VersionID, v.Latest, v.DeleteMarker)
	}
	return fmt.Sprintf("%s prefixes %q, truncated %v, next %q %s", s.String(), p.Prefixes, p.Truncated, p.NextKeyMarker, p.NextVersionIDMarker)
}
