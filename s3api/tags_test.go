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
	malformedXML  = "The XML you provided was not well-formed or did not validate against our published schema"
	missingDigest = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
	emptyBody     = "Request Body is empty"
	badTagging    = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."
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
	s.get("/bkt?tagging").wantError(404, "NoSuchTagSet", "The TagSet does not exist", "BucketName", "bkt")
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
