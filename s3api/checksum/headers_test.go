package checksum

import (
	"net/http"
	"testing"

	"tdkvs/s3api/s3err"
)

// FuzzUploadHeaders reads arbitrary text as the headers of multipart uploads:
// what is refused is refused with an error for clients, and what is accepted can
// be computed.
func FuzzUploadHeaders(f *testing.F) {
	f.Add("CRC32", "COMPOSITE", "NSRBwg==-3")
	f.Add("crc64nvme", "", "rosUhgp5mIE=")
	f.Add("SHA256", "FULL_OBJECT", "-1")
	f.Fuzz(func(t *testing.T, algorithm, kind, value string) {
		h := http.Header{}
		h.Set("X-Amz-Checksum-Algorithm", algorithm)
		h.Set("X-Amz-Checksum-Type", kind)
		h.Set("X-Amz-Checksum-Crc32", value)
		if u, err := ParseUpload(h); err == nil && (u.Algorithm == None) != (u.Type == "") {
			t.Errorf("%q, %q: %+v", algorithm, kind, u)
		} else if err != nil && s3err.CodeOf(err) == "" {
			t.Errorf("upload: %v is not for clients", err)
		}
		if _, err := ParseCopy(h); err != nil && s3err.CodeOf(err) == "" {
			t.Errorf("copy: %v is not for clients", err)
		}
		h.Del("X-Amz-Checksum-Algorithm")
		v, err := ParseComplete(h)
		switch {
		case err != nil && s3err.CodeOf(err) == "":
			t.Errorf("complete: %v is not for clients", err)
		case err == nil && v.Algorithm != None && (v.Parts < 0 || !v.Algorithm.valid(v.Value)):
			t.Errorf("complete: %q is taken for %+v", value, v)
		}
		c, ok, err := ParseClaims([]string{algorithm}, []string{value})
		if err == nil && ok && !c.Algorithm.valid(c.Value) {
			t.Errorf("claim: %q is taken for %+v", value, c)
		}
	})
}
