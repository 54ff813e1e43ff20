package s3api_test

import (
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"tdkvs/master/listtest"
	"tdkvs/master/meta"
)

// TestListingModel compares what clients are told with the reference: by both
// versions of ListObjects and by ListObjectVersions, encoded and plain.
//
// Covers: ListObjects, ListObjectsV2, ListObjectVersions.
func TestListingModel(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cfg := listtest.FromEnv(t, 15)
	n := 0
	cfg.New = func() listtest.Bucket {
		n++
		b := &listed{s: s, name: fmt.Sprintf("model-%04d", n), rand: rand.New(rand.NewPCG(cfg.Seed, uint64(n)))}
		s.bucket(b.name)
		return b
	}
	listtest.Run(t, cfg)
}

// listed is a bucket as the model drives it: listings go over HTTP, changes to
// the engine.
type listed struct {
	s     *server
	name  string
	rand  *rand.Rand
	token string // of the page before, which ended with next
	next  string
}

func (b *listed) Put(key string) (string, error) {
	o, err := b.s.hooks.PutObject(b.s.t.Context(), putOf(b.name, key, 0), payloadOf(""))
	return orNull(o.VersionID), err
}

func (b *listed) Delete(key, versionID string) (string, error) {
	results, err := b.s.hooks.DeleteObjects(b.s.t.Context(), b.name, []meta.DeleteItem{{Key: key, VersionID: versionID}})
	if err != nil {
		return "", err
	}
	return orNull(results[0].VersionID), results[0].Err
}

func (b *listed) SetVersioning(v meta.Versioning) error {
	return b.s.hooks.SetBucketVersioning(b.s.t.Context(), b.name, v)
}

func orNull(id string) string {
	if id == "" {
		return meta.NullVersion
	}
	return id
}

// query is the part of a request that all listings share. It asks for encoding
// every other time, and leaves out what is empty or the default, or sends it.
func (b *listed) query(prefix, delimiter string, limit int) url.Values {
	q := url.Values{}
	set := func(name, value, def string) {
		if value != def || b.rand.IntN(2) == 0 {
			q.Set(name, value)
		}
	}
	set("prefix", prefix, "")
	set("delimiter", delimiter, "")
	set("max-keys", strconv.Itoa(limit), "1000")
	if b.rand.IntN(2) == 0 {
		q.Set("encoding-type", "url")
	}
	return q
}

// list sends a request and reads the answer, and what it says of the request.
func (b *listed) list(q url.Values) *xmlElement {
	b.s.t.Helper()
	r := b.s.get("/" + b.name + "?" + q.Encode()).want(200)
	if i := strings.IndexFunc(r.body[len(xml.Header):], func(c rune) bool { return c < ' ' || c == 0xFFFE || c == 0xFFFF }); i >= 0 {
		b.s.t.Errorf("the document holds what XML does not keep, at %d: %q", i, r.body)
	}
	doc := parseDocument(r.body)
	if q.Has("encoding-type") {
		r.wellFormed() // the plain form may hold what XML 1.0 forbids
		doc.decode(b.s.t)
	}
	limit := q.Get("max-keys")
	if limit == "" {
		limit = "1000"
	}
	for name, want := range map[string]string{
		"Name": b.name, "Prefix": q.Get("prefix"), "Delimiter": q.Get("delimiter"), "MaxKeys": limit, "EncodingType": q.Get("encoding-type"),
		"Marker": q.Get("marker"), "StartAfter": q.Get("start-after"), "ContinuationToken": q.Get("continuation-token"),
		"KeyMarker": q.Get("key-marker"), "VersionIdMarker": q.Get("version-id-marker"),
	} {
		if got := doc.text(name); got != want {
			b.s.t.Errorf("%s is %q, want %q: %s", name, got, want, r.body)
		}
	}
	return doc
}

func (b *listed) Objects(req meta.ListRequest) (meta.ListPage, error) {
	q := b.query(req.Prefix, req.Delimiter, req.Limit)
	if b.rand.IntN(2) == 0 {
		q.Set("marker", req.After)
		doc := b.list(q)
		page := doc.objects()
		page.Next = doc.text("NextMarker")
		return page, nil
	}
	q.Set("list-type", "2")
	if b.token != "" && b.next == req.After {
		q.Set("continuation-token", b.token)
	} else {
		q.Set("start-after", req.After)
	}
	doc := b.list(q)
	page := doc.objects()
	if got := doc.text("KeyCount"); got != strconv.Itoa(len(page.Objects)+len(page.Prefixes)) {
		return page, fmt.Errorf("KeyCount is %s", got)
	}
	b.token = doc.text("NextContinuationToken")
	if (b.token != "") != page.Truncated {
		return page, fmt.Errorf("truncated is %v, the token %q", page.Truncated, b.token)
	}
	if page.Truncated { // by what the token stands for, which nobody can see
		page.Next = lastName(page)
	}
	b.next = page.Next
	return page, nil
}

// lastName returns the greatest name of a page.
func lastName(p meta.ListPage) string {
	name := ""
	for _, o := range p.Objects {
		name = max(name, o.Key)
	}
	for _, p := range p.Prefixes {
		name = max(name, p)
	}
	return name
}

func (b *listed) Versions(req meta.VersionsRequest) (meta.VersionsPage, error) {
	q := b.query(req.Prefix, req.Delimiter, req.Limit)
	q.Set("versions", "")
	if req.KeyMarker != "" || req.VersionIDMarker != "" {
		q.Set("key-marker", req.KeyMarker)
	}
	if req.VersionIDMarker != "" {
		q.Set("version-id-marker", req.VersionIDMarker)
	}
	doc := b.list(q)
	page := meta.VersionsPage{
		Prefixes: doc.prefixes(), Truncated: doc.text("IsTruncated") == "true",
		NextKeyMarker: doc.text("NextKeyMarker"), NextVersionIDMarker: doc.text("NextVersionIdMarker"),
	}
	for _, e := range doc.children {
		if e.name == "Version" || e.name == "DeleteMarker" {
			o := meta.Object{Key: e.text("Key"), VersionID: e.text("VersionId"), DeleteMarker: e.name == "DeleteMarker"}
			page.Versions = append(page.Versions, meta.Version{Object: o, Latest: e.text("IsLatest") == "true"})
		}
	}
	return page, nil
}

// xmlElement is an element of a document: with children or with text.
type xmlElement struct {
	name     string
	chars    string
	children []*xmlElement
}

// parseDocument reads a document of the store's own making, with all characters
// that it may have, also those that XML 1.0 forbids.
func parseDocument(s string) *xmlElement {
	top := &xmlElement{}
	open := []*xmlElement{top}
	for _, piece := range strings.Split(s, "<")[1:] {
		tag, text, _ := strings.Cut(piece, ">")
		name, _, _ := strings.Cut(tag, " ")
		switch {
		case strings.HasPrefix(tag, "?"):
		case strings.HasPrefix(tag, "/"):
			open = open[:len(open)-1]
		default:
			e := &xmlElement{name: name, chars: unescape(text)}
			parent := open[len(open)-1]
			parent.children = append(parent.children, e)
			open = append(open, e)
		}
	}
	return top.children[0]
}

// unescape resolves references.
func unescape(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "&")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, ";")
		if code, ok := strings.CutPrefix(name, "#x"); ok {
			n, err := strconv.ParseUint(code, 16, 32)
			if err != nil {
				return s
			}
			b.WriteRune(rune(n))
		} else {
			b.WriteString(map[string]string{"amp": "&", "lt": "<", "gt": ">", "quot": `"`}[name])
		}
		s = after
	}
}

// text returns the text of the first child of this name; "" where there is none.
func (e *xmlElement) text(name string) string {
	for _, c := range e.children {
		if c.name == name {
			return c.chars
		}
	}
	return ""
}

func (e *xmlElement) objects() meta.ListPage {
	page := meta.ListPage{Prefixes: e.prefixes(), Truncated: e.text("IsTruncated") == "true"}
	for _, c := range e.children {
		if c.name == "Contents" {
			page.Objects = append(page.Objects, meta.Listed{Key: c.text("Key")})
		}
	}
	return page
}

func (e *xmlElement) prefixes() (all []string) {
	for _, c := range e.children {
		if c.name == "CommonPrefixes" {
			all = append(all, c.text("Prefix"))
		}
	}
	return all
}

// decode undoes encoding-type=url, which decoders of URLs and of forms must agree
// on.
func (e *xmlElement) decode(t *testing.T) {
	t.Helper()
	switch e.name {
	case "Prefix", "Delimiter", "Marker", "NextMarker", "StartAfter", "KeyMarker", "NextKeyMarker", "Key":
		form, err := url.QueryUnescape(e.chars)
		path, err2 := url.PathUnescape(e.chars)
		if err != nil || err2 != nil || form != path {
			t.Errorf("%s is %q: for a form %q, for a path %q", e.name, e.chars, form, path)
		}
		e.chars = path
	}
	for _, c := range e.children {
		c.decode(t)
	}
}
