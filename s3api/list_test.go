package s3api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// fill puts objects with one-byte bodies.
func (s *server) fill(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		s.put(keyPath("bkt", k), "x").want(200)
	}
}

// between returns the texts of inner within each outer element.
func (r *result) within(outer, inner string) []string {
	var all []string
	for _, o := range r.texts(outer) {
		all = append(all, (&result{body: o}).texts(inner)...)
	}
	return all
}

// Covers: ListObjects, ListObjectsV2.
func TestListObjectsDocument(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	const ns = `xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	s.get("/bkt").want(200).wantBody(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<ListBucketResult " + ns +
		"><Name>bkt</Name><Prefix></Prefix><Marker></Marker><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>")
	s.get("/bkt?list-type=2").want(200).wantBody(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<ListBucketResult " + ns +
		"><Name>bkt</Name><Prefix></Prefix><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>")
	s.put("/bkt/a", "x", "x-amz-storage-class", "STANDARD_IA", "x-amz-checksum-crc32", "jNxf9Q==").wantError(400, "BadDigest", "")
	s.put("/bkt/a", "x", "x-amz-storage-class", "STANDARD_IA", "x-amz-checksum-crc32", "jNwWgw==").want(200)
	modified := s.get("/bkt").text("LastModified")
	if len(modified) != len("2006-01-02T15:04:05.000Z") || !strings.HasSuffix(modified, "Z") {
		t.Errorf("LastModified is %q", modified)
	}
	entry := "<Contents><Key>a</Key><LastModified>" + modified + "</LastModified><ETag>" + strings.ReplaceAll(etagOf("x"), `"`, "&quot;") +
		"</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>1</Size>%s<StorageClass>STANDARD_IA</StorageClass></Contents>"
	const by = "<Owner><ID>" + owner + "</ID><DisplayName>root</DisplayName></Owner>"
	s.get("/bkt").wantXML(fmt.Sprintf(entry, by))
	s.get("/bkt?list-type=2").wantXML(fmt.Sprintf(entry, ""))
	s.get("/bkt?list-type=2&fetch-owner=true").wantXML(fmt.Sprintf(entry, by))
	s.get("/none").wantError(404, "NoSuchBucket", "", "BucketName", "none")
	s.get("/none?list-type=2&max-keys=0").wantError(404, "NoSuchBucket", "")
}

// Covers: ListObjects, ListObjectsV2.
func TestListObjectsPages(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.fill("a", "b/1", "b/2", "b/3", "c", "d/1", "e", "f/x/1", "f/x/2", "f/y")
	for _, tt := range []struct{ query, want string }{
		{"", "a b/1 b/2 b/3 c d/1 e f/x/1 f/x/2 f/y"},
		{"delimiter=/", "a b/ c d/ e f/"},
		{"delimiter=/&prefix=f/", "f/x/ f/y"},
		{"delimiter=/&prefix=f", "f/"},
		{"delimiter=x&prefix=f", "f/x f/y"},
		{"prefix=b/", "b/1 b/2 b/3"},
		{"prefix=zz", ""},
		{"delimiter=", "a b/1 b/2 b/3 c d/1 e f/x/1 f/x/2 f/y"},
		{"delimiter=//", "a b/1 b/2 b/3 c d/1 e f/x/1 f/x/2 f/y"},
	} {
		for _, size := range []int{1, 2, 3, 1000} {
			if got := s.collectV1(tt.query, size); got != tt.want {
				t.Errorf("V1 %s by %d: got %s, want %s", tt.query, size, got, tt.want)
			}
			if got := s.collectV2(tt.query, size); got != tt.want {
				t.Errorf("V2 %s by %d: got %s, want %s", tt.query, size, got, tt.want)
			}
		}
	}
	for _, tt := range []struct{ query, want string }{
		{"marker=b/2", "b/3 c d/1 e f/x/1 f/x/2 f/y"},
		{"list-type=2&start-after=b/2", "b/3 c d/1 e f/x/1 f/x/2 f/y"},
		{"list-type=2&start-after=b/2&delimiter=/", "c d/ e f/"},
		{"marker=b/&delimiter=/", "c d/ e f/"},
		{"marker=zz", ""},
		{"list-type=2&start-after=bb", "c d/1 e f/x/1 f/x/2 f/y"},
	} {
		if got := strings.Join(s.get("/bkt?"+tt.query).want(200).names(), " "); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.query, got, tt.want)
		}
	}
}

// names returns keys and common prefixes as they stand in a listing, in order.
func (r *result) names() []string {
	keys := r.texts("Key")
	prefixes := r.within("CommonPrefixes", "Prefix")
	var all []string
	for len(keys)+len(prefixes) > 0 {
		if len(prefixes) == 0 || len(keys) > 0 && keys[0] < prefixes[0] {
			all, keys = append(all, keys[0]), keys[1:]
		} else {
			all, prefixes = append(all, prefixes[0]), prefixes[1:]
		}
	}
	return all
}

func (s *server) collectV1(query string, size int) string {
	s.t.Helper()
	var all []string
	marker := ""
	for range 50 {
		r := s.get(fmt.Sprintf("/bkt?%s&max-keys=%d&marker=%s", query, size, url.QueryEscape(marker))).want(200)
		page := r.names()
		if len(page) > size {
			s.t.Errorf("%d entries, asked for %d", len(page), size)
		}
		all = append(all, page...)
		if r.text("IsTruncated") == "false" {
			break
		}
		next := r.texts("NextMarker")
		marker = page[len(page)-1]
		if len(next) != 1 || next[0] != marker {
			s.t.Fatalf("%s: NextMarker is %v, the last name %s", query, next, marker)
		}
	}
	return strings.Join(all, " ")
}

func (s *server) collectV2(query string, size int) string {
	s.t.Helper()
	var all []string
	token := ""
	for range 50 {
		r := s.get(fmt.Sprintf("/bkt?list-type=2&%s&max-keys=%d%s", query, size, token)).want(200)
		page := r.names()
		all = append(all, page...)
		if got := r.text("KeyCount"); got != fmt.Sprint(len(page)) {
			s.t.Errorf("KeyCount is %s of %d", got, len(page))
		}
		if r.text("IsTruncated") == "false" {
			break
		}
		next := r.text("NextContinuationToken")
		token = "&continuation-token=" + next
		s.get("/bkt?list-type=2&max-keys=0" + token).want(200).wantXML("<ContinuationToken>" + next + "</ContinuationToken>")
	}
	return strings.Join(all, " ")
}

// Covers: ListObjects, ListObjectsV2.
func TestListObjectsParameters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.fill("a", "b")
	s.get("/bkt?max-keys=0").want(200).wantXML("<MaxKeys>0</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>")
	s.get("/bkt?list-type=2&max-keys=0").want(200).wantXML("<KeyCount>0</KeyCount><MaxKeys>0</MaxKeys><IsTruncated>false</IsTruncated>")
	s.get("/bkt?max-keys=5000").want(200).wantXML("<MaxKeys>1000</MaxKeys>")
	s.get("/bkt?max-keys=").want(200).wantXML("<MaxKeys>1000</MaxKeys>")
	for _, list := range []string{"", "list-type=2&"} {
		s.get("/bkt?"+list+"max-keys=x").wantError(400, "InvalidArgument", "Provided max-keys not an integer or within integer range",
			"ArgumentName", "max-keys", "ArgumentValue", "x")
		s.get("/bkt?"+list+"max-keys=9999999999").wantError(400, "InvalidArgument", "Provided max-keys not an integer or within integer range")
		s.get("/bkt?"+list+"max-keys=-1").wantError(400, "InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647",
			"ArgumentName", "maxKeys", "ArgumentValue", "-1")
		s.get("/bkt?"+list+"encoding-type=base64").wantError(400, "InvalidArgument", "Invalid Encoding Method specified in Request",
			"ArgumentName", "encoding-type", "ArgumentValue", "base64")
	}
	for _, kind := range []string{"", "1", "3", "x"} { // the first version
		s.get("/bkt?list-type=" + kind).want(200).wantXML("<Marker></Marker><MaxKeys>")
	}
	for _, token := range []string{"x", "!!!", "AQ", "AQAAAABh"} {
		r := s.get("/bkt?list-type=2&continuation-token="+token).wantError(400, "InvalidArgument", "The continuation token provided is incorrect",
			"ArgumentName", "continuation-token")
		if len(r.texts("ArgumentValue")) != 0 {
			t.Errorf("the token is shown: %s", r.body)
		}
	}
	s.get("/bkt?list-type=2&continuation-token=&start-after=a").want(200).wantXML("<StartAfter>a</StartAfter><ContinuationToken></ContinuationToken><KeyCount>1</KeyCount>")
	s.get("/bkt?delimiter=").want(200)
	if r := s.get("/bkt?delimiter=").want(200); strings.Contains(r.body, "Delimiter") {
		t.Errorf("an empty delimiter is shown: %s", r.body)
	}
	s.get("/bkt?marker=a&prefix=b&delimiter=/").want(200).wantXML("<Prefix>b</Prefix><Marker>a</Marker><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter>")
}

// Covers: ListObjects, ListObjectsV2, ListObjectVersions.
func TestListLimits(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.fill("a", "b")
	for _, list := range []string{"", "list-type=2&", "versions&"} {
		for _, tt := range []struct {
			value, shown string
			keys         int
		}{
			{"0", "0", 0}, {"-0", "0", 0}, {"1", "1", 1}, {"01", "1", 1}, {"00000000000000000005", "5", 2}, {"999", "999", 2},
			{"1001", "1000", 2}, {"2147483647", "1000", 2}, {"", "1000", 2},
		} {
			r := s.get("/bkt?" + list + "max-keys=" + tt.value).want(200).wantXML("<MaxKeys>" + tt.shown + "</MaxKeys>")
			if got := len(r.texts("Key")); got != tt.keys || (r.text("IsTruncated") == "true") != (tt.keys == 1) {
				t.Errorf("%smax-keys=%s: %d keys, want %d: %s", list, tt.value, got, tt.keys, r.body)
			}
		}
		for _, value := range []string{"x", "1.5", "%0A", "+5", "%205", "2147483648", "-2147483649", "99999999999999999999"} {
			for _, bucket := range []string{"bkt", "none"} { // judged before the bucket is looked for
				s.get("/"+bucket+"?"+list+"max-keys="+value).wantError(400, "InvalidArgument", "Provided max-keys not an integer or within integer range",
					"ArgumentName", "max-keys")
			}
		}
		s.get("/bkt?" + list + "max-keys=-1&encoding-type=x").want(400)
	}
}

// A parameter of the other version of the operation is refused, even empty, and
// before the bucket is looked for.
//
// Covers: ListObjects, ListObjectsV2.
func TestListForeignParameters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for _, tt := range []struct{ query, param, message string }{
		{"list-type=2&marker=x", "marker", "Marker unsupported with REST.GET.BUCKET in list-type=2"},
		{"list-type=2&marker=", "marker", "Marker unsupported with REST.GET.BUCKET in list-type=2"},
		{"start-after=x", "start-after", "startAfter only supported in REST.GET.BUCKET with list-type=2"},
		{"start-after=", "start-after", "startAfter only supported in REST.GET.BUCKET with list-type=2"},
		{"continuation-token=", "continuation-token", "continuation-token only supported in REST.GET.BUCKET with list-type=2"},
		{"start-after=x&continuation-token=y", "continuation-token", "continuation-token only supported in REST.GET.BUCKET with list-type=2"},
	} {
		for _, bucket := range []string{"bkt", "none"} {
			r := s.get("/"+bucket+"?"+tt.query).wantError(400, "InvalidArgument", tt.message, "ArgumentName", tt.param)
			if len(r.texts("ArgumentValue")) != 0 {
				t.Errorf("%s: %s", tt.query, r.body)
			}
		}
	}
	s.get("/bkt?start-after=x&max-keys=abc").wantError(400, "InvalidArgument", "Provided max-keys not an integer or within integer range")
}

// Other arguments are judged after the bucket was found.
//
// Covers: ListObjects, ListObjectsV2, ListObjectVersions.
func TestListMissingBucket(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, query := range []string{
		"", "list-type=2", "versions", "max-keys=0", "list-type=2&max-keys=0", "versions&max-keys=0", "max-keys=-1", "encoding-type=x",
		"list-type=2&encoding-type=", "list-type=2&continuation-token=x", "versions&encoding-type=x",
	} {
		s.get("/none?"+query).wantError(404, "NoSuchBucket", "", "BucketName", "none")
	}
}

// What a marker lies in has been listed: a common prefix is shown where it is
// greater than the marker, and never again.
//
// Covers: ListObjects, ListObjectsV2, ListObjectVersions.
func TestListMarkerInPrefix(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.fill("a", "d/1", "d/2", "d/x/1", "e/1", "f", "xd/1", "xd/2")
	for _, tt := range []struct{ query, marker, want string }{
		{"delimiter=/", "d/", "e/ f xd/"},
		{"delimiter=/", "d/1", "e/ f xd/"},
		{"delimiter=/", "d/zzz", "e/ f xd/"},
		{"delimiter=/", "d/x/1", "e/ f xd/"},
		{"delimiter=/", "d", "d/ e/ f xd/"},
		{"delimiter=/", "c/zzz", "d/ e/ f xd/"},
		{"delimiter=/&prefix=d/", "d/1", "d/2 d/x/"},
		{"delimiter=/&prefix=d/", "d/x/0", ""},
		{"delimiter=/&prefix=d/", "d/", "d/1 d/2 d/x/"},
		{"delimiter=/&prefix=d/", "c/x", "d/1 d/2 d/x/"},
		{"delimiter=/&prefix=x", "d/1", "xd/"},
		{"delimiter=d/", "xd/1", ""},
		{"delimiter=d/", "d/2", "e/1 f xd/"},
		{"", "d/1", "d/2 d/x/1 e/1 f xd/1 xd/2"},
	} {
		for _, list := range []string{"marker=", "list-type=2&start-after=", "versions&key-marker="} {
			if got := strings.Join(s.get("/bkt?"+tt.query+"&"+list+tt.marker).want(200).names(), " "); got != tt.want {
				t.Errorf("%s&%s%s: got %s, want %s", tt.query, list, tt.marker, got, tt.want)
			}
		}
	}
}

// Covers: ListObjects, ListObjectsV2.
func TestListObjectsOddParameters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.fill("a", "b", "c/1")
	s.get("/bkt?list-type=2&start-after=").want(200).wantXML("<Prefix></Prefix><StartAfter></StartAfter><KeyCount>3</KeyCount>")
	token := s.get("/bkt?list-type=2&max-keys=1").text("NextContinuationToken")
	s.get("/bkt?list-type=2&start-after=b&continuation-token=" + token).want(200).
		wantXML("<StartAfter>b</StartAfter><ContinuationToken>" + token + "</ContinuationToken><KeyCount>2</KeyCount>")
	for _, value := range []string{"false", "", "1"} {
		if r := s.get("/bkt?list-type=2&fetch-owner=" + value).want(200); len(r.texts("Owner")) != 0 {
			t.Errorf("fetch-owner=%s: %s", value, r.body)
		}
	}
	for _, list := range []string{"", "list-type=2&"} {
		s.get("/bkt?" + list + "allow-unordered=true").want(200).wantXML("<Key>a</Key>")
		s.get("/bkt?"+list+"allow-unordered=true&delimiter=/").wantError(400, "InvalidArgument", "")
		s.get("/bkt?" + list + "prefix=b&prefix=a").want(200).wantXML("<Prefix>b</Prefix>")
		s.get("/bkt?"+list, "x-amz-optional-object-attributes", "RestoreStatus").want(200).wantXML("<Key>a</Key>")
		s.get("/bkt?" + list + "delimiter=/&prefix=/").want(200).wantXML("<IsTruncated>false</IsTruncated></ListBucketResult>")
		s.get("/bkt?"+list+"delimiter=none").want(200).wantXML("<Delimiter>none</Delimiter>", "<Key>c/1</Key>")
	}
}

// Covers: ListObjects, ListObjectsV2.
func TestListObjectsEncoding(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.fill("a b+c/ü&<\x01\"x", "p*~/k")
	s.get("/bkt?encoding-type=url&delimiter=/&prefix=a%20b&marker=a%20").want(200).wantXML("<EncodingType>url</EncodingType>", "<Prefix>a b</Prefix>",
		"<Marker>a%20</Marker>", "<Delimiter>/</Delimiter>", "<CommonPrefixes><Prefix>a%20b%2Bc/</Prefix></CommonPrefixes>")
	s.get("/bkt?list-type=2&encoding-type=url&start-after=a%20").want(200).wantXML("<EncodingType>url</EncodingType>", "<StartAfter>a%20</StartAfter>",
		"<Key>a%20b%2Bc/%C3%BC%26%3C%01%22x</Key>", "<Key>p*%7E/k</Key>")
	r := s.get("/bkt").want(200)
	if got := r.text("Key"); got != "a b+c/ü&amp;&lt;&#x1;&quot;x" {
		t.Errorf("Key is %q", got)
	}
	s.get("/bkt?encoding-type=URL&max-keys=1").want(200).wantXML("<EncodingType>URL</EncodingType>", "<Key>a%20b%2Bc/")
	for _, list := range []string{"", "list-type=2&", "versions&"} {
		s.get("/bkt?"+list+"encoding-type=").wantError(400, "InvalidArgument", "Invalid Encoding Method specified in Request",
			"ArgumentName", "encoding-type", "ArgumentValue", "")
	}
	// botocore decodes all but the Prefix of ListObjects.
	for prefix, want := range map[string]string{"%0A": "&#xa;", "a+b": "a b", "a%2Bb": "a%2Bb", "100%25": "100%25", "%00": "%00", "%C3%BC": "ü", "%FF": "%FF"} {
		s.get("/bkt?encoding-type=url&prefix=" + prefix).want(200).wantXML("<Prefix>" + want + "</Prefix>")
	}
	s.get("/bkt?list-type=2&encoding-type=url&prefix=%0A+%2B%25&delimiter=%C3%BC%20").want(200).
		wantXML("<Prefix>%0A%20%2B%25</Prefix>", "<Delimiter>%C3%BC%20</Delimiter>")
}
