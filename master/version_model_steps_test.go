package master_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"tdkvs/master/meta"
)

// mayLock is the refusal of a lock that the bucket can not hold.
func (x *modelRun) mayLock(l meta.Lock) meta.Kind {
	if l != (meta.Lock{}) && !x.m.lock.Enabled {
		return meta.KindNoObjectLock
	}
	return 0
}

func (x *modelRun) put() {
	key, a := x.key(), x.attributes()
	body, p := strings.Repeat("b", x.r.IntN(40)), x.condition(key)
	x.note("put %q %+v %+v", key, a, p)
	kind := x.mayLock(a.Lock)
	if kind == 0 {
		kind = refused(p, x.m.live(key))
	}
	o, err := x.PutObject(bg, meta.PutRequest{
		Bucket: bucket, Key: key, Size: int64(len(body)), Attributes: a, Precondition: p,
	}, newPayload(body))
	if x.want(err, kind) {
		x.stored(key, body, a, o)
	}
}

func (x *modelRun) copyObject() {
	from, to := x.key(), x.key()
	id := x.versionOf(from)
	x.note("copy %q %q to %q", from, id, to)
	v := x.m.find(from, id)
	r, err := x.OpenObject(bg, bucket, from, id)
	if !x.want(err, x.readKind(v, id)) {
		return
	}
	defer r.Close() //nolint:errcheck // only releases
	a := r.Object().Attributes
	a.Lock = meta.Lock{}
	body, err := readAll(r)
	if err != nil || body != v.body {
		x.failf("copied %q, %v, want %q", body, err, v.body)
	}
	o, err := x.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: to, Size: int64(len(body)), Attributes: a}, newPayload(body))
	if x.want(err, 0) {
		x.stored(to, body, a, o)
	}
}

func (x *modelRun) upload() {
	key, a := x.key(), x.attributes()
	x.note("upload %q %+v", key, a)
	up, err := x.CreateUpload(bg, meta.Upload{Bucket: bucket, Key: key, Attributes: a})
	if !x.want(err, x.mayLock(a.Lock)) {
		return
	}
	body := ""
	for n := range 1 + x.r.IntN(3) {
		part := strings.Repeat(fmt.Sprint(n), 1+x.r.IntN(9))
		body += part
		x.putPart(up, n+1, part)
	}
	if x.chance(20) {
		x.want(x.AbortUpload(bg, bucket, key, up.UploadID), 0)
		return
	}
	req := x.chosen(up)
	req.Precondition = x.condition(key)
	o, err := x.CompleteUpload(bg, req)
	if !x.want(err, refused(req.Precondition, x.m.live(key))) {
		return
	}
	x.stored(key, body, a, o)
	again, err := x.CompletedUpload(bg, bucket, key, up.UploadID)
	if err != nil || again.VersionID != o.VersionID {
		x.failf("the completed upload is remembered as %+v, %v", again, err)
	}
}

// remove deletes a few keys and versions in one request.
func (x *modelRun) remove() {
	var items []meta.DeleteItem
	for range 1 + x.r.IntN(4) {
		item := meta.DeleteItem{Key: x.key(), BypassGovernance: x.chance(40)}
		if x.chance(70) {
			item.VersionID = x.versionOf(item.Key)
		}
		item.Precondition = x.condition(item.Key)
		item.IfNoneMatch = ""
		items = append(items, item)
	}
	x.note("delete %+v", items)
	results, err := x.DeleteObjects(bg, bucket, items)
	x.want(err, 0)
	for i, item := range items {
		x.removed(item, results[i])
	}
}

func (x *modelRun) removed(item meta.DeleteItem, got meta.DeleteResult) {
	x.t.Helper()
	v := x.m.find(item.Key, item.VersionID)
	seen := v
	if v != nil && v.marker() {
		seen = nil
	}
	gone := v == nil && item.VersionID != "" && item.VersionID != "null" // it will not come back: no condition on it matters
	if kind := refused(item.Precondition, seen); kind != 0 && !gone {
		x.want(got.Err, kind)
		return
	}
	switch {
	case item.VersionID == "" && x.m.versioning == meta.Unversioned:
		x.want(got.Err, 0)
		if got.VersionID != "" || got.DeleteMarker {
			x.failf("deleted %+v: %+v", item, got)
		}
		if v != nil {
			x.m.take(item.Key, v)
		}
	case item.VersionID == "":
		x.want(got.Err, 0)
		x.marked(item.Key, got)
	case v == nil:
		x.want(got.Err, 0)
		if got.VersionID != item.VersionID || got.DeleteMarker {
			x.failf("deleted %+v, which is not there: %+v", item, got)
		}
	case v.holds(x.clock.now(), item.BypassGovernance):
		x.want(got.Err, meta.KindObjectLocked)
	default:
		x.want(got.Err, 0)
		if got.VersionID != item.VersionID || got.DeleteMarker != v.marker() {
			x.failf("deleted %+v: %+v", item, got)
		}
		x.m.take(item.Key, v)
	}
}

// marked enters the delete marker that a delete made.
func (x *modelRun) marked(key string, got meta.DeleteResult) {
	x.t.Helper()
	v := &modelVersion{obj: meta.Object{DeleteMarker: true}}
	if x.m.versioning == meta.VersioningEnabled {
		v.id = got.VersionID
		x.freshID(v.id)
	} else if got.VersionID != "null" {
		x.failf("marked as %q while suspended", got.VersionID)
	}
	if !got.DeleteMarker {
		x.failf("no marker was made: %+v", got)
	}
	x.m.put(key, v)
	_, err := x.Object(bg, bucket, key, "")
	var e *meta.Error
	if !errors.As(err, &e) || e.Marker == nil {
		// A later item of the same request has changed the key: its time is not known.
		return
	}
	if e.Marker.VersionID == got.VersionID {
		v.obj.Modified = e.Marker.Modified
	}
}

// readKind is how a read of a version fails; 0: not at all.
func (x *modelRun) readKind(v *modelVersion, id string) meta.Kind {
	switch {
	case v == nil && id != "":
		return meta.KindNoSuchVersion
	case v == nil:
		return meta.KindNoSuchKey
	case v.marker():
		return meta.KindDeleteMarker
	}
	return 0
}

// amend changes tags, retention or hold of a version.
func (x *modelRun) amend() {
	key, id := x.key(), ""
	if x.chance(60) {
		id = x.versionOf(key)
	}
	v := x.m.find(key, id)
	kind := x.readKind(v, id)
	var o meta.Object
	var err error
	var apply func()
	switch x.r.IntN(3) {
	case 0:
		tags := map[string]string{"n": fmt.Sprint(x.r.IntN(9))}
		x.note("tag %q %q", key, id)
		o, err = x.SetObjectTags(bg, bucket, key, id, tags)
		apply = func() { v.obj.Tags = tags }
	case 1:
		hold := []meta.LegalHold{meta.LegalHoldOn, meta.LegalHoldOff}[x.r.IntN(2)]
		x.note("hold %q %q %v", key, id, hold)
		if !x.m.lock.Enabled {
			kind = meta.KindNoObjectLock
		}
		o, err = x.SetObjectLegalHold(bg, bucket, key, id, hold)
		apply = func() { v.obj.Lock.LegalHold = hold }
	default:
		next, bypass := x.retention(), x.chance(40)
		if x.chance(20) {
			next = meta.Retention{}
		}
		x.note("retain %q %q %v bypass %v", key, id, next, bypass)
		switch {
		case !x.m.lock.Enabled:
			kind = meta.KindNoObjectLock
		case kind == 0 && x.weakens(v.obj.Lock.Retention, next, bypass):
			kind = meta.KindObjectLocked
		}
		o, err = x.SetObjectRetention(bg, bucket, key, id, next, bypass)
		apply = func() { v.obj.Lock.Retention = next }
	}
	if x.want(err, kind) {
		apply()
		x.same(o, v)
	}
}

func (x *modelRun) weakens(was, next meta.Retention, bypass bool) bool {
	over := was.Mode == "" || !was.Until.After(x.clock.now())
	longer := next.Mode == was.Mode && !next.Until.Before(was.Until)
	return !over && !longer && (was.Mode != meta.Governance || !bypass)
}

// same compares a version as the engine shows it with the model's.
func (x *modelRun) same(o meta.Object, v *modelVersion) {
	x.t.Helper()
	w := v.obj
	if o.VersionID != x.m.shown(v) || o.ETag != w.ETag || !o.Modified.Equal(w.Modified) || o.Size != int64(len(v.body)) ||
		o.Lock != w.Lock || !maps.Equal(o.Tags, w.Tags) || !maps.Equal(o.UserMeta, w.UserMeta) {
		x.failf("version is\n%+v, want\n%+v", o, w)
	}
}

// configure changes the bucket's state as it may be changed, and tries what may
// not.
func (x *modelRun) configure(locking bool) {
	switch {
	case locking && x.chance(50):
		l := meta.BucketLock{Enabled: true}
		switch x.r.IntN(3) {
		case 0:
			l.Mode, l.Days = meta.Governance, 1
		case 1:
			l.Mode, l.Years = meta.Compliance, 1
		}
		x.note("bucket lock %+v", l)
		kind := meta.Kind(0)
		if x.m.versioning != meta.VersioningEnabled {
			kind = meta.KindInvalidBucketState
		}
		if x.want(x.SetBucketLock(bg, bucket, l), kind) {
			x.m.lock = l
		}
	default:
		v := []meta.Versioning{meta.VersioningEnabled, meta.VersioningSuspended, meta.Unversioned}[x.r.IntN(3)]
		x.note("versioning %q", v)
		kind := meta.Kind(0)
		if v == meta.Unversioned || (v == meta.VersioningSuspended && x.m.lock.Enabled) {
			kind = meta.KindInvalidBucketState
		}
		if x.want(x.SetBucketVersioning(bg, bucket, v), kind) {
			x.m.versioning = v
		}
	}
}
