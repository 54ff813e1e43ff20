package master_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
)

var modelSeed = flag.Uint64("model.seed", 0, "run the model test of versions with this seed alone")

// modelBucket is a bucket the plain way: every key with all its versions, newest
// first.
type modelBucket struct {
	versioning meta.Versioning
	lock       meta.BucketLock
	keys       map[string][]*modelVersion
}

type modelVersion struct {
	id   string // empty: the null version
	body string
	obj  meta.Object // as the engine returned it; for a marker, nothing but its time
}

func (v *modelVersion) marker() bool { return v.obj.DeleteMarker }

// shown is the id that callers see.
func (m *modelBucket) shown(v *modelVersion) string {
	if v.id == "" && m.versioning != "" {
		return "null"
	}
	return v.id
}

func (m *modelBucket) find(key, id string) *modelVersion {
	for _, v := range m.keys[key] {
		if id == "" || v.id == id || (id == "null" && v.id == "") {
			return v
		}
	}
	return nil
}

func (m *modelBucket) live(key string) *modelVersion {
	if v := m.find(key, ""); v != nil && !v.marker() {
		return v
	}
	return nil
}

func (m *modelBucket) take(key string, gone *modelVersion) {
	m.keys[key] = slices.DeleteFunc(m.keys[key], func(v *modelVersion) bool { return v == gone })
	if len(m.keys[key]) == 0 {
		delete(m.keys, key)
	}
}

// put adds the next version; one without an id takes the place of the null
// version.
func (m *modelBucket) put(key string, next *modelVersion) {
	if m.versioning != meta.VersioningEnabled {
		if null := m.find(key, "null"); null != nil {
			m.take(key, null)
		}
	}
	m.keys[key] = append([]*modelVersion{next}, m.keys[key]...)
}

func (m *modelBucket) usage() (u meta.Usage) {
	for _, versions := range m.keys {
		for i, v := range versions {
			switch size := int64(len(v.body)); {
			case v.marker():
				u.DeleteMarkers++
			case i == 0:
				u.Objects++
				u.Bytes += size
			default:
				u.Noncurrent++
				u.NoncurrentBytes += size
			}
		}
	}
	return u
}

// holds says whether a version may not be deleted.
func (v *modelVersion) holds(now time.Time, bypass bool) bool {
	r := v.obj.Lock.Retention
	if v.obj.Lock.LegalHold == meta.LegalHoldOn {
		return true
	}
	return r.Mode != "" && r.Until.After(now) && (r.Mode == meta.Compliance || !bypass)
}

// modelRun drives an engine and the model side by side.
type modelRun struct {
	*store
	m       *modelBucket
	r       *rand.Rand
	keys    []string
	ids     map[string]bool // version ids ever seen
	reopen  func()
	history []string // what was done, for a failure
}

func (x *modelRun) failf(format string, args ...any) {
	x.t.Helper()
	x.t.Fatalf("%s\nafter:\n%s", fmt.Sprintf(format, args...), strings.Join(x.history[max(0, len(x.history)-30):], "\n"))
}

func (x *modelRun) note(format string, args ...any) {
	x.history = append(x.history, fmt.Sprintf(format, args...))
}

func (x *modelRun) chance(percent int) bool { return x.r.IntN(100) < percent }

func (x *modelRun) key() string { return x.keys[x.r.IntN(len(x.keys))] }

// versionOf is an id to ask for: mostly of a version that is there.
func (x *modelRun) versionOf(key string) string {
	versions := x.m.keys[key]
	switch {
	case x.chance(10):
		return "null"
	case x.chance(10) && len(x.ids) > 0:
		return slices.Sorted(maps.Keys(x.ids))[x.r.IntN(len(x.ids))]
	case len(versions) == 0:
		return versionID(x.r.Uint64())
	}
	if id := x.m.shown(versions[x.r.IntN(len(versions))]); id != "" {
		return id
	}
	return "null"
}

// want compares an error with the kind expected; 0: none. It reports whether the
// operation succeeded.
func (x *modelRun) want(err error, kind meta.Kind) bool {
	x.t.Helper()
	if (err == nil) != (kind == 0) || (err != nil && meta.KindOf(err) != kind) {
		x.failf("error is %v, want %v", err, kind)
	}
	return err == nil
}

func (x *modelRun) condition(key string) meta.Precondition {
	switch live := x.m.live(key); {
	case x.chance(90):
		return meta.Precondition{}
	case x.chance(30) || live == nil:
		return meta.Precondition{IfNoneMatch: "*"}
	case x.chance(50):
		return meta.Precondition{IfMatch: live.obj.ETag}
	}
	return meta.Precondition{IfMatch: etag("something else")}
}

// refused is what a condition on a version (nil: none) comes to.
func refused(p meta.Precondition, v *modelVersion) meta.Kind {
	switch {
	case p.IfNoneMatch == "*" && v != nil:
		return meta.KindPreconditionFailed
	case p.IfMatch != "" && v == nil:
		return meta.KindNoSuchKey
	case p.IfMatch != "" && p.IfMatch != v.obj.ETag:
		return meta.KindPreconditionFailed
	}
	return 0
}

func (x *modelRun) attributes() meta.Attributes {
	a := meta.Attributes{UserMeta: map[string]string{"n": fmt.Sprint(x.r.IntN(100))}}
	if x.chance(30) {
		a.Tags = map[string]string{"t": fmt.Sprint(x.r.IntN(10))}
	}
	if x.chance(15) {
		a.Lock.Retention = x.retention()
	}
	if x.chance(5) {
		a.Lock.LegalHold = meta.LegalHoldOn
	}
	return a
}

func (x *modelRun) retention() meta.Retention {
	mode := meta.Governance
	if x.chance(30) {
		mode = meta.Compliance
	}
	return x.within(mode, time.Duration(x.r.IntN(72)-6)*time.Hour)
}

// stored enters a version that the engine says it has stored.
func (x *modelRun) stored(key, body string, asked meta.Attributes, o meta.Object) {
	x.t.Helper()
	v := &modelVersion{body: body, obj: o}
	switch x.m.versioning {
	case meta.VersioningEnabled:
		v.id = o.VersionID
		x.freshID(v.id)
	case meta.VersioningSuspended:
		if o.VersionID != "null" {
			x.failf("stored as %q while suspended", o.VersionID)
		}
	default:
		if o.VersionID != "" {
			x.failf("stored as %q in an unversioned bucket", o.VersionID)
		}
	}
	lock := asked.Lock
	if lock.Retention == (meta.Retention{}) && x.m.lock.Mode != "" {
		lock.Retention = meta.Retention{Mode: x.m.lock.Mode, Until: o.Modified.AddDate(x.m.lock.Years, 0, x.m.lock.Days)}
	}
	if last := x.m.find(key, ""); last != nil && !o.Modified.After(last.obj.Modified) {
		x.failf("modified %v is not after %v", o.Modified, last.obj.Modified)
	}
	if o.Lock != lock || o.Size != int64(len(body)) || !maps.Equal(o.Tags, asked.Tags) || !maps.Equal(o.UserMeta, asked.UserMeta) {
		x.failf("stored %+v, want lock %+v and %+v", o, lock, asked)
	}
	x.m.put(key, v)
}

func (x *modelRun) freshID(id string) {
	x.t.Helper()
	if len(id) != 32 || x.ids[id] {
		x.failf("version id %q is no fresh one", id)
	}
	x.ids[id] = true
}

// verify looks up every version of every key, lists them, reads the counters, and checks how the rows hang together.
func (x *modelRun) verify() {
	x.t.Helper()
	if f := x.account("bnou", "v"); len(f.problems) > 0 {
		x.failf("%s", strings.Join(f.problems, "\n"))
	}
	for _, key := range x.keys {
		versions := x.m.keys[key]
		x.lookup(key, "", x.m.find(key, ""))
		x.lookup(key, "null", x.m.find(key, "null"))
		for _, v := range versions {
			if v.id != "" {
				x.lookup(key, v.id, v)
			}
		}
	}
	var current []string
	for _, key := range slices.Sorted(maps.Keys(x.m.keys)) {
		if x.m.live(key) != nil {
			current = append(current, key)
		}
	}
	page, err := x.ListObjects(bg, meta.ListRequest{Bucket: bucket, Limit: 1000})
	var listed []string
	for _, o := range page.Objects {
		listed = append(listed, o.Key)
	}
	if err != nil || !slices.Equal(listed, current) {
		x.failf("listed %q, %v, want %q", listed, err, current)
	}
	x.listed()
	if u, err := x.Usage(bg, bucket); err != nil || u != x.m.usage() {
		x.failf("usage %+v, %v, want %+v", u, err, x.m.usage())
	}
}

// listed compares a listing of all versions, page by page.
func (x *modelRun) listed() {
	x.t.Helper()
	var want, got []string
	for _, key := range slices.Sorted(maps.Keys(x.m.keys)) {
		for i, v := range x.m.keys[key] {
			want = append(want, fmt.Sprintf("%q %q latest %v marker %v size %d", key, x.m.shown(v), i == 0, v.marker(), len(v.body)))
		}
	}
	req := meta.VersionsRequest{Bucket: bucket, Limit: 1 + x.r.IntN(20)}
	for more := true; more; {
		page, err := x.ListVersions(bg, req)
		if err != nil {
			x.failf("list versions: %v", err)
		}
		if more = page.Truncated; more && len(got) > len(want) {
			x.failf("a listing of %d versions goes on and on: %q", len(want), got)
		}
		for _, v := range page.Versions {
			got = append(got, fmt.Sprintf("%q %q latest %v marker %v size %d", v.Key, v.VersionID, v.Latest, v.DeleteMarker, v.Size))
		}
		req.KeyMarker, req.VersionIDMarker = page.NextKeyMarker, page.NextVersionIDMarker
	}
	if !slices.Equal(got, want) {
		x.failf("versions listed:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (x *modelRun) lookup(key, id string, v *modelVersion) {
	x.t.Helper()
	r, err := x.OpenObject(bg, bucket, key, id)
	kind := x.readKind(v, id)
	if err == nil {
		defer r.Close() //nolint:errcheck // only releases
	}
	if (err == nil) != (kind == 0) || (err != nil && meta.KindOf(err) != kind) {
		x.failf("open %q %q: %v, want %v", key, id, err, kind)
	}
	if e := (*meta.Error)(nil); kind == meta.KindDeleteMarker && errors.As(err, &e) {
		if e.Marker == nil || e.Marker.VersionID != x.m.shown(v) || e.Marker.Key != key || e.Marker.Modified.IsZero() {
			x.failf("%q %q: marker %+v", key, id, e.Marker)
		}
	}
	if err != nil {
		return
	}
	x.same(r.Object(), v)
	if body, err := readAll(r); err != nil || body != v.body {
		x.failf("%q %q holds %q, %v, want %q", key, id, body, err, v.body)
	}
}

// run does random operations, with a look at everything now and then.
func (x *modelRun) run(steps int, locking bool) {
	for i := range steps {
		switch n := x.r.IntN(100); {
		case n < 28:
			x.put()
		case n < 34:
			x.copyObject()
		case n < 42:
			x.upload()
		case n < 70:
			x.remove()
		case n < 88:
			x.amend()
		case n < 92:
			x.configure(locking)
		case n < 96:
			d := time.Duration(x.r.IntN(20)) * time.Hour / 4
			x.note("%v pass", d)
			x.clock.advance(d)
		case n < 98:
			x.note("collect")
			x.collect()
		default:
			x.note("restart")
			x.reopen()
		}
		if i%25 == 0 {
			x.verify()
		}
	}
	x.verify()
}

// TestVersionModel compares the engine with the model over random histories. A
// failure names its seed, which -model.seed repeats.
func TestVersionModel(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 2, 3, 4, 5, 6, uint64(time.Now().UnixNano())}
	if *modelSeed != 0 {
		seeds = []uint64{*modelSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			s := newBareStore(t, 2)
			s.open()
			s.runModel(seed, 1500, s.open)
			s.check()
		})
	}
}

// TestVersionModelOnDisk is the same, shorter, over the real stores, which a
// restart closes.
func TestVersionModelOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &store{t: t, clock: newClock(), log: &lockedBuffer{}}
	closeAll := s.onDisk(dir)
	s.runModel(uint64(time.Now().UnixNano()), 250, func() {
		closeAll()
		closeAll = s.onDisk(dir)
	})
	s.check()
	closeAll()
}

func (s *store) runModel(seed uint64, steps int, reopen func()) {
	s.t.Helper()
	s.t.Logf("seed %d", seed)
	s.createBucket(bucket)
	x := &modelRun{
		store: s, r: rand.New(rand.NewPCG(seed, 5)), reopen: reopen, ids: map[string]bool{},
		m:    &modelBucket{keys: map[string][]*modelVersion{}},
		keys: []string{"a", "a\x00", "a/b", "b", "\xff"},
	}
	x.run(steps/5, false)
	x.run(4*steps/5, seed%2 == 0) // every other history comes to have object lock
}
