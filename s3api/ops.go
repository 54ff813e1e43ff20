package s3api

import (
	"context"
	"net/http"

	"tdkvs/s3api/policy"
)

// scope is what the path of a request names.
type scope uint8

const (
	scopeService scope = iota // "/"
	scopeBucket               // "/bucket"
	scopeObject               // "/bucket/key"
	scopes                    // their number
)

// String returns the resource type as AWS writes it in error bodies.
func (s scope) String() string {
	return [...]string{"SERVICE", "BUCKET", "OBJECT"}[s]
}

// bodyKind is what a request body holds.
type bodyKind uint8

const (
	bodyNone   bodyKind = iota // ignored when there is one
	bodyStream                 // the bytes of an object or part
	bodyXML                    // a document, decoded as it streams in
	bodyJSON                   // a JSON document
	bodyForm                   // multipart/form-data
)

// authKind is how the sender of a request is established.
type authKind uint8

const (
	authRequest authKind = iota // by the signature of the request, before its handler
	authForm                    // by the signed policy in the form, by its handler, which also asks for the permission
	authNobody                  // not at all: the answer is for everybody
)

// Limits of documents, in bytes. A delete names up to 1,000 keys of 1,024
// bytes, of which each byte may be written as a character reference; a
// completion names up to 10,000 parts with up to five checksums each.
const (
	limitSmallXML    = 64 << 10
	limitDeleteXML   = 8 << 20
	limitCompleteXML = 8 << 20
	limitConfigXML   = 1 << 20
	limitPolicy      = policy.MaxSize
)

// handlerFunc serves one operation. The request has been authenticated and
// authorised; its body has not been read.
type handlerFunc func(h *handler, ctx context.Context, r *Request) (*Response, error)

// operation is one row of the table: all that routing, authorisation, metrics,
// the compatibility page and the tests know of an S3 operation.
//
// The row of the method and scope with the most satisfied conditions serves a
// request. Each entry of query and header is a condition. A query condition is
// "name" (the parameter is present), "name=value" (it has this value) or
// "a|b" (either is present); a header condition is "name" (it is present) or
// "name=prefix" (its value begins so). The first query condition of a row, where
// it is a name, is a selector: a sub-resource in AWS's words. A row wins only
// when it takes every selector of the request, as a condition or in params, so
// that "PUT /k?acl" can never be PutObject. All other parameters are ignored.
type operation struct {
	name   string
	method string
	scope  scope
	query  []string
	header []string
	params []string // selectors of other rows that are plain parameters here

	auth              authKind
	perKey            bool   // the permission is asked for each key in the body
	permission        string // IAM action; a row without one is always denied
	versionPermission string // the action instead where versionId is given
	noVersion         bool   // versionId is refused, not ignored

	body   bodyKind
	limit  int64 // of a document, in bytes
	status int   // on success; 0 means 200
	handle handlerFunc
	note   string // for the compatibility page
}

// q and hd make the conditions of a row readable.
func q(conditions ...string) []string  { return conditions }
func hd(conditions ...string) []string { return conditions }

// operations returns the table: every operation of the S3 API, from the AWS
// "Amazon S3 API Reference", with the selectors as the AWS SDKs send them. The
// order of the rows means nothing.
func operations() []operation {
	var ops []operation
	ops = append(ops, serviceOperations()...)
	ops = append(ops, bucketOperations()...)
	ops = append(ops, bucketConfigOperations()...)
	ops = append(ops, objectOperations()...)
	ops = append(ops, multipartOperations()...)
	return append(ops, objectConfigOperations()...)
}

const (
	get    = http.MethodGet
	head   = http.MethodHead
	put    = http.MethodPut
	post   = http.MethodPost
	del    = http.MethodDelete
	option = http.MethodOptions
)

func serviceOperations() []operation {
	return []operation{
		{name: "ListBuckets", method: get, scope: scopeService,
			permission: "s3:ListAllMyBuckets", handle: (*handler).listBuckets},
		{name: "ListDirectoryBuckets", method: get, scope: scopeService, query: q("x-id=ListDirectoryBuckets"),
			permission: "s3express:ListAllMyDirectoryBuckets", note: "Directory buckets are not offered."},
	}
}

// corsPreflight is the note of the rows that a browser asks before a request
// across origins.
const corsPreflight = "A CORS preflight (`OPTIONS`), which nobody signs."

func bucketOperations() []operation {
	return []operation{
		{name: createBucketOp, method: put, scope: scopeBucket, body: bodyXML, limit: limitSmallXML,
			permission: "s3:CreateBucket", handle: (*handler).createBucket,
			note: "An existing bucket of one's own is 409 BucketAlreadyOwnedByYou in every region. Names `get`, `set` and `delete` are reserved; `kv`, the bucket of the native API, is allowed."},
		{name: "HeadBucket", method: head, scope: scopeBucket,
			permission: "s3:ListBucket", handle: (*handler).headBucket},
		{name: "DeleteBucket", method: del, scope: scopeBucket, status: http.StatusNoContent,
			permission: "s3:DeleteBucket", handle: (*handler).deleteBucket,
			note: "Uploads in progress are aborted."},
		{name: "GetBucketLocation", method: get, scope: scopeBucket, query: q("location"),
			permission: "s3:GetBucketLocation", handle: (*handler).getBucketLocation},
		{name: "ListObjects", method: get, scope: scopeBucket,
			permission: "s3:ListBucket", handle: (*handler).listObjects,
			note: "Every truncated page has a NextMarker, also without a delimiter. In all listings, a space encoded for a URL is `%20`, and MaxKeys shows at most 1000."},
		{name: "ListObjectsV2", method: get, scope: scopeBucket, query: q("list-type=2"),
			permission: "s3:ListBucket", handle: (*handler).listObjectsV2,
			note: "An empty continuation-token is none."},
		{name: "ListObjectVersions", method: get, scope: scopeBucket, query: q("versions"),
			permission: "s3:ListBucketVersions", handle: (*handler).listObjectVersions},
		{name: "ListMultipartUploads", method: get, scope: scopeBucket, query: q("uploads"),
			permission: "s3:ListBucketMultipartUploads", handle: (*handler).listMultipartUploads},
		{name: "DeleteObjects", method: post, scope: scopeBucket, query: q("delete"), body: bodyXML, limit: limitDeleteXML,
			perKey: true, permission: "s3:DeleteObject", versionPermission: "s3:DeleteObjectVersion", handle: (*handler).deleteObjects,
			note: "The permission is asked for each key."},
		{name: "PostObject", method: post, scope: scopeBucket, body: bodyForm, auth: authForm, status: http.StatusNoContent,
			permission: "s3:PutObject", handle: (*handler).postObject,
			note: "A browser's upload form, authorised by the signed policy in it. `success_action_status` and `success_action_redirect` choose another status."},
		{name: "CreateSession", method: get, scope: scopeBucket, query: q("session"),
			permission: "s3express:CreateSession", note: "Directory buckets are not offered."},
		{name: "WriteGetObjectResponse", method: post, scope: scopeBucket, header: hd("X-Amz-Request-Route"), body: bodyStream,
			permission: "s3-object-lambda:WriteGetObjectResponse"},
		{name: "PreflightBucket", method: option, scope: scopeBucket, params: q(anySelector), auth: authNobody,
			handle: (*handler).preflight, note: corsPreflight},
	}
}

func objectOperations() []operation {
	return []operation{
		{name: "PutObject", method: put, scope: scopeObject, body: bodyStream,
			noVersion: true, permission: "s3:PutObject", handle: (*handler).putObject,
			note: "Canned ACLs are checked and not applied: every object is private. Encryption headers are refused."},
		{name: "GetObject", method: get, scope: scopeObject, params: q("partNumber"),
			permission: "s3:GetObject", versionPermission: "s3:GetObjectVersion", handle: (*handler).getObject,
			note: "Several ranges in one request give the whole object, as on AWS."},
		{name: "HeadObject", method: head, scope: scopeObject, params: q("partNumber"),
			permission: "s3:GetObject", versionPermission: "s3:GetObjectVersion", handle: (*handler).headObject},
		{name: "DeleteObject", method: del, scope: scopeObject, status: http.StatusNoContent,
			permission: "s3:DeleteObject", versionPermission: "s3:DeleteObjectVersion", handle: (*handler).deleteObject},
		{name: "CopyObject", method: put, scope: scopeObject, header: hd("X-Amz-Copy-Source"),
			noVersion: true, permission: "s3:PutObject", handle: (*handler).copyObject,
			note: "Reading the source is asked as s3:GetObject."},
		{name: "RenameObject", method: put, scope: scopeObject, query: q("renameObject"),
			permission: "s3express:CreateSession", note: "Directory buckets are not offered."},
		{name: "RestoreObject", method: post, scope: scopeObject, query: q("restore"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:RestoreObject"},
		{name: "SelectObjectContent", method: post, scope: scopeObject, query: q("select", "select-type=2"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:GetObject"},
		{name: "PreflightObject", method: option, scope: scopeObject, params: q(anySelector), auth: authNobody,
			handle: (*handler).preflight, note: corsPreflight},
	}
}

func multipartOperations() []operation {
	return []operation{
		{name: "CreateMultipartUpload", method: post, scope: scopeObject, query: q("uploads"),
			noVersion: true, permission: "s3:PutObject", handle: (*handler).createMultipartUpload},
		{name: "UploadPart", method: put, scope: scopeObject, query: q("partNumber", "uploadId"), body: bodyStream,
			noVersion: true, permission: "s3:PutObject", handle: (*handler).uploadPart},
		{name: "UploadPartCopy", method: put, scope: scopeObject, query: q("partNumber", "uploadId"), header: hd("X-Amz-Copy-Source"),
			noVersion: true, permission: "s3:PutObject", handle: (*handler).uploadPartCopy,
			note: "Reading the source is asked as s3:GetObject."},
		{name: "CompleteMultipartUpload", method: post, scope: scopeObject, query: q("uploadId"), body: bodyXML, limit: limitCompleteXML,
			noVersion: true, permission: "s3:PutObject", handle: (*handler).completeMultipartUpload,
			note: "Completing the same upload again within a day gives the same answer."},
		{name: "AbortMultipartUpload", method: del, scope: scopeObject, query: q("uploadId"), status: http.StatusNoContent,
			noVersion: true, permission: "s3:AbortMultipartUpload", handle: (*handler).abortMultipartUpload},
		{name: "ListParts", method: get, scope: scopeObject, query: q("uploadId"),
			noVersion: true, permission: "s3:ListMultipartUploadParts", handle: (*handler).listParts},
	}
}
