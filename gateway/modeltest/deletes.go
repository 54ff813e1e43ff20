package modeltest

import (
	"net/http"
	"strconv"
	"strings"
)

// deletion is a delete of a key or a version, and what becomes of it.
type deletion struct {
	key, id string
	target  *version
	marks   bool   // a delete marker is made
	marker  string // id of the marker that is made, or was removed
	refused *want
	etag    string // condition; empty: none
}

// decide finds out what a delete does, without doing it.
func (x *run) decide(b *bucket, d *deletion, bypass bool) {
	d.target = b.find(d.key, d.id)
	gone := d.target == nil && d.id != "" && d.id != null
	seen := d.target
	if seen != nil && seen.marker {
		seen = nil
	}
	switch {
	case d.etag != "" && !gone && seen == nil:
		d.refused = refused(http.StatusNotFound, "NoSuchKey")
	case d.etag != "" && !gone && d.etag != "*" && d.etag != seen.etag:
		d.refused = refused(http.StatusPreconditionFailed, "PreconditionFailed")
	case d.id == "" && b.versioning != "":
		d.marks = true
	case d.target != nil && d.id != "" && d.target.protected(x.m.now, bypass):
		d.refused = refused(http.StatusForbidden, "AccessDenied")
	}
}

// apply does it. marker is the id of the delete marker that the store says it made.
func (x *run) apply(b *bucket, d *deletion, marker string) {
	switch {
	case d.refused != nil:
	case d.marks:
		v := &version{marker: true}
		if b.versioning != enabled && marker != null {
			x.failf("a marker of a suspended bucket is %q", marker)
		}
		x.written(b, d.key, v, marker)
		d.marker = b.shown(v)
	case d.target != nil:
		if d.target.marker {
			d.marker = d.id
		}
		b.take(d.key, d.target)
	}
}

// draw draws a key and a version to delete.
func (x *run) drawDeletion(b *bucket) *deletion {
	d := &deletion{key: x.key(b)}
	d.id = x.versionOf(b, d.key)
	if b == nil || x.chance(85) {
		return d
	}
	d.etag = one(x, "*", md5Hex([]byte("something else")), `""`)
	if v := b.find(d.key, d.id); v != nil && !v.marker && x.chance(50) {
		d.etag = v.etag
	}
	return d
}

// deleteObject deletes a key or a version.
func (x *run) deleteObject() {
	name, b := x.bucket()
	d := x.drawDeletion(b)
	r := object(http.MethodDelete, name, d.key).version(d.id)
	bypass := x.chance(30)
	if bypass {
		r.header["x-amz-bypass-governance-retention"] = "true"
	}
	if d.etag != "" {
		r.header["If-Match"] = d.etag
	}
	if w := badVersion(d.id); w != nil || b == nil {
		x.ask(r, first(w, noBucket()))
		return
	}
	x.decide(b, d, bypass)
	if d.refused != nil {
		x.ask(r, d.refused)
		return
	}
	g := x.send(r)
	w := answered(http.StatusNoContent)
	if g.status == w.status {
		x.apply(b, d, g.header["x-amz-version-id"])
	}
	if d.id != "" {
		w.with("x-amz-version-id", d.id)
	}
	if d.marker != "" {
		w.with("x-amz-version-id", d.marker).with("x-amz-delete-marker", "true")
	}
	x.compare(r, g, w)
}

// deleteObjects deletes several in one request.
func (x *run) deleteObjects() {
	name, b := x.bucket()
	r := about(http.MethodPost, name)
	r.query.Set("delete", "")
	bypass, quiet := x.chance(30), x.chance(20)
	if bypass {
		r.header["x-amz-bypass-governance-retention"] = "true"
	}
	var list []*deletion
	seen := map[string]bool{}
	for range 1 + x.g.IntN(6) {
		d := x.drawDeletion(b)
		if seen[d.key] {
			continue // which of them counts is not what this is about
		}
		seen[d.key] = true
		list = append(list, d)
	}
	var doc strings.Builder
	doc.WriteString("<Delete><Quiet>" + strconv.FormatBool(quiet) + "</Quiet>")
	for _, d := range list {
		doc.WriteString("<Object><Key>" + escape(d.key) + "</Key>")
		if d.id != "" {
			doc.WriteString("<VersionId>" + escape(d.id) + "</VersionId>")
		}
		if d.etag != "" {
			doc.WriteString("<ETag>" + escape(d.etag) + "</ETag>")
		}
		doc.WriteString("</Object>")
	}
	r.document(doc.String() + "</Delete>")
	if b == nil {
		x.ask(r, noBucket())
		return
	}
	g := x.send(r)
	result := el("DeleteResult")
	for _, d := range list {
		x.decide(b, d, bypass)
		if badVersion(d.id) != nil {
			d.refused = refused(http.StatusNotFound, "NoSuchVersion")
		}
		x.apply(b, d, x.markerOf(g, d, b, quiet))
		if n := d.node(quiet); n.name != "" {
			result.kids = append(result.kids, n)
		}
	}
	x.compareDeletes(r, g, documented(result))
}

// node is what the answer says of a deletion; without a name: nothing.
func (d *deletion) node(quiet bool) node {
	switch {
	case d.refused != nil:
		n := el("Error", some(text("Key", d.key), text("VersionId", d.id), text("Code", d.refused.code))...)
		return n
	case quiet:
		return node{}
	}
	n := el("Deleted", some(text("Key", d.key), text("VersionId", d.id))...)
	if d.marker != "" {
		n.kids = append(n.kids, flag("DeleteMarker", true), text("DeleteMarkerVersionId", d.marker))
	}
	return n
}

// markerOf finds out which delete marker was made. Where the answer does not say,
// the listing does.
func (x *run) markerOf(g got, d *deletion, b *bucket, quiet bool) string {
	if !d.marks || d.refused != nil {
		return ""
	}
	if !quiet {
		doc, _ := parse(g.body) // compareDeletes says what is wrong with it
		for _, n := range doc.kids {
			if n.find("Key") == d.key {
				return n.find("DeleteMarkerVersionId")
			}
		}
		return ""
	}
	return x.send(object(http.MethodHead, b.name, d.key)).header["x-amz-version-id"]
}

// compareDeletes compares without the messages of errors.
func (x *run) compareDeletes(r *request, g got, w *want) {
	doc, err := parse(g.body)
	if err != nil || g.status != http.StatusOK {
		x.compare(r, g, w)
		return
	}
	var without func(n node) node
	without = func(n node) node {
		var kids []node
		for _, kid := range n.kids {
			if kid.name != "Message" {
				kids = append(kids, without(kid))
			}
		}
		n.kids = kids
		return n
	}
	should := *w.doc
	if i := firstDifference(without(doc).lines(), should.lines()); i >= 0 {
		x.failf("%v:\n%s\nwant\n%s", r, strings.Join(doc.lines(), "\n"), strings.Join(should.lines(), "\n"))
	}
	w.doc = &doc // its messages are for people
	x.compare(r, g, w)
}
