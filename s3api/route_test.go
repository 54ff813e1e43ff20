package s3api

import (
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"tdkvs/s3api/s3err"
)

func testRouter(t testing.TB) *router {
	t.Helper()
	rt, err := newRouter(operations())
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// TestTableNamesEveryOperation compares the table with the operations that the
// AWS SDK for Go knows. What has no SDK method is named here.
func TestTableNamesEveryOperation(t *testing.T) {
	t.Parallel()
	want := map[string]bool{"PostObject": true, "PreflightBucket": true, "PreflightObject": true}
	client := reflect.TypeFor[*s3.Client]()
	for i := range client.NumMethod() {
		if m := client.Method(i); m.Type.NumIn() >= 3 && strings.HasSuffix(m.Type.In(2).String(), "Input") {
			want[m.Name] = true
		}
	}
	if len(want) < 100 {
		t.Fatalf("the SDK has %d operations only: is the reflection right?", len(want))
	}
	got := map[string]bool{}
	for _, op := range operations() {
		if got[op.name] {
			t.Errorf("%s is in the table twice", op.name)
		}
		got[op.name] = true
	}
	for name := range want {
		if !got[name] {
			t.Errorf("%s is missing from the table", name)
		}
	}
	for name := range got {
		if !want[name] {
			t.Errorf("%s is not an operation of S3", name)
		}
	}
}

// TestRowsAreSound checks what no row may lack.
func TestRowsAreSound(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		if op.permission == "" && op.auth != authNobody {
			t.Errorf("%s has no permission", op.name)
		}
		if op.body == bodyXML && (op.limit <= 0 || op.limit > 8<<20) {
			t.Errorf("%s: limit of its XML body is %d", op.name, op.limit)
		}
		if op.perKey && op.body != bodyXML {
			t.Errorf("%s names its keys nowhere", op.name)
		}
		if op.method == http.MethodDelete && op.status != http.StatusNoContent {
			t.Errorf("%s: status %d", op.name, op.status)
		}
	}
}

// request makes the plainest request that satisfies a row.
func (op *operation) request() (url.Values, http.Header) {
	query, header := url.Values{}, http.Header{}
	for _, c := range op.query {
		names, value, _ := strings.Cut(c, "=")
		name, _, _ := strings.Cut(names, "|")
		query.Set(name, value)
	}
	for _, c := range op.header {
		name, value, _ := strings.Cut(c, "=")
		header.Set(name, value+"x")
	}
	return query, header
}

func TestEveryRowIsReached(t *testing.T) {
	t.Parallel()
	ops := operations()
	slices.Reverse(ops) // the order of the rows means nothing
	reversed, err := newRouter(ops)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range operations() {
		query, header := op.request()
		for _, rt := range []*router{testRouter(t), reversed} {
			got, err := rt.match(op.method, op.scope, query, header)
			if err != nil || got.name != op.name {
				t.Errorf("%s %v %v %v: got %v, %v; want %s", op.method, op.scope, query, header, got, err, op.name)
			}
		}
		// Unknown parameters change nothing.
		query.Set("x-id", op.name)
		query.Set("X-Amz-Expires", "60")
		query.Set("Acl", "")
		if got, err := testRouter(t).match(op.method, op.scope, query, header); err != nil || got.name != op.name {
			t.Errorf("%s with unknown parameters: got %v, %v", op.name, got, err)
		}
	}
}

// TestSelectorsNeverFallThrough: whatever the method, a request with a
// sub-resource is served by a row of that sub-resource or not at all.
func TestSelectorsNeverFallThrough(t *testing.T) {
	t.Parallel()
	rt := testRouter(t)
	for sc := range scopes {
		for selector := range rt.scopes[sc].selectors {
			for _, method := range []string{get, head, put, post, del} {
				op, err := rt.match(method, sc, url.Values{selector: {""}}, nil)
				if err == nil && !slices.ContainsFunc(slices.Concat(op.query, op.params), func(c string) bool {
					return slices.Contains(strings.Split(c, "|"), selector)
				}) {
					t.Errorf("%s %v?%s is served by %s", method, sc, selector, op.name)
				}
			}
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	rt := testRouter(t)
	source := http.Header{"X-Amz-Copy-Source": {"b/k"}}
	tests := []struct {
		method string
		scope  scope
		query  string
		header http.Header
		want   string // operation, or error code
	}{
		{get, scopeService, "", nil, "ListBuckets"},
		{get, scopeService, "max-buckets=5&prefix=a", nil, "ListBuckets"},
		{put, scopeService, "", nil, s3err.MethodNotAllowed},
		{get, scopeBucket, "", nil, "ListObjects"},
		{get, scopeBucket, "list-type=1", nil, "ListObjects"},
		{get, scopeBucket, "list-type=2&prefix=x", nil, "ListObjectsV2"},
		{get, scopeBucket, "list-type=2&versions", nil, "ListObjectVersions"},
		{get, scopeBucket, "id=7", nil, "ListObjects"},
		{get, scopeBucket, "analytics&id=7", nil, "GetBucketAnalyticsConfiguration"},
		{get, scopeBucket, "analytics", nil, "ListBucketAnalyticsConfigurations"},
		{get, scopeBucket, "acl&policy", nil, s3err.InvalidArgument},
		{head, scopeBucket, "acl", nil, s3err.MethodNotAllowed},
		{post, scopeBucket, "delete", nil, "DeleteObjects"},
		{post, scopeBucket, "", nil, "PostObject"}, // which says that it wants a form
		{post, scopeBucket, "acl", nil, s3err.MethodNotAllowed},
		{post, scopeBucket, "", http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, "PostObject"},
		{get, scopeBucket, "delete", nil, s3err.MethodNotAllowed},
		{put, scopeObject, "", nil, "PutObject"},
		{put, scopeObject, "x-id=PutObject", nil, "PutObject"},
		{put, scopeObject, "acl", nil, "PutObjectAcl"},
		{put, scopeObject, "acl", source, "PutObjectAcl"},
		{put, scopeObject, "tagging", source, "PutObjectTagging"},
		{put, scopeObject, "", source, "CopyObject"},
		{put, scopeObject, "partNumber=1&uploadId=u", nil, "UploadPart"},
		{put, scopeObject, "partNumber=1&uploadId=u", source, "UploadPartCopy"},
		{put, scopeObject, "partNumber=1", nil, s3err.InvalidArgument},
		{put, scopeObject, "uploadId=u", nil, s3err.MethodNotAllowed},
		{get, scopeObject, "uploads", nil, s3err.InvalidRequest},
		{get, scopeObject, "versions", nil, s3err.InvalidRequest},
		{get, scopeObject, "", source, s3err.InvalidArgument},
		{head, scopeBucket, "", source, s3err.InvalidArgument},
		{del, scopeObject, "", source, s3err.InvalidArgument},
		{post, scopeObject, "uploadId=u", source, s3err.InvalidArgument},
		{post, scopeObject, "uploads", source, "CreateMultipartUpload"},
		{put, scopeObject, "uploads", nil, s3err.MethodNotAllowed},
		{put, scopeObject, "policy", nil, s3err.MethodNotAllowed},
		{get, scopeObject, "versionId=null", nil, "GetObject"},
		{get, scopeObject, "partNumber=1", nil, "GetObject"},
		{head, scopeObject, "partNumber=1", nil, "HeadObject"},
		{get, scopeObject, "uploadId=u", nil, "ListParts"},
		{get, scopeObject, "location", nil, s3err.MethodNotAllowed},
		{get, scopeObject, "metrics", nil, "GetObject"}, // not recognised on keys, as on AWS
		{get, scopeObject, "annotation&annotationName=a", nil, "GetObjectAnnotation"},
		{get, scopeObject, "annotation", nil, "ListObjectAnnotations"},
		{post, scopeObject, "uploads", nil, "CreateMultipartUpload"},
		{post, scopeObject, "uploadId=u", nil, "CompleteMultipartUpload"},
		{post, scopeObject, "select&select-type=2", nil, "SelectObjectContent"},
		{post, scopeObject, "select", nil, s3err.MethodNotAllowed},
		{post, scopeObject, "", nil, s3err.MethodNotAllowed},
		{del, scopeObject, "uploadId=u", nil, "AbortMultipartUpload"},
		{del, scopeObject, "acl", nil, s3err.MethodNotAllowed},
		{del, scopeObject, "", nil, "DeleteObject"},
		{option, scopeObject, "acl&tagging", nil, "PreflightObject"},
		{"PATCH", scopeObject, "", nil, s3err.MethodNotAllowed},
	}
	for _, tt := range tests {
		query, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		op, err := rt.match(tt.method, tt.scope, query, tt.header)
		got := s3err.CodeOf(err)
		if err == nil {
			got = op.name
		}
		if got != tt.want {
			t.Errorf("%s %v?%s %v: got %s, want %s", tt.method, tt.scope, tt.query, tt.header, got, tt.want)
		}
	}
}

func TestRefusalsSayWhatIsAllowed(t *testing.T) {
	t.Parallel()
	rt := testRouter(t)
	tests := []struct {
		method                            string
		scope                             scope
		query                             url.Values
		message, field, value, wantMethod string
	}{
		{post, scopeObject, nil, "The specified method is not allowed against this resource.", "AllowedMethods", "DELETE, GET, HEAD, PUT", post},
		{head, scopeBucket, url.Values{"acl": nil}, "The specified method is not allowed against this resource.", "AllowedMethods", "GET, PUT", head},
		{head, scopeBucket, url.Values{"tagging": nil}, "The specified method is not allowed against this resource.", "ResourceType", "TAGGING", head},
		{put, scopeObject, url.Values{"uploadId": nil}, "The specified method is not allowed against this resource.", "AllowedMethods", "DELETE, GET, POST", put},
		{put, scopeObject, url.Values{"uploadId": nil}, "The specified method is not allowed against this resource.", "ResourceType", "UPLOAD", put},
		{put, scopeObject, url.Values{"partNumber": {"1"}}, "This operation does not accept partNumber without uploadId", "ArgumentValue", "1", ""},
		{get, scopeObject, url.Values{"uploads": nil}, "Key is not expected for the GET method ?uploads subresource", "", "", ""},
		{get, scopeObject, url.Values{"versions": nil}, "There is no such thing as the ?versions sub-resource for a key", "", "", ""},
		{get, scopeBucket, url.Values{"versioning": nil, "acl": nil}, "Conflicting query string parameters: acl, versioning", "ArgumentName", "ResourceType", ""},
		{get, scopeBucket, url.Values{"versioning": nil, "acl": nil}, "Conflicting query string parameters: acl, versioning", "ArgumentValue", "acl", ""},
	}
	for _, tt := range tests {
		_, err := rt.match(tt.method, tt.scope, tt.query, nil)
		e := classify(err, &Request{})
		if e.Message != tt.message || e.Field(tt.field) != tt.value || e.Field("Method") != tt.wantMethod {
			t.Errorf("%s %v %v: got %+v", tt.method, tt.scope, tt.query, e)
		}
	}
}

func TestAmbiguousRowsAreRefused(t *testing.T) {
	t.Parallel()
	ops := append(operations(), operation{name: "Twin", method: put, scope: scopeObject, query: q("acl")})
	if _, err := newRouter(ops); err == nil || !strings.Contains(err.Error(), "Twin") {
		t.Fatalf("two rows for PUT ?acl: %v", err)
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	rt := testRouter(t)
	header := http.Header{"Content-Type": {"text/plain"}}
	query := url.Values{"partNumber": {"1"}, "uploadId": {"u"}}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := rt.match(put, scopeObject, nil, header); err != nil {
			t.Fatal(err)
		}
		if _, err := rt.match(put, scopeObject, query, header); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	rt := testRouter(b)
	query := url.Values{"list-type": {"2"}, "prefix": {"a"}, "delimiter": {"/"}}
	header := maps.Clone(http.Header{"Content-Type": {"text/plain"}})
	for b.Loop() {
		if _, err := rt.match(get, scopeBucket, query, header); err != nil {
			b.Fatal(err)
		}
	}
}
