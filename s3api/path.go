package s3api

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// target is what host and path of a request name.
type target struct {
	scope   scope
	bucket  string
	key     string
	virtual bool // the host names the bucket
}

// parseTarget reads a request's host and escaped path, path-style or, for a host
// below one of domains (lower case, without port), virtual-host style. Only the
// slash after the bucket is structure: everything behind it is the key, byte for
// byte once percent-decoded; "+" is a plus. Source: AWS "Virtual hosting of
// general purpose buckets".
//
// A path that is not UTF-8 is InvalidURI, a key above 1,024 bytes
// KeyTooLongError, a name that no bucket can have InvalidBucketName.
func parseTarget(host, path string, domains []string) (target, error) {
	rest := strings.TrimPrefix(path, "/")
	bucket, virtual := virtualBucket(host, domains)
	if !virtual {
		var escaped string
		escaped, rest, _ = strings.Cut(rest, "/")
		var err error
		if bucket, err = unescape(escaped); err != nil {
			return target{}, err
		}
	}
	key, err := unescape(rest)
	switch {
	case err != nil:
		return target{}, err
	case bucket == "" && key == "":
		return target{scope: scopeService}, nil
	case !possibleBucketName(bucket):
		return target{}, s3err.Of(s3err.InvalidBucketName).With("BucketName", bucket)
	case key == "":
		return target{scope: scopeBucket, bucket: bucket, virtual: virtual}, nil
	}
	if err := checkKey(key); err != nil {
		return target{}, err
	}
	return target{scope: scopeObject, bucket: bucket, key: key, virtual: virtual}, nil
}

// virtualBucket returns the bucket that host names under the longest of the
// domains that it is below. A domain itself is served path-style.
func virtualBucket(host string, domains []string) (string, bool) {
	if len(domains) == 0 {
		return "", false
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	best := -1
	for _, d := range domains {
		if host == d {
			return "", false
		}
		if n := len(host) - len(d); n > 1 && host[n-1] == '.' && host[n:] == d && (best < 0 || n-1 < best) {
			best = n - 1
		}
	}
	if best < 0 {
		return "", false
	}
	return host[:best], true
}

// unescape decodes one part of an escaped path.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') >= 0 {
		var err error
		if s, err = url.PathUnescape(s); err != nil {
			return "", s3err.Of(s3err.InvalidURI).Wrap(err)
		}
	}
	if !utf8.ValidString(s) {
		return "", s3err.Of(s3err.InvalidURI)
	}
	return s, nil
}

// checkKey refuses a key that is too long.
func checkKey(key string) error {
	if len(key) <= meta.MaxKeyLen {
		return nil
	}
	return s3err.Of(s3err.KeyTooLongError).
		With("Size", strconv.Itoa(len(key))).
		With("MaxSizeAllowed", strconv.Itoa(meta.MaxKeyLen))
}

// possibleBucketName reports whether a bucket could ever have had this name: the
// characters that AWS allowed in its early days. Such a name that is not there
// is NoSuchBucket; any other is InvalidBucketName.
func possibleBucketName(name string) bool {
	if name == "" || len(name) > 255 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !isAlnum(c) && (c < 'A' || c > 'Z') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// NativeBucket holds the keys of the native API. Its name is shorter than S3
// allows, and may be created by S3 all the same, so that either API can come first.
const NativeBucket = "kv"

// validBucketName reports whether a bucket may be created under this name, by
// AWS "General purpose bucket naming rules": 3 to 63 characters, DNS labels, not
// an IP address, none of the affixes that AWS reserves. The names of the native
// routes are taken, too.
func validBucketName(name string) bool {
	if name == NativeBucket {
		return true
	}
	if len(name) < 3 || len(name) > 63 || net.ParseIP(name) != nil {
		return false
	}
	switch name {
	case "get", "set", "delete":
		return false
	}
	for _, p := range [...]string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	for _, s := range [...]string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, s) {
			return false
		}
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return !dottedQuad(name)
}

// validLabel reports whether s is a DNS label in lower case.
func validLabel(s string) bool {
	if s == "" || !isAlnum(s[0]) || !isAlnum(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// dottedQuad reports whether s is four numbers with dots: formatted as an IP
// address even where it is none, such as 192.168.500.1.
func dottedQuad(s string) bool {
	labels := strings.Split(s, ".")
	if len(labels) != 4 {
		return false
	}
	for _, l := range labels {
		if strings.Trim(l, "0123456789") != "" {
			return false
		}
	}
	return true
}
