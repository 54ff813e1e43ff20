package s3api

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api/sigv4"
)

// conditionValues are the condition keys of one request. Source: AWS "Actions,
// resources, and condition keys for Amazon S3" and "AWS global condition context
// keys".
type conditionValues struct {
	ctx    context.Context
	h      *handler
	req    *Request
	access Access
	err    error // a value could not be found out: the decision must be a denial
}

// get returns the values of a key, written as the policy package writes keys.
func (v *conditionValues) get(key string) []string {
	if name, ok := strings.CutPrefix(key, "s3:existingobjecttag/"); ok {
		return v.existingTag(name)
	}
	if name, ok := strings.CutPrefix(key, "s3:requestobjecttag/"); ok {
		value, ok := v.requestTags()[name]
		return present(value, ok)
	}
	if value, ok := v.ofClient(key); ok {
		return present(value, value != "")
	}
	if param, ok := conditionParams()[key]; ok {
		values := v.req.query[param]
		if len(values) == 0 {
			return nil
		}
		return values[:1]
	}
	name, ok := strings.CutPrefix(key, "s3:")
	switch {
	case key == "s3:requestobjecttagkeys":
		var names []string
		for name := range v.requestTags() {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	case key == "s3:x-amz-content-sha256":
		return v.req.http.Header["X-Amz-Content-Sha256"]
	case ok && strings.HasPrefix(name, "x-amz-"):
		return v.req.http.Header.Values(name)
	}
	return nil
}

func present(value string, ok bool) []string {
	if !ok {
		return nil
	}
	return []string{value}
}

// ofClient are the keys that say who asks, how and when.
func (v *conditionValues) ofClient(key string) (string, bool) {
	r := v.req.http
	now := v.h.cfg.Now().UTC()
	switch key {
	case "aws:sourceip":
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		return host, true
	case "aws:securetransport":
		return strconv.FormatBool(r.TLS != nil), true
	case "aws:currenttime":
		return now.Format(time.RFC3339), true
	case "aws:epochtime":
		return strconv.FormatInt(now.Unix(), 10), true
	case "aws:useragent":
		return r.UserAgent(), true
	case "aws:referer":
		return r.Referer(), true
	case "aws:userid":
		return v.access.Identity.UserID, true
	case "aws:username":
		return v.access.Identity.DisplayName, true
	case "aws:principaltype":
		if v.req.anonymous() {
			return "Anonymous", true
		}
		return "User", true
	case "s3:authtype":
		return v.authType(), true
	case "s3:signatureversion":
		if v.req.auth == nil || v.req.auth.Kind == sigv4.Anonymous {
			return "", true
		}
		return "AWS4-HMAC-SHA256", true
	}
	return "", false
}

func (v *conditionValues) authType() string {
	switch {
	case v.req.auth == nil || v.req.auth.Kind == sigv4.Anonymous:
		return ""
	case v.req.auth.Kind == sigv4.Presigned:
		return "REST-QUERY-STRING"
	}
	return "REST-HEADER"
}

// conditionParams are the keys that query parameters give.
func conditionParams() map[string]string {
	return map[string]string{
		"s3:prefix": "prefix", "s3:delimiter": "delimiter", "s3:max-keys": "max-keys", "s3:versionid": "versionId",
	}
}

// existingTag is a tag of the object that the request is about. An object that
// is not there has none.
func (v *conditionValues) existingTag(name string) []string {
	if v.access.Key == "" {
		return nil
	}
	var version string
	if v.access.VersionID != "" {
		var err error
		if version, err = parseVersionID(v.access.VersionID, "versionId"); err != nil {
			return nil // the handler refuses it
		}
	}
	obj, err := v.h.cfg.Backend.Object(v.ctx, v.access.Bucket, v.access.Key, version)
	switch {
	case isKind(err, meta.KindNoSuchKey), isKind(err, meta.KindNoSuchVersion), isKind(err, meta.KindDeleteMarker):
		return nil
	case err != nil:
		v.err = err
		return nil
	}
	value, ok := obj.Tags[name]
	return present(value, ok)
}

// requestTags are the tags that a write carries in its header.
func (v *conditionValues) requestTags() map[string]string {
	tags, err := parseTagging(v.req.header("X-Amz-Tagging"))
	if err != nil {
		return nil // the handler refuses it
	}
	return tags
}
