package s3api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"tdkvs/master/meta"
)

// versioning sets a bucket's versioning.
func (s *server) versioning(bucket string, v meta.Versioning) {
	s.t.Helper()
	if err := s.hooks.SetBucketVersioning(s.t.Context(), bucket, v); err != nil {
		s.t.Fatal(err)
	}
}

// versions returns the versions of a listing as "key id latest", delete markers
// with a "-" before them. Ids other than null are given by their place in ids.
func (r *result) versions(ids ...string) string {
	var all []string
	for _, c := range parseDocument(r.body).children {
		if c.name != "Version" && c.name != "DeleteMarker" {
			continue
		}
		line := c.text("Key") + " " + c.text("VersionId") + " " + c.text("IsLatest")
		for i, id := range ids {
			line = strings.ReplaceAll(line, id, fmt.Sprint(i))
		}
		if c.name == "DeleteMarker" {
			line = "-" + line
		}
		all = append(all, line)
	}
	return strings.Join(all, ", ")
}

// Covers: ListObjectVersions.
func TestListObjectVersionsDocument(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	const begin = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bkt</Name>`
	s.get("/bkt?versions").want(200).wantHeader("Content-Type", "application/xml").wantBody(begin +
		"<Prefix></Prefix><KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListVersionsResult>")
	s.put("/bkt/k", "old", "x-amz-checksum-algorithm", "CRC32").want(200)
	s.versioning("bkt", meta.VersioningEnabled)
	id := s.put("/bkt/k", "x", "x-amz-storage-class", "STANDARD_IA").want(200).header.Get("x-amz-version-id")
	gone := s.delete("/bkt/k").want(204).header.Get("x-amz-version-id")
	r := s.get("/bkt?versions").want(200)
	at := r.texts("LastModified")
	if len(at) != 3 {
		t.Fatalf("%s", r.body)
	}
	const by = "<Owner><ID>" + owner + "</ID><DisplayName>root</DisplayName></Owner>"
	const sum = "<ChecksumAlgorithm>%s</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
	etag := func(body string) string { return "<ETag>" + escape(etagOf(body)) + "</ETag>" }
	entries := []string{
		"<DeleteMarker><Key>k</Key><VersionId>" + gone + "</VersionId><IsLatest>true</IsLatest><LastModified>" + at[0] + "</LastModified>" + by + "</DeleteMarker>",
		"<Version><Key>k</Key><VersionId>" + id + "</VersionId><IsLatest>false</IsLatest><LastModified>" + at[1] + "</LastModified>" + etag("x") +
			fmt.Sprintf(sum, "CRC64NVME") + "<Size>1</Size>" + by + "<StorageClass>STANDARD_IA</StorageClass></Version>",
		"<Version><Key>k</Key><VersionId>null</VersionId><IsLatest>false</IsLatest><LastModified>" + at[2] + "</LastModified>" + etag("old") +
			fmt.Sprintf(sum, "CRC64NVME") + "<Size>3</Size>" + by + "<StorageClass>STANDARD</StorageClass></Version>",
	}
	r.wantBody(begin + "<Prefix></Prefix><KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>" +
		strings.Join(entries, "") + "</ListVersionsResult>")
	s.get("/bkt?versions&max-keys=1&prefix=k&delimiter=/&encoding-type=url&key-marker=k&version-id-marker=" + gone).want(200).wantBody(begin +
		"<Prefix>k</Prefix><KeyMarker>k</KeyMarker><VersionIdMarker>" + gone + "</VersionIdMarker><NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>" + id +
		"</NextVersionIdMarker><MaxKeys>1</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>" + entries[1] + "</ListVersionsResult>")
	s.put("/bkt/d/1", "").want(200)
	s.get("/bkt?versions&max-keys=1&delimiter=/").want(200).wantBody(begin +
		"<Prefix></Prefix><KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker><NextKeyMarker>d/</NextKeyMarker><MaxKeys>1</MaxKeys>" +
		"<Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes></ListVersionsResult>")
}

// Covers: ListObjectVersions.
func TestListObjectVersionsMarkers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.fill("a", "b", "c")
	s.get("/bkt?versions").wantXML("<VersionId>null</VersionId><IsLatest>true</IsLatest>")
	s.versioning("bkt", meta.VersioningEnabled)
	var ids []string
	put := func(key string) {
		ids = append(ids, s.put(keyPath("bkt", key), "x").want(200).header.Get("x-amz-version-id"))
	}
	put("b") // 0
	put("b") // 1
	s.versioning("bkt", meta.VersioningSuspended)
	s.delete("/bkt/b").want(204)
	s.versioning("bkt", meta.VersioningEnabled)
	put("b") // 2
	const a, c = "a null true", "c null true"
	for _, tt := range []struct{ query, want string }{
		{"", a + ", b 2 true, -b null false, b 1 false, b 0 false, " + c},
		{"key-marker=a", "b 2 true, -b null false, b 1 false, b 0 false, " + c},
		{"key-marker=b", c},
		{"key-marker=bb", c},
		{"key-marker=c", ""},
		{"key-marker=b&version-id-marker=" + ids[2], "-b null false, b 1 false, b 0 false, " + c},
		{"key-marker=b&version-id-marker=null", "b 1 false, b 0 false, " + c},
		{"key-marker=b&version-id-marker=" + ids[1], "b 0 false, " + c},
		{"key-marker=b&version-id-marker=" + ids[0], c},
		{"key-marker=a&version-id-marker=null", "b 2 true, -b null false, b 1 false, b 0 false, " + c},
		{"key-marker=none&version-id-marker=null", ""},
		{"key-marker=&version-id-marker=" + ids[0], a + ", b 2 true, -b null false, b 1 false, b 0 false, " + c},
		{"prefix=b", "b 2 true, -b null false, b 1 false, b 0 false"},
		{"prefix=x", ""},
		{"max-keys=0", ""},
	} {
		if got := s.get("/bkt?versions&" + tt.query).want(200).versions(ids...); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.query, got, tt.want)
		}
	}
	whole := s.get("/bkt?versions").versions(ids...)
	for size := 1; size <= 7; size++ {
		var pages []string
		for more := ""; ; {
			r := s.get(fmt.Sprintf("/bkt?versions&max-keys=%d%s", size, more)).want(200)
			pages = append(pages, r.versions(ids...))
			if r.text("IsTruncated") == "false" {
				break
			}
			more = "&key-marker=" + url.QueryEscape(r.text("NextKeyMarker")) + "&version-id-marker=" + r.text("NextVersionIdMarker")
		}
		if got := strings.Join(pages, ", "); got != whole {
			t.Errorf("by %d: got %s, want %s", size, got, whole)
		}
	}
}

// Covers: ListObjectVersions.
func TestListObjectVersionsErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.fill("k")
	const (
		alone   = "A version-id marker cannot be specified without a key marker."
		empty   = "A version-id marker cannot be empty."
		invalid = "Invalid version id specified"
		number  = "Provided max-keys not an integer or within integer range"
	)
	for _, tt := range []struct{ query, message, name, value string }{
		{"version-id-marker=bad", alone, "version-id-marker", "bad"},
		{"version-id-marker=null", alone, "version-id-marker", "null"},
		{"version-id-marker=", alone, "version-id-marker", ""},
		{"key-marker=k&version-id-marker=", empty, "version-id-marker", ""},
		{"key-marker=&version-id-marker=", empty, "version-id-marker", ""},
		{"key-marker=k&version-id-marker=bad", invalid, "version-id-marker", "bad"},
		{"key-marker=&version-id-marker=bad", invalid, "version-id-marker", "bad"},
		{"key-marker=k&version-id-marker=Eyn7lxdGE1WU1SU6QTbW1X6cbSIIRY0R", invalid, "version-id-marker", "Eyn7lxdGE1WU1SU6QTbW1X6cbSIIRY0R"},
		{"key-marker=k&version-id-marker=%E4%B8%AD", invalid, "version-id-marker", "中"},
		{"max-keys=abc&version-id-marker=bad", number, "max-keys", "abc"},
		{"encoding-type=invalid", "Invalid Encoding Method specified in Request", "encoding-type", "invalid"},
		{"encoding-type=invalid&key-marker=k&version-id-marker=bad", invalid, "version-id-marker", "bad"},
		{"encoding-type=invalid&version-id-marker=bad", alone, "version-id-marker", "bad"},
	} {
		s.get("/bkt?versions&"+tt.query).wantError(400, "InvalidArgument", tt.message, "ArgumentName", tt.name, "ArgumentValue", tt.value)
	}
	r := s.get("/bkt?versions&max-keys=-1").wantError(400, "InvalidArgument", "max-keys cannot be negative", "ArgumentName", "max-keys")
	if len(r.texts("ArgumentValue")) != 0 {
		t.Errorf("%s", r.body)
	}
	s.get("/none?versions").wantError(404, "NoSuchBucket", "", "BucketName", "none")
	s.do(request{method: "GET", path: "/bkt?versions", key: "-"}).wantError(403, "AccessDenied", "")
}

// Keys are encoded wherever they stand.
//
// Covers: ListObjectVersions.
func TestListObjectVersionsEncoding(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.fill("a b/1", "a b+ü", "a b~/x")
	s.get("/bkt?versions&encoding-type=url&delimiter=/&prefix=a%20b&key-marker=a%20&max-keys=1").want(200).wantXML(
		"<Prefix>a%20b</Prefix><KeyMarker>a%20</KeyMarker><VersionIdMarker></VersionIdMarker><NextKeyMarker>a%20b%2B%C3%BC</NextKeyMarker>"+
			"<NextVersionIdMarker>null</NextVersionIdMarker><MaxKeys>1</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType>",
		"<Key>a%20b%2B%C3%BC</Key>")
	s.get("/bkt?versions&encoding-type=url&delimiter=~/").want(200).wantXML(
		"<Delimiter>%7E/</Delimiter>", "<CommonPrefixes><Prefix>a%20b%7E/</Prefix></CommonPrefixes>")
}
