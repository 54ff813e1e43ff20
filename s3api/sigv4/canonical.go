package sigv4

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"tdkvs/s3api/s3err"
)

const upperHex = "0123456789ABCDEF"

// unreserved reports whether c stays as it is in a canonical URI or query: RFC
// 3986 unreserved characters only.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// appendEscaped appends c as AWS's UriEncode does.
func appendEscaped(dst []byte, c byte) []byte {
	if unreserved(c) {
		return append(dst, c)
	}
	return append(dst, '%', upperHex[c>>4], upperHex[c&15])
}

// appendPath appends a decoded path, encoded once and not normalized: in S3,
// unlike in other services, "//" and ".." are parts of keys.
func appendPath(dst []byte, path string) []byte {
	if path == "" {
		return append(dst, '/')
	}
	for i := range len(path) {
		if path[i] == '/' {
			dst = append(dst, '/')
		} else {
			dst = appendEscaped(dst, path[i])
		}
	}
	return dst
}

// param is a query parameter in canonical form, that is, encoded.
type param struct{ name, value string }

// decoded returns the parameter's value without its encoding.
func (p param) decoded() string {
	if !strings.Contains(p.value, "%") {
		return p.value
	}
	dst := make([]byte, 0, len(p.value))
	for i := 0; i < len(p.value); i++ {
		c := p.value[i]
		if c == '%' { // canonical, so two hex digits follow
			c = unhex(p.value[i+1])<<4 | unhex(p.value[i+2])
			i += 2
		}
		dst = append(dst, c)
	}
	return string(dst)
}

// parseQuery splits a raw query and puts each part in canonical form, in the
// order of the request. An escape that is none is InvalidURI.
func parseQuery(raw string) ([]param, error) {
	if raw == "" {
		return nil, nil
	}
	params := make([]param, 0, strings.Count(raw, "&")+1)
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, ok := canonicalParam(name)
		value, ok2 := canonicalParam(value)
		if !ok || !ok2 {
			return nil, s3err.Of(s3err.InvalidURI)
		}
		params = append(params, param{name, value})
	}
	return params, nil
}

// canonicalParam decodes a query part ("+" is a space) and encodes it again. It
// returns raw itself where that would change nothing, which is the usual case.
func canonicalParam(raw string) (string, bool) {
	i := 0
	for i < len(raw) && unreserved(raw[i]) {
		i++
	}
	if i == len(raw) {
		return raw, true
	}
	dst := append(make([]byte, 0, len(raw)+8), raw[:i]...)
	for ; i < len(raw); i++ {
		c := raw[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "", false
			}
			c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
		}
		dst = appendEscaped(dst, c)
	}
	return string(dst), true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	default:
		return c - '0'
	}
}

// find returns the first parameter of a name.
func find(params []param, name string) (param, bool) {
	for _, p := range params {
		if p.name == name {
			return p, true
		}
	}
	return param{}, false
}

// appendQuery appends the canonical query: sorted by encoded name and value,
// without the signature.
func appendQuery(dst []byte, params []param) []byte {
	sorted := params
	if !slices.IsSortedFunc(params, compareParams) {
		sorted = slices.Clone(params)
		slices.SortStableFunc(sorted, compareParams)
	}
	first := true
	for _, p := range sorted {
		if p.name == paramSignature {
			continue
		}
		if !first {
			dst = append(dst, '&')
		}
		first = false
		dst = append(dst, p.name...)
		dst = append(dst, '=')
		dst = append(dst, p.value...)
	}
	return dst
}

func compareParams(a, b param) int {
	if c := strings.Compare(a.name, b.name); c != 0 {
		return c
	}
	return strings.Compare(a.value, b.value)
}

// appendCanonicalRequest appends the canonical request of AWS "Signature
// Calculations for the Authorization Header", task 1.
func appendCanonicalRequest(dst []byte, r *http.Request, host string, params []param, signed []string, payload string) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, '\n')
	dst = appendPath(dst, r.URL.Path)
	dst = append(dst, '\n')
	dst = appendQuery(dst, params)
	dst = append(dst, '\n')
	return appendSigned(dst, r, host, signed, payload)
}

// appendSentRequest appends the canonical request of a client that takes path
// and query as it sends them, as curl did until version 8.
func appendSentRequest(dst []byte, r *http.Request, signed []string, payload string) []byte {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	dst = append(dst, r.Method...)
	dst = append(dst, '\n')
	dst = append(dst, path...)
	dst = append(dst, '\n')
	dst = append(dst, query...)
	dst = append(dst, '\n')
	return appendSigned(dst, r, r.Host, signed, payload)
}

// appendSigned appends the lines of a canonical request below the query.
func appendSigned(dst []byte, r *http.Request, host string, signed []string, payload string) []byte {
	for _, name := range signed {
		dst = append(dst, name...)
		dst = append(dst, ':')
		dst = appendHeader(dst, r, host, name)
		dst = append(dst, '\n')
	}
	dst = append(dst, '\n')
	dst = appendJoined(dst, signed, ';')
	dst = append(dst, '\n')
	return append(dst, payload...)
}

func appendJoined(dst []byte, list []string, sep byte) []byte {
	for i, s := range list {
		if i > 0 {
			dst = append(dst, sep)
		}
		dst = append(dst, s...)
	}
	return dst
}

// appendHeader appends the canonical value of a signed header. net/http keeps
// some headers outside r.Header; a header that is absent counts as empty, which
// no honest signature matches.
func appendHeader(dst []byte, r *http.Request, host, name string) []byte {
	if name == "host" {
		return appendTrimmed(dst, host)
	}
	values, ok := r.Header[canonicalName(name)]
	if !ok {
		switch name {
		case "content-length":
			if r.ContentLength >= 0 {
				return strconv.AppendInt(dst, r.ContentLength, 10)
			}
		case "transfer-encoding":
			values = r.TransferEncoding
		case "trailer":
			for k := range r.Trailer {
				values = append(values, k)
			}
			slices.Sort(values)
		}
	}
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendTrimmed(dst, v)
	}
	return dst
}

// canonicalName is the name of a header as net/http keeps it. Making it anew takes an
// allocation, so those that clients sign in every request are known.
func canonicalName(lower string) string {
	switch lower {
	case "x-amz-date":
		return "X-Amz-Date"
	case "x-amz-content-sha256":
		return "X-Amz-Content-Sha256"
	case "content-type":
		return "Content-Type"
	case "content-length":
		return "Content-Length"
	case "content-md5":
		return "Content-Md5"
	case "x-amz-security-token":
		return "X-Amz-Security-Token"
	case "x-amz-checksum-mode":
		return "X-Amz-Checksum-Mode"
	case "x-amz-sdk-checksum-algorithm":
		return "X-Amz-Sdk-Checksum-Algorithm"
	case "x-amz-decoded-content-length":
		return "X-Amz-Decoded-Content-Length"
	case "amz-sdk-invocation-id":
		return "Amz-Sdk-Invocation-Id"
	case "amz-sdk-request":
		return "Amz-Sdk-Request"
	}
	return textproto.CanonicalMIMEHeaderKey(lower)
}

// appendTrimmed appends v without outer white space and with inner runs of it
// made one space.
func appendTrimmed(dst []byte, v string) []byte {
	space := false
	start := len(dst)
	for i := range len(v) {
		switch c := v[i]; c {
		case ' ', '\t', '\n', '\v', '\f', '\r':
			space = len(dst) > start
		default:
			if space {
				dst = append(dst, ' ')
				space = false
			}
			dst = append(dst, c)
		}
	}
	return dst
}
