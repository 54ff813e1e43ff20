package modeltest

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// source is what a copy is made of.
type source struct {
	bucket string
	b      *bucket
	key    string
	id     string
	v      *version
	wrong  *want // why it can not be read; nil: it can
}

// drawSource draws the source of a copy, and adds it to a request.
func (x *run) drawSource(r *request, from string, b *bucket, key string) source {
	s := source{bucket: from, b: b, key: key}
	s.id = x.versionOf(b, key)
	path := url.QueryEscape(from + "/" + key)
	if x.chance(50) {
		path = "/" + strings.ReplaceAll(path, "%2F", "/")
	}
	if s.id != "" {
		path += "?versionId=" + s.id
	}
	r.header["x-amz-copy-source"] = path
	switch {
	case badVersion(s.id) != nil:
		s.wrong = badVersion(s.id)
		return s
	case b == nil:
		s.wrong = noBucket()
		return s
	}
	s.v = b.find(key, s.id)
	switch {
	case s.v != nil && s.v.marker && s.id != "":
		s.wrong = refused(http.StatusBadRequest, "InvalidRequest")
	default:
		s.wrong = b.absent(s.v, s.id, http.MethodGet)
	}
	if s.wrong == nil && x.chance(15) {
		etag := one(x, s.v.etag, "other")
		name := one(x, "x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match")
		r.header[name] = `"` + etag + `"`
		if (etag == s.v.etag) != (name == "x-amz-copy-source-if-match") {
			s.wrong = refused(http.StatusPreconditionFailed, "PreconditionFailed")
		}
	}
	return s
}

// copyObject copies an object, onto itself at times.
func (x *run) copyObject() {
	from, fromBucket := x.bucket()
	key := x.key(fromBucket)
	name, b, to := from, fromBucket, key
	if x.chance(80) {
		name, b = x.bucket()
		to = x.key(b)
	}
	r := object(http.MethodPut, name, to)
	a := x.attributes(r, b)
	condition := x.condition(r, b, to)
	var algorithm string
	if x.chance(20) {
		algorithm = one(x, algorithms()...)
		r.header["x-amz-checksum-algorithm"] = algorithm
	}
	replace, replaceTags := x.chance(30), x.chance(30)
	for header, v := range map[string]bool{"x-amz-metadata-directive": replace, "x-amz-tagging-directive": replaceTags} {
		if v {
			r.header[header] = "REPLACE"
		} else if len(key)%2 == 0 { // that is what it is without, too
			r.header[header] = "COPY"
		}
	}
	s := x.drawSource(r, from, fromBucket, key)
	if w := first(a.wrong, s.wrong); w != nil {
		x.ask(r, w)
		return
	}
	_, class := r.header["x-amz-storage-class"]
	_, redirect := r.header["x-amz-website-redirect-location"]
	changed := replace || class || redirect || algorithm != "" && algorithm != s.v.sum.algorithm
	var same *want
	if from == name && key == to && !changed && (s.id == "" || fromBucket.shown(s.v) == "") {
		same = refused(http.StatusBadRequest, "InvalidRequest")
	}
	if w := first(same, writable(b, &a), condition); w != nil {
		x.ask(r, w)
		return
	}
	x.copied(r, b, to, s, merged(s.v, &a, replace, replaceTags), algorithm)
}

// merged is what a copy is like. Storage class, redirect and lock are never
// copied. Source: AWS CopyObject.
func merged(src *version, a *asked, replace, replaceTags bool) *version {
	v := src.copyOf()
	redirect := a.header["x-amz-website-redirect-location"]
	if replace {
		v.header, v.user, v.native = a.header, a.user, false
	} else {
		delete(v.header, "x-amz-website-redirect-location")
		if redirect != "" {
			v.header["x-amz-website-redirect-location"] = redirect
		}
	}
	if replaceTags {
		v.tags = a.tags
	}
	v.class, v.mode, v.until, v.hold = a.class, a.mode, a.until, a.hold
	return v
}

// copied sends a copy that succeeds.
func (x *run) copied(r *request, b *bucket, to string, s source, v *version, algorithm string) {
	if algorithm == "" {
		algorithm = v.sum.algorithm
	}
	v.etag, v.sum = md5Hex(v.body), sumOf(algorithm, v.body)
	from := s.b.shown(s.v)
	g := x.send(r)
	w := documented(el("CopyObjectResult", append([]node{when("LastModified", x.m.now), text("ETag", `"`+v.etag+`"`)}, v.sum.nodes()...)...))
	x.compareWritten(r, g, w.with("x-amz-copy-source-version-id", from), b, to, v)
}

// copyPart copies an object, or some of it, to a part.
func (x *run) copyPart() {
	name, _, up := x.upload()
	if up == nil {
		return
	}
	number := 1 + x.g.IntN(4)
	r := object(http.MethodPut, name, up.key)
	r.query.Set("uploadId", up.id)
	r.query.Set("partNumber", strconv.Itoa(number))
	from, fromBucket := x.bucket()
	s := x.drawSource(r, from, fromBucket, x.key(fromBucket))
	if s.wrong != nil {
		x.ask(r, s.wrong)
		return
	}
	body := s.v.body
	if x.chance(40) {
		a := x.g.IntN(len(body) + 1)
		z := a + x.g.IntN(len(body)+1)
		r.header["x-amz-copy-source-range"] = fmt.Sprintf("bytes=%d-%d", a, z)
		if z >= len(body) {
			x.ask(r, refused(http.StatusBadRequest, "InvalidArgument"))
			return
		}
		body = body[a : z+1]
	}
	p := part{number: number, body: body, etag: md5Hex(body), modified: x.m.now}
	nodes := []node{when("LastModified", x.m.now), text("ETag", `"`+p.etag+`"`)}
	p.sum = digest(up.keeps(), body)
	if up.as.sum.algorithm != "" {
		nodes = append(nodes, text("Checksum"+up.as.sum.algorithm, p.sum))
	}
	x.ask(r, documented(el("CopyPartResult", nodes...)).with("x-amz-copy-source-version-id", s.b.shown(s.v)))
	up.parts[number] = p
}
