package master_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
)

// lockBucket turns object lock on, with a default retention or none.
func (s *store) lockBucket(l meta.BucketLock) {
	s.t.Helper()
	s.versioning(meta.VersioningEnabled)
	l.Enabled = true
	if err := s.SetBucketLock(bg, bucket, l); err != nil {
		s.t.Fatal(err)
	}
}

func (s *store) tryPutLocked(key, body string, l meta.Lock) (meta.Object, error) {
	return s.PutObject(bg, meta.PutRequest{
		Bucket: bucket, Key: key, Owner: "me", Size: int64(len(body)), Attributes: meta.Attributes{Lock: l},
	}, newPayload(body))
}

func (s *store) putLocked(key, body string, l meta.Lock) meta.Object {
	s.t.Helper()
	o, err := s.tryPutLocked(key, body, l)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// within is a retention that ends so long after now.
func (s *store) within(mode meta.LockMode, d time.Duration) meta.Retention {
	return meta.Retention{Mode: mode, Until: s.clock.now().Add(d)}
}

// tryRemoveVersion deletes one version.
func (s *store) tryRemoveVersion(key, versionID string, bypass bool) error {
	s.t.Helper()
	results, err := s.DeleteObjects(bg, bucket, []meta.DeleteItem{{Key: key, VersionID: versionID, BypassGovernance: bypass}})
	if err != nil {
		s.t.Fatal(err)
	}
	return results[0].Err
}

func TestBucketStates(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	set := func(v meta.Versioning) func() error {
		return func() error { return s.SetBucketVersioning(bg, bucket, v) }
	}
	lock := func(l meta.BucketLock) func() error { return func() error { return s.SetBucketLock(bg, bucket, l) } }
	on := meta.BucketLock{Enabled: true}
	daily := meta.BucketLock{Enabled: true, Mode: meta.Governance, Days: 1}
	for i, c := range []struct {
		do       func() error
		refused  bool
		versions meta.Versioning
		lock     meta.BucketLock
	}{
		{do: lock(on), refused: true},
		{do: set(meta.Unversioned), refused: true},
		{do: set("enabled"), refused: true},
		{do: set(meta.VersioningSuspended), versions: meta.VersioningSuspended},
		{do: lock(on), refused: true, versions: meta.VersioningSuspended},
		{do: set(meta.VersioningEnabled), versions: meta.VersioningEnabled},
		{do: lock(meta.BucketLock{}), refused: true, versions: meta.VersioningEnabled},
		{do: set(meta.VersioningSuspended), versions: meta.VersioningSuspended},
		{do: set(meta.Unversioned), refused: true, versions: meta.VersioningSuspended},
		{do: set(meta.VersioningEnabled), versions: meta.VersioningEnabled},
		{do: lock(daily), versions: meta.VersioningEnabled, lock: daily},
		{do: set(meta.VersioningSuspended), refused: true, versions: meta.VersioningEnabled, lock: daily},
		{do: set(meta.VersioningEnabled), versions: meta.VersioningEnabled, lock: daily},
		{do: lock(meta.BucketLock{}), refused: true, versions: meta.VersioningEnabled, lock: daily},
		{do: lock(on), versions: meta.VersioningEnabled, lock: on},
	} {
		if err := c.do(); (err != nil) != c.refused || (err != nil && meta.KindOf(err) != meta.KindInvalidBucketState) {
			t.Errorf("step %d: %v, refused should be %v", i, err, c.refused)
		}
		b, err := s.Bucket(bg, bucket)
		if err != nil || b.Versioning != c.versions || b.Lock != c.lock || b.Owner != "me" {
			t.Fatalf("step %d: the bucket is %+v, %v", i, b, err)
		}
	}
	for want, name := range map[meta.Kind]string{meta.KindNoSuchBucket: "none", meta.KindInvalidBucketName: "a/b"} {
		wantKind(t, s.SetBucketVersioning(bg, name, meta.VersioningEnabled), want)
		wantKind(t, s.SetBucketLock(bg, name, on), want)
	}
	// A bucket that is made with object lock is versioned.
	if err := s.CreateBucket(bg, meta.Bucket{Name: "locked", Lock: daily}); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Bucket(bg, "locked"); err != nil || b.Versioning != meta.VersioningEnabled || b.Lock != daily {
		t.Errorf("a bucket made with object lock: %+v, %v", b, err)
	}
}

func TestDefaultRetention(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.clock.advance(58*24*time.Hour + 1234567*time.Nanosecond) // the 28th of February, and not a whole second
	s.lockBucket(meta.BucketLock{Mode: meta.Compliance, Days: 2})
	check := func(what string, got meta.Object, want meta.Lock) {
		t.Helper()
		read, err := s.Object(bg, bucket, got.Key, got.VersionID)
		if err != nil || got.Lock != want || read.Lock != want {
			t.Errorf("%s: lock %+v, read as %+v, %v, want %+v", what, got.Lock, read.Lock, err, want)
		}
	}
	days := func(o meta.Object) meta.Lock {
		return meta.Lock{Retention: meta.Retention{Mode: meta.Compliance, Until: o.Modified.Add(48 * time.Hour)}}
	}
	o := s.put("k", "1")
	check("put", o, days(o))
	o = s.assemble("k", []string{"a", "b"})
	check("completed upload", o, days(o))
	held := days(o)
	held.LegalHold = meta.LegalHoldOn
	s.clock.advance(time.Second)
	o = s.putLocked("k", "2", meta.Lock{LegalHold: meta.LegalHoldOn})
	held.Retention = days(o).Retention
	check("put with a hold", o, held)
	asked := meta.Lock{Retention: s.within(meta.Governance, time.Hour)}
	o = s.putLocked("k", "3", asked)
	asked.Retention.Until = asked.Retention.Until.Truncate(time.Millisecond)
	check("put with a retention", o, asked)
	up, err := s.CreateUpload(bg, meta.Upload{Bucket: bucket, Key: "k", Attributes: meta.Attributes{Lock: asked}})
	if err != nil {
		t.Fatal(err)
	}
	s.putPart(up, 1, "x")
	check("upload with a retention", s.complete(up), asked)

	s.lockBucket(meta.BucketLock{Mode: meta.Governance, Years: 2})
	check("after a change of the default", o, asked)
	o = s.put("k", "4")
	if want := time.Date(2028, 2, 28, 0, 0, 1, o.Modified.Nanosecond(), time.UTC); !o.Lock.Retention.Until.Equal(want) || o.Lock.Retention.Mode != meta.Governance {
		t.Errorf("two years from %v end at %+v", o.Modified, o.Lock)
	}
	s.lockBucket(meta.BucketLock{})
	check("without a default", s.put("k", "5"), meta.Lock{})
	marker := s.tryRemove("k")[0]
	if err := s.tryRemoveVersion("k", marker.VersionID, false); err != nil {
		t.Errorf("a delete marker is protected: %v", err)
	}
}

func TestNoObjectLock(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.versioning(meta.VersioningEnabled)
	s.put("k", "x")
	r := s.within(meta.Governance, time.Hour)
	for _, l := range []meta.Lock{{Retention: r}, {LegalHold: meta.LegalHoldOn}, {LegalHold: meta.LegalHoldOff}} {
		_, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: "k", Size: 1, Attributes: meta.Attributes{Lock: l}}, &payload{r: &untouched{t}})
		wantKind(t, err, meta.KindNoObjectLock)
		_, err = s.CreateUpload(bg, meta.Upload{Bucket: bucket, Key: "k", Attributes: meta.Attributes{Lock: l}})
		wantKind(t, err, meta.KindNoObjectLock)
	}
	for _, key := range []string{"k", "none"} {
		_, err := s.SetObjectRetention(bg, bucket, key, "", r, true)
		wantKind(t, err, meta.KindNoObjectLock)
		_, err = s.SetObjectLegalHold(bg, bucket, key, "", meta.LegalHoldOn)
		wantKind(t, err, meta.KindNoObjectLock)
	}
}

// A bucket that loses its object lock while a body is read, because it is
// another bucket by then, is noticed in the commit.
func TestNoObjectLockInCommit(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.lockBucket(meta.BucketLock{})
	s.hookPut(func() {
		if err := s.DeleteBucket(bg, bucket); err != nil {
			t.Error(err)
		}
		s.createBucket(bucket)
	})
	_, err := s.tryPutLocked("k", "x", meta.Lock{LegalHold: meta.LegalHoldOn})
	wantKind(t, err, meta.KindNoObjectLock)
	if n := s.blobs(); n != 0 {
		t.Errorf("%d blobs", n)
	}
}

func TestProtectedVersions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("null", "n")
	s.lockBucket(meta.BucketLock{})
	const hour = time.Hour
	for name, c := range map[string]struct {
		lock          meta.Lock
		plain, bypass bool // what may delete it now
		later         bool // and once the time has passed, without bypass
	}{
		"free":               {meta.Lock{}, true, true, true},
		"hold off":           {meta.Lock{LegalHold: meta.LegalHoldOff}, true, true, true},
		"hold":               {meta.Lock{LegalHold: meta.LegalHoldOn}, false, false, false},
		"governance":         {meta.Lock{Retention: s.within(meta.Governance, hour)}, false, true, true},
		"compliance":         {meta.Lock{Retention: s.within(meta.Compliance, hour)}, false, false, true},
		"unknown mode":       {meta.Lock{Retention: s.within("LATER", hour)}, false, false, true},
		"governance over":    {meta.Lock{Retention: s.within(meta.Governance, 0)}, true, true, true},
		"compliance over":    {meta.Lock{Retention: s.within(meta.Compliance, 0)}, true, true, true},
		"governance, hold":   {meta.Lock{Retention: s.within(meta.Governance, hour), LegalHold: meta.LegalHoldOn}, false, false, false},
		"hold off, governed": {meta.Lock{Retention: s.within(meta.Governance, hour), LegalHold: meta.LegalHoldOff}, false, true, true},
	} {
		key := name
		was := s.clock.now()
		attempt := func(what string, bypass, allowed bool) {
			t.Helper()
			for _, current := range []bool{true, false} {
				o := s.putLocked(key, "body", c.lock)
				if !current {
					s.put(key, "newer")
				}
				if what == "later" {
					s.clock.advance(hour)
				}
				err := s.tryRemoveVersion(key, o.VersionID, bypass)
				if allowed && err != nil {
					t.Errorf("%s, %s, current %v: %v", name, what, current, err)
				}
				if !allowed {
					wantKind(t, err, meta.KindObjectLocked)
					s.wantVersion(key, o.VersionID, "body")
				}
				s.clock.advance(was.Sub(s.clock.now()))
			}
		}
		attempt("plain", false, c.plain)
		attempt("bypass", true, c.bypass)
		attempt("later", false, c.later)
		s.remove(key) // a marker is always allowed
	}
	// The null version, written before there was a lock, can be locked too.
	if _, err := s.SetObjectLegalHold(bg, bucket, "null", "null", meta.LegalHoldOn); err != nil {
		t.Fatal(err)
	}
	s.put("null", "newer")
	wantKind(t, s.tryRemoveVersion("null", "null", true), meta.KindObjectLocked)
	s.wantVersion("null", "null", "n")
	wantKind(t, s.DeleteBucket(bg, bucket), meta.KindBucketNotEmpty)
}

// Protected items of a request leave the others alone.
func TestProtectedAmongOthers(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.lockBucket(meta.BucketLock{})
	held := s.putLocked("a", "1", meta.Lock{LegalHold: meta.LegalHoldOn})
	free := s.put("b", "2")
	results, err := s.DeleteObjects(bg, bucket, []meta.DeleteItem{
		{Key: "a", VersionID: held.VersionID}, {Key: "b", VersionID: free.VersionID}, {Key: "a"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, results[0].Err, meta.KindObjectLocked)
	if results[1].Err != nil || results[2].Err != nil || !results[2].DeleteMarker {
		t.Errorf("%+v", results)
	}
	s.wantVersion("a", held.VersionID, "1")
	s.wantNoVersion("b", free.VersionID)
}

func TestRetentionRules(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.lockBucket(meta.BucketLock{})
	const none = meta.LockMode("")
	gov, com := meta.Governance, meta.Compliance
	for i, c := range []struct {
		was           meta.LockMode
		wasHours      int
		next          meta.LockMode
		nextHours     int
		plain, bypass bool
	}{
		{none, 0, gov, 2, true, true},
		{none, 0, com, 2, true, true},
		{none, 0, none, 0, true, true},
		{gov, 2, gov, 2, true, true},
		{gov, 2, gov, 3, true, true},
		{gov, 2, gov, 1, false, true},
		{gov, 2, com, 2, false, true},
		{gov, 2, com, 3, false, true},
		{gov, 2, none, 0, false, true},
		{com, 2, com, 2, true, true},
		{com, 2, com, 3, true, true},
		{com, 2, com, 1, false, false},
		{com, 2, gov, 3, false, false},
		{com, 2, none, 0, false, false},
		{gov, -1, none, 0, true, true},
		{com, -1, none, 0, true, true},
		{com, -1, gov, 1, true, true},
		{com, 0, gov, -2, true, true}, // ends this very moment: over
	} {
		retention := func(mode meta.LockMode, hours int) meta.Retention {
			if mode == none {
				return meta.Retention{}
			}
			return s.within(mode, time.Duration(hours)*time.Hour)
		}
		for _, bypass := range []bool{false, true} {
			was, next := retention(c.was, c.wasHours), retention(c.next, c.nextHours)
			o := s.putLocked("k", "x", meta.Lock{Retention: was, LegalHold: meta.LegalHoldOn})
			allowed := (c.plain && !bypass) || (c.bypass && bypass)
			got, err := s.SetObjectRetention(bg, bucket, "k", o.VersionID, next, bypass)
			want := next
			if !allowed {
				wantKind(t, err, meta.KindObjectLocked)
				want = was
			} else if err != nil || got.Lock.Retention != next || got.VersionID != o.VersionID {
				t.Errorf("case %d, bypass %v: %+v, %v", i, bypass, got, err)
			}
			read := s.wantVersion("k", o.VersionID, "x")
			if read.Lock != (meta.Lock{Retention: want, LegalHold: meta.LegalHoldOn}) || read.Modified != o.Modified || read.ETag != o.ETag {
				t.Errorf("case %d, bypass %v: read as %+v, want %+v", i, bypass, read, want)
			}
		}
	}
}

// Tags, retention and hold change in place, in any version, and nothing else
// changes with them.
func TestAmend(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "null")
	s.lockBucket(meta.BucketLock{})
	one := s.assemble("k", []string{"o", "ne"})
	two := s.put("k", "two")
	marker := s.tryRemove("gone")[0]
	s.clock.advance(time.Hour)
	tags := map[string]string{"a": "1", "": ""}
	hold := meta.LegalHoldOn
	retention := s.within(meta.Governance, time.Hour)
	usage, err := s.Usage(bg, bucket)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ ask, id, body string }{
		{"null", "null", "null"}, {one.VersionID, one.VersionID, "one"}, {"", two.VersionID, "two"},
	} {
		want := s.wantVersion("k", c.id, c.body)
		for _, step := range []func() (meta.Object, error){
			func() (meta.Object, error) {
				want.Tags = tags
				return s.SetObjectTags(bg, bucket, "k", c.ask, tags)
			},
			func() (meta.Object, error) {
				want.Lock.LegalHold = hold
				return s.SetObjectLegalHold(bg, bucket, "k", c.ask, hold)
			},
			func() (meta.Object, error) {
				want.Lock.Retention = retention
				return s.SetObjectRetention(bg, bucket, "k", c.ask, retention, false)
			},
			func() (meta.Object, error) {
				want.Tags = nil
				return s.SetObjectTags(bg, bucket, "k", c.ask, map[string]string{})
			},
		} {
			got, err := step()
			wantSame(t, got, err, want)
			got, err = s.Object(bg, bucket, "k", c.ask)
			wantSame(t, got, err, want)
		}
		s.wantVersion("k", c.id, c.body)
	}
	s.wantUsage(usage)
	for _, set := range []func(key, id string) error{
		func(key, id string) error { _, err := s.SetObjectTags(bg, bucket, key, id, tags); return err },
		func(key, id string) error { _, err := s.SetObjectLegalHold(bg, bucket, key, id, hold); return err },
		func(key, id string) error {
			_, err := s.SetObjectRetention(bg, bucket, key, id, retention, true)
			return err
		},
	} {
		wantMarker(t, set("gone", ""), "gone", marker.VersionID, time.Time{})
		wantMarker(t, set("gone", marker.VersionID), "gone", marker.VersionID, time.Time{})
		wantKind(t, set("none", ""), meta.KindNoSuchKey)
		wantKind(t, set("none", "null"), meta.KindNoSuchVersion)
		wantKind(t, set("k", marker.VersionID), meta.KindNoSuchVersion)
		wantKind(t, set("", ""), meta.KindInvalidKey)
	}
	_, err = s.SetObjectTags(bg, "none", "k", "", tags)
	wantKind(t, err, meta.KindNoSuchBucket)
	_, err = s.SetObjectTags(bg, bucket, "k", one.VersionID, map[string]string{"a": strings.Repeat("x", meta.MaxRecordPayload)})
	wantKind(t, err, meta.KindMetadataTooLarge)
}

func wantSame(t testing.TB, got meta.Object, err error, want meta.Object) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}
