package s3api_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
)

// big is a part of the least size that is not the last.
var big = strings.Repeat("0123456789abcdef", 5<<16)

// upload is a multipart upload of /bkt/key in a test.
type upload struct {
	s    *server
	path string
	id   string
}

func (s *server) upload(path string, headers ...string) *upload {
	s.t.Helper()
	return &upload{s, path, s.post(path+"?uploads", "", headers...).want(200).text("UploadId")}
}

func (u *upload) part(number int, body string, headers ...string) *result {
	u.s.t.Helper()
	return u.s.put(fmt.Sprintf("%s?partNumber=%d&uploadId=%s", u.path, number, u.id), body, headers...)
}

func (u *upload) complete(doc string, headers ...string) *result {
	u.s.t.Helper()
	return u.s.post(u.path+"?uploadId="+u.id, doc, headers...)
}

// completeDoc is a CompleteMultipartUpload document; parts are pairs of number
// and ETag.
func completeDoc(parts ...any) string {
	var b strings.Builder
	b.WriteString(`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	for i := 0; i < len(parts); i += 2 {
		fmt.Fprintf(&b, "<Part><PartNumber>%v</PartNumber><ETag>%s</ETag></Part>", parts[i], escape(parts[i+1].(string)))
	}
	b.WriteString("</CompleteMultipartUpload>")
	return b.String()
}

// multipartETag is the ETag of an object of these parts.
func multipartETag(bodies ...string) string {
	all := md5.New()
	for _, b := range bodies {
		sum := md5.Sum([]byte(b))
		all.Write(sum[:])
	}
	return fmt.Sprintf(`"%s-%d"`, hex.EncodeToString(all.Sum(nil)), len(bodies))
}

// Covers: CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload.
func TestMultipart(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	r := s.post("/bkt/a%20b?uploads", "", "Content-Type", "text/plain", "x-amz-meta-a", "1", "x-amz-tagging", "t=1", "x-amz-storage-class", "GLACIER").want(200)
	r.wantXML(`<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>bkt</Bucket><Key>a b</Key><UploadId>`)
	u := &upload{s, "/bkt/a%20b", r.text("UploadId")}
	u.part(3, "tail").want(200).wantBody("").wantHeader("ETag", etagOf("tail"))
	u.part(1, "replaced").want(200)
	u.part(1, big).want(200).wantHeader("ETag", etagOf(big))
	u.part(2, "left out").want(200)
	s.get("/bkt/a%20b").want(404)
	doc := completeDoc(1, etagOf(big), 3, strings.Trim(etagOf("tail"), `"`))
	want := multipartETag(big, "tail")
	for range 2 { // completing is idempotent
		u.complete(doc).want(200).wantXML(`<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Location>`+s.http.URL+
			`/bkt/a%20b</Location><Bucket>bkt</Bucket><Key>a b</Key><ETag>`+strings.ReplaceAll(want, `"`, "&quot;")+"</ETag>",
			"<ChecksumCRC64NVME>", "<ChecksumType>FULL_OBJECT</ChecksumType>")
	}
	u.complete(completeDoc(1, etagOf(big))).wantError(404, "NoSuchUpload", "", "UploadId", u.id)
	s.get("/bkt/a%20b").want(200).wantBody(big+"tail").wantHeader("ETag", want, "Content-Type", "text/plain", "x-amz-meta-a", "1",
		"x-amz-tagging-count", "1", "x-amz-storage-class", "GLACIER", "x-amz-mp-parts-count", "")
	s.get("/bkt/a%20b", "Range", fmt.Sprintf("bytes=%d-%d", len(big)-2, len(big)+1)).want(206).wantBody("efta")
	u.part(1, "x").wantError(404, "NoSuchUpload", "", "UploadId", u.id)
	s.get("/bkt/a%20b?uploadId="+u.id).wantError(404, "NoSuchUpload", "")
	s.delete("/bkt/a%20b?uploadId="+u.id).wantError(404, "NoSuchUpload", "")
}

// Covers: GetObject, HeadObject.
func TestReadByPartNumber(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	u := s.upload("/bkt/key")
	u.part(1, big).want(200)
	u.part(2, "tail").want(200)
	u.complete(completeDoc(1, etagOf(big), 2, etagOf("tail"))).want(200)
	total := strconv.Itoa(len(big) + 4)
	s.get("/bkt/key?partNumber=1").want(206).wantBody(big).wantHeader("x-amz-mp-parts-count", "2", "Content-Range", "bytes 0-5242879/"+total)
	s.head("/bkt/key?partNumber=2").want(206).wantHeader("x-amz-mp-parts-count", "2", "Content-Length", "4", "Content-Range", "bytes 5242880-5242883/"+total)
	s.get("/bkt/key?partNumber=2").want(206).wantBody("tail")
	s.get("/bkt/key?partNumber=3").wantError(416, "InvalidPartNumber", "", "ActualPartCount", "2", "PartNumberRequested", "3")
}

// Covers: UploadPart.
func TestUploadPartErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "old").want(200)
	u := s.upload("/bkt/key")
	const range1 = "Part number must be an integer between 1 and 10000, inclusive."
	for _, bad := range []string{"0", "10001", "-1", "x", ""} {
		s.put("/bkt/key?uploadId="+u.id+"&partNumber="+bad, "x").wantError(400, "InvalidArgument", range1, "ArgumentName", "partNumber", "ArgumentValue", bad)
	}
	s.put("/bkt/key?uploadId="+u.id, "x").wantError(405, "MethodNotAllowed", "", "Method", "PUT", "ResourceType", "UPLOAD",
		"AllowedMethods", "DELETE, GET, POST").wantHeader("Allow", "DELETE, GET, POST")
	for _, bad := range []string{"none", "", "no%20id", strings.Repeat("z", 32)} {
		s.put("/bkt/key?partNumber=1&uploadId="+bad, "x").wantError(404, "NoSuchUpload", "")
		s.put("/none/key?partNumber=1&uploadId="+bad, "x").wantError(404, "NoSuchBucket", "")
		s.get("/none/key?uploadId="+bad).wantError(404, "NoSuchBucket", "")
		s.delete("/none/key?uploadId="+bad).wantError(404, "NoSuchBucket", "")
		s.delete("/bkt/key?uploadId="+bad).wantError(404, "NoSuchUpload", "")
	}
	s.put("/bkt/key?partNumber=1", "x").wantError(400, "InvalidArgument", "This operation does not accept partNumber without uploadId",
		"ArgumentName", "partNumber", "ArgumentValue", "1")
	s.put("/bkt/key?partNumber=1&uploadId=none", "x").wantError(404, "NoSuchUpload",
		"The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.", "UploadId", "none")
	s.put("/bkt/other?partNumber=1&uploadId="+u.id, "x").wantError(404, "NoSuchUpload", "")
	s.put("/none/key?partNumber=1&uploadId="+u.id, "x").wantError(404, "NoSuchBucket", "")
	u.part(1, "x", "Content-MD5", md5Of("y")).wantError(400, "BadDigest", "")
	u.part(1, "x", "x-amz-server-side-encryption-customer-algorithm", "AES256").wantError(501, "NotImplemented", "")
	s.get("/bkt/key").want(200).wantBody("old")
	if got := s.get("/bkt/key?uploadId=" + u.id).want(200).texts("PartNumber"); len(got) != 0 {
		t.Errorf("parts %v are there", got)
	}
	s.post("/none/key?uploads", "").wantError(404, "NoSuchBucket", "")
	s.post("/bkt/key?uploads", "", "x-amz-checksum-algorithm", "CRC5").wantError(400, "InvalidRequest", "")
	s.post("/bkt/key?uploads", "", "x-amz-checksum-algorithm", "SHA1", "x-amz-checksum-type", "FULL_OBJECT").wantError(400, "InvalidRequest",
		"The FULL_OBJECT checksum type cannot be used with the sha1 checksum algorithm.")
	s.post("/bkt/key?uploads", "", "x-amz-storage-class", "BOGUS").wantError(400, "InvalidStorageClass", "")
	s.delete("/bkt/key?uploadId=" + u.id).want(204).wantBody("")
	u.part(1, "x").wantError(404, "NoSuchUpload", "")
}

// Covers: CompleteMultipartUpload.
func TestCompleteErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "old").want(200)
	u := s.upload("/bkt/key")
	u.part(1, "small").want(200)
	u.part(2, "tail").want(200)
	one, two := etagOf("small"), etagOf("tail")
	u.complete(completeDoc(2, two, 1, one)).wantError(400, "InvalidPartOrder",
		"The list of parts was not in ascending order. Parts must be ordered by part number.", "UploadId", u.id)
	u.complete(completeDoc(1, one, 1, one)).wantError(400, "InvalidPartOrder", "")
	u.complete(completeDoc(1, two)).wantError(400, "InvalidPart", "One or more of the specified parts could not be found.  "+
		"The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
		"UploadId", u.id, "PartNumber", "1", "ETag", strings.Trim(two, `"`))
	u.complete(completeDoc(3, two)).wantError(400, "InvalidPart", "", "PartNumber", "3")
	u.complete(completeDoc(1, one, 2, two)).wantError(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size",
		"ProposedSize", "5", "MinSizeAllowed", "5242880", "PartNumber", "1", "ETag", strings.Trim(one, `"`))
	u.complete(completeDoc(0, one)).wantError(400, "InvalidArgument", "PartNumber must be >= 1", "ArgumentName", "PartNumber", "ArgumentValue", "0")
	u.complete(completeDoc(-4, one)).wantError(400, "InvalidArgument", "PartNumber must be >= 1", "ArgumentValue", "-4")
	u.complete(completeDoc(10001, one)).wantError(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.")
	u.complete(completeDoc(1, one), "x-amz-mp-object-size", "6").wantError(400, "InvalidRequest",
		"The provided 'x-amz-mp-object-size' header value 6 does not match what was computed: 5")
	u.complete(completeDoc(1, one), "x-amz-mp-object-size", "-6").wantError(400, "InvalidRequest", "")
	u.complete(completeDoc(1, one), "x-amz-mp-object-size", "x").wantError(400, "InvalidRequest", "")
	u.complete(completeDoc(1, one), "x-amz-checksum-crc64nvme", "x").wantError(400, "InvalidRequest", "Value for x-amz-checksum-crc64nvme header is invalid.")
	u.complete(completeDoc(1, one), "x-amz-checksum-type", "COMPOSITE").wantError(400, "InvalidRequest",
		"The upload was created using the FULL_OBJECT checksum mode. The complete request must use the same checksum mode.")
	u.complete(completeDoc(1, one), "If-None-Match", "*").wantError(412, "PreconditionFailed", "", "Condition", "If-None-Match")
	u.complete(completeDoc(1, one), "If-Match", `"x"`).wantError(412, "PreconditionFailed", "", "Condition", "If-Match")
	u.complete(completeDoc(1, one), "If-None-Match", `"x"`).wantError(501, "NotImplemented", "")
	u.complete(completeDoc(1, one), "Content-MD5", md5Of("x")).wantError(400, "BadDigest", "")
	for _, bad := range []string{"", completeDoc(), "<CompleteMultipartUpload><Other/></CompleteMultipartUpload>", "<x/>", "x",
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag><ChecksumCRC5>x</ChecksumCRC5></Part></CompleteMultipartUpload>",
	} {
		u.complete(bad).wantError(400, "MalformedXML", "")
	}
	s.get("/bkt/key").want(200).wantBody("old")
	u.complete(completeDoc(1, one), "x-amz-mp-object-size", "5", "If-Match", etagOf("old")).want(200)
	s.get("/bkt/key").want(200).wantBody("small").wantHeader("ETag", multipartETag("small"))
	(&upload{s, "/bkt/key", "none"}).complete(completeDoc(1, one)).wantError(404, "NoSuchUpload", "", "UploadId", "none")
	(&upload{s, "/none/key", u.id}).complete(completeDoc(1, one)).wantError(404, "NoSuchBucket", "")
}

// Covers: CreateMultipartUpload, UploadPart, CompleteMultipartUpload.
func TestMultipartChecksums(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	r := s.post("/bkt/key?uploads", "", "x-amz-checksum-algorithm", "CRC32").want(200).
		wantHeader("x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", "COMPOSITE")
	u := &upload{s, "/bkt/key", r.text("UploadId")}
	sum := u.part(1, "hello, world", "x-amz-checksum-crc32", "/6tyOg==").want(200).wantHeader("x-amz-checksum-crc32", "/6tyOg==").header.Get("ETag")
	u.part(2, "x", "x-amz-checksum-crc32c", "AAAAAA==").wantError(400, "InvalidRequest",
		"Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: crc32c")
	s.get("/bkt/key?uploadId="+u.id).want(200).wantXML("<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>",
		"<ChecksumCRC32>/6tyOg==</ChecksumCRC32>")
	s.get("/bkt?uploads").want(200).wantXML("<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>")
	part := func(checksum string) string {
		return "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + escape(sum) + "</ETag>" + checksum + "</Part></CompleteMultipartUpload>"
	}
	u.part(2, "x").wantError(400, "InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: null")
	u.complete(part("")).wantError(400, "InvalidRequest", "The upload was created using a crc32 checksum. "+
		"The complete request must include the checksum for each part. It was missing for part 1 in the request.")
	u.complete(part("<ChecksumCRC32>AAAAAA==</ChecksumCRC32>")).wantError(400, "InvalidPart", "",
		"UploadId", u.id, "PartNumber", "1", "ETag", strings.Trim(sum, `"`))
	u.complete(part("<ChecksumSHA1>2jmj7l5rSw0yVb/vlWAYkK/YBwk=</ChecksumSHA1>")).wantError(400, "BadDigest",
		"The sha1 you specified for part 1 did not match what we received.")
	u.complete(part("<ChecksumCRC32>/6tyOh==</ChecksumCRC32>")).wantError(400, "InvalidArgument",
		"Invalid Base64 or multiple checksums present in request", "ArgumentName", "Checksum", "ArgumentValue", "CRC32:/6tyOh==;")
	u.complete(part("<ChecksumCRC32>/6tyOg==</ChecksumCRC32><ChecksumSHA1>x</ChecksumSHA1>")).wantError(400, "InvalidArgument", "",
		"ArgumentValue", "CRC32:/6tyOg==;SHA1:x;")
	right := part("<ChecksumCRC32>/6tyOg==</ChecksumCRC32>")
	u.complete(right, "x-amz-checksum-crc32", "/6tyOg==").wantError(400, "BadDigest", "The crc32 you specified did not match the calculated checksum.")
	u.complete(right, "x-amz-checksum-crc32", "/6tyOg==-a").wantError(400, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid.")
	u.complete(right, "x-amz-checksum-sha1", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=").wantError(400, "InvalidRequest",
		"Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: sha1")
	got := u.complete(part("<ChecksumCRC32>/6tyOg==</ChecksumCRC32>")).want(200).wantXML("<ChecksumType>COMPOSITE</ChecksumType>").text("ChecksumCRC32")
	if !strings.HasSuffix(got, "-1") {
		t.Errorf("composite checksum is %q", got)
	}
	s.head("/bkt/key", "x-amz-checksum-mode", "ENABLED").want(200).wantHeader("x-amz-checksum-crc32", got, "x-amz-checksum-type", "COMPOSITE")
	s.get("/bkt/key?partNumber=1", "x-amz-checksum-mode", "ENABLED").want(206).wantHeader("x-amz-checksum-crc32", "/6tyOg==")
}

// Covers: UploadPartCopy.
func TestUploadPartCopy(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/src", "0123456789").want(200)
	s.put("/bkt/empty", "").want(200)
	u := s.upload("/bkt/key", "x-amz-checksum-algorithm", "CRC32C", "x-amz-checksum-type", "FULL_OBJECT")
	u.part(1, "", "x-amz-copy-source", "/bkt/src").want(200).wantXML(`<CopyPartResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LastModified>20`,
		"<ETag>"+strings.ReplaceAll(etagOf("0123456789"), `"`, "&quot;")+"</ETag><ChecksumCRC32C>")
	u.part(1, "", "x-amz-copy-source", "/bkt/src", "x-amz-copy-source-range", "bytes=2-4").want(200).wantXML(strings.Trim(etagOf("234"), `"`))
	u.part(2, "", "x-amz-copy-source", "/bkt/empty").want(200)
	u.part(1, "", "x-amz-copy-source", "/bkt/src", "x-amz-copy-source-range", "bytes=2-").wantError(400, "InvalidArgument",
		"The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	u.part(1, "", "x-amz-copy-source", "/bkt/src", "x-amz-copy-source-range", "bytes=0-10").wantError(400, "InvalidArgument",
		"Range specified is not valid for source object of size: 10")
	u.part(1, "", "x-amz-copy-source", "/bkt/none").wantError(404, "NoSuchKey", "", "Key", "none")
	u.part(0, "", "x-amz-copy-source", "/bkt/src").wantError(400, "InvalidArgument", "")
	s.put("/bkt/key?partNumber=1&uploadId=none", "", "x-amz-copy-source", "/bkt/src").wantError(404, "NoSuchUpload", "")
	u.complete(completeDoc(1, etagOf("234"))).want(200)
	s.get("/bkt/key").want(200).wantBody("234")
	if info := s.lastInfo(); info.BytesOut != 3 {
		t.Errorf("info is %+v", info)
	}
}

// Covers: ListParts.
func TestListParts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	u := s.upload("/bkt/a%20b", "x-amz-storage-class", "STANDARD_IA")
	for _, n := range []int{1, 2, 5, 9} {
		u.part(n, fmt.Sprint(n)).want(200)
	}
	list := func(query string) *result { t.Helper(); return s.get(u.path + "?uploadId=" + u.id + query) }
	const who = "<ID>" + owner + "</ID><DisplayName>root</DisplayName>"
	list("").want(200).wantXML(`<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>bkt</Bucket><Key>a b</Key><UploadId>`+u.id+"</UploadId>",
		"<Initiator>"+who+"</Initiator><Owner>"+who+"</Owner><StorageClass>STANDARD_IA</StorageClass><PartNumberMarker>0</PartNumberMarker>"+
			"<NextPartNumberMarker>9</NextPartNumberMarker><MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated>"+
			"<ChecksumAlgorithm>null</ChecksumAlgorithm><ChecksumType>null</ChecksumType><Part><PartNumber>1</PartNumber><LastModified>",
		"<ETag>"+strings.ReplaceAll(etagOf("1"), `"`, "&quot;")+"</ETag><Size>1</Size></Part>")
	for _, tt := range []struct{ query, numbers, truncated, next string }{
		{"&max-parts=2", "1 2", "true", "2"},
		{"&max-parts=2&part-number-marker=2", "5 9", "false", "9"},
		{"&part-number-marker=4&max-parts=1", "5", "true", "5"},
		{"&part-number-marker=9", "", "false", ""}, // no marker: see listParts
		{"&max-parts=0", "", "false", ""},
		{"&max-parts=4", "1 2 5 9", "false", "9"},
	} {
		r := list(tt.query).want(200)
		if got := strings.Join(r.texts("PartNumber"), " "); got != tt.numbers || r.text("IsTruncated") != tt.truncated || strings.Join(r.texts("NextPartNumberMarker"), " ") != tt.next {
			t.Errorf("%s: %s", tt.query, r.body)
		}
	}
	list("&encoding-type=url").want(200).wantXML("<Key>a%20b</Key>", "<EncodingType>url</EncodingType>")
	list("&max-parts=x").wantError(400, "InvalidArgument", "Provided max-parts not an integer or within integer range")
	list("&max-parts=-1").wantError(400, "InvalidArgument", "Argument max-parts must be an integer between 0 and 2147483647")
	list("&part-number-marker=x").wantError(400, "InvalidArgument", "Provided part-number-marker not an integer or within integer range")
	list("&part-number-marker=-1").wantError(400, "InvalidArgument", "")
	list("&encoding-type=x").wantError(400, "InvalidArgument", "")
	s.get("/bkt/key?uploadId=none").wantError(404, "NoSuchUpload", "", "UploadId", "none")
}

// Covers: ListMultipartUploads.
func TestListMultipartUploads(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.get("/bkt?uploads").want(200).wantXML(`<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>bkt</Bucket><KeyMarker></KeyMarker>` +
		`<UploadIdMarker></UploadIdMarker><NextKeyMarker></NextKeyMarker><NextUploadIdMarker></NextUploadIdMarker><Prefix></Prefix>` +
		`<MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>`)
	var want []string
	for _, k := range []string{"a", "b/1", "b/2", "c d", "c d", "e"} {
		u := s.upload(keyPath("bkt", k))
		want = append(want, k+"="+u.id)
	}
	s.get("/bkt?uploads").want(200).wantXML("<Upload><Key>a</Key><UploadId>"+strings.TrimPrefix(want[0], "a=")+
		"</UploadId><Initiator><ID>"+owner+"</ID>", "<StorageClass>STANDARD</StorageClass><Initiated>20")
	for size := 1; size <= 7; size++ {
		var got []string
		key, id := "", ""
		for range 20 {
			r := s.get(fmt.Sprintf("/bkt?uploads&max-uploads=%d&key-marker=%s&upload-id-marker=%s", size, url.QueryEscape(key), id)).want(200)
			ids := r.texts("UploadId")
			for i, k := range r.texts("Key") {
				got = append(got, k+"="+ids[i])
			}
			if r.text("IsTruncated") == "false" {
				break
			}
			key, id = r.text("NextKeyMarker"), r.text("NextUploadIdMarker")
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("by %d: got %v, want %v", size, got, want)
		}
	}
	r := s.get("/bkt?uploads&delimiter=/&prefix=b").want(200).wantXML("<Delimiter>/</Delimiter><Prefix>b</Prefix>", "<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>")
	if len(r.texts("Upload")) != 0 {
		t.Errorf("got %s", r.body)
	}
	s.get("/bkt?uploads&encoding-type=url&prefix=c%20").want(200).wantXML("<Key>c%20d</Key>", "<Prefix>c%20</Prefix>", "<EncodingType>url</EncodingType>")
	s.get("/bkt?uploads&max-uploads=0").want(200).wantXML("<MaxUploads>0</MaxUploads><IsTruncated>false</IsTruncated>")
	s.get("/none?uploads&max-uploads=0").wantError(404, "NoSuchBucket", "")
	s.get("/none?uploads").wantError(404, "NoSuchBucket", "")
	id := func(i int) string { _, id, _ := strings.Cut(want[i], "="); return id }
	for _, tt := range []struct {
		marker string
		first  int // of want; -1 for a marker that is none
	}{
		{"key-marker=b/1&upload-id-marker=" + id(1), 2},
		{"key-marker=b&upload-id-marker=" + id(1), 2}, // of the first key behind it
		{"key-marker=c%20d&upload-id-marker=" + id(3), 4},
		{"key-marker=c%20d", 5},
		{"key-marker=c", 3},
		{"upload-id-marker=nonsense", 0}, // does not count alone
		{"key-marker=b/1&upload-id-marker=nonsense", -1},
		{"key-marker=b/1&upload-id-marker=" + id(5), -1},
		{"key-marker=e&upload-id-marker=" + id(1), -1},
	} {
		r := s.get("/bkt?uploads&" + tt.marker)
		if tt.first < 0 {
			r.wantError(400, "InvalidArgument", "Invalid uploadId marker", "ArgumentName", "upload-id-marker")
			continue
		}
		if got := r.want(200).texts("UploadId"); len(got) == 0 || got[0] != id(tt.first) || len(got) != len(want)-tt.first {
			t.Errorf("%s: got %v", tt.marker, got)
		}
	}
	s.get("/bkt?uploads&upload-id-marker=x").want(200).wantXML("<UploadIdMarker></UploadIdMarker>")
	s.get("/bkt?uploads&max-uploads=x").wantError(400, "InvalidArgument", "Provided max-uploads not an integer or within integer range")
	s.get("/bkt?uploads&encoding-type=x").wantError(400, "InvalidArgument", "")
}

// TestCompleteRetriesConflicts: a part that is stored between reading the parts
// and the commit makes the commit start over.
//
// Covers: CompleteMultipartUpload.
func TestCompleteRetriesConflicts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	u := s.upload("/bkt/key")
	u.part(1, "x").want(200)
	calls := 0
	s.hooks.completeUpload = func(ctx context.Context, req meta.CompleteRequest) (meta.Object, error) {
		if calls++; calls == 1 {
			u.part(2, "meanwhile").want(200)
		}
		return s.hooks.Backend.CompleteUpload(ctx, req)
	}
	u.complete(completeDoc(1, etagOf("x"))).want(200)
	if calls != 2 {
		t.Errorf("%d commits", calls)
	}
	s.get("/bkt/key").want(200).wantBody("x")

	u = s.upload("/bkt/key")
	u.part(1, "x").want(200)
	s.hooks.completeUpload = func(context.Context, meta.CompleteRequest) (meta.Object, error) {
		return meta.Object{}, &meta.Error{Kind: meta.KindConflict}
	}
	u.complete(completeDoc(1, etagOf("x"))).wantError(409, "OperationAborted", "")
	u.complete(completeDoc(1, etagOf("x")), "If-Match", etagOf("x")).wantError(409, "ConditionalRequestConflict", "")
}

// TestAbortIfInitiated: an upload that began at another time than the client says is left alone.
//
// Covers: AbortMultipartUpload.
func TestAbortIfInitiated(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	const header = "x-amz-if-match-initiated-time"
	u := s.upload("/bkt/key")
	initiated, err := time.Parse(time.RFC3339, s.get("/bkt?uploads").want(200).text("Initiated"))
	if err != nil {
		t.Fatal(err)
	}
	path := u.path + "?uploadId=" + u.id
	other := initiated.Add(-time.Second).UTC().Format(http.TimeFormat)
	s.delete(path, header, other).wantError(412, "PreconditionFailed", "", "Condition", header)
	s.delete(path, header, "yesterday").wantError(400, "InvalidArgument", "Invalid date", "ArgumentName", header, "ArgumentValue", "yesterday")
	s.delete(path, header, initiated.UTC().Format(http.TimeFormat)).want(204)
	s.delete(path, header, initiated.UTC().Format(http.TimeFormat)).wantError(404, "NoSuchUpload", "")
}
