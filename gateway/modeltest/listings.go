package modeltest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// owner is who owns everything.
func owner(name string) node {
	return el(name, text("ID", ownerID), text("DisplayName", "root"))
}

const ownerID = "74646b7673000000000000000000000000000000000000000000000000000001"

// page is what a listing asks for.
type page struct {
	prefix, delimiter string
	limit             int
	encoded           bool
}

// drawPage draws a listing, and adds it to a request; most is the name of its limit.
func (x *run) drawPage(r *request, most string) page {
	p := page{limit: 1000}
	if x.chance(50) {
		p.delimiter = one(x, "/", "/", "/", "b", "b/")
		r.query.Set("delimiter", p.delimiter)
	}
	if x.chance(40) {
		p.prefix = one(x, "a", "a/", "a/b", "b", "ü/", "none", "")
		r.query.Set("prefix", p.prefix)
	}
	if x.chance(60) {
		p.limit = 1 + x.g.IntN(5)
		r.query.Set(most, strconv.Itoa(p.limit))
	}
	if x.chance(30) {
		p.encoded = true
		r.query.Set("encoding-type", "url")
	}
	return p
}

// name writes a key, or a part of one.
func (p page) name(element, key string) node {
	if !p.encoded {
		return text(element, key)
	}
	r := request{path: key}
	return text(element, strings.ReplaceAll(r.target(), "%2A", "*"))
}

// encoding are the nodes that say how keys are written, and what a delimiter is.
func (p page) delimited() []node {
	if p.delimiter == "" {
		return nil
	}
	return []node{p.name("Delimiter", p.delimiter)}
}

func (p page) encoding() []node {
	if !p.encoded {
		return nil
	}
	return []node{text("EncodingType", "url")}
}

// entry is one line of a listing: of a key, or of a common prefix.
type entry struct {
	name   string
	common bool
	v      *version
	latest bool
	up     *upload
}

// rollUp makes common prefixes of entries, which are in order.
func (p page) rollUp(entries []entry) []entry {
	var out []entry
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.name, p.prefix)
		if !ok {
			continue
		}
		if head, _, found := strings.Cut(rest, p.delimiter); p.delimiter != "" && found {
			e = entry{name: p.prefix + head + p.delimiter, common: true}
			if n := len(out); n > 0 && out[n-1].name == e.name && out[n-1].common {
				continue
			}
		}
		out = append(out, e)
	}
	return out
}

// commons are the common prefixes among entries.
func (p page) commons(entries []entry) []node {
	var nodes []node
	for _, e := range entries {
		if e.common {
			nodes = append(nodes, el("CommonPrefixes", p.name("Prefix", e.name)))
		}
	}
	return nodes
}

// cut is a page of entries behind the first n.
func (p page) cut(entries []entry, n int) (shown []entry, truncated bool) {
	entries = entries[n:]
	return entries[:min(p.limit, len(entries))], len(entries) > p.limit
}

// stored are the nodes of a version's bytes.
func stored(v *version) []node {
	return []node{text("ETag", `"`+v.etag+`"`), text("ChecksumAlgorithm", v.sum.algorithm), text("ChecksumType", v.sum.kind), num("Size", len(v.body))}
}

// listObjects lists by either version of ListObjects, over several pages at times.
func (x *run) listObjects() {
	name, b := x.bucket()
	second := x.chance(60)
	r := about(http.MethodGet, name)
	p := x.drawPage(r, "max-keys")
	if second {
		r.query.Set("list-type", "2")
		if x.chance(30) {
			r.query.Set("fetch-owner", "true")
		}
	}
	if b == nil {
		x.ask(r, noBucket())
		return
	}
	marker := ""
	if x.chance(30) {
		marker = one(x, append(b.sorted(), "a", "a/", "a/b/", "b", "zz")...)
		r.query.Set(map[bool]string{false: "marker", true: "start-after"}[second], marker)
	}
	var all []entry
	for _, key := range b.sorted() {
		if v := b.live(key); v != nil {
			all = append(all, entry{name: key, v: v})
		}
	}
	all = p.rollUp(all)
	for pages := 0; pages < 1+x.g.IntN(4); pages++ {
		from := 0
		for from < len(all) && marker != "" && all[from].name <= marker {
			from++
		}
		shown, truncated := p.cut(all, from)
		var next string
		if second {
			next = x.objectsV2(r, p, name, shown, truncated)
		} else {
			x.objectsV1(r, p, name, shown, truncated)
		}
		if !truncated {
			return
		}
		marker = shown[len(shown)-1].name
		if second {
			r.query.Set("continuation-token", next)
		} else {
			r.query.Set("marker", marker)
		}
	}
}

// contents are the nodes of objects.
func (p page) contents(entries []entry, owned bool) []node {
	var nodes []node
	for _, e := range entries {
		if e.common {
			continue
		}
		n := el("Contents", p.name("Key", e.name), when("LastModified", e.v.modified))
		n.kids = append(n.kids, stored(e.v)...)
		if owned {
			n.kids = append(n.kids, owner("Owner"))
		}
		n.kids = append(n.kids, text("StorageClass", classOf(e.v)))
		nodes = append(nodes, n)
	}
	return append(nodes, p.commons(entries)...)
}

// objectsV1 asks for a page of ListObjects.
func (x *run) objectsV1(r *request, p page, name string, shown []entry, truncated bool) {
	doc := el("ListBucketResult", text("Name", name), text("Prefix", p.prefix), p.name("Marker", r.query.Get("marker")))
	if truncated {
		doc.kids = append(doc.kids, p.name("NextMarker", shown[len(shown)-1].name))
	}
	doc.kids = append(doc.kids, num("MaxKeys", p.limit))
	doc.kids = append(doc.kids, p.delimited()...)
	doc.kids = append(doc.kids, p.encoding()...)
	doc.kids = append(doc.kids, flag("IsTruncated", truncated))
	doc.kids = append(doc.kids, p.contents(shown, true)...)
	x.ask(r, documented(doc))
}

// objectsV2 asks for a page of ListObjectsV2, and returns the token of the next one.
func (x *run) objectsV2(r *request, p page, name string, shown []entry, truncated bool) string {
	g := x.send(r)
	answer, err := parse(g.body)
	if err != nil {
		x.failf("%v: %v", r, err)
	}
	next := answer.find("NextContinuationToken")
	doc := el("ListBucketResult", text("Name", name), p.name("Prefix", p.prefix))
	if r.query.Has("start-after") {
		doc.kids = append(doc.kids, p.name("StartAfter", r.query.Get("start-after")))
	}
	if r.query.Has("continuation-token") {
		doc.kids = append(doc.kids, text("ContinuationToken", r.query.Get("continuation-token")))
	}
	if truncated {
		doc.kids = append(doc.kids, text("NextContinuationToken", next))
		if next == "" {
			x.failf("%v: a page that is not the last has no token", r)
		}
	}
	doc.kids = append(doc.kids, num("KeyCount", len(shown)), num("MaxKeys", p.limit))
	doc.kids = append(doc.kids, p.delimited()...)
	doc.kids = append(doc.kids, p.encoding()...)
	doc.kids = append(doc.kids, flag("IsTruncated", truncated))
	doc.kids = append(doc.kids, p.contents(shown, r.query.Get("fetch-owner") == "true")...)
	x.compare(r, g, documented(doc))
	return next
}

// listPages lists what a bucket has under a subresource, over several pages at times.
func (x *run) listPages(sub, most string, follow func(r *request, p page, b *bucket, pages int)) {
	name, b := x.bucket()
	r := about(http.MethodGet, name)
	r.query.Set(sub, "")
	p := x.drawPage(r, most)
	if b == nil {
		x.ask(r, noBucket())
		return
	}
	follow(r, p, b, 1+x.g.IntN(4))
}

// listVersions lists versions, over several pages at times.
func (x *run) listVersions() {
	x.listPages("versions", "max-keys", x.versionPages)
}

// allVersions lists all versions.
func (x *run) allVersions(b *bucket, limit int) {
	r := about(http.MethodGet, b.name)
	r.query.Set("versions", "")
	x.versionPages(r, page{limit: limit}, b, 1000)
}

func (x *run) versionPages(r *request, p page, b *bucket, pages int) {
	var all []entry
	for _, key := range b.sorted() {
		for i, v := range b.keys[key] {
			all = append(all, entry{name: key, v: v, latest: i == 0})
		}
	}
	all = p.rollUp(all)
	for from := 0; pages > 0; pages-- {
		shown, truncated := p.cut(all, from)
		x.versionPage(r, p, b, shown, truncated)
		if !truncated {
			return
		}
		from += len(shown)
		last := shown[len(shown)-1]
		r.query.Set("key-marker", last.name)
		r.query.Del("version-id-marker")
		if !last.common {
			r.query.Set("version-id-marker", cmp.Or(last.v.id, null))
		}
	}
}

func (x *run) versionPage(r *request, p page, b *bucket, shown []entry, truncated bool) {
	doc := el("ListVersionsResult", text("Name", b.name), p.name("Prefix", p.prefix), p.name("KeyMarker", r.query.Get("key-marker")),
		text("VersionIdMarker", r.query.Get("version-id-marker")))
	if truncated {
		last := shown[len(shown)-1]
		doc.kids = append(doc.kids, p.name("NextKeyMarker", last.name))
		if !last.common {
			doc.kids = append(doc.kids, text("NextVersionIdMarker", cmp.Or(last.v.id, null)))
		}
	}
	doc.kids = append(doc.kids, num("MaxKeys", p.limit))
	doc.kids = append(doc.kids, p.delimited()...)
	doc.kids = append(doc.kids, p.encoding()...)
	doc.kids = append(doc.kids, flag("IsTruncated", truncated))
	for _, e := range shown {
		if !e.common {
			doc.kids = append(doc.kids, p.versionNode(e))
		}
	}
	doc.kids = append(doc.kids, p.commons(shown)...)
	x.ask(r, documented(doc))
}

// versionNode is a version or a delete marker in a listing.
func (p page) versionNode(e entry) node {
	n := el("Version", p.name("Key", e.name), text("VersionId", cmp.Or(e.v.id, null)), flag("IsLatest", e.latest), when("LastModified", e.v.modified))
	if e.v.marker {
		n.name = "DeleteMarker"
		n.kids = append(n.kids, owner("Owner"))
		return n
	}
	n.kids = append(n.kids, stored(e.v)...)
	n.kids = append(n.kids, owner("Owner"), text("StorageClass", classOf(e.v)))
	return n
}

// listParts lists the parts of an upload.
func (x *run) listParts() {
	_, b, up := x.upload()
	if up != nil {
		x.partsOf(b, up, x.g.IntN(3), 1+x.g.IntN(4))
	}
}

func (x *run) partsOf(b *bucket, up *upload, marker, limit int) {
	r := object(http.MethodGet, b.name, up.key)
	r.query.Set("uploadId", up.id)
	r.query.Set("part-number-marker", strconv.Itoa(marker))
	r.query.Set("max-parts", strconv.Itoa(limit))
	parts := slices.DeleteFunc(up.sortedParts(), func(p part) bool { return p.number <= marker })
	truncated := len(parts) > limit
	parts = parts[:min(limit, len(parts))]
	doc := el("ListPartsResult", text("Bucket", b.name), text("Key", up.key), text("UploadId", up.id), owner("Initiator"), owner("Owner"),
		text("StorageClass", classOf(&up.as)), num("PartNumberMarker", marker))
	if len(parts) > 0 {
		doc.kids = append(doc.kids, num("NextPartNumberMarker", parts[len(parts)-1].number))
	}
	doc.kids = append(doc.kids, num("MaxParts", limit), flag("IsTruncated", truncated),
		text("ChecksumAlgorithm", cmp.Or(up.as.sum.algorithm, "null")), text("ChecksumType", cmp.Or(up.as.sum.kind, "null")))
	for _, p := range parts {
		n := el("Part", num("PartNumber", p.number), when("LastModified", p.modified), text("ETag", `"`+p.etag+`"`), num("Size", len(p.body)))
		if up.as.sum.algorithm != "" {
			n.kids = append(n.kids, text("Checksum"+up.as.sum.algorithm, p.sum))
		}
		doc.kids = append(doc.kids, n)
	}
	x.ask(r, documented(doc))
}

// listUploads lists uploads in progress, over several pages at times.
func (x *run) listUploads() {
	x.listPages("uploads", "max-uploads", x.uploadPages)
}

func (x *run) allUploads(b *bucket) {
	r := about(http.MethodGet, b.name)
	r.query.Set("uploads", "")
	x.uploadPages(r, page{limit: 1000}, b, 1000)
}

func (x *run) uploadPages(r *request, p page, b *bucket, pages int) {
	var all []entry
	for _, up := range b.uploads {
		all = append(all, entry{name: up.key, up: up})
	}
	slices.SortStableFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	all = p.rollUp(all)
	for from := 0; pages > 0; pages-- {
		shown, truncated := p.cut(all, from)
		next, nextID := x.uploadPage(r, p, b, shown, truncated)
		if !truncated {
			return
		}
		from += len(shown)
		r.query.Set("key-marker", next)
		r.query.Set("upload-id-marker", nextID)
	}
}

func (x *run) uploadPage(r *request, p page, b *bucket, shown []entry, truncated bool) (next, nextID string) {
	if truncated {
		last := shown[len(shown)-1]
		next = last.name
		if !last.common {
			nextID = last.up.id
		}
	}
	doc := el("ListMultipartUploadsResult", text("Bucket", b.name), p.name("KeyMarker", r.query.Get("key-marker")),
		text("UploadIdMarker", r.query.Get("upload-id-marker")), p.name("NextKeyMarker", next), text("NextUploadIdMarker", nextID))
	doc.kids = append(doc.kids, p.delimited()...)
	doc.kids = append(doc.kids, p.name("Prefix", p.prefix))
	doc.kids = append(doc.kids, p.encoding()...)
	doc.kids = append(doc.kids, num("MaxUploads", p.limit), flag("IsTruncated", truncated))
	for _, e := range shown {
		if e.common {
			continue
		}
		n := el("Upload", p.name("Key", e.name), text("UploadId", e.up.id), owner("Initiator"), owner("Owner"),
			text("StorageClass", classOf(&e.up.as)), when("Initiated", e.up.began))
		n.kids = append(n.kids, some(text("ChecksumAlgorithm", e.up.as.sum.algorithm), text("ChecksumType", e.up.as.sum.kind))...)
		doc.kids = append(doc.kids, n)
	}
	doc.kids = append(doc.kids, p.commons(shown)...)
	x.ask(r, documented(doc))
	return next, nextID
}
