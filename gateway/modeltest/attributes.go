package modeltest

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// asked is what a request says of the version that it writes.
type asked struct {
	version
	// wrong is the refusal of what it says, whatever is there; nil: none.
	wrong *want
	// lock says that it asks for one, and so for a bucket with object lock.
	lock bool
}

// attributes draws what a write says of its version, and adds it to the request.
func (x *run) attributes(r *request, b *bucket) asked {
	a := asked{version: version{header: map[string]string{}, user: map[string]string{}, tags: map[string]string{}}}
	a.header["content-type"] = "binary/octet-stream"
	for _, h := range []struct{ name, value string }{
		{"content-type", "text/x-test; charset=utf-8"}, {"cache-control", "max-age=5"}, {"content-disposition", `attachment; filename="a b"`},
		{"content-encoding", "gzip"}, {"content-language", "de"}, {"expires", "Thu, 01 Dec 2033 16:00:00 GMT"},
	} {
		if x.chance(12) {
			r.header[h.name], a.header[h.name] = h.value, h.value
		}
	}
	if x.chance(5) {
		r.header["x-amz-website-redirect-location"], a.header["x-amz-website-redirect-location"] = "/elsewhere", "/elsewhere"
	}
	for _, name := range []string{"one", "two-words", "three"} {
		if x.chance(15) {
			a.user[name] = one(x, "value", "1", "with, comma", "grün", "")
			r.header["x-amz-meta-"+name] = a.user[name]
		}
	}
	if x.chance(15) {
		a.class = one(x, "STANDARD", "STANDARD_IA", "GLACIER", "NONE")
		r.header["x-amz-storage-class"] = a.class
		if a.class == "NONE" {
			a.wrong = refused(http.StatusBadRequest, "InvalidStorageClass") // before what comes below
		}
	}
	if x.chance(20) {
		x.tagged(r, &a)
	}
	if b != nil && b.locked && x.chance(25) || x.chance(1) {
		x.locking(r, &a)
	}
	return a
}

// tagged adds tags to a request.
func (x *run) tagged(r *request, a *asked) {
	query := url.Values{}
	for range x.g.IntN(4) {
		name, value := one(x, "k", "a b", "ü+", "x=y"), one(x, "", "v", "1/2", "ä")
		a.tags[name] = value
		query.Set(name, value)
	}
	r.header["x-amz-tagging"] = query.Encode()
	if x.chance(5) {
		r.header["x-amz-tagging"] = "k=1&k=2"
		a.wrong = first(a.wrong, refused(http.StatusBadRequest, "InvalidArgument"))
	}
}

// locking adds a lock to a request.
func (x *run) locking(r *request, a *asked) {
	a.lock = true
	if x.chance(60) {
		a.mode, a.until = x.retain()
		r.header["x-amz-object-lock-mode"] = a.mode
		r.header["x-amz-object-lock-retain-until-date"] = a.until.Format(time.RFC3339Nano)
		if !a.until.After(x.m.now) {
			a.wrong = first(a.wrong, refused(http.StatusBadRequest, "InvalidArgument"))
		}
		return
	}
	a.hold = one(x, "ON", "OFF", "OFF")
	r.header["x-amz-object-lock-legal-hold"] = a.hold
}

// retain draws a retention that ends some hours from now, or has ended.
func (x *run) retain() (mode string, until time.Time) {
	mode = one(x, "GOVERNANCE", "GOVERNANCE", "COMPLIANCE")
	return mode, x.m.now.Add(time.Duration(x.g.IntN(40)-2) * time.Hour).Truncate(time.Millisecond)
}

// summed draws the checksum that comes with a body. wrong is the refusal of one
// that is not the body's.
func (x *run) summed(r *request, body []byte, must bool) (s sum, wrong *want) {
	if must || x.chance(15) {
		r.header["Content-MD5"] = md5Base64(body)
		if x.chance(5) {
			r.header["Content-MD5"] = md5Base64(append([]byte("not "), body...))
			wrong = refused(http.StatusBadRequest, "BadDigest")
		}
	}
	if x.chance(60) {
		return sumOf(usualSum, body), wrong
	}
	s = sumOf(one(x, algorithms()...), body)
	r.header[s.header()] = s.value
	if x.chance(5) {
		r.header[s.header()] = digest(s.algorithm, append([]byte("not "), body...))
		wrong = refused(http.StatusBadRequest, "BadDigest")
	}
	return s, wrong
}

// condition draws a condition of a write, and returns how it fails; nil: it holds.
// Source: AWS "How to prevent object overwrites with conditional writes".
func (x *run) condition(r *request, b *bucket, key string) *want {
	if x.chance(80) || b == nil {
		return nil
	}
	live := b.live(key)
	if x.chance(40) {
		r.header["If-None-Match"] = "*"
		if live != nil {
			return refused(http.StatusPreconditionFailed, "PreconditionFailed")
		}
		return nil
	}
	r.header["If-Match"] = one(x, `"`+md5Hex([]byte("something else"))+`"`, `"other"`, `""`)
	switch {
	case live == nil:
		return refused(http.StatusNotFound, "NoSuchKey")
	case x.chance(60):
		r.header["If-Match"] = `"` + live.etag + `"`
		return nil
	}
	return refused(http.StatusPreconditionFailed, "PreconditionFailed")
}

// shownMeta is metadata as a header shows it. Source: AWS "Working with object
// metadata".
func shownMeta(value string) string {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return "=?UTF-8?B?" + base64.StdEncoding.EncodeToString([]byte(value)) + "?="
		}
	}
	return value
}

// described is the answer of a read of a version: all its headers.
func (b *bucket) described(v *version) *want {
	w := &want{status: http.StatusOK, header: maps.Clone(v.header)}
	w.with("etag", `"`+v.etag+`"`).with("last-modified", httpTime(v.modified)).with("accept-ranges", "bytes").
		with("content-length", strconv.Itoa(len(v.body))).with("x-amz-version-id", b.shown(v))
	if v.class != "STANDARD" {
		w.with("x-amz-storage-class", v.class)
	}
	for name, value := range v.user {
		w.header["x-amz-meta-"+name] = shownMeta(value)
	}
	if len(v.tags) > 0 {
		w.with("x-amz-tagging-count", strconv.Itoa(len(v.tags)))
	}
	if v.mode != "" {
		w.with("x-amz-object-lock-mode", v.mode).with("x-amz-object-lock-retain-until-date", v.until.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	return w.with("x-amz-object-lock-legal-hold", v.hold)
}

// classOf is a storage class as documents show it.
func classOf(v *version) string {
	if v.class == "" {
		return "STANDARD"
	}
	return v.class
}

// tagNodes is a set of tags as documents show it, in order of name.
func tagNodes(tags map[string]string) node {
	set := el("TagSet")
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		set.kids = append(set.kids, el("Tag", text("Key", name), text("Value", tags[name])))
	}
	return set
}

// tagDocument is a set of tags as it is sent.
func tagDocument(tags map[string]string) string {
	var b strings.Builder
	b.WriteString("<Tagging><TagSet>")
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		b.WriteString("<Tag><Key>" + escape(name) + "</Key><Value>" + escape(tags[name]) + "</Value></Tag>")
	}
	b.WriteString("</TagSet></Tagging>")
	return b.String()
}
