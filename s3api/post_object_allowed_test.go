package s3api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tdkvs/s3api"
)

func TestPostObjectSignatures(t *testing.T) {
	t.Parallel()
	const (
		mismatch = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
		missing  = "Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields."
	)
	s := newServer(t)
	s.bucket("bkt")
	set := func(name, value string) func(map[string]string) {
		return func(fields map[string]string) { fields[name] = value }
	}
	for _, tt := range []struct {
		v2            bool
		change        func(map[string]string)
		status        int
		code, message string
		fields        []string
	}{
		{false, set("x-amz-signature", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "X-Amz-Signature"), []string{"ArgumentName", "X-Amz-Signature", "ArgumentValue", ""}},
		{false, set("x-amz-algorithm", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "X-Amz-Algorithm"), []string{"ArgumentName", "X-Amz-Algorithm"}},
		{false, set("x-amz-credential", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "X-Amz-Credential"), nil},
		{false, set("x-amz-date", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "X-Amz-Date"), nil},
		{false, set("policy", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "policy"), []string{"ArgumentName", "policy"}},
		{false, set("x-amz-signature", strings.Repeat("0", 64)), 403, "SignatureDoesNotMatch", mismatch, []string{"AWSAccessKeyId", rootKey, "SignatureProvided", strings.Repeat("0", 64)}},
		{false, set("policy", "e30="), 403, "SignatureDoesNotMatch", mismatch, []string{"StringToSign", "e30=", "StringToSignBytes", "65 33 30 3d"}},
		{false, set("x-amz-algorithm", "AWS4-HMAC-SHA512"), 400, "InvalidArgument", "Only AWS4-HMAC-SHA256 is supported", nil},
		{false, set("x-amz-credential", "AKIDNONE/20200101/"+region+"/s3/aws4_request"), 400, "InvalidArgument", "", nil},
		{false, set("x-amz-date", "today"), 400, "InvalidArgument", "X-Amz-Date must be formated via ISO8601 Long format", nil},
		{false, set("x-amz-security-token", "tok"), 400, "InvalidToken", "", nil},
		{false, set("signature", "x"), 400, "InvalidArgument", "", nil},
		{true, set("signature", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "Signature"), []string{"ArgumentName", "Signature"}},
		{true, set("AWSAccessKeyId", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "AWSAccessKeyId"), nil},
		{true, set("policy", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "policy"), nil},
		{true, set("AWSAccessKeyId", "AKIDNONE"), 403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", []string{"AWSAccessKeyId", "AKIDNONE"}},
		{true, set("AWSAccessKeyId", userKey), 403, "SignatureDoesNotMatch", mismatch, nil},
		{true, set("signature", "AAAA"), 403, "SignatureDoesNotMatch", mismatch, []string{"SignatureProvided", "AAAA"}},
		{true, set("signature", "!"), 403, "SignatureDoesNotMatch", mismatch, nil},
		{true, set("policy", "e30="), 403, "SignatureDoesNotMatch", mismatch, []string{"StringToSign", "e30=", "StringToSignBytes", "65 33 30 3d"}},
		{true, set("x-amz-security-token", "tok"), 400, "InvalidToken", "", nil},
	} {
		u := s.form("bkt", "key", "k")
		u.v2, u.change = tt.v2, tt.change
		u.send().wantError(tt.status, tt.code, tt.message, tt.fields...)
	}
	u := s.form("bkt", "key", "k")
	u.key = "AKIDNONE"
	u.send().wantError(403, "InvalidAccessKeyId", "", "AWSAccessKeyId", "AKIDNONE")
	u.key, u.secret = rootKey, "wrong"
	u.send().wantError(403, "SignatureDoesNotMatch", mismatch)

	// Nobody, with a policy or without, and somebody without permission.
	anonymous := s.form("bkt", "key", "k", "acl", "public-read")
	anonymous.key = ""
	anonymous.send().wantError(403, "AccessDenied", "Access Denied")
	anonymous.change = set("policy", anonymous.policy())
	anonymous.send().wantError(403, "AccessDenied", "Access Denied")
	anonymous.bucket = "none"
	anonymous.send().wantError(404, "NoSuchBucket", "")
	u = s.form("bkt", "key", "k")
	u.key, u.secret = userKey, userSecret
	u.send().wantError(403, "AccessDenied", "Access Denied")

	// Signatures of requests are not for forms.
	u = s.form("bkt", "key", "k")
	u.header = map[string]string{"Authorization": "Basic eDp5"}
	u.send().wantError(400, "InvalidArgument", "")
	u.header = nil
	signed := s.new(request{method: "POST", path: "/bkt", body: anonymous.body(), header: map[string]string{"Content-Type": "multipart/form-data; boundary=" + formBoundary}})
	s.send(signed).wantError(400, "InvalidArgument", "")
	s.head("/bkt/k").want(404)
	none := s.form("none", "key", "k")
	none.send().wantError(404, "NoSuchBucket", "", "BucketName", "none")
	u.header = map[string]string{"x-amz-expected-bucket-owner": "999999999999"}
	u.send().wantError(403, "AccessDenied", "")
}

// TestPostObjectPermission: what is asked for is to put this key.
func TestPostObjectPermission(t *testing.T) {
	t.Parallel()
	var asked []s3api.Access
	allow := true
	s := newServer(t, func(c *s3api.Config) {
		c.Authorizer = authorizer(func(a s3api.Access) error {
			asked = append(asked, a)
			if !allow {
				return s3api.ErrDenied
			}
			return nil
		})
	})
	s.bucket("bkt")
	u := s.form("bkt", "key", "dir/${filename}")
	u.key, u.secret = userKey, userSecret
	u.send().want(204)
	allow = false
	u.send().wantError(403, "AccessDenied", "")
	want := s3api.Access{Operation: "PostObject", Permission: "s3:PutObject", Bucket: "bkt", Key: "dir/f.txt"}
	for _, a := range asked {
		if a.Identity.UserID != "user-1" || a.Identity.AccessKey != userKey {
			t.Errorf("asked for %+v", a.Identity)
		}
		if a.Identity = (s3api.Identity{}); a != want {
			t.Errorf("asked for %+v", a)
		}
	}
	if len(asked) != 2 {
		t.Errorf("asked %d times", len(asked))
	}
}

type authorizer func(s3api.Access) error

func (f authorizer) Authorize(_ context.Context, a s3api.Access) error { return f(a) }

func TestPostObjectPolicy(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	expired := s.form("bkt", "key", "k")
	expired.expires = time.Now().Add(-time.Second)
	expired.send().wantError(403, "AccessDenied", "Invalid according to Policy: Policy expired.")

	extra := s.form("bkt", "key", "k")
	extra.fields = append(extra.fields, [2]string{"X-Amz-Meta-Foo", "bar"})
	extra.send().wantError(403, "AccessDenied", "Invalid according to Policy: Extra input fields: X-Amz-Meta-Foo")

	s.form("bkt", "key", "k").cover(`{"acl": "private"}`).send().wantError(403, "AccessDenied", `Invalid according to Policy: Policy Condition failed: ["eq", "$acl", "private"]`)
	s.form("bkt", "key", "k").cover(`["in", "$acl", "private"]`).send().wantError(400, "InvalidPolicyDocument", "Invalid Policy: Invalid Condition: unknown operation 'in'.")

	s.bucket("other")
	moved := s.form("bkt", "key", "k", "bucket", "bkt")
	moved.header = map[string]string{}
	body := moved.body()
	moved.bucket = "other"
	moved.post(body).wantError(403, "AccessDenied", `Invalid according to Policy: Policy Condition failed: ["eq", "$bucket", "bkt"]`)

	for _, tt := range []struct {
		size          int
		status        int
		code, message string
		fields        []string
	}{
		{4, 400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", []string{"ProposedSize", "4", "MinSizeAllowed", "5"}},
		{5, 204, "", "", nil},
		{10, 204, "", "", nil},
		{12, 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", []string{"ProposedSize", "12", "MaxSizeAllowed", "10"}},
		{3 << 20, 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", []string{"ProposedSize", "3145728", "MaxSizeAllowed", "10"}},
	} {
		u := s.form("bkt", "key", fmt.Sprint("size/", tt.size)).cover(`["content-length-range", 5, 10]`)
		u.file = strings.Repeat("x", tt.size)
		if tt.status == 204 {
			u.send().want(204)
			continue
		}
		u.send().wantError(400, tt.code, tt.message, tt.fields...)
		s.head(fmt.Sprint("/bkt/size/", tt.size)).want(404)
	}
	s.head("/bkt/k").want(404)
}

// TestPostObjectOpen: a store that is open to all takes forms without a
// signature, and still keeps to a policy that is there.
func TestPostObjectOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) { c.Open, c.Credentials = true, nil })
	s.bucket("bkt")
	u := s.form("bkt", "key", "k", "acl", "public-read")
	u.key = ""
	u.send().want(204)
	u.header = map[string]string{"Authorization": "Basic eDp5"}
	u.send().want(204)
	u.change = func(fields map[string]string) { fields["policy"] = u.policy() }
	u.send().want(204)
	u.cover(`{"acl": "private"}`).send().wantError(403, "AccessDenied", "")
	u.expires = time.Now().Add(-time.Second)
	u.send().wantError(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
	signed := s.form("bkt", "key", "k")
	signed.secret = "unknown"
	signed.send().want(204)
}
