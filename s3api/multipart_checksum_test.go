package s3api_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"tdkvs/s3api/checksum"
)

// sumOf is an algorithm's checksum of s in base64.
func sumOf(a checksum.Algorithm, s string) string {
	h := a.New()
	h.Write([]byte(s))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// compositeOf is an algorithm's checksum of the checksums of parts.
func compositeOf(a checksum.Algorithm, parts ...string) string {
	h := a.New()
	for _, p := range parts {
		part := a.New()
		part.Write([]byte(p))
		h.Write(part.Sum(nil))
	}
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(h.Sum(nil)), len(parts))
}

// TestEveryAlgorithm sends, keeps and shows a checksum of every algorithm, as a
// header, by name only in a copy, and in multipart uploads of each type.
//
// Covers: PutObject, GetObject, HeadObject, CopyObject, CreateMultipartUpload, UploadPart, UploadPartCopy, ListParts, CompleteMultipartUpload, ListObjectsV2.
func TestEveryAlgorithm(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	const body = "hello, world"
	enabled := []string{"x-amz-checksum-mode", "ENABLED"}
	for _, a := range checksum.Algorithms() {
		t.Run(a.String(), func(t *testing.T) {
			name, value := a.Header(), sumOf(a, body)
			element := fmt.Sprintf("<Checksum%s>%s</Checksum%s>", a, value, a)
			key := "/bkt/" + a.String()
			s.put(key, body, name, sumOf(a, "other")).wantError(400, "BadDigest", "The "+a.String()+" you specified did not match the calculated checksum.")
			for _, bad := range []string{"", "x", "invalid_base64!", "c2RhZnNhZGZzZGFmMQ=="[:16], value + "="} {
				s.put(key, body, name, bad).wantError(400, "InvalidRequest", "Value for "+name+" header is invalid.")
			}
			s.put(key, body, name, value, "x-amz-sdk-checksum-algorithm", a.String()).want(200).wantHeader(name, value, "x-amz-checksum-type", "FULL_OBJECT")
			s.get(key).want(200).wantHeader(name, "", "x-amz-checksum-type", "")
			s.get(key, enabled...).want(200).wantHeader(name, value, "x-amz-checksum-type", "FULL_OBJECT")
			s.head(key, enabled...).want(200).wantHeader(name, value, "x-amz-checksum-type", "FULL_OBJECT")
			s.get("/bkt?list-type=2&prefix=" + a.String()).want(200).wantXML("<ChecksumAlgorithm>" + a.String() + "</ChecksumAlgorithm>")
			s.put("/bkt/copy", "", "x-amz-copy-source", key).want(200).wantXML(element, "<ChecksumType>FULL_OBJECT</ChecksumType>")
			s.put("/bkt/plain", body).want(200).wantHeader("x-amz-checksum-crc64nvme", sumOf(checksum.CRC64NVME, body))
			s.put("/bkt/copy", "", "x-amz-copy-source", "bkt/plain", "x-amz-checksum-algorithm", strings.ToLower(a.String())).want(200).wantXML(element)
			s.head("/bkt/copy", enabled...).want(200).wantHeader(name, value)

			part := func(n int, sum string) string {
				return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>x</ETag>%s</Part>", n, sum)
			}
			complete := func(u *upload, sum string) string {
				doc := "<CompleteMultipartUpload>" + part(1, sum) + "</CompleteMultipartUpload>"
				return strings.Replace(doc, "<ETag>x", "<ETag>"+strings.Trim(etagOf(body), `"`), 1)
			}
			full := s.post("/bkt/mpu?uploads", "", "x-amz-checksum-algorithm", a.String(), "x-amz-checksum-type", "FULL_OBJECT")
			if !a.Linear() {
				full.wantError(400, "InvalidRequest", "The FULL_OBJECT checksum type cannot be used with the "+strings.ToLower(a.String())+" checksum algorithm.")
			} else {
				full.want(200).wantHeader("x-amz-checksum-algorithm", a.String(), "x-amz-checksum-type", "FULL_OBJECT")
				u := &upload{s, "/bkt/mpu", full.text("UploadId")}
				u.part(1, body).want(200).wantHeader(name, value) // computed where the client sent none
				u.complete(complete(u, ""), name, value).want(200).wantXML(element, "<ChecksumType>FULL_OBJECT</ChecksumType>")
				s.head("/bkt/mpu", enabled...).want(200).wantHeader(name, value, "x-amz-checksum-type", "FULL_OBJECT")
			}
			if a == checksum.CRC64NVME {
				s.post("/bkt/mpu?uploads", "", "x-amz-checksum-algorithm", a.String(), "x-amz-checksum-type", "COMPOSITE").wantError(400, "InvalidRequest", "")
				return
			}
			u := s.upload("/bkt/mpu", "x-amz-checksum-algorithm", strings.ToLower(a.String()))
			u.part(1, body).wantError(400, "InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: "+
				strings.ToLower(a.String())+", actual checksum Type: null")
			u.part(1, "", "x-amz-copy-source", key).want(200).wantXML(element) // computed by the server in any case
			u.part(1, body, name, value).want(200).wantHeader(name, value)
			s.get("/bkt/mpu?uploadId="+u.id).want(200).wantXML("<ChecksumAlgorithm>"+a.String()+"</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>", element)
			whole := compositeOf(a, body)
			u.complete(complete(u, element), name, whole).want(200).wantXML(fmt.Sprintf("<Checksum%s>%s</Checksum%s><ChecksumType>COMPOSITE</ChecksumType>", a, whole, a))
			s.head("/bkt/mpu", enabled...).want(200).wantHeader(name, whole, "x-amz-checksum-type", "COMPOSITE")
			s.get("/bkt/mpu?partNumber=1", enabled...).want(206).wantHeader(name, value, "x-amz-checksum-type", "COMPOSITE")
			s.get("/bkt/mpu", "Range", "bytes=0-2", "x-amz-checksum-mode", "ENABLED").want(206).wantHeader(name, "", "x-amz-checksum-type", "")
			// What is copied has a checksum of the whole, of the same algorithm.
			s.put("/bkt/copy", "", "x-amz-copy-source", "bkt/mpu").want(200).wantXML(element, "<ChecksumType>FULL_OBJECT</ChecksumType>")
		})
	}
}

// TestUploadWithoutAlgorithm: each part's own checksum is verified and sent back;
// the object gets CRC64NVME, whatever the client says of the whole.
//
// Covers: UploadPart, CompleteMultipartUpload.
func TestUploadWithoutAlgorithm(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	u := s.upload("/bkt/key")
	const body = "hello, world"
	u.part(1, body).want(200).wantHeader("x-amz-checksum-crc64nvme", sumOf(checksum.CRC64NVME, body))
	u.part(1, body, "x-amz-checksum-crc32", sumOf(checksum.CRC32, "x")).wantError(400, "BadDigest", "")
	u.part(1, body, "x-amz-checksum-crc32", sumOf(checksum.CRC32, body)).want(200).
		wantHeader("x-amz-checksum-crc32", sumOf(checksum.CRC32, body), "x-amz-checksum-crc64nvme", "")
	if got := s.get("/bkt/key?uploadId=" + u.id).want(200).texts("ChecksumCRC64NVME"); len(got) != 0 {
		t.Errorf("ListParts shows %v", got)
	}
	u.part(2, "", "x-amz-copy-source", "bkt/none").want(404)
	u.complete(completeDoc(1, etagOf(body)), "x-amz-checksum-crc32", compositeOf(checksum.CRC32, body)).want(200).
		wantXML("<ChecksumCRC64NVME>"+sumOf(checksum.CRC64NVME, body)+"</ChecksumCRC64NVME>", "<ChecksumType>FULL_OBJECT</ChecksumType>")
	s.head("/bkt/key", "x-amz-checksum-mode", "ENABLED").want(200).
		wantHeader("x-amz-checksum-crc64nvme", sumOf(checksum.CRC64NVME, body), "x-amz-checksum-type", "FULL_OBJECT")
}
