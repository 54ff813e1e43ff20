package modeltest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// createBucket makes a bucket, or is told that there is one.
func (x *run) createBucket() {
	x.create(one(x, "fourth", "fifth", "plain", "kept", "kv"), x.chance(20))
}

func (x *run) create(name string, locked bool) {
	r := about(http.MethodPut, name)
	if locked {
		r.header["x-amz-bucket-object-lock-enabled"] = "true"
	}
	if x.m.buckets[name] != nil {
		x.ask(r, refused(http.StatusConflict, "BucketAlreadyOwnedByYou"))
		return
	}
	x.ask(r, answered(http.StatusOK).with("location", "/"+name).with("x-amz-bucket-arn", "arn:aws:s3:::"+name))
	b := &bucket{name: name, created: x.m.now, locked: locked, keys: map[string][]*version{}, docs: map[string][]byte{}}
	if locked {
		b.versioning = enabled
	}
	x.m.buckets[name] = b
}

// deleteBucket deletes a bucket, if it is empty.
func (x *run) deleteBucket() {
	name, b := x.bucket()
	r := about(http.MethodDelete, name)
	switch {
	case b == nil:
		x.ask(r, noBucket())
	case len(b.keys) > 0:
		x.ask(r, refused(http.StatusConflict, "BucketNotEmpty"))
	default:
		x.ask(r, answered(http.StatusNoContent))
		delete(x.m.buckets, name)
	}
}

// listBuckets lists buckets, and looks at one.
func (x *run) listBuckets() {
	doc := el("Buckets")
	for _, name := range x.m.names() {
		doc.kids = append(doc.kids, el("Bucket", text("Name", name), when("CreationDate", x.m.buckets[name].created), text("BucketRegion", "us-east-1")))
	}
	r := about(http.MethodGet, "")
	x.ask(r, documented(el("ListAllMyBucketsResult", owner("Owner"), doc)))
	name, b := x.bucket()
	r = about(http.MethodHead, name)
	if b == nil {
		x.ask(r, noBucket())
		return
	}
	x.ask(r, answered(http.StatusOK).with("x-amz-bucket-region", "us-east-1").with("x-amz-access-point-alias", "false").
		with("x-amz-bucket-arn", "arn:aws:s3:::"+name).with("content-type", "application/xml"))
}

// putVersioning enables or suspends versioning.
func (x *run) putVersioning() {
	name, _ := x.bucket()
	x.version(name, one(x, enabled, enabled, suspended))
}

func (x *run) version(name, state string) {
	b := x.m.buckets[name]
	r := about(http.MethodPut, name).document("<VersioningConfiguration><Status>" + state + "</Status></VersioningConfiguration>")
	r.query.Set("versioning", "")
	switch {
	case b == nil:
		x.ask(r, noBucket())
		return
	case b.locked && state != enabled:
		x.ask(r, refused(http.StatusConflict, "InvalidBucketState"))
		return
	}
	x.ask(r, answered(http.StatusOK))
	b.versioning = state
	r = about(http.MethodGet, name)
	r.query.Set("versioning", "")
	x.ask(r, documented(el("VersioningConfiguration", text("Status", state))))
}

// putLock turns object lock on, or changes the default retention.
func (x *run) putLock() {
	name, b := x.bucket()
	r := about(http.MethodPut, name)
	r.query.Set("object-lock", "")
	mode, days := "", 1+x.g.IntN(2)
	rule := ""
	if x.chance(50) {
		mode = one(x, "GOVERNANCE", "COMPLIANCE")
		rule = "<Rule><DefaultRetention><Mode>" + mode + "</Mode><Days>" + strconv.Itoa(days) + "</Days></DefaultRetention></Rule>"
	}
	r.document("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>" + rule + "</ObjectLockConfiguration>")
	switch {
	case b == nil:
		x.ask(r, noBucket())
		return
	case b.versioning != enabled:
		x.ask(r, refused(http.StatusConflict, "InvalidBucketState"))
		return
	case !b.locked && x.chance(80):
		return // most buckets stay without
	}
	x.ask(r, answered(http.StatusOK))
	b.locked, b.mode, b.days = true, mode, days
	r = about(http.MethodGet, name)
	r.query.Set("object-lock", "")
	doc := el("ObjectLockConfiguration", text("ObjectLockEnabled", "Enabled"))
	if mode != "" {
		doc.kids = append(doc.kids, el("Rule", el("DefaultRetention", text("Mode", mode), num("Days", days))))
	}
	x.ask(r, documented(doc))
}

// documents are the kinds of documents that buckets carry.
func documents() []string { return []string{"cors", "tagging", "publicAccessBlock", "policy"} }

// unsetDocument is the answer where a bucket has no document of a kind.
func unsetDocument(kind string) *want {
	return refused(http.StatusNotFound, map[string]string{
		"cors": "NoSuchCORSConfiguration", "tagging": "NoSuchTagSet", "policy": "NoSuchBucketPolicy",
		"publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
	}[kind])
}

// drawDocument makes a document as it is read back.
func (x *run) drawDocument(kind, bucket string) string {
	switch n := strconv.Itoa(x.g.IntN(1000)); kind {
	case "cors":
		return "<CORSConfiguration><CORSRule><ID>" + n + "</ID><AllowedMethod>GET</AllowedMethod><AllowedOrigin>http://" + n +
			".example</AllowedOrigin></CORSRule></CORSConfiguration>"
	case "tagging":
		return tagDocument(map[string]string{"n": n, "ä": ""})
	case "publicAccessBlock":
		yes := strconv.FormatBool(x.chance(50))
		return "<PublicAccessBlockConfiguration><BlockPublicAcls>" + yes + "</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>" +
			"<BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>" + yes + "</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
	default:
		return `{"Version":"2012-10-17","Id":"` + n + `","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::` + bucket + `/private/*"}]}`
	}
}

// bucketDocument sets, reads or removes a document of a bucket.
func (x *run) bucketDocument() {
	name, b := x.bucket()
	kind := one(x, documents()...)
	r := about(one(x, http.MethodPut, http.MethodPut, http.MethodDelete), name)
	r.query.Set(kind, "")
	if r.method == http.MethodPut {
		r.document(x.drawDocument(kind, name))
	}
	if b == nil {
		x.ask(r, noBucket())
		return
	}
	status := http.StatusOK
	if r.method == http.MethodDelete || kind == "tagging" || kind == "policy" {
		status = http.StatusNoContent
	}
	x.ask(r, answered(status))
	b.docs[kind] = r.body
	x.readDocument(b, kind)
}

func (x *run) readDocument(b *bucket, kind string) {
	r := about(http.MethodGet, b.name)
	r.query.Set(kind, "")
	doc := b.docs[kind]
	switch {
	case doc == nil:
		x.ask(r, unsetDocument(kind))
	case kind == "policy":
		w := answered(http.StatusOK).with("content-type", "application/json").with("content-length", strconv.Itoa(len(doc)))
		w.body = doc
		x.ask(r, w)
	default:
		n, err := parse(doc)
		if err != nil {
			x.failf("%s: %v", kind, err)
		}
		x.ask(r, documented(n))
	}
}

// amended finds the version that a request about one is to change; a nil answer:
// it can be.
func (x *run) amended(method, selector string, needsLock bool) (*request, *bucket, string, *version, *want) {
	name, b := x.bucket()
	key := x.key(b)
	id := x.versionOf(b, key)
	r := object(method, name, key).version(id)
	r.query.Set(selector, "")
	bad := badVersion(id)
	switch { // two wrongs at once: which is told first is settled here
	case method == http.MethodGet && needsLock && b != nil && !b.locked:
		bad = noLock()
	case method == http.MethodGet && needsLock && b == nil:
		bad = noBucket()
	}
	if bad != nil || b == nil {
		return r, b, id, nil, first(bad, noBucket())
	}
	if needsLock && !b.locked {
		return r, b, id, nil, noLock()
	}
	v := b.find(key, id)
	w := b.absent(v, id, method)
	if v != nil && v.marker && selector == "tagging" && id == "" {
		w = refused(http.StatusMethodNotAllowed, "MethodNotAllowed").with("allow", http.MethodDelete)
	}
	return r, b, id, v, w
}

// objectTagging sets, reads or removes the tags of a version.
func (x *run) objectTagging() {
	r, b, id, v, w := x.amended(one(x, http.MethodPut, http.MethodGet, http.MethodDelete), "tagging", false)
	tags := map[string]string{}
	if r.method == http.MethodPut {
		for range x.g.IntN(4) {
			tags[one(x, "k", "a b", "ü+", "x=y")] = one(x, "", "v", "1/2", "ä")
		}
		r.document(tagDocument(tags))
	}
	if w != nil {
		x.ask(r, w)
		return
	}
	if r.method == http.MethodGet {
		x.readTags(b, strings.TrimPrefix(r.path, "/"+b.name+"/"), id)
		return
	}
	status := http.StatusOK
	if r.method == http.MethodDelete {
		status = http.StatusNoContent
	}
	x.ask(r, answered(status).with("x-amz-version-id", b.shown(v)))
	v.tags = tags
}

func (x *run) readTags(b *bucket, key, id string) {
	v := b.find(key, id)
	r := object(http.MethodGet, b.name, key).version(id)
	r.query.Set("tagging", "")
	x.ask(r, documented(el("Tagging", tagNodes(v.tags))).with("x-amz-version-id", b.shown(v)))
}

// retention sets, or reads, the retention of a version.
func (x *run) retention() {
	if x.chance(40) {
		r, _, _, v, w := x.amended(http.MethodGet, "retention", true)
		switch {
		case w != nil:
			x.ask(r, w)
		case v.mode == "":
			x.ask(r, refused(http.StatusNotFound, "NoSuchObjectLockConfiguration"))
		default:
			x.ask(r, documented(el("Retention", text("Mode", v.mode), when("RetainUntilDate", v.until))))
		}
		return
	}
	r, b, _, v, w := x.amended(http.MethodPut, "retention", true)
	mode, until := x.retain()
	doc := "<Retention><Mode>" + mode + "</Mode><RetainUntilDate>" + until.Format(time.RFC3339Nano) + "</RetainUntilDate></Retention>"
	if x.chance(25) {
		mode, until, doc = "", time.Time{}, "<Retention></Retention>"
	}
	r.document(doc)
	bypass := x.chance(40)
	if bypass {
		r.header["x-amz-bypass-governance-retention"] = "true"
	}
	past := mode != "" && !until.After(x.m.now)
	switch {
	case past && b != nil && b.locked:
		x.ask(r, first(onlyBad(w), refused(http.StatusBadRequest, "InvalidArgument")))
		return
	case w != nil:
		x.ask(r, w)
		return
	}
	weaker := v.retained(x.m.now) && (mode != v.mode || until.Before(v.until))
	if weaker && (v.mode == "COMPLIANCE" || !bypass) {
		x.ask(r, refused(http.StatusForbidden, "AccessDenied"))
		return
	}
	x.ask(r, answered(http.StatusOK))
	v.mode, v.until = mode, until
}

// onlyBad is a refusal for what was asked, not for what is there.
func onlyBad(w *want) *want {
	if w != nil && w.code == "InvalidArgument" {
		return w
	}
	return nil
}

// legalHold sets, or reads, the legal hold of a version.
func (x *run) legalHold() {
	if x.chance(40) {
		r, _, _, v, w := x.amended(http.MethodGet, "legal-hold", true)
		switch {
		case w != nil:
			x.ask(r, w)
		case v.hold == "":
			x.ask(r, refused(http.StatusNotFound, "NoSuchObjectLockConfiguration"))
		default:
			x.ask(r, documented(el("LegalHold", text("Status", v.hold))))
		}
		return
	}
	r, _, _, v, w := x.amended(http.MethodPut, "legal-hold", true)
	hold := one(x, "ON", "OFF", "OFF", "OFF")
	r.document("<LegalHold><Status>" + hold + "</Status></LegalHold>")
	if w != nil {
		x.ask(r, w)
		return
	}
	x.ask(r, answered(http.StatusOK))
	v.hold = hold
}
