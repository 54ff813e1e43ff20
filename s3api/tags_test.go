package s3api_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
)

const (
	invalidKey    = "The TagKey you have provided is invalid"
	invalidValue  = "The TagValue you have provided is invalid"
	duplicateKey  = "Cannot provide multiple Tags with the same key"
	malformedXML  = "The XML you provided was not well-formed or did not validate against our published schema."
	missingDigest = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
	badTagging    = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."
	emptyBody     = "Request Body is empty"
)

// putDoc sends a document with its Content-MD5.
func (s *server) putDoc(path, body string, headers ...string) *result {
	s.t.Helper()
	return s.put(path, body, append([]string{"Content-MD5", md5Of(body)}, headers...)...)
}

func crc32Of(s string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

// tagging is a Tagging document of keys and values.
func tagging(pairs ...string) string {
	return `<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + tagSet(pairs...) + `</Tagging>`
}

func tagSet(pairs ...string) string {
	var b strings.Builder
	b.WriteString("<TagSet>")
	for i := 0; i+1 < len(pairs); i += 2 {
		b.WriteString("<Tag><Key>" + pairs[i] + "</Key><Value>" + pairs[i+1] + "</Value></Tag>")
	}
	return b.String() + "</TagSet>"
}

// manyTags is n tags, in the order of their keys.
func manyTags(n int) []string {
	var pairs []string
	for i := range n {
		pairs = append(pairs, fmt.Sprintf("key-%02d", i), fmt.Sprint(i))
	}
	return pairs
}

// malformedTagging are documents that are no Tagging.
func malformedTagging() []string {
	return []string{
		"<Tagging>", "<Tagging/>", "<TagSet/>", "{}", tagging() + tagging(), "<Tagging><TagSet/><TagSet/></Tagging>",
		"<Tagging><TagSet><Tag/></TagSet></Tagging>", "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
		"<Tagging><TagSet><Tag><Value>a</Value></Tag></TagSet></Tagging>", "<Tagging><TagSet><Key>a</Key></TagSet></Tagging>",
		"<Tagging><TagSet><Tag><Key>a</Key><Key>b</Key><Value/></Tag></TagSet></Tagging>",
		"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value><Value>2</Value></Tag></TagSet></Tagging>",
		"<Tagging><TagSet><Tag><Key>a</Key><Value/><Color/></Tag></TagSet></Tagging>", "<Tagging><TagSet>text</TagSet></Tagging>",
		"<Tagging><TagSet><Tag><Key><b/></Key><Value/></Tag></TagSet></Tagging>", "<Tagging><TagSet/><More/></Tagging>",
	}
}

// Covers: PutBucketTagging, GetBucketTagging, DeleteBucketTagging.
func TestBucketTagging(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.get("/bkt?tagging").wantError(404, "NoSuchTagSet", "The TagSet does not exist.", "BucketName", "bkt")
	s.putDoc("/bkt?tagging", tagging("Color", "blue + green @1", "a", "")).want(204).wantBody("")
	s.get("/bkt?tagging").want(200).wantXML(`<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
		"<TagSet><Tag><Key>Color</Key><Value>blue + green @1</Value></Tag><Tag><Key>a</Key><Value></Value></Tag></TagSet></Tagging>")
	// A set replaces the one before; its order stays.
	s.putDoc("/bkt?tagging", tagging("z", "1", "b", "2")).want(204)
	s.get("/bkt?tagging").want(200).wantXML(tagSet("z", "1", "b", "2"))
	s.put("/bkt?tagging", tagging("c", "3"), "x-amz-checksum-crc32", crc32Of(tagging("c", "3"))).want(204)
	s.get("/bkt?tagging").want(200).wantXML(tagSet("c", "3"))
	s.delete("/bkt?tagging").want(204).wantBody("")
	s.get("/bkt?tagging").wantError(404, "NoSuchTagSet", "")
	s.delete("/bkt?tagging").want(204)
	s.putDoc("/bkt?tagging", tagging(manyTags(50)...)).want(204)
	s.get("/bkt?tagging").want(200).wantXML(tagSet(manyTags(50)...))
	s.putDoc("/bkt?tagging", tagging()).want(204)
	s.get("/bkt?tagging").wantError(404, "NoSuchTagSet", "")
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		s.do(request{method: method, path: "/none?tagging", body: tagging(), header: pairs([]string{"Content-MD5", md5Of(tagging())})}).
			wantError(404, "NoSuchBucket", "", "BucketName", "none")
	}
	// The document goes with its bucket.
	s.putDoc("/bkt?tagging", tagging("a", "b")).want(204)
	s.delete("/bkt").want(204)
	s.bucket("bkt")
	s.get("/bkt?tagging").wantError(404, "NoSuchTagSet", "")
}

// Covers: PutBucketTagging.
func TestBucketTaggingErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.putDoc("/bkt?tagging", tagging("old", "1")).want(204)
	s.put("/bkt?tagging", tagging("a", "1")).wantError(400, "InvalidRequest", missingDigest)
	s.put("/bkt?tagging", tagging("a", "1"), "Content-MD5", md5Of("x")).wantError(400, "BadDigest", "")
	s.put("/bkt?tagging", tagging("a", "1"), "x-amz-checksum-crc32", "AAAAAA==").wantError(400, "BadDigest", "")
	s.putDoc("/bkt?tagging", "").wantError(400, "MissingRequestBodyError", emptyBody)
	for _, bad := range malformedTagging() {
		s.putDoc("/bkt?tagging", bad).wantError(400, "MalformedXML", malformedXML)
	}
	for _, tt := range []struct {
		tags          []string
		code, message string
		fields        []string
	}{
		{manyTags(51), "BadRequest", "Bucket tag count cannot be greater than 50", nil},
		{[]string{"a", "1", "a", "2"}, "InvalidTag", duplicateKey, []string{"TagKey", "a"}},
		{[]string{"", "1"}, "InvalidTag", invalidKey, []string{"TagKey", ""}},
		{[]string{strings.Repeat("k", 129), "1"}, "InvalidTag", invalidKey, nil},
		{[]string{"a|b", "1"}, "InvalidTag", invalidKey, []string{"TagKey", "a|b"}},
		{[]string{"a", strings.Repeat("v", 257)}, "InvalidTag", invalidValue, []string{"TagKey", "a"}},
		{[]string{"a", "(1)"}, "InvalidTag", invalidValue, []string{"TagValue", "(1)"}},
		{[]string{"aws:x", "1"}, "InvalidTag", "System tags cannot be added/updated by requester", []string{"TagKey", "aws:x"}},
		{[]string{"AWS:x", "1"}, "InvalidTag", "System tags cannot be added/updated by requester", nil},
	} {
		s.putDoc("/bkt?tagging", tagging(tt.tags...)).wantError(400, tt.code, tt.message, tt.fields...)
	}
	s.get("/bkt?tagging").want(200).wantXML(tagSet("old", "1"))
	s.do(request{method: "PUT", path: "/bkt?tagging", body: tagging(), key: userKey, secret: userSecret}).wantError(403, "AccessDenied", "")
}

// Covers: CreateBucket, GetBucketTagging.
func TestCreateBucketTags(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	body := func(tags ...string) string {
		return "<CreateBucketConfiguration><Tags>" + strings.TrimSuffix(strings.TrimPrefix(tagSet(tags...), "<TagSet>"), "</TagSet>") +
			"</Tags></CreateBucketConfiguration>"
	}
	s.put("/bkt", body("b", "1", "a", "")).want(200)
	s.get("/bkt?tagging").want(200).wantXML(tagSet("b", "1", "a", ""))
	s.put("/plain", body()).want(200)
	s.get("/plain?tagging").wantError(404, "NoSuchTagSet", "")
	for _, tt := range []struct {
		body, code, message string
	}{
		{body(manyTags(51)...), "BadRequest", "Bucket tag count cannot be greater than 50"},
		{body("a", "1", "a", "2"), "InvalidTag", duplicateKey},
		{body("a|b", ""), "InvalidTag", invalidKey},
		{body("aws:x", ""), "InvalidTag", `User-defined tag keys can't start with "aws:". This prefix is reserved for system tags. Remove "aws:" from your tag keys and try again.`},
		{"<CreateBucketConfiguration><Tags><Tag><Key>a</Key></Tag></Tags></CreateBucketConfiguration>", "MalformedXML", malformedXML},
	} {
		s.put("/refused", tt.body).wantError(400, tt.code, tt.message)
	}
	s.head("/refused").want(404)
}

// Covers: PutObjectTagging, GetObjectTagging, DeleteObjectTagging, GetObject, HeadObject.
func TestObjectTagging(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "body").want(200)
	etag, modified := s.head("/bkt/key").header.Get("ETag"), s.head("/bkt/key").header.Get("Last-Modified")
	s.get("/bkt/key?tagging").want(200).wantXML(tagging()).wantHeader("x-amz-version-id", "")
	s.put("/bkt/key?tagging", tagging("b", "", "a", "1 + 1 = 2")).want(200).wantBody("").wantHeader("x-amz-version-id", "")
	s.get("/bkt/key?tagging").want(200).wantXML(tagging("a", "1 + 1 = 2", "b", ""))
	for _, r := range []*result{s.get("/bkt/key"), s.head("/bkt/key")} {
		r.want(200).wantHeader("x-amz-tagging-count", "2", "ETag", etag, "Last-Modified", modified)
	}
	s.putDoc("/bkt/key?tagging", tagging(manyTags(10)...)).want(200)
	s.get("/bkt/key?tagging").want(200).wantXML(tagging(manyTags(10)...))
	s.put("/bkt/key?tagging", tagging("a", "1"), "x-amz-checksum-crc32", crc32Of(tagging("a", "1"))).want(200)
	// No tags is a set, too.
	s.put("/bkt/key?tagging", tagging()).want(200)
	s.get("/bkt/key?tagging").want(200).wantXML(tagging())
	s.head("/bkt/key").want(200).wantHeader("x-amz-tagging-count", "")
	// Lengths are in characters: the limits, in the widest ones.
	longest := []string{strings.Repeat("ä", 128), strings.Repeat("日", 256)}
	s.put("/bkt/key?tagging", tagging(longest...)).want(200)
	s.get("/bkt/key?tagging").want(200).wantXML(tagging(longest...))
	s.delete("/bkt/key?tagging").want(204).wantBody("").wantHeader("x-amz-version-id", "")
	s.get("/bkt/key?tagging").want(200).wantXML(tagging())
	s.delete("/bkt/key?tagging").want(204)
	s.get("/bkt/key").want(200).wantBody("body")
	// An overwrite has the tags that it brings.
	s.put("/bkt/key?tagging", tagging("a", "1")).want(200)
	s.put("/bkt/key", "body").want(200)
	s.get("/bkt/key?tagging").want(200).wantXML(tagging())
}

// Covers: PutObjectTagging, GetObjectTagging, DeleteObjectTagging.
func TestObjectTaggingOfVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.lockBucket("bkt")
	old := s.put("/bkt/key", "1", "x-amz-tagging", "v=1").want(200).header.Get("x-amz-version-id")
	cur := s.put("/bkt/key", "2", "x-amz-tagging", "v=2").want(200).header.Get("x-amz-version-id")
	s.get("/bkt/key?tagging").want(200).wantXML(tagging("v", "2")).wantHeader("x-amz-version-id", cur)
	s.get("/bkt/key?tagging&versionId="+old).want(200).wantXML(tagging("v", "1")).wantHeader("x-amz-version-id", old)
	s.put("/bkt/key?tagging&versionId="+old, tagging("v", "old")).want(200).wantHeader("x-amz-version-id", old)
	s.put("/bkt/key?tagging", tagging("v", "new")).want(200).wantHeader("x-amz-version-id", cur)
	s.get("/bkt/key?tagging&versionId=" + old).want(200).wantXML(tagging("v", "old"))
	s.get("/bkt/key?tagging&versionId=" + cur).want(200).wantXML(tagging("v", "new"))
	s.delete("/bkt/key?tagging&versionId="+old).want(204).wantHeader("x-amz-version-id", old)
	s.get("/bkt/key?tagging&versionId=" + old).want(200).wantXML(tagging())
	s.get("/bkt/key?tagging").want(200).wantXML(tagging("v", "new"))

	unknown := strings.Repeat("x", 32)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		do := func(path string) *result { return s.do(request{method: method, path: path, body: tagging()}) }
		do("/bkt/none?tagging").wantError(404, "NoSuchKey", "The specified key does not exist.", "Key", "none")
		do("/none/key?tagging").wantError(404, "NoSuchBucket", "")
		do("/bkt/key?tagging&versionId="+unknown).wantError(404, "NoSuchVersion", "The specified version does not exist.", "Key", "key", "VersionId", unknown)
		do("/bkt/key?tagging&versionId=bogus").wantError(400, "InvalidArgument", "Invalid version id specified")
	}
	s.delete("/bkt/key").want(204)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		s.do(request{method: method, path: "/bkt/key?tagging", body: tagging()}).
			wantError(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	}
	s.get("/bkt/key?tagging&versionId=" + cur).want(200).wantXML(tagging("v", "new"))
}

// Covers: PutObjectTagging.
func TestObjectTaggingErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "body", "x-amz-tagging", "old=1").want(200)
	s.put("/bkt/key?tagging", tagging("a", "1"), "Content-MD5", md5Of("x")).wantError(400, "BadDigest", "")
	s.put("/bkt/key?tagging", tagging("a", "1"), "Content-MD5", "x").wantError(400, "InvalidDigest", "")
	s.put("/bkt/key?tagging", tagging("a", "1"), "x-amz-checksum-crc32", "AAAAAA==").wantError(400, "BadDigest", "")
	s.put("/bkt/key?tagging", "").wantError(400, "MissingRequestBodyError", emptyBody)
	for _, bad := range malformedTagging() {
		s.put("/bkt/key?tagging", bad).wantError(400, "MalformedXML", malformedXML)
	}
	for _, tt := range []struct {
		tags          []string
		code, message string
		fields        []string
	}{
		{manyTags(11), "BadRequest", "Object tags cannot be greater than 10", nil},
		{[]string{"a", "1", "a", "1"}, "InvalidTag", duplicateKey, []string{"TagKey", "a"}},
		{[]string{"", ""}, "InvalidTag", invalidKey, nil},
		{[]string{strings.Repeat("ä", 129), ""}, "InvalidTag", invalidKey, nil},
		{[]string{strings.Repeat("𝒳", 65), ""}, "InvalidTag", invalidKey, nil}, // two UTF-16 units each
		{[]string{"a&lt;", ""}, "InvalidTag", invalidKey, []string{"TagKey", "a<"}},
		{[]string{"a", "x*"}, "InvalidTag", invalidValue, []string{"TagKey", "a", "TagValue", "x*"}},
		{[]string{"a", "&#10;"}, "InvalidTag", invalidValue, nil},
		{[]string{"a", strings.Repeat("v", 257)}, "InvalidTag", invalidValue, nil},
		{[]string{"aws:x", ""}, "InvalidTag", "Your TagKey cannot be prefixed with aws:", []string{"TagKey", "aws:x"}},
	} {
		s.put("/bkt/key?tagging", tagging(tt.tags...)).wantError(400, tt.code, tt.message, tt.fields...)
	}
	s.get("/bkt/key?tagging").want(200).wantXML(tagging("old", "1"))
	s.put("/bkt/key?tagging", tagging(strings.Repeat("𝒳", 64), "")).want(200)
}

// TestTaggingHeader: tags that come with an object, in every way that it can be
// written.
//
// Covers: PutObject, CopyObject, CreateMultipartUpload, GetObjectTagging.
func TestTaggingHeader(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for header, want := range map[string]string{
		"":                          tagging(),
		"a=1&b=2":                   tagging("a", "1", "b", "2"),
		"foo=bar&bar":               tagging("bar", "", "foo", "bar"),
		"a=":                        tagging("a", ""),
		"&a=1&&":                    tagging("a", "1"),
		"a+b=c+d%2B%C3%A4":          tagging("a b", "c d+ä"),
		"path%2Fto=%3D%40x:y.z-_/1": tagging("path/to", "=@x:y.z-_/1"),
		"a=1=2":                     tagging("a", "1=2"),
	} {
		s.put("/bkt/put", "x", "x-amz-tagging", header).want(200)
		s.get("/bkt/put?tagging").want(200).wantXML(want)
		s.put("/bkt/copy", "", "x-amz-copy-source", "/bkt/put").want(200)
		s.get("/bkt/copy?tagging").want(200).wantXML(want)
		s.put("/bkt/copy", "", "x-amz-copy-source", "/bkt/put", "x-amz-tagging-directive", "COPY", "x-amz-tagging", "other=1").want(200)
		s.get("/bkt/copy?tagging").want(200).wantXML(want)
		s.put("/bkt/other", "x", "x-amz-tagging", "other=1").want(200)
		s.put("/bkt/copy", "", "x-amz-copy-source", "/bkt/other", "x-amz-tagging-directive", "REPLACE", "x-amz-tagging", header).want(200)
		s.get("/bkt/copy?tagging").want(200).wantXML(want)
		up := s.upload("/bkt/up", "x-amz-tagging", header)
		up.complete(completeDoc(1, up.part(1, "x").header.Get("ETag"))).want(200)
		s.get("/bkt/up?tagging").want(200).wantXML(want)
	}
	s.put("/bkt/copy", "", "x-amz-copy-source", "/bkt/other", "x-amz-tagging-directive", "REPLACE").want(200)
	s.get("/bkt/copy?tagging").want(200).wantXML(tagging())
	for header, want := range map[string]string{
		"a=1&a=2": badTagging, "a=%zz": badTagging, "%zz": badTagging, "a=%FF": badTagging, "%FF=a": badTagging, "=": badTagging, "a=1&=2": badTagging,
	} {
		for _, r := range []*result{
			s.put("/bkt/bad", "x", "x-amz-tagging", header), s.post("/bkt/bad?uploads", "", "x-amz-tagging", header),
			s.put("/bkt/bad", "", "x-amz-copy-source", "/bkt/put", "x-amz-tagging-directive", "REPLACE", "x-amz-tagging", header),
		} {
			r.wantError(400, "InvalidArgument", want, "ArgumentName", "x-amz-tagging", "ArgumentValue", header)
		}
	}
	s.put("/bkt/bad", "x", "x-amz-tagging", "aws:x=1").wantError(400, "InvalidTag", "Your TagKey cannot be prefixed with aws:")
	s.head("/bkt/bad").want(404)
}
