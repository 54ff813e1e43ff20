package s3api

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
	"tdkvs/s3api/sigv4"
)

// defaultContentType is what an object has whose writer named no type.
const defaultContentType = "binary/octet-stream"

const userMetaPrefix = "X-Amz-Meta-"

// attributes reads what a request that writes an object says of it, and asks for
// the permissions that parts of it need of their own.
func (h *handler) attributes(ctx context.Context, r *Request) (meta.Attributes, error) {
	a, err := r.attributes(h.cfg.Now(), h.cfg.StorageClasses)
	if err != nil {
		return a, err
	}
	if err := h.checkCanned(ctx, r); err != nil {
		return a, err
	}
	return a, h.authorizeAttributes(ctx, r, a)
}

// attributes reads what a request that writes an object says of it, and refuses
// what this store could only pretend to do. classes are names of storage classes
// beside those of AWS.
func (r *Request) attributes(now time.Time, classes []string) (meta.Attributes, error) {
	var a meta.Attributes
	if err := r.refuseUnsupported(); err != nil {
		return a, err
	}
	var err error
	if a.Headers, err = r.systemHeaders(classes); err != nil {
		return a, err
	}
	if a.UserMeta, err = r.userMeta(); err != nil {
		return a, err
	}
	if a.Tags, err = parseTagging(r.header("X-Amz-Tagging")); err != nil {
		return a, err
	}
	a.Lock, err = r.lockHeaders(now)
	return a, err
}

// systemHeaders reads the headers that are stored as they are.
func (r *Request) systemHeaders(classes []string) (meta.Headers, error) {
	h := meta.Headers{
		ContentType:        r.header("Content-Type"),
		CacheControl:       r.header("Cache-Control"),
		ContentDisposition: r.header("Content-Disposition"),
		ContentEncoding:    sigv4.ContentEncoding(strings.Join(r.http.Header["Content-Encoding"], ",")),
		ContentLanguage:    r.header("Content-Language"),
		Expires:            r.header("Expires"),
		WebsiteRedirect:    r.header("X-Amz-Website-Redirect-Location"),
	}
	if h.ContentType == "" {
		h.ContentType = defaultContentType
	}
	if l := h.WebsiteRedirect; l != "" && !strings.HasPrefix(l, "/") && !strings.HasPrefix(l, "http://") && !strings.HasPrefix(l, "https://") {
		return h, &s3err.Error{Code: "InvalidRedirectLocation", Status: http.StatusBadRequest,
			Message: "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."}
	}
	class := r.header("X-Amz-Storage-Class")
	if !validStorageClass(class) && !slices.Contains(classes, class) {
		return h, s3err.Of(s3err.InvalidStorageClass).With("StorageClassRequested", class)
	}
	h.StorageClass = RecordedClass(class)
	return h, nil
}

const standardClass = "STANDARD"

// RecordedClass is a storage class as records have it: empty for the standard
// one.
func RecordedClass(class string) string {
	if class == standardClass {
		return ""
	}
	return class
}

// validStorageClass reports whether AWS knows a class. Those that the engine knows
// nothing of are stored alike; the class is kept because clients compare it.
func validStorageClass(class string) bool {
	switch class {
	case "", standardClass, "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
		"GLACIER", "DEEP_ARCHIVE", "GLACIER_IR":
		return true
	}
	return false
}

// ClassName is the name of a storage class as records have it.
func ClassName(recorded string) string {
	if recorded == "" {
		return standardClass
	}
	return recorded
}

// storageClass is the class as listings show it.
func storageClass(h meta.Headers) string { return ClassName(h.StorageClass) }

// userMeta reads x-amz-meta-*. A name that is sent several times has its values
// joined with commas. Values in RFC 2047 form are decoded, so that they can be
// encoded again when they are sent.
func (r *Request) userMeta() (map[string]string, error) {
	var m map[string]string
	size := 0
	for name, values := range r.http.Header {
		if len(name) <= len(userMetaPrefix) || !strings.EqualFold(name[:len(userMetaPrefix)], userMetaPrefix) {
			continue
		}
		key := strings.ToLower(name[len(userMetaPrefix):])
		value := decodeMeta(strings.Join(values, ","))
		if m == nil {
			m = map[string]string{}
		}
		m[key] = value
		size += len(key) + len(value)
	}
	if size > meta.MaxUserMetadata {
		return nil, s3err.Of(s3err.MetadataTooLarge).
			With("Size", strconv.Itoa(size)).
			With("MaxSizeAllowed", strconv.Itoa(meta.MaxUserMetadata))
	}
	return m, nil
}

// decodeMeta decodes a metadata value. Bytes that are not UTF-8 are taken for
// ISO 8859-1, the character set of HTTP headers of old.
func decodeMeta(s string) string {
	if strings.HasPrefix(s, "=?") {
		if decoded, err := new(mime.WordDecoder).DecodeHeader(s); err == nil && utf8.ValidString(decoded) {
			return decoded
		}
	}
	if utf8.ValidString(s) {
		return s
	}
	runes := make([]rune, 0, len(s))
	for i := range len(s) {
		runes = append(runes, rune(s[i]))
	}
	return string(runes)
}

// encodeMeta makes a metadata value fit for a header: RFC 2047 where it is not
// printable ASCII, with the capital B that clients compare. Source: AWS "Working
// with object metadata".
func encodeMeta(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return strings.ReplaceAll(mime.BEncoding.Encode("UTF-8", s), "=?UTF-8?b?", "=?UTF-8?B?")
		}
	}
	return s
}

// refuseUnsupported refuses headers of a write whose promise this store can not
// keep.
func (r *Request) refuseUnsupported() error {
	if err := checkACL(r); err != nil {
		return err
	}
	if sse := r.header("X-Amz-Server-Side-Encryption"); sse != "" {
		switch sse {
		case "AES256", "aws:kms", "aws:kms:dsse", "aws:fsx":
			return notImplemented("x-amz-server-side-encryption", "")
		}
		return s3err.New(s3err.InvalidArgument, "The encryption method specified is not supported").
			With("ArgumentName", "x-amz-server-side-encryption").With("ArgumentValue", sse)
	}
	for _, name := range [...]string{
		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Server-Side-Encryption-Context", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled",
		"X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Server-Side-Encryption-Customer-Key",
		"X-Amz-Server-Side-Encryption-Customer-Key-Md5", "X-Amz-Write-Offset-Bytes",
	} {
		if r.has(name) {
			return notImplemented(strings.ToLower(name), "")
		}
	}
	return nil
}

// checkACL checks x-amz-acl and x-amz-grant-*. A canned ACL is accepted and not
// applied: everything stays private to its owner, the safe side of what was
// asked. Grants to others name people, so ignoring them would mislead.
func checkACL(r *Request) error {
	_, grants, err := r.headerACL()
	if err != nil || grants == nil || onlyOwner(grants, r.Identity.UserID) {
		return err
	}
	return notImplemented(grants[0].header, "")
}
