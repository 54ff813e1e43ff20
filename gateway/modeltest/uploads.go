package modeltest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keeps is the algorithm of the checksums that are kept with the parts.
func (u *upload) keeps() string {
	if u.as.sum.algorithm == "" {
		return usualSum
	}
	return u.as.sum.algorithm
}

// kind is the type of the object's checksum.
func (u *upload) kind() string {
	if u.as.sum.algorithm == "" {
		return fullObject
	}
	return u.as.sum.kind
}

// minPart is the least size of a part that is not the last. Source: AWS "Amazon S3
// multipart upload limits".
const minPart = 5 << 20

// noUpload is the answer where there is no such upload.
func noUpload() *want { return refused(http.StatusNotFound, "NoSuchUpload") }

// upload picks an upload in progress; nil: there is none.
func (x *run) upload() (string, *bucket, *upload) {
	var buckets []*bucket
	for _, name := range x.m.names() {
		if b := x.m.buckets[name]; len(b.uploads) > 0 {
			buckets = append(buckets, b)
		}
	}
	if len(buckets) == 0 {
		x.createUpload()
		return "", nil, nil
	}
	b := one(x, buckets...)
	return b.name, b, one(x, b.uploads...)
}

// createUpload begins an upload.
func (x *run) createUpload() {
	name, b := x.bucket()
	key := x.key(b)
	r := object(http.MethodPost, name, key)
	r.query.Set("uploads", "")
	a := x.attributes(r, b)
	var mismatch *want
	if x.chance(50) {
		a.sum.algorithm = one(x, algorithms()...)
		r.header["x-amz-checksum-algorithm"] = a.sum.algorithm
		linear := strings.HasPrefix(a.sum.algorithm, "CRC")
		a.sum.kind = composite
		if a.sum.algorithm == usualSum {
			a.sum.kind = fullObject
		}
		if x.chance(40) {
			a.sum.kind = one(x, fullObject, composite)
			r.header["x-amz-checksum-type"] = a.sum.kind
		}
		if a.sum.kind == fullObject && !linear || a.sum.kind == composite && a.sum.algorithm == usualSum {
			mismatch = refused(http.StatusBadRequest, "InvalidRequest")
		}
	}
	if w := first(a.wrong, mismatch, writable(b, &a)); w != nil {
		x.ask(r, w)
		return
	}
	g := x.send(r)
	doc, err := parse(g.body)
	if err != nil {
		x.failf("%v: %d %s", r, g.status, brief(g.body))
	}
	up := &upload{key: key, began: x.m.now, as: a.version, parts: map[int]part{}}
	if g.status == http.StatusOK {
		up.id = x.learn("upload", doc.find("UploadId"))
	}
	w := documented(el("InitiateMultipartUploadResult", text("Bucket", name), text("Key", key), text("UploadId", up.id)))
	x.compare(r, g, w.with("x-amz-checksum-algorithm", a.sum.algorithm).with("x-amz-checksum-type", a.sum.kind))
	b.uploads = append(b.uploads, up)
}

// uploadPart stores a part, in the place of another at times.
func (x *run) uploadPart() {
	name, _, up := x.upload()
	if up == nil {
		return
	}
	number := 1 + x.g.IntN(4)
	r := object(http.MethodPut, name, up.key)
	r.query.Set("uploadId", up.id)
	r.query.Set("partNumber", strconv.Itoa(number))
	r.body = x.content()
	if x.chance(12) {
		r.body = x.bytes(minPart + x.g.IntN(3)*70000)
	}
	s, badSum := x.summed(r, r.body, false)
	algorithm := up.as.sum.algorithm
	if sent := r.header[s.header()] != ""; algorithm != "" && sent != (s.algorithm == algorithm) && x.chance(80) {
		delete(r.header, s.header()) // mostly that of the upload
		s, badSum = sumOf(algorithm, r.body), nil
		r.header[s.header()] = s.value
		delete(r.header, "Content-MD5")
	}
	sent := r.header[s.header()] != ""
	var wrong *want
	switch {
	case x.chance(3):
		r.query.Set("partNumber", one(x, "0", "10001", "x"))
		wrong = refused(http.StatusBadRequest, "InvalidArgument")
	case x.chance(3):
		r.query.Set("uploadId", "0123456789abcdef0123456789abcdef")
		wrong = noUpload()
	case algorithm != "" && sent && s.algorithm != algorithm, algorithm != "" && !sent && up.kind() == composite:
		wrong = refused(http.StatusBadRequest, "InvalidRequest")
	}
	if w := first(wrong, badSum); w != nil {
		x.ask(r, w)
		return
	}
	p := part{number: number, body: r.body, etag: md5Hex(r.body), sum: digest(up.keeps(), r.body), modified: x.m.now}
	shown := sum{algorithm: up.keeps(), value: p.sum}
	if sent && algorithm == "" {
		shown = s
	}
	x.ask(r, answered(http.StatusOK).with("etag", `"`+p.etag+`"`).with(shown.header(), shown.value))
	up.parts[number] = p
}

// sortedParts are the parts of an upload in order.
func (u *upload) sortedParts() []part {
	var parts []part
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		parts = append(parts, u.parts[n])
	}
	return parts
}

// choose draws the list of a completion: one that can be an object, mostly.
func (x *run) choose(up *upload) []part {
	var parts []part
	all := up.sortedParts()
	for i, p := range all {
		if len(p.body) >= minPart || i == len(all)-1 {
			parts = append(parts, p)
		}
	}
	if x.chance(80) {
		return parts
	}
	switch x.g.IntN(4) {
	case 0:
		return all
	case 1:
		return slices.Insert(slices.Clone(all), 0, part{number: 9, etag: md5Hex(nil)})
	case 2:
		return append(slices.Clone(parts), part{number: 17, etag: md5Hex(nil)})
	}
	if len(parts) > 0 {
		parts[0].etag = md5Hex([]byte("something else"))
	}
	return parts
}

// wrongParts is the refusal of a list. Source: AWS CompleteMultipartUpload.
func (u *upload) wrongParts(parts []part) *want {
	if len(parts) == 0 {
		return refused(http.StatusBadRequest, "MalformedXML")
	}
	if !slices.IsSortedFunc(parts, func(a, b part) int { return a.number - b.number }) {
		return refused(http.StatusBadRequest, "InvalidPartOrder")
	}
	for _, p := range parts {
		if is, ok := u.parts[p.number]; !ok || is.etag != p.etag {
			return refused(http.StatusBadRequest, "InvalidPart")
		}
	}
	for _, p := range parts[:len(parts)-1] {
		if len(p.body) < minPart {
			return refused(http.StatusBadRequest, "EntityTooSmall")
		}
	}
	return nil
}

// completeUpload makes an upload an object, or one that was completed once more.
func (x *run) completeUpload() {
	if x.chance(15) {
		x.completeAgain()
		return
	}
	name, b, up := x.upload()
	if up == nil {
		return
	}
	parts := x.choose(up)
	r := x.completion(name, up, parts)
	wrong := up.wrongParts(parts)
	if x.chance(5) && wrong == nil {
		r.query.Set("uploadId", "0123456789abcdef0123456789abcdef")
		wrong = noUpload()
	}
	condition := x.condition(r, b, up.key)
	if w := first(wrong, condition); w != nil {
		x.ask(r, w)
		return
	}
	v := up.as
	v.parts, v.etag = parts, assembledETag(parts)
	for _, p := range parts {
		v.body = append(v.body, p.body...)
	}
	v.sum = assembledSum(up.keeps(), up.kind(), parts)
	g := x.send(r)
	x.compareWritten(r, g, completed(r, name, up.key, &v), b, up.key, &v)
	up.done, up.made = x.m.now, &v
	b.drop(up)
	b.finished = append(b.finished, up)
}

// completion is the request that completes an upload.
func (x *run) completion(name string, up *upload, parts []part) *request {
	r := object(http.MethodPost, name, up.key)
	r.query.Set("uploadId", up.id)
	var doc strings.Builder
	doc.WriteString("<CompleteMultipartUpload>")
	for _, p := range parts {
		doc.WriteString("<Part><PartNumber>" + strconv.Itoa(p.number) + `</PartNumber><ETag>"` + p.etag + `"</ETag>`)
		if stored, ok := up.parts[p.number]; ok && up.as.sum.algorithm != "" {
			element := "Checksum" + up.as.sum.algorithm
			doc.WriteString("<" + element + ">" + stored.sum + "</" + element + ">")
		} else if up.kind() == composite {
			element := "Checksum" + up.as.sum.algorithm
			doc.WriteString("<" + element + ">" + digest(up.as.sum.algorithm, nil) + "</" + element + ">")
		}
		doc.WriteString("</Part>")
	}
	r.body = []byte(doc.String() + "</CompleteMultipartUpload>")
	return r
}

// completed is the answer of a completion.
func completed(r *request, bucket, key string, v *version) *want {
	path, _, _ := strings.Cut(r.target(), "?")
	nodes := []node{text("Location", "http://"+host+path), text("Bucket", bucket), text("Key", key), text("ETag", `"`+v.etag+`"`)}
	return documented(el("CompleteMultipartUploadResult", append(nodes, v.sum.nodes()...)...)).with("x-amz-version-id", v.id)
}

// completeAgain repeats a completion, as a client does that has not seen the
// answer.
func (x *run) completeAgain() {
	name, b := x.bucket()
	if b == nil || len(b.finished) == 0 {
		return
	}
	up := one(x, b.finished...)
	if x.m.now.Sub(up.done) > 12*time.Hour {
		return // it may be forgotten
	}
	r := x.completion(name, up, up.made.parts)
	x.ask(r, completed(r, name, up.key, up.made))
}

// abortUpload ends an upload.
func (x *run) abortUpload() {
	name, b, up := x.upload()
	if up == nil {
		return
	}
	r := object(http.MethodDelete, name, up.key)
	r.query.Set("uploadId", up.id)
	x.ask(r, answered(http.StatusNoContent))
	b.drop(up)
	if x.chance(50) {
		x.ask(r, noUpload())
	}
}
