package s3api

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"tdkvs/master/meta"
	"tdkvs/s3api/postpolicy"
	"tdkvs/s3api/s3err"
)

// postObject serves PostObject: the form says in fields what PutObject says in
// headers, and becomes one. Source: AWS "Browser-Based Uploads Using POST".
func (h *handler) postObject(ctx context.Context, r *Request) (*Response, error) {
	f, err := r.readForm()
	if err != nil {
		return nil, err
	}
	if err := r.takeKey(f); err != nil {
		return nil, err
	}
	if err := h.authenticateForm(ctx, r, f); err != nil {
		return nil, err
	}
	if err := h.authorize(ctx, r, Access{Permission: r.op.permission, Bucket: r.Bucket, Key: r.Key}); err != nil {
		return nil, err
	}
	var policy *postpolicy.Policy
	if f.has("policy") {
		if policy, err = postpolicy.Parse(f.value("policy")); err != nil {
			return nil, err
		}
		if err := policy.Check(r.Bucket, f.fields, h.cfg.Now()); err != nil {
			return nil, err
		}
	}
	header, err := f.header(r.http.Header)
	if err != nil {
		return nil, err
	}
	location := r.formLocation()
	sent, body := r.http, r.body
	r.http = sent.WithContext(ctx)
	r.http.Header, r.http.ContentLength, r.body = header, -1, newFormFile(f, policy)
	obj, err := h.storeObject(ctx, r)
	r.http, r.body = sent, body
	if err != nil {
		return nil, err
	}
	return formAnswer(f, &obj, location), nil
}

// takeKey finds out which key a form writes.
func (r *Request) takeKey(f *form) error {
	key := f.value("key")
	switch {
	case !f.has("key"):
		return errField("key")
	case key == "":
		return s3err.Argument("User key must have a length greater than 0.", "key", "")
	case !utf8.ValidString(key):
		return s3err.Of(s3err.InvalidURI)
	}
	r.Key = key
	return checkKey(key)
}

// formLocation is the URL of the object that a form writes: the bucket's, where
// the form was sent, and the key as one segment, as AWS writes it.
func (r *Request) formLocation() string {
	return strings.TrimSuffix(r.location(), "/") + "/" + url.PathEscape(r.Key)
}

// header returns the headers that a PutObject would have that says the same. Of
// the request's own headers only the conditions count: they can make it fail,
// and nothing else.
func (f *form) header(sent http.Header) (http.Header, error) {
	header := http.Header{}
	for _, name := range [...]string{"If-Match", "If-None-Match"} {
		if v, ok := sent[name]; ok {
			header[name] = v
		}
	}
	for _, field := range f.fields {
		name := headerOfField(strings.ToLower(field.Name))
		if name == "" {
			continue
		}
		if !strings.HasPrefix(name, userMetaPrefix) && strings.ContainsFunc(field.Value, isControl) || !isToken(name) {
			return nil, s3err.New(s3err.InvalidArgument, "The form field can not be stored as a header.").With("ArgumentName", field.Name)
		}
		header[name] = []string{field.Value}
	}
	if f.has("x-amz-checksum-algorithm") {
		header["X-Amz-Sdk-Checksum-Algorithm"] = []string{f.value("x-amz-checksum-algorithm")}
	}
	if f.has("tagging") {
		tagging, err := taggingHeader(f.value("tagging"))
		if err != nil {
			return nil, err
		}
		header["X-Amz-Tagging"] = []string{tagging}
	}
	return header, nil
}

// headerOfField returns the header that a field, by its name in lower case,
// stands for; empty where it stands for none. Fields that would say how the body
// is framed or signed are none: the body of a form has its own ways.
func headerOfField(name string) string {
	switch name {
	case "acl":
		return "X-Amz-Acl"
	case "content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "content-md5", "expires":
		return http.CanonicalHeaderKey(name)
	case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token",
		"x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer", "x-amz-tagging":
		return ""
	}
	if strings.HasPrefix(name, "x-amz-") {
		return http.CanonicalHeaderKey(name)
	}
	return ""
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

// isToken reports whether a name can be that of a header.
func isToken(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c) })
}

// taggingHeader turns the Tagging document of a form into the header that says
// the same.
func taggingHeader(doc string) (string, error) {
	var tags []tag
	x := newReader(strings.NewReader(doc))
	empty, err := x.document("Tagging", func() error {
		var err error
		tags, err = readTagSet(x)
		return err
	})
	if err == nil && empty {
		err = malformed(nil)
	}
	if err == nil {
		err = checkObjectTags(tags)
	}
	if err != nil {
		return "", err
	}
	query := url.Values{}
	for _, t := range tags {
		query.Set(t.key, t.value)
	}
	return query.Encode(), nil
}

// formAnswer is the answer of PutObject in the shape that the form asks for.
func formAnswer(f *form, obj *meta.Object, location string) *Response {
	stored := writtenResponse(obj)
	if target, ok := f.redirect(obj); ok {
		stored.status = http.StatusSeeOther
		stored.set("Location", target)
		return stored
	}
	stored.set("Location", location)
	switch f.value("success_action_status") {
	case "200":
		stored.status = http.StatusOK
	case "201":
		stored.status = http.StatusCreated
		doc := &document{b: []byte(xmlHeader)}
		doc.open("PostResponse") // without a namespace, as on AWS
		doc.text("Location", location)
		doc.text("Bucket", obj.Bucket)
		doc.text("Key", obj.Key)
		doc.etag(obj.ETag)
		doc.close("PostResponse")
		stored.doc = doc
	}
	return stored
}

// redirect returns where the browser is to go, with what was stored in the
// query. What is no absolute URL of the web counts as none, as on AWS.
func (f *form) redirect(obj *meta.Object) (string, bool) {
	name := "success_action_redirect"
	if !f.has(name) {
		name = "redirect"
	}
	target := f.value(name)
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", false
	}
	target, fragment, hasFragment := strings.Cut(target, "#")
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	target += separator + "bucket=" + url.QueryEscape(obj.Bucket) + "&key=" + url.QueryEscape(obj.Key) + "&etag=" + url.QueryEscape(quoted(obj.ETag))
	if hasFragment {
		target += "#" + fragment
	}
	return target, true
}
