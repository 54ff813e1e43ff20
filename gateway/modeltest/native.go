package modeltest

import (
	"net/http"
	"net/url"
)

// nativeBucket holds the keys of the native routes.
const nativeBucket = "kv"

// native is a request of the native API.
func native(method, route, key string) *request {
	return &request{method: method, path: "/" + route + "/" + key, query: url.Values{}, header: map[string]string{}}
}

// told is a refusal in words.
func told(status int) *want { return &want{status: status, header: map[string]string{}, text: true} }

// nativeCondition draws a condition of a native write, and returns how it fails.
// Here "*" may stand for any value that is there.
func (x *run) nativeCondition(r *request, b *bucket, key string) *want {
	if x.chance(75) {
		return nil
	}
	var live *version
	if b != nil {
		live = b.live(key)
	}
	if x.chance(40) && r.method == http.MethodPut {
		r.header["If-None-Match"] = "*"
		if live != nil {
			return told(http.StatusPreconditionFailed)
		}
		return nil
	}
	etag := one(x, `"other"`, "*", `""`)
	if live != nil && x.chance(50) {
		etag = `"` + live.etag + `"`
	}
	r.header["If-Match"] = etag
	switch {
	case live == nil:
		return told(http.StatusNotFound)
	case etag == `"other"`, etag == `""`:
		return told(http.StatusPreconditionFailed)
	}
	return nil
}

// nativeSet sets a key. The bucket is made with the first.
func (x *run) nativeSet() {
	b := x.m.buckets[nativeBucket]
	key := x.key(b)
	r := native(http.MethodPut, "set", key)
	r.body = x.content()
	condition := x.nativeCondition(r, b, key)
	v := version{header: map[string]string{"content-type": "binary/octet-stream"}, body: r.body, etag: md5Hex(r.body), sum: sumOf(usualSum, r.body), native: true}
	if x.chance(30) {
		r.header["content-type"], v.header["content-type"] = "text/x-native", "text/x-native"
	}
	if b == nil {
		b = &bucket{name: nativeBucket, created: x.m.now, keys: map[string][]*version{}, docs: map[string][]byte{}}
		x.m.buckets[nativeBucket] = b // also where the condition does not hold
	}
	if condition != nil {
		x.ask(r, condition)
		return
	}
	x.ask(r, answered(http.StatusOK).with("etag", `"`+v.etag+`"`))
	id := ""
	if b.versioning == enabled {
		id = x.send(object(http.MethodHead, nativeBucket, key)).header["x-amz-version-id"]
	}
	x.written(b, key, &v, id)
}

// nativeGet gets a key, or its headers.
func (x *run) nativeGet() {
	b := x.m.buckets[nativeBucket]
	key := x.key(b)
	r := native(one(x, http.MethodGet, http.MethodGet, http.MethodHead), "get", key)
	if b == nil || b.live(key) == nil {
		x.ask(r, told(http.StatusNotFound))
		return
	}
	v := b.live(key)
	if x.chance(30) {
		x.readCondition(r, v)
	}
	if x.chance(30) {
		r.header["Range"] = x.rangeOf(v)
	}
	w := b.readAnswer(v, "", r)
	switch {
	case w.code == "InvalidRange":
		w = told(w.status).with("content-range", w.header["content-range"])
	case w.code != "":
		w = told(w.status)
	case w.status != http.StatusNotModified:
		// Metadata, locks and the like are S3's.
		is := w.header
		w.header = map[string]string{}
		for _, name := range []string{"etag", "last-modified", "accept-ranges", "content-type", "content-length", "content-range",
			"cache-control", "expires", "content-encoding", "content-language", "content-disposition"} {
			w.with(name, is[name])
		}
		if w.header["content-type"] == "binary/octet-stream" && v.native {
			w.header["content-type"] = "application/octet-stream"
		}
	default:
		delete(w.header, "x-amz-version-id")
		w.with("accept-ranges", "bytes")
	}
	x.ask(r, w)
}

// nativeDelete deletes a key, which must be there.
func (x *run) nativeDelete() {
	b := x.m.buckets[nativeBucket]
	key := x.key(b)
	r := native(http.MethodDelete, "delete", key)
	condition := x.nativeCondition(r, b, key)
	if w := condition; w != nil || b == nil || b.live(key) == nil {
		x.ask(r, first(w, told(http.StatusNotFound)))
		return
	}
	d := &deletion{key: key}
	x.decide(b, d, false)
	x.ask(r, answered(http.StatusNoContent))
	marker := ""
	if d.marks {
		marker = x.send(object(http.MethodHead, nativeBucket, key)).header["x-amz-version-id"]
	}
	x.apply(b, d, marker)
}
