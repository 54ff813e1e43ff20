package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"tdkvs/master/meta"
	"tdkvs/s3api"
)

// Bucket holds the keys of the native routes.
const Bucket = s3api.NativeBucket

// The native routes. Buckets of these names can not be made.
const (
	getPrefix    = "/get/"
	setPrefix    = "/set/"
	deletePrefix = "/delete/"
)

// nativeRequest is a native request that may do what it asks for.
type nativeRequest struct {
	*http.Request
	key    string
	caller caller
}

// native is the pipeline of a native route: method, caller, key, permission,
// handler. What goes wrong in any of it is written in one place.
func (g *gateway) native(prefix, operation, allow string, handle func(http.ResponseWriter, *nativeRequest) error) http.Handler {
	permission := map[string]string{getPrefix: "s3:GetObject", setPrefix: "s3:PutObject", deletePrefix: "s3:DeleteObject"}[prefix]
	return g.page(operation, func(w http.ResponseWriter, r *http.Request, info *s3api.RequestInfo) error {
		if err := checkMethod(r, allow); err != nil {
			return err
		}
		who, err := g.authenticate(r)
		if err != nil {
			return err
		}
		info.Bucket, info.AccessKey = Bucket, who.identity.AccessKey
		key, err := parseKey(r.URL, prefix)
		if err != nil {
			return err
		}
		info.Key = key
		if err := g.authorize(r.Context(), who.identity, operation, permission, key); err != nil {
			return err
		}
		return handle(w, &nativeRequest{Request: r, key: key, caller: who})
	})
}

// page makes a handler of a function that returns its error.
func (g *gateway) page(operation string, serve func(http.ResponseWriter, *http.Request, *s3api.RequestInfo) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := s3api.InfoOf(w)
		info.Operation = operation
		if err := serve(w, r, info); err != nil {
			g.fail(w, r, info, err)
		}
	})
}

// checkMethod refuses a method that is not in a list such as "GET, HEAD".
func checkMethod(r *http.Request, allow string) error {
	for method := range strings.SplitSeq(allow, ", ") {
		if r.Method == method {
			return nil
		}
	}
	return &failure{status: http.StatusMethodNotAllowed, message: "method " + clip(r.Method, 20) + " is not allowed here, only " + allow,
		header: http.Header{"Allow": {allow}}}
}

// parseKey reads the key from a path, of which it is everything behind the
// prefix, percent-decoded: slashes and other bytes may be written either way, and
// "+" is a plus. A query is refused unless it carries a signature: it is nearly
// always a "?" of the key that should have been written as %3F.
func parseKey(u *url.URL, prefix string) (string, error) {
	bad := func(message string) error { return &failure{status: http.StatusBadRequest, message: message} }
	escaped, ok := strings.CutPrefix(u.EscapedPath(), prefix)
	if !ok {
		return "", bad("malformed path")
	}
	key, err := url.PathUnescape(escaped)
	switch {
	case err != nil:
		return "", bad("malformed percent-encoding in the key")
	case key == "":
		return "", bad("the key is empty")
	case len(key) > meta.MaxKeyLen:
		return "", bad("the key is longer than 1024 bytes")
	case !utf8.ValidString(key):
		return "", bad("the key is not valid UTF-8")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", bad("malformed query")
	}
	for name := range query {
		if len(name) < 6 || !strings.EqualFold(name[:6], "x-amz-") {
			return "", bad("unexpected query; write a ? of the key as %3F")
		}
	}
	return key, nil
}

// clip shortens what a client sent, for a message about it.
func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}
