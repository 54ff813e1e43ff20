package s3api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tdkvs/master/meta"
	"tdkvs/s3api"
)

// Covers: CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation.
func TestBucketLifecycle(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.head("/bkt").want(404).wantBody("").wantHeader("Content-Type", "application/xml")
	s.put("/bkt", "").want(200).wantHeader("Location", "/bkt", "x-amz-bucket-arn", "arn:aws:s3:::bkt").wantBody("")
	s.head("/bkt").want(200).wantHeader("x-amz-bucket-region", region, "x-amz-access-point-alias", "false", "x-amz-bucket-arn", "arn:aws:s3:::bkt", "x-amz-id-2", hostID).wantBody("")
	s.put("/bkt", "").wantError(409, "BucketAlreadyOwnedByYou",
		"Your previous request to create the named bucket succeeded and you already own it.", "BucketName", "bkt")
	s.get("/bkt?location").want(200).wantBody(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-test-1</LocationConstraint>`)
	s.put("/bkt/key", "x").want(200)
	s.delete("/bkt").wantError(409, "BucketNotEmpty", "The bucket you tried to delete is not empty.", "BucketName", "bkt")
	s.delete("/bkt/key").want(204)
	s.delete("/bkt").want(204).wantBody("").wantHeader("Content-Length", "")
	s.delete("/bkt").wantError(404, "NoSuchBucket", "The specified bucket does not exist.", "BucketName", "bkt")
	s.get("/bkt?location").wantError(404, "NoSuchBucket", "", "BucketName", "bkt")
}

// Covers: CreateBucket.
func TestCreateBucketNames(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, name := range []string{"ab", "get", "set", "delete", "UPPER", "a_b", "a..b", "192.168.0.1", "xn--a", strings.Repeat("a", 64)} {
		s.put("/"+name, "").wantError(400, "InvalidBucketName", "The specified bucket is not valid.", "BucketName", name)
	}
	s.put("/a%20b", "").wantError(400, "InvalidBucketName", "", "BucketName", "a b")
	s.get("/UPPER").wantError(404, "NoSuchBucket", "")
}

// Covers: CreateBucket, GetBucketLocation.
func TestCreateBucketLocation(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	body := func(constraint string) string {
		return `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>` + constraint +
			`</LocationConstraint></CreateBucketConfiguration>`
	}
	s.put("/bkt1", body(region)).want(200)
	s.put("/bkt2", body("")).want(200)
	s.put("/bkt3", "<CreateBucketConfiguration/>").want(200)
	s.put("/bkt4", body("us-west-2")).wantError(400, "IllegalLocationConstraintException",
		"The us-west-2 location constraint is incompatible for the region specific endpoint this request was sent to.")
	s.put("/bkt4", body("nowhere")).wantError(400, "InvalidLocationConstraint", "The specified location-constraint is not valid",
		"LocationConstraint", "nowhere")
	for _, bad := range []string{
		"x", "<a/>", "<CreateBucketConfiguration>", "<CreateBucketConfiguration><Other/></CreateBucketConfiguration>",
		"<CreateBucketConfiguration>text</CreateBucketConfiguration>", body(region) + "x",
		`<!DOCTYPE a [<!ENTITY x "y">]>` + body("&x;"),
	} {
		s.put("/bkt4", bad).wantError(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema.")
	}
	s.put("/bkt4", "<CreateBucketConfiguration><Location/></CreateBucketConfiguration>").wantError(501, "NotImplemented", "")
	s.put("/bkt4", strings.Repeat(" ", 65<<10)).wantError(400, "MaxMessageLengthExceeded", "Your request was too big.")
	s.head("/bkt4").want(404)

	us := newServer(t, func(c *s3api.Config) { c.Open, c.Region = true, "us-east-1" })
	us.do(request{method: "PUT", path: "/bkt", key: "-"}).want(200)
	us.do(request{method: "GET", path: "/bkt?location", key: "-"}).want(200).wantXML(
		`<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>`)
}

// Covers: CreateBucket.
func TestCreateBucketHeaders(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.put("/bkt", "", "x-amz-acl", "bogus").wantError(400, "InvalidArgument", "The canned ACL that you specified is not valid here.", "ArgumentName", "x-amz-acl", "ArgumentValue", "bogus")
	s.put("/bkt", "", "x-amz-object-ownership", "ObjectWriter").wantError(501, "NotImplemented", "")
	s.put("/bkt", "", "x-amz-object-ownership", "bogus").wantError(400, "InvalidArgument", "Invalid x-amz-object-ownership header: bogus")
	s.put("/bkt", "", "x-amz-grant-read", "id=1").wantError(501, "NotImplemented", "", "Header", "x-amz-grant-read")
	s.put("/bkt", "", "x-amz-acl", "private", "x-amz-grant-read", "id=1").wantError(400, "InvalidRequest",
		"Specifying both Canned ACLs and Header Grants is not allowed")
	s.put("/bkt", "", "x-amz-acl", "public-read", "x-amz-object-ownership", "BucketOwnerEnforced").wantError(400,
		"InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	s.put("/bkt", "", "x-amz-acl", "private", "x-amz-object-ownership", "BucketOwnerEnforced").want(200)
	s.put("/other", "", "x-amz-acl", "public-read").want(200)
}

func TestBucketOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if err := s.hooks.CreateBucket(t.Context(), meta.Bucket{Name: "theirs", Owner: "somebody"}); err != nil {
		t.Fatal(err)
	}
	s.put("/theirs", "").wantError(409, "BucketAlreadyExists", "", "BucketName", "theirs")
}

// Covers: ListBuckets.
func TestListBuckets(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.get("/").want(200).wantXML("<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>" + owner +
		"</ID><DisplayName>root</DisplayName></Owner><Buckets></Buckets></ListAllMyBucketsResult>")
	for i := range 7 {
		s.bucket(fmt.Sprintf("bkt-%d", i))
	}
	s.bucket("other")
	if err := s.hooks.CreateBucket(t.Context(), meta.Bucket{Name: "bkt-far", Region: "far-1"}); err != nil {
		t.Fatal(err)
	}
	all := s.get("/").want(200)
	if got := fmt.Sprint(all.texts("Name")); got != "[bkt-0 bkt-1 bkt-2 bkt-3 bkt-4 bkt-5 bkt-6 bkt-far other]" {
		t.Errorf("got %v", got)
	}
	all.wantXML("<BucketRegion>eu-test-1</BucketRegion>")

	var pages []string
	token := ""
	for {
		p := s.get("/?prefix=bkt-&max-buckets=3&bucket-region=" + region + "&continuation-token=" + token).want(200)
		pages = append(pages, strings.Join(p.texts("Name"), " "))
		p.wantXML("<Prefix>bkt-</Prefix>")
		if !strings.Contains(p.body, "<ContinuationToken>") {
			break
		}
		token = p.text("ContinuationToken")
	}
	if got := strings.Join(pages, "|"); got != "bkt-0 bkt-1 bkt-2|bkt-3 bkt-4 bkt-5|bkt-6" {
		t.Errorf("pages are %q", got)
	}
	for _, bad := range []string{"0", "-1", "10001", "x", ""} {
		s.get("/?max-buckets="+bad).wantError(400, "InvalidArgument", "Argument max-buckets must be an integer between 1 and 10000.",
			"ArgumentName", "max-buckets", "ArgumentValue", bad)
	}
	s.get("/?continuation-token=bogus").wantError(400, "InvalidArgument", "The continuation token provided is incorrect",
		"ArgumentName", "continuation-token")
}

// Covers: GetBucketAcl, GetBucketPolicyStatus, GetBucketAccelerateConfiguration, GetBucketCors.
// Covers: GetBucketEncryption, GetBucketLifecycleConfiguration, GetBucketLogging.
// Covers: GetBucketNotificationConfiguration, GetBucketOwnershipControls, GetBucketPolicy.
// Covers: GetBucketReplication, GetBucketRequestPayment, GetBucketTagging, GetBucketVersioning.
// Covers: GetBucketWebsite, GetObjectLockConfiguration, GetPublicAccessBlock.
func TestUnsetConfiguration(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for query, want := range map[string]string{
		"policy":            "NoSuchBucketPolicy The bucket policy does not exist.",
		"policyStatus":      "NoSuchBucketPolicy The bucket policy does not exist.",
		"cors":              "NoSuchCORSConfiguration The CORS configuration does not exist",
		"lifecycle":         "NoSuchLifecycleConfiguration The lifecycle configuration does not exist",
		"tagging":           "NoSuchTagSet The TagSet does not exist.",
		"encryption":        "ServerSideEncryptionConfigurationNotFoundError The server side encryption configuration was not found",
		"object-lock":       "ObjectLockConfigurationNotFoundError Object Lock configuration does not exist for this bucket.",
		"publicAccessBlock": "NoSuchPublicAccessBlockConfiguration The public access block configuration was not found",
		"ownershipControls": "OwnershipControlsNotFoundError The bucket ownership controls were not found.",
		"replication":       "ReplicationConfigurationNotFoundError The replication configuration was not found",
		"website":           "NoSuchWebsiteConfiguration The specified bucket does not have a website configuration",
	} {
		code, message, _ := strings.Cut(want, " ")
		s.get("/bkt?"+query).wantError(404, code, message, "BucketName", "bkt")
		s.get("/none?"+query).wantError(404, "NoSuchBucket", "", "BucketName", "none")
	}
	for query, root := range map[string]string{
		"logging":      "BucketLoggingStatus",
		"notification": "NotificationConfiguration", "accelerate": "AccelerateConfiguration",
	} {
		s.get("/bkt?" + query).want(200).wantBody(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<" + root +
			` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></` + root + ">")
		s.get("/none?"+query).wantError(404, "NoSuchBucket", "")
	}
	s.get("/bkt?requestPayment").want(200).wantXML("<Payer>BucketOwner</Payer>")
	s.get("/none?requestPayment").wantError(404, "NoSuchBucket", "")
	const grant = `<Owner><ID>` + owner + `</ID><DisplayName>root</DisplayName></Owner><AccessControlList><Grant>` +
		`<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>` + owner +
		`</ID><DisplayName>root</DisplayName></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList>`
	s.get("/bkt?acl").want(200).wantXML(grant)
	s.get("/none?acl").wantError(404, "NoSuchBucket", "")
	s.put("/bkt/key", "x", "x-amz-tagging", "b=2&a=1%20x").want(200)
	s.get("/bkt/key?acl").want(200).wantXML(grant)
	s.get("/bkt/none?acl").wantError(404, "NoSuchKey", "", "Key", "none")
	s.get("/bkt/key?tagging").want(200).wantXML("<TagSet><Tag><Key>a</Key><Value>1 x</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag></TagSet>")
	s.get("/bkt/none?tagging").wantError(404, "NoSuchKey", "")
}

func TestNotImplemented(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "old").want(200)
	for _, rq := range []struct{ method, path, name string }{
		{"PUT", "/bkt/key?encryption", "UpdateObjectEncryption"}, {"PUT", "/bkt?logging", "PutBucketLogging"},
		{"POST", "/bkt/key?restore", "RestoreObject"},
		{"GET", "/bkt/key?torrent", "GetObjectTorrent"}, {"PUT", "/bkt?website", "PutBucketWebsite"},
	} {
		s.do(request{method: rq.method, path: rq.path, body: "<x/>"}).wantError(501, "NotImplemented", "The operation "+rq.name+" is not implemented.")
		if info := s.lastInfo(); info.Operation != rq.name || info.ErrorCode != "NotImplemented" || info.Status != 501 {
			t.Errorf("info is %+v", info)
		}
	}
	s.get("/bkt/key").want(200).wantBody("old")
}

func TestMethodNotAllowed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	r := s.post("/bkt/key", "x").wantError(405, "MethodNotAllowed", "The specified method is not allowed against this resource.",
		"Method", "POST", "ResourceType", "OBJECT", "AllowedMethods", "DELETE, GET, HEAD, PUT")
	r.wantHeader("Allow", "DELETE, GET, HEAD, PUT")
	s.head("/bkt?acl").want(405).wantBody("").wantHeader("Allow", "GET, PUT")
	s.get("/bkt?acl&policy").wantError(400, "InvalidArgument", "Conflicting query string parameters: acl, policy",
		"ArgumentName", "ResourceType", "ArgumentValue", "acl")
	s.do(request{method: http.MethodPatch, path: "/bkt"}).wantError(405, "MethodNotAllowed", "")
}

func TestBackendErrorsAreHidden(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	secret := errors.New("the password is swordfish")
	var err error
	s.hooks.bucket = func(context.Context, string) (meta.Bucket, error) { return meta.Bucket{}, err }
	for _, tt := range []struct {
		err    error
		status int
		code   string
	}{
		{secret, 500, "InternalError"},
		{&meta.Error{Op: "x", Err: secret}, 500, "InternalError"},
		{&meta.Error{Kind: meta.KindCorrupt, Err: secret}, 500, "InternalError"},
		{&meta.Error{Kind: meta.KindNoSpace, Err: secret}, 507, "InsufficientStorage"},
		{&meta.Error{Kind: meta.KindReadOnly, Err: secret}, 503, "ServiceUnavailable"},
		{&meta.Error{Kind: meta.KindUnavailable, Err: secret}, 503, "ServiceUnavailable"},
		{&meta.Error{Kind: meta.KindConflict, Err: secret}, 409, "OperationAborted"},
		{&meta.Error{Kind: meta.KindCanceled, Err: secret}, 400, "RequestTimeout"},
		{&meta.Error{Kind: meta.KindBusy, Err: secret}, 503, "SlowDown"},
		{&meta.Error{Kind: meta.KindInvalidBucketName}, 400, "InvalidBucketName"},
		{&meta.Error{Kind: meta.KindMetadataTooLarge}, 400, "MetadataTooLarge"},
		{&meta.Error{Kind: meta.KindEntityTooLarge}, 400, "EntityTooLarge"},
		{&meta.Error{Kind: meta.KindKeyTooLong}, 400, "KeyTooLongError"},
		{&meta.Error{Kind: meta.KindInvalidKey}, 400, "InvalidURI"},
		{&meta.Error{Kind: meta.KindNoSuchVersion}, 404, "NoSuchVersion"},
		{context.DeadlineExceeded, 400, "RequestTimeout"},
	} {
		err = tt.err
		r := s.get("/bkt?acl").wantError(tt.status, tt.code, "")
		if strings.Contains(r.body, "swordfish") {
			t.Errorf("the cause is shown: %s", r.body)
		}
		if !errors.Is(s.lastInfo().Err, tt.err) {
			t.Errorf("the cause is lost: %v", s.lastInfo().Err)
		}
	}
	s.hooks.bucket = func(context.Context, string) (meta.Bucket, error) { panic("swordfish") }
	if r := s.get("/bkt?acl").wantError(500, "InternalError", ""); strings.Contains(r.body, "swordfish") {
		t.Errorf("the panic is shown: %s", r.body)
	}
}
