package sigv4

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// HoistQuery copies what a presigned URL carries in its query on behalf of
// headers, such as x-amz-meta-a or x-amz-storage-class, to r.Header, where the
// header is not there already: SDKs move headers into the query when they
// presign, and S3 reads them from both. Call it after Verify, for presigned
// requests only.
//
// As on AWS, these stay where they are: the parameters of the signature;
// checksums, which SDKs compute over the empty body that a request has when it
// is presigned; and tags.
func HoistQuery(r *http.Request) {
	params, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return // Verify has refused it
	}
	for _, p := range params {
		name, err := url.PathUnescape(p.name)
		if err != nil || !hoistable(strings.ToLower(name)) {
			continue
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		if _, ok := r.Header[key]; !ok {
			r.Header[key] = []string{p.decoded()}
		}
	}
}

// hoistable tells headers from everything else in a query, by its name in lower
// case.
func hoistable(name string) bool {
	switch name {
	case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders",
		"x-amz-signature", "x-amz-security-token", "x-amz-content-sha256",
		"x-amz-sdk-checksum-algorithm", "x-amz-trailer", "x-amz-decoded-content-length", "x-amz-tagging":
		return false
	case "x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode":
		return true
	}
	return strings.HasPrefix(name, "x-amz-") && !strings.HasPrefix(name, "x-amz-checksum-")
}
