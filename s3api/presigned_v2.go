package s3api

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tdkvs/s3api/s3err"
	"tdkvs/s3api/sigv4"
)

// Presigned URLs of Signature Version 2 are taken because the aws CLI and boto3
// still make them for us-east-1, the region that people have who never set one.
// Signed requests of that version are not. Source: AWS "Signing and
// authenticating REST requests (AWS signature version 2)", Query String Request
// Authentication Alternative.

// presignedV2 reports whether a request carries such a signature.
func (r *Request) presignedV2() bool {
	return r.query.Has("AWSAccessKeyId") && r.query.Has("Signature") &&
		!r.query.Has("X-Amz-Signature") && !r.query.Has("X-Amz-Algorithm") && r.http.Header.Get("Authorization") == ""
}

// verifyV2 checks the signature and the time of a presigned URL of version 2.
func (h *handler) verifyV2(ctx context.Context, r *Request) (*sigv4.Result, error) {
	accessKey := r.param("AWSAccessKeyId")
	expires, err := strconv.ParseInt(r.param("Expires"), 10, 64)
	if err != nil {
		return nil, s3err.New(s3err.AccessDenied, "Invalid date (should be seconds since epoch): "+r.param("Expires"))
	}
	now := h.cfg.Now()
	end := time.Unix(expires, 0)
	if !now.Before(end) {
		return nil, s3err.New(s3err.AccessDenied, "Request has expired.").
			With("Expires", end.UTC().Format(time.RFC3339)).
			With("ServerTime", now.UTC().Format(time.RFC3339))
	}
	if name := h.unsignedV2(r); name != "" {
		return nil, s3err.New(s3err.AccessDenied, "There were query parameters present in the request which were not signed").With("Parameter", name)
	}
	secret, err := h.secretV2(ctx, accessKey)
	if err != nil {
		return nil, err
	}
	if r.has("X-Amz-Security-Token") || r.query.Has("x-amz-security-token") {
		return nil, s3err.Of(s3err.InvalidToken) // there are no temporary credentials
	}
	if !r.matchV2(secret) {
		return nil, s3err.Of(s3err.SignatureDoesNotMatch).
			With("AWSAccessKeyId", accessKey).
			With("SignatureProvided", r.param("Signature"))
	}
	res, err := sigv4.Unverified(r.http)
	if err != nil {
		return nil, err
	}
	res.Kind, res.AccessKey, res.Expires = sigv4.Presigned, accessKey, end
	return res, nil
}

// secretV2 looks up the secret of an access key.
func (h *handler) secretV2(ctx context.Context, accessKey string) (string, error) {
	c, err := h.cfg.Credentials(ctx, accessKey)
	if errors.Is(err, ErrNoSuchAccessKey) {
		return "", s3err.Of(s3err.InvalidAccessKeyID).With("AWSAccessKeyId", accessKey)
	}
	return c.Secret, err
}

// macV2 is the signature of a string in version 2.
func macV2(secret, stringToSign string) []byte {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(stringToSign))
	return mac.Sum(nil)
}

// matchV2 compares the signature with those that the secret makes. A bucket's
// own path is signed with or without its slash.
func (r *Request) matchV2(secret string) bool {
	given, err := base64.StdEncoding.DecodeString(r.param("Signature"))
	if err != nil {
		return false
	}
	resources := []string{r.resourceV2()}
	if r.Key == "" && r.Bucket != "" {
		resources = []string{"/" + r.Bucket, "/" + r.Bucket + "/"}
	}
	match := false
	for _, resource := range resources {
		match = hmac.Equal(macV2(secret, r.stringToSignV2(resource)), given) || match
	}
	return match
}

// resourceV2 is the path as sent, with the bucket in front where the host names
// it.
func (r *Request) resourceV2() string {
	path := r.http.URL.EscapedPath()
	if r.virtual {
		return "/" + r.Bucket + path
	}
	return path
}

// stringToSignV2 is what the client has signed. SDKs move headers into the query
// when they presign, so a header may be in either.
func (r *Request) stringToSignV2(resource string) string {
	amz := map[string]string{}
	for name, values := range r.query {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") {
			amz[name] = values[0]
		}
	}
	for name, values := range r.http.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") {
			trimmed := make([]string, len(values))
			for i, v := range values {
				trimmed[i] = strings.TrimSpace(v)
			}
			amz[name] = strings.Join(trimmed, ",")
		}
	}
	lines := []string{r.http.Method, r.headerOrParam("Content-Md5"), r.headerOrParam("Content-Type"), r.param("Expires")}
	for _, name := range sortedKeys(amz) {
		lines = append(lines, name+":"+amz[name])
	}
	return strings.Join(append(lines, resource+signedQueryV2(r.query)), "\n")
}

func (r *Request) headerOrParam(name string) string {
	if v := r.header(name); v != "" {
		return v
	}
	return r.param(strings.ToLower(name))
}

// signedQueryV2 is the part of the query that is signed: the sub-resources of
// the time, sorted, their values decoded.
func signedQueryV2(query url.Values) string {
	var parts []string
	for _, name := range sortedKeys(query) {
		if !signedInV2(name) {
			continue
		}
		part := name
		if v := query.Get(name); v != "" {
			part += "=" + v
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ""
	}
	return "?" + strings.Join(parts, "&")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// signedInV2 reports whether version 2 signs a query parameter.
func signedInV2(name string) bool {
	switch name {
	case "accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory", "lifecycle", "location", "logging", "metrics",
		"notification", "object-lock", "partNumber", "policy", "replication", "requestPayment", "restore", "select", "select-type", "storageClass",
		"tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
		"response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language",
		"response-content-type", "response-expires":
		return true
	}
	return false
}

// unsignedV2 returns a sub-resource of the query that version 2 does not know.
// It could have been added by whoever was given the URL, and would turn it into
// one for something else.
func (h *handler) unsignedV2(r *Request) string {
	selectors := h.router.scopes[r.op.scope].selectors
	for _, name := range sortedKeys(r.query) {
		if _, ok := selectors[name]; ok && !signedInV2(name) {
			return name
		}
	}
	return ""
}

// contentTypeV2 puts a content type that was presigned into the query where
// handlers look for it.
func contentTypeV2(r *http.Request, query url.Values) {
	if v := query.Get("content-type"); v != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", v)
	}
}
