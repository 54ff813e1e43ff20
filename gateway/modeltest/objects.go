package modeltest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// noBucket is the answer where there is no bucket of the name.
func noBucket() *want { return refused(http.StatusNotFound, "NoSuchBucket") }

// noLock is the answer where object lock is asked of a bucket without.
func noLock() *want { return refused(http.StatusBadRequest, "InvalidRequest") }

// first returns the first of several refusals that is one.
func first(refusals ...*want) *want {
	for _, w := range refusals {
		if w != nil {
			return w
		}
	}
	return nil
}

// writable is the refusal of any write of a version; nil: there is none.
func writable(b *bucket, a *asked) *want {
	switch {
	case b == nil:
		return noBucket()
	case a.lock && !b.locked:
		return noLock()
	}
	return nil
}

// written makes a version the current one of its key. The id is one that the store
// made up, where it did.
func (x *run) written(b *bucket, key string, v *version, id string) {
	v.modified = x.m.now
	if b.versioning == enabled {
		v.id = x.learn("version", id)
		x.m.order = append(x.m.order, id)
	}
	if v.mode == "" && b.mode != "" && !v.marker {
		v.mode, v.until = b.mode, x.m.now.AddDate(0, 0, b.days)
	}
	b.put(key, v)
}

// putObject writes an object.
func (x *run) putObject() {
	name, b := x.bucket()
	key := x.key(b)
	r := object(http.MethodPut, name, key)
	a := x.attributes(r, b)
	r.body = x.content()
	var badSum *want
	a.sum, badSum = x.summed(r, r.body, a.lock && x.chance(95))
	condition := x.condition(r, b, key)
	var unsure *want
	if sent := r.header["Content-MD5"] != "" || r.header[a.sum.header()] != ""; a.lock && !sent {
		unsure = refused(http.StatusBadRequest, "InvalidRequest") // what can not be removed must be what was meant
	}
	if w := first(a.wrong, unsure, writable(b, &a), condition, badSum); w != nil {
		x.ask(r, w)
		return
	}
	v := a.version
	v.body, v.etag = r.body, md5Hex(r.body)
	g := x.send(r)
	w := answered(http.StatusOK).with("etag", `"`+v.etag+`"`).with(v.sum.header(), v.sum.value).with("x-amz-checksum-type", v.sum.kind)
	x.compareWritten(r, g, w, b, key, &v)
}

// compareWritten compares the answer of a write, and enters the version.
func (x *run) compareWritten(r *request, g got, w *want, b *bucket, key string, v *version) {
	id := g.header["x-amz-version-id"]
	if b.versioning == enabled && g.status == http.StatusOK {
		w.header["x-amz-version-id"] = id
		x.written(b, key, v, id)
		x.compare(r, g, w)
		return
	}
	x.compare(r, g, w)
	x.written(b, key, v, "")
}

// getObject reads an object, its headers, or some of it.
func (x *run) getObject() {
	name, b := x.bucket()
	key := x.key(b)
	id := x.versionOf(b, key)
	r := object(one(x, http.MethodGet, http.MethodGet, http.MethodHead), name, key).version(id)
	if w := badVersion(id); w != nil {
		x.ask(r, w)
		return
	}
	if b == nil {
		x.ask(r, noBucket())
		return
	}
	v := b.find(key, id)
	if v == nil || v.marker {
		x.ask(r, b.readAnswer(v, id, r))
		return
	}
	if x.chance(25) {
		x.readCondition(r, v)
	}
	switch {
	case x.chance(25):
		r.header["Range"] = x.rangeOf(v)
		if x.chance(20) {
			r.header["If-Range"] = one(x, `"`+v.etag+`"`, `"other"`)
		}
	case x.chance(15):
		r.query.Set("partNumber", strconv.Itoa(1+x.g.IntN(4)))
	}
	if x.chance(40) {
		r.header["x-amz-checksum-mode"] = "ENABLED"
	}
	if x.chance(5) {
		r.query.Set("response-content-type", "text/other")
		r.query.Set("response-cache-control", "no-store")
	}
	x.ask(r, b.readAnswer(v, id, r))
}

// readCondition adds a condition of a read.
func (x *run) readCondition(r *request, v *version) {
	etag := one(x, `"`+v.etag+`"`, `"other"`, "*", `"other", "`+v.etag+`"`)
	switch x.g.IntN(4) {
	case 0:
		r.header["If-Match"] = etag
	case 1:
		r.header["If-None-Match"] = etag
	case 2:
		r.header["If-Modified-Since"] = httpTime(x.m.now.Add(one(x, -100000*time.Hour, 0)))
	default:
		r.header["If-Unmodified-Since"] = httpTime(x.m.now.Add(one(x, -100000*time.Hour, time.Hour)))
	}
}

// rangeOf draws a range of a version's bytes.
func (x *run) rangeOf(v *version) string {
	size := len(v.body)
	from := x.g.IntN(size + 2)
	switch x.g.IntN(4) {
	case 0:
		return fmt.Sprintf("bytes=%d-", from)
	case 1:
		return fmt.Sprintf("bytes=-%d", 1+x.g.IntN(size+10))
	case 2:
		return fmt.Sprintf("bytes=%d-%d", from, from+x.g.IntN(size+10))
	}
	return one(x, "bytes=5-2", "bytes=0-0,2-3", "lines=1-2")
}

// readAnswer is the answer of a GET or HEAD of a version; nil: there is none.
func (b *bucket) readAnswer(v *version, id string, r *request) *want {
	if w := b.absent(v, id, r.method); w != nil {
		return w
	}
	switch holds, same := v.conditions(r); {
	case !holds:
		return refused(http.StatusPreconditionFailed, "PreconditionFailed")
	case same:
		w := &want{status: http.StatusNotModified, header: map[string]string{}}
		return w.with("etag", `"`+v.etag+`"`).with("last-modified", httpTime(v.modified)).with("x-amz-version-id", b.shown(v)).
			with("cache-control", v.header["cache-control"]).with("expires", v.header["expires"])
	}
	w := b.described(v)
	from, to, s, wrong := v.span(r, w)
	if wrong != nil {
		return wrong
	}
	w.header["content-length"] = strconv.Itoa(to - from)
	if r.header["x-amz-checksum-mode"] != "" && s.value != "" {
		w.with(s.header(), s.value).with("x-amz-checksum-type", s.kind)
	}
	if r.query.Has("response-content-type") {
		w.header["content-type"] = r.query.Get("response-content-type")
		w.header["cache-control"] = r.query.Get("response-cache-control")
	}
	if r.method == http.MethodGet {
		w.body = v.body[from:to]
	}
	return w
}

// conditions says whether the conditions of a read hold, and whether what the
// client has is the same. A request has one of them at most. Source: RFC 9110, 13.
func (v *version) conditions(r *request) (holds, same bool) {
	names := func(list string) bool { return list == "*" || strings.Contains(list, `"`+v.etag+`"`) }
	modified := v.modified.Truncate(time.Second)
	if list := r.header["If-Match"]; list != "" && !names(list) {
		return false, false
	}
	if t, err := http.ParseTime(r.header["If-Unmodified-Since"]); err == nil && modified.After(t) {
		return false, false
	}
	if list := r.header["If-None-Match"]; list != "" && names(list) {
		return true, true
	}
	t, err := http.ParseTime(r.header["If-Modified-Since"])
	return true, err == nil && !modified.After(t)
}

// span finds out which bytes a read asks for, and what their checksum is, where
// that is known. Source: AWS GetObject.
func (v *version) span(r *request, w *want) (from, to int, s sum, wrong *want) {
	size := len(v.body)
	if number := r.query.Get("partNumber"); number != "" {
		return v.partSpan(number, w)
	}
	spec := r.header["Range"]
	if condition := r.header["If-Range"]; condition != "" && condition != `"`+v.etag+`"` {
		spec = ""
	}
	first, last, ok := strings.Cut(strings.TrimPrefix(spec, "bytes="), "-")
	a, noFirst := strconv.Atoi(first)
	z, noLast := strconv.Atoi(last)
	switch {
	case !strings.HasPrefix(spec, "bytes=") || !ok || strings.Contains(spec, ",") || noFirst == nil && noLast == nil && z < a:
		return 0, size, v.sum, nil // none that is understood
	case first == "" && size == 0:
		return 0, 0, v.sum, nil
	case first == "":
		a, z = max(0, size-z), size-1
	case a >= size:
		return 0, 0, s, refused(http.StatusRequestedRangeNotSatisfiable, "InvalidRange").with("content-range", fmt.Sprintf("bytes */%d", size))
	case last == "" || z >= size:
		z = size - 1
	}
	w.status = http.StatusPartialContent
	w.with("content-range", fmt.Sprintf("bytes %d-%d/%d", a, z, size))
	if a == 0 && z == size-1 {
		s = v.sum
	}
	return a, z + 1, s, nil
}

// partSpan is the span of a part by its number. What was written in one piece has
// one part.
func (v *version) partSpan(number string, w *want) (from, to int, s sum, wrong *want) {
	parts := v.parts
	if len(parts) == 0 {
		parts = []part{{number: 1, body: v.body, sum: v.sum.value}}
	} else {
		w.with("x-amz-mp-parts-count", strconv.Itoa(len(parts)))
	}
	for _, p := range parts {
		to = from + len(p.body)
		if strconv.Itoa(p.number) == number {
			if from < to {
				w.status = http.StatusPartialContent
				w.with("content-range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(v.body)))
			}
			return from, to, sum{v.sum.algorithm, v.sum.kind, p.sum}, nil
		}
		from = to
	}
	return 0, 0, s, refused(http.StatusRequestedRangeNotSatisfiable, "InvalidPartNumber")
}

// objectAttributes asks GetObjectAttributes.
func (x *run) objectAttributes() {
	name, b := x.bucket()
	key := x.key(b)
	id := x.versionOf(b, key)
	r := object(http.MethodGet, name, key).version(id)
	r.query.Set("attributes", "")
	r.header["x-amz-object-attributes"] = "ETag,Checksum,StorageClass,ObjectSize"
	if w := badVersion(id); w != nil || b == nil {
		x.ask(r, first(w, noBucket()))
		return
	}
	v := b.find(key, id)
	if w := b.absent(v, id, r.method); w != nil {
		x.ask(r, w)
		return
	}
	s := v.sum
	s.value, _, _ = strings.Cut(s.value, "-")
	w := documented(el("GetObjectAttributesResponse", text("ETag", v.etag), el("Checksum", s.nodes()...),
		text("StorageClass", classOf(v)), num("ObjectSize", len(v.body))))
	x.ask(r, w.with("last-modified", httpTime(v.modified)).with("x-amz-version-id", b.shown(v)))
}
