package s3api_test

import (
	"fmt"
	"strings"
	"testing"
)

// attributes asks for attributes of an object.
func (s *server) attributes(path, list string, headers ...string) *result {
	s.t.Helper()
	return s.get(path, append(headers, "x-amz-object-attributes", list)...)
}

const allAttributes = "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"

// attributesDoc is the document of these elements.
func attributesDoc(inner string) string {
	return `<GetObjectAttributesResponse xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + inner + `</GetObjectAttributesResponse>`
}

// Covers: GetObjectAttributes.
func TestObjectAttributes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	r := s.put("/bkt/key", "body", "x-amz-checksum-crc32", crc32Of("body"), "x-amz-storage-class", "GLACIER_IR").want(200)
	etag := "<ETag>" + strings.Trim(r.header.Get("ETag"), `"`) + "</ETag>"
	sum := "<Checksum><ChecksumCRC32>" + crc32Of("body") + "</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType></Checksum>"
	const class, size = "<StorageClass>GLACIER_IR</StorageClass>", "<ObjectSize>4</ObjectSize>"
	modified := s.head("/bkt/key").header.Get("Last-Modified")
	for list, want := range map[string]string{
		allAttributes: etag + sum + class + size, "ETag": etag, "Checksum": sum, "ObjectParts": "", "StorageClass": class, "ObjectSize": size,
		"ObjectSize,ETag": etag + size, " ETag , ,ObjectSize,": etag + size, "ETag,ETag": etag,
	} {
		s.attributes("/bkt/key?attributes", list).want(200).wantXML(attributesDoc(want)).
			wantHeader("Last-Modified", modified, "ETag", "", "x-amz-version-id", "", "x-amz-delete-marker", "", "Accept-Ranges", "")
	}
	// Several headers are one list; conditions do not apply.
	rq := s.new(request{method: "GET", path: "/bkt/key?attributes", header: pairs([]string{"x-amz-object-attributes", "ObjectSize,ETag"})})
	rq.Header["X-Amz-Object-Attributes"] = []string{"ObjectSize", "ETag"} // signed as one, by the rules of Version 4
	s.send(rq).want(200).wantXML(attributesDoc(etag + size))
	s.attributes("/bkt/key?attributes", "ObjectSize", "If-Match", `"no"`, "If-Modified-Since", modified).want(200).wantXML(attributesDoc(size))
	// Without a checksum of the client's the store has its own.
	s.put("/bkt/plain", "x").want(200)
	s.attributes("/bkt/plain?attributes", allAttributes).want(200).wantXML("<Checksum><ChecksumCRC64NVME>",
		"</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType></Checksum><StorageClass>STANDARD</StorageClass><ObjectSize>1</ObjectSize>")
}

// Covers: GetObjectAttributes.
func TestObjectAttributesErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "body").want(200)
	const missing = "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty"
	s.get("/bkt/key?attributes").wantError(400, "InvalidRequest", missing)
	s.attributes("/bkt/key?attributes", "").wantError(400, "InvalidRequest", missing)
	s.attributes("/bkt/key?attributes", ", ").wantError(400, "InvalidRequest", missing)
	for _, bad := range []string{"etag", "Size", "ETag,Bogus"} {
		s.attributes("/bkt/key?attributes", bad).wantError(400, "InvalidArgument", "Invalid attribute name specified.", "ArgumentName", "x-amz-object-attributes")
	}
	for _, name := range []string{"x-amz-max-parts", "x-amz-part-number-marker"} {
		for _, bad := range []string{"x", "1.5", "99999999999"} {
			s.attributes("/bkt/key?attributes", "ETag", name, bad).wantError(400, "InvalidArgument",
				"Provided "+name+" not an integer or within integer range", "ArgumentName", name, "ArgumentValue", bad)
		}
		s.attributes("/bkt/key?attributes", "ETag", name, "-1").wantError(400, "InvalidArgument",
			"Argument "+name+" must be an integer between 0 and 2147483647", "ArgumentName", name, "ArgumentValue", "-1")
	}
	s.attributes("/bkt/none?attributes", "ETag").wantError(404, "NoSuchKey", "", "Key", "none")
	s.attributes("/none/key?attributes", "ETag").wantError(404, "NoSuchBucket", "")
	s.attributes("/bkt/key?attributes&versionId=bogus", "ETag").wantError(400, "InvalidArgument", "Invalid version id specified")
	s.attributes("/bkt/key?attributes", "ETag", "x-amz-server-side-encryption-customer-algorithm", "AES256").
		wantError(400, "InvalidRequest", "The encryption parameters are not applicable to this object.")
	s.do(request{method: "GET", path: "/bkt/key?attributes", key: userKey, secret: userSecret}).wantError(403, "AccessDenied", "")
}

// Covers: GetObjectAttributes.
func TestObjectAttributesOfVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.lockBucket("bkt")
	old := s.put("/bkt/key", "1").want(200).header.Get("x-amz-version-id")
	cur := s.put("/bkt/key", "22").want(200).header.Get("x-amz-version-id")
	s.attributes("/bkt/key?attributes", "ObjectSize").want(200).wantXML(attributesDoc("<ObjectSize>2</ObjectSize>")).wantHeader("x-amz-version-id", cur)
	s.attributes("/bkt/key?attributes&versionId="+old, "ObjectSize").want(200).wantXML(attributesDoc("<ObjectSize>1</ObjectSize>")).wantHeader("x-amz-version-id", old)
	marker := s.delete("/bkt/key").want(204).header.Get("x-amz-version-id")
	s.attributes("/bkt/key?attributes", "ObjectSize").wantError(404, "NoSuchKey", "").wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", marker)
	s.attributes("/bkt/key?attributes&versionId="+marker, "ObjectSize").wantError(405, "MethodNotAllowed", "").
		wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", marker, "Allow", "DELETE")
	s.attributes("/bkt/key?attributes&versionId="+cur, "ObjectSize").want(200)
}

// Covers: GetObjectAttributes.
func TestObjectAttributesOfParts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	bodies := []string{strings.Repeat("a", 5<<20), strings.Repeat("b", 5<<20), "end"}
	numbers := []int{1, 3, 7}
	up := s.upload("/bkt/key", "x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", "COMPOSITE")
	var list, parts []string
	for i, b := range bodies {
		r := up.part(numbers[i], b, "x-amz-checksum-crc32", crc32Of(b)).want(200)
		list = append(list, fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><ChecksumCRC32>%s</ChecksumCRC32></Part>",
			numbers[i], escape(r.header.Get("ETag")), crc32Of(b)))
		parts = append(parts, fmt.Sprintf("<Part><PartNumber>%d</PartNumber><Size>%d</Size><ChecksumCRC32>%s</ChecksumCRC32></Part>", numbers[i], len(b), crc32Of(b)))
	}
	composite := up.complete("<CompleteMultipartUpload>" + strings.Join(list, "") + "</CompleteMultipartUpload>").want(200).text("ChecksumCRC32")
	value, count, _ := strings.Cut(composite, "-")
	if count != "3" {
		t.Fatalf("the composite checksum is %s", composite)
	}
	page := func(truncated bool, limit, next, marker int, parts ...string) string {
		return fmt.Sprintf("<ObjectParts><IsTruncated>%v</IsTruncated><MaxParts>%d</MaxParts><NextPartNumberMarker>%d</NextPartNumberMarker><PartNumberMarker>%d</PartNumberMarker>%s<PartsCount>3</PartsCount></ObjectParts>",
			truncated, limit, next, marker, strings.Join(parts, ""))
	}
	s.attributes("/bkt/key?attributes", allAttributes).want(200).wantXML(
		"<Checksum><ChecksumCRC32>"+value+"</ChecksumCRC32><ChecksumType>COMPOSITE</ChecksumType></Checksum>",
		"-3</ETag>", page(false, 1000, 7, 0, parts...), fmt.Sprintf("<ObjectSize>%d</ObjectSize>", 10<<20+3))
	for _, tt := range []struct {
		limit, marker string
		want          string
	}{
		{"2", "", page(true, 2, 3, 0, parts[:2]...)}, {"2", "3", page(false, 2, 7, 3, parts[2])}, {"1", "1", page(true, 1, 3, 1, parts[1])},
		{"3", "0", page(false, 3, 7, 0, parts...)}, {"", "2", page(false, 1000, 7, 2, parts[1:]...)}, {"", "7", page(false, 1000, 0, 7)},
		{"0", "", page(false, 0, 0, 0)}, {"5000", "", page(false, 1000, 7, 0, parts...)}, {"", "2147483647", page(false, 1000, 0, 2147483647)},
	} {
		s.attributes("/bkt/key?attributes", "ObjectParts", "x-amz-max-parts", tt.limit, "x-amz-part-number-marker", tt.marker).
			want(200).wantXML(attributesDoc(tt.want))
	}
	// Parts of an upload without a checksum of its own have that of the store.
	up = s.upload("/bkt/plain")
	up.complete(completeDoc(1, up.part(1, "x").header.Get("ETag"))).want(200)
	s.attributes("/bkt/plain?attributes", "ObjectParts").want(200).wantXML("<Part><PartNumber>1</PartNumber><Size>1</Size><ChecksumCRC64NVME>", "<PartsCount>1</PartsCount>")
}
