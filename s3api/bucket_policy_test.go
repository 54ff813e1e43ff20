package s3api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"tdkvs/s3api"
)

// allow is a policy of one statement for everyone.
func allow(action, resource string, more ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":` + action + `,"Resource":` + resource +
		strings.Join(more, "") + `}]}`
}

// anonymous sends an unsigned request.
func (s *server) anonymous(method, path, body string, headers ...string) *result {
	s.t.Helper()
	return s.do(request{method: method, path: path, body: body, key: "-", header: pairs(headers)})
}

// Covers: PutBucketPolicy, GetBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus.
func TestBucketPolicyDocument(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	const missing = "The bucket policy does not exist."
	s.get("/bkt?policy").wantError(404, "NoSuchBucketPolicy", missing, "BucketName", "bkt")
	s.get("/bkt?policyStatus").wantError(404, "NoSuchBucketPolicy", missing, "BucketName", "bkt")
	s.delete("/bkt?policy").want(204)

	doc := allow(`"s3:GetObject"`, `"arn:aws:s3:::bkt/*"`)
	s.put("/bkt?policy", doc).want(204).wantBody("")
	s.get("/bkt?policy").want(200).wantBody(doc).wantHeader("Content-Type", "application/json")
	s.get("/bkt?policyStatus").want(200).wantXML(`<PolicyStatus xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsPublic>true</IsPublic></PolicyStatus>`)
	limited := allow(`"s3:GetObject"`, `"arn:aws:s3:::bkt/*"`, `,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/24"}}`)
	s.put("/bkt?policy", limited).want(204)
	s.get("/bkt?policyStatus").want(200).wantXML("<IsPublic>false</IsPublic>")
	s.delete("/bkt?policy").want(204)
	s.get("/bkt?policy").wantError(404, "NoSuchBucketPolicy", missing)

	for _, path := range []string{"/none?policy", "/none?policyStatus"} {
		s.get(path).wantError(404, "NoSuchBucket", "", "BucketName", "none")
	}
	s.put("/none?policy", doc).wantError(404, "NoSuchBucket", "")
	s.delete("/none?policy").wantError(404, "NoSuchBucket", "")
	s.put("/bkt?policy", doc).want(204)
	s.delete("/bkt").want(204)
	s.bucket("bkt")
	s.get("/bkt?policy").wantError(404, "NoSuchBucketPolicy", missing)
}

// Covers: PutBucketPolicy.
func TestBucketPolicyErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for doc, want := range map[string]string{
		"policy":       "Policies must be valid JSON and the first byte must be '{'",
		`{"Statement"`: "This policy contains invalid Json",
		allow(`"s3:GetObject"`, `"arn:aws:s3:::other/*"`): "Policy has invalid resource",
		allow(`"s3:Fly"`, `"arn:aws:s3:::bkt/*"`):         "Policy has invalid action",
		allow(`"s3:ListBucket"`, `"arn:aws:s3:::bkt/*"`):  "Action does not apply to any resource(s) in statement",
		strings.Repeat(" ", 10) + "{}":                    "Policies must be valid JSON and the first byte must be '{'",
	} {
		s.put("/bkt?policy", doc).wantError(400, "MalformedPolicy", want)
	}
	s.put("/bkt?policy", "").wantError(400, "MissingRequestBodyError", "Request Body is empty")
	s.put("/bkt?policy", allow(`"s3:GetObject"`, `"arn:aws:s3:::bkt/*"`)+strings.Repeat(" ", 20<<10)).wantError(400, "MaxMessageLengthExceeded", "Your request was too big.")
	s.put("/bkt?policy", allow(`"s3:GetObject"`, `"arn:aws:s3:::bkt/*"`), "Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==").wantError(400, "BadDigest", "")
	s.get("/bkt?policy").wantError(404, "NoSuchBucketPolicy", "")
	// Every action that the table asks for can be named.
	s.put("/bkt?policy", allow(`["s3:GetObjectVersion","s3:DeleteObjectVersion","s3:PutObjectTagging","s3:AbortMultipartUpload","s3:BypassGovernanceRetention","s3:ListBucketVersions","s3:GetBucketCORS"]`,
		`["arn:aws:s3:::bkt","arn:aws:s3:::bkt/*"]`)).want(204)
}

// TestPublicReading: what most public buckets are, objects for everyone and no
// listing.
//
// Covers: PutBucketPolicy, GetObject, HeadObject, ListObjectsV2, PutObject, DeleteObject, DeleteObjects, CopyObject.
func TestPublicReading(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.bucket("private")
	s.put("/bkt/pub/a", "hello").want(200)
	s.put("/bkt/other", "secret").want(200)
	s.put("/private/a", "secret").want(200)
	s.anonymous("GET", "/bkt/pub/a", "").wantError(403, "AccessDenied", "Access Denied")
	s.anonymous("GET", "/none/pub/a", "").wantError(404, "NoSuchBucket", "")
	s.put("/bkt?policy", allow(`"s3:GetObject"`, `"arn:aws:s3:::bkt/pub/*"`)).want(204)

	s.anonymous("GET", "/bkt/pub/a", "").want(200).wantBody("hello")
	s.anonymous("HEAD", "/bkt/pub/a", "").want(200)
	s.do(request{method: "GET", path: "/bkt/pub/a", key: userKey, secret: userSecret}).want(200).wantBody("hello")
	s.anonymous("GET", "/bkt/pub/none", "").wantError(403, "AccessDenied", "Access Denied")
	s.anonymous("GET", "/bkt/other", "").wantError(403, "AccessDenied", "")
	s.anonymous("GET", "/private/a", "").wantError(403, "AccessDenied", "")
	s.anonymous("GET", "/bkt?list-type=2", "").wantError(403, "AccessDenied", "")
	s.anonymous("PUT", "/bkt/pub/b", "x").wantError(403, "AccessDenied", "")
	s.anonymous("DELETE", "/bkt/pub/a", "").wantError(403, "AccessDenied", "")
	s.anonymous("GET", "/bkt?policy", "").wantError(403, "AccessDenied", "")
	s.anonymous("PUT", "/bkt/pub/c", "", "x-amz-copy-source", "/bkt/pub/a").wantError(403, "AccessDenied", "")
	s.anonymous("GET", "/", "").wantError(403, "AccessDenied", "")
	s.anonymous("PUT", "/new", "").wantError(403, "AccessDenied", "")

	s.put("/bkt?policy", allow(`["s3:GetObject","s3:ListBucket"]`, `["arn:aws:s3:::bkt","arn:aws:s3:::bkt/*"]`)).want(204)
	s.anonymous("GET", "/bkt/pub/none", "").wantError(404, "NoSuchKey", "", "Key", "pub/none")
	if keys := s.anonymous("GET", "/bkt?list-type=2", "").want(200).texts("Key"); len(keys) != 2 {
		t.Errorf("listed %v", keys)
	}
	s.delete("/bkt?policy").want(204)
	s.anonymous("GET", "/bkt/pub/a", "").wantError(403, "AccessDenied", "")
}

// TestPublicWriting: a drop box, and deletes asked for key by key.
//
// Covers: PutBucketPolicy, PutObject, DeleteObjects, CopyObject.
func TestPublicWriting(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.bucket("src")
	s.put("/src/a", "from elsewhere").want(200)
	s.put("/bkt?policy", allow(`["s3:PutObject","s3:DeleteObject"]`, `"arn:aws:s3:::bkt/in/*"`)).want(204)
	s.anonymous("PUT", "/bkt/in/a", "mail").want(200)
	s.get("/bkt/in/a").want(200).wantBody("mail")
	s.put("/bkt/keep", "x").want(200)
	// The source of a copy is asked for, too.
	s.anonymous("PUT", "/bkt/in/b", "", "x-amz-copy-source", "/src/a").wantError(403, "AccessDenied", "")
	s.put("/src?policy", allow(`"s3:GetObject"`, `"arn:aws:s3:::src/*"`)).want(204)
	s.anonymous("PUT", "/bkt/in/b", "", "x-amz-copy-source", "/src/a").want(200)

	body := `<Delete><Object><Key>in/a</Key></Object><Object><Key>keep</Key></Object></Delete>`
	s.anonymous("POST", "/bkt?delete", body, "Content-MD5", md5Of(body)).want(200).
		wantXML("<Deleted><Key>in/a</Key></Deleted>", "<Error><Key>keep</Key><Code>AccessDenied</Code>")
	s.get("/bkt/keep").want(200)
	s.anonymous("POST", "/src?delete", body, "Content-MD5", md5Of(body)).want(200).wantXML("<Error><Key>in/a</Key><Code>AccessDenied</Code>")
}

// TestPolicyOverAuthorizer: a denial of the policy is final for all but root; an
// allowance needs no more.
//
// Covers: PutBucketPolicy, GetObject.
func TestPolicyOverAuthorizer(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) {
		c.Authorizer = authorizerFunc(func(_ context.Context, a s3api.Access) error {
			if a.Permission == "s3:GetObject" {
				return nil
			}
			return s3api.ErrDenied
		})
	})
	s.bucket("bkt")
	s.put("/bkt/a", "x").want(200)
	s.put("/bkt/b", "x", "x-amz-tagging", "secret=yes").want(200)
	user := func(method, path string) *result {
		t.Helper()
		return s.do(request{method: method, path: path, key: userKey, secret: userSecret})
	}
	user("GET", "/bkt/a").want(200)
	user("DELETE", "/bkt/a").want(403)
	s.put("/bkt?policy", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*","Condition":{"StringEquals":{"s3:ExistingObjectTag/secret":"yes"}}},
		{"Effect":"Allow","Principal":{"CanonicalUser":"user-1"},"Action":"s3:DeleteObject","Resource":"arn:aws:s3:::bkt/*"}]}`).want(204)
	user("GET", "/bkt/a").want(200)
	user("GET", "/bkt/b").want(403)
	s.get("/bkt/b").want(200) // root
	s.anonymous("DELETE", "/bkt/a", "").want(403)
	user("DELETE", "/bkt/a").want(http.StatusNoContent)
}

// TestPolicyConditions as a request's headers, parameters and address give them.
//
// Covers: PutBucketPolicy.
func TestPolicyConditions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/a", "x").want(200)
	get := request{method: "GET", path: "/bkt/a", key: "-", header: map[string]string{"Referer": "http://example.com/page", "User-Agent": "probe/1"}}
	list := request{method: "GET", path: "/bkt?list-type=2&prefix=a&max-keys=5&delimiter=%2F", key: "-"}
	put := request{method: "PUT", path: "/bkt/new", body: "x", key: "-", header: map[string]string{"x-amz-tagging": "a=1&b=2", "x-amz-acl": "private"}}
	for _, tt := range []struct {
		rq        request
		condition string
		want      bool
	}{
		{get, `{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`, true},
		{get, `{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`, false},
		{get, `{"StringLike":{"aws:Referer":"http://example.com/*"}}`, true},
		{get, `{"StringEquals":{"aws:UserAgent":"probe/1"}}`, true},
		{get, `{"Bool":{"aws:SecureTransport":"true"}}`, false},
		{get, `{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}`, true},
		{get, `{"NumericLessThan":{"aws:EpochTime":"1000"}}`, false},
		{get, `{"StringEquals":{"aws:PrincipalType":"Anonymous"}}`, true},
		{get, `{"Null":{"s3:authType":"true"}}`, true},
		{get, `{"StringEquals":{"aws:username":"root"}}`, false},
		{list, `{"StringEquals":{"s3:prefix":"a","s3:delimiter":"/"}}`, true},
		{list, `{"StringEquals":{"s3:prefix":"b"}}`, false},
		{list, `{"NumericLessThanEquals":{"s3:max-keys":"5"}}`, true},
		{put, `{"StringEquals":{"s3:x-amz-acl":"private","s3:RequestObjectTag/a":"1"}}`, true},
		{put, `{"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["a","b"]}}`, true},
		{put, `{"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["a"]}}`, false},
		{put, `{"StringEquals":{"s3:x-amz-storage-class":"STANDARD"}}`, false},
	} {
		s.put("/bkt?policy", allow(`["s3:GetObject","s3:PutObject","s3:PutObjectTagging","s3:ListBucket"]`, `["arn:aws:s3:::bkt","arn:aws:s3:::bkt/*"]`, `,"Condition":`+tt.condition)).want(204)
		if got := s.do(tt.rq).status; (got == 200) != tt.want {
			t.Errorf("%s %s under %s: %d", tt.rq.method, tt.rq.path, tt.condition, got)
		}
	}
}

// TestPublicAccessBlockOfPolicies: a public policy can not be set, or gives nothing.
//
// Covers: PutPublicAccessBlock, PutBucketPolicy.
func TestPublicAccessBlockOfPolicies(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/a", "x").want(200)
	block := func(settings string) {
		t.Helper()
		s.put("/bkt?publicAccessBlock", "<PublicAccessBlockConfiguration>"+settings+"</PublicAccessBlockConfiguration>").want(200)
	}
	public := allow(`"s3:GetObject"`, `"arn:aws:s3:::bkt/*"`)
	limited := allow(`"s3:GetObject"`, `"arn:aws:s3:::bkt/*"`, `,"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.1/32"}}`)
	block("<BlockPublicPolicy>true</BlockPublicPolicy>")
	s.put("/bkt?policy", public).wantError(403, "AccessDenied", "")
	s.put("/bkt?policy", limited).want(204)
	s.anonymous("GET", "/bkt/a", "").want(200)
	block("<BlockPublicPolicy>false</BlockPublicPolicy>")
	s.put("/bkt?policy", public).want(204)
	s.anonymous("GET", "/bkt/a", "").want(200)
	block("<RestrictPublicBuckets>true</RestrictPublicBuckets>")
	s.anonymous("GET", "/bkt/a", "").wantError(403, "AccessDenied", "")
	s.put("/bkt?policy", limited).want(204)
	s.anonymous("GET", "/bkt/a", "").want(200)
}

// TestPublicForm: a form without a signature where the bucket's policy allows it.
//
// Covers: PostObject, PutBucketPolicy.
func TestPublicForm(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt?policy", allow(`"s3:PutObject"`, `"arn:aws:s3:::bkt/in/*"`)).want(204)
	f := s.form("bkt", "key", "in/a")
	f.key = ""
	f.send().want(204)
	s.get("/bkt/in/a").want(200)
	f = s.form("bkt", "key", "out/a")
	f.key = ""
	f.send().wantError(403, "AccessDenied", "Access Denied")
}
