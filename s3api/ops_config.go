package s3api

import (
	"cmp"
	"net/http"
)

// notSet is the note of a read whose setter is not offered: it answers what AWS
// answers of a bucket on which nothing was ever configured, which is the truth.
const notSet = "Answers as AWS does where nothing is configured."

// onlyPrivate is the note of operations that set an ACL.
const onlyPrivate = "Only a private ACL can be set: full control for the owner."

// bucketConfigOperations are the configuration documents of a bucket.
func bucketConfigOperations() []operation {
	ops := []operation{
		{name: "GetBucketAcl", method: get, scope: scopeBucket, query: q("acl"),
			permission: "s3:GetBucketAcl", handle: (*handler).getBucketACL, note: "The owner has full control, always."},
		{name: "GetBucketPolicyStatus", method: get, scope: scopeBucket, query: q("policyStatus"),
			permission: "s3:GetBucketPolicyStatus", handle: (*handler).getBucketPolicyStatus},
		{name: "GetBucketAbac", method: get, scope: scopeBucket, query: q("abac"), permission: "s3:GetBucketAbac"},
		{name: "PutBucketAbac", method: put, scope: scopeBucket, query: q("abac"), body: bodyXML, limit: limitSmallXML, permission: "s3:PutBucketAbac"},
		{name: "PutBucketAcl", method: put, scope: scopeBucket, query: q("acl"), body: bodyXML, limit: limitSmallXML, permission: "s3:PutBucketAcl",
			handle: (*handler).putBucketACL, note: onlyPrivate},
		{name: "CreateBucketMetadataConfiguration", method: post, scope: scopeBucket, query: q("metadataConfiguration"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:CreateBucketMetadataTableConfiguration"},
		{name: "GetBucketMetadataConfiguration", method: get, scope: scopeBucket, query: q("metadataConfiguration"),
			permission: "s3:GetBucketMetadataTableConfiguration"},
		{name: "DeleteBucketMetadataConfiguration", method: del, scope: scopeBucket, query: q("metadataConfiguration"), status: http.StatusNoContent,
			permission: "s3:DeleteBucketMetadataTableConfiguration"},
		{name: "CreateBucketMetadataTableConfiguration", method: post, scope: scopeBucket, query: q("metadataTable"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:CreateBucketMetadataTableConfiguration"},
		{name: "GetBucketMetadataTableConfiguration", method: get, scope: scopeBucket, query: q("metadataTable"),
			permission: "s3:GetBucketMetadataTableConfiguration"},
		{name: "DeleteBucketMetadataTableConfiguration", method: del, scope: scopeBucket, query: q("metadataTable"), status: http.StatusNoContent,
			permission: "s3:DeleteBucketMetadataTableConfiguration"},
		{name: "UpdateBucketMetadataAnnotationTableConfiguration", method: put, scope: scopeBucket, query: q("metadataAnnotationTable"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:UpdateBucketMetadataAnnotationTableConfiguration"},
		{name: "UpdateBucketMetadataInventoryTableConfiguration", method: put, scope: scopeBucket, query: q("metadataInventoryTable"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:UpdateBucketMetadataInventoryTableConfiguration"},
		{name: "UpdateBucketMetadataJournalTableConfiguration", method: put, scope: scopeBucket, query: q("metadataJournalTable"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:UpdateBucketMetadataJournalTableConfiguration"},
	}
	ops = append(ops, policyOperations()...)
	for _, d := range documents() {
		ops = append(ops, d.operations()...)
	}
	for _, d := range documentLists() {
		ops = append(ops, d.operations()...)
	}
	return ops
}

// policyOperations are those of a bucket's policy, the one document in JSON.
func policyOperations() []operation {
	return []operation{
		{name: "GetBucketPolicy", method: get, scope: scopeBucket, query: q("policy"),
			permission: "s3:GetBucketPolicy", handle: (*handler).getBucketPolicy},
		{name: "PutBucketPolicy", method: put, scope: scopeBucket, query: q("policy"), body: bodyJSON, limit: limitPolicy,
			permission: "s3:PutBucketPolicy", status: http.StatusNoContent, handle: (*handler).putBucketPolicy,
			note: "Root is never bound by a policy, so that it can always be mended."},
		{name: "DeleteBucketPolicy", method: del, scope: scopeBucket, query: q("policy"),
			permission: "s3:DeleteBucketPolicy", status: http.StatusNoContent, handle: (*handler).deleteBucketPolicy},
	}
}

// bucketDocument is a bucket configuration document with up to three operations.
type bucketDocument struct {
	get, put, del string // operation names; empty: there is none
	selector      string
	read, write   string // permissions
	serve         documentHandlers
	note          string
}

// documentHandlers serve the operations on a document; nil where one is not
// offered.
type documentHandlers struct {
	get, put, del handlerFunc
	putStatus     int   // on success of put; 0 means 200
	limit         int64 // of put's body; 0 means limitConfigXML
}

// limited bounds the document, in bytes.
func (d documentHandlers) limited(limit int64) documentHandlers {
	d.limit = limit
	return d
}

// only serves a document that can be read and not set.
func only(get handlerFunc) documentHandlers { return documentHandlers{get: get} }

func (d bucketDocument) operations() []operation {
	ops := []operation{{name: d.get, method: get, scope: scopeBucket, query: q(d.selector),
		permission: d.read, handle: d.serve.get, note: d.note}}
	if d.put != "" {
		ops = append(ops, operation{name: d.put, method: put, scope: scopeBucket, query: q(d.selector),
			permission: d.write, body: bodyXML, limit: cmp.Or(d.serve.limit, limitConfigXML), handle: d.serve.put, status: d.serve.putStatus})
	}
	if d.del != "" {
		permission := d.write
		if d.del == "DeleteBucketWebsite" {
			permission = "s3:" + d.del
		}
		ops = append(ops, operation{name: d.del, method: del, scope: scopeBucket, query: q(d.selector),
			permission: permission, status: http.StatusNoContent, handle: d.serve.del})
	}
	return ops
}

func documents() []bucketDocument {
	return []bucketDocument{
		{"GetBucketAccelerateConfiguration", "PutBucketAccelerateConfiguration", "", "accelerate",
			"s3:GetAccelerateConfiguration", "s3:PutAccelerateConfiguration", documentHandlers{get: acceleration().get, put: (*handler).putAcceleration}, "Only `Suspended` can be set."},
		{"GetBucketCors", "PutBucketCors", "DeleteBucketCors", "cors",
			"s3:GetBucketCORS", "s3:PutBucketCORS", corsConfig().handlers(0).limited(limitSmallXML), ""},
		{"GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption", "encryption",
			"s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration", only(unset(noEncryption)),
			"Answers that there is none: AWS encrypts every bucket by default, this store does not."},
		{"GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle", "lifecycle",
			"s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration", only(unset(noLifecycle)), notSet},
		{"GetBucketLogging", "PutBucketLogging", "", "logging",
			"s3:GetBucketLogging", "s3:PutBucketLogging", only(emptyDocument("BucketLoggingStatus")), notSet},
		{"GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration", "", "notification",
			"s3:GetBucketNotification", "s3:PutBucketNotification", only(emptyDocument("NotificationConfiguration")), notSet},
		{"GetBucketOwnershipControls", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls", "ownershipControls",
			"s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls", ownershipControls().handlers(0), "Only `BucketOwnerEnforced` can be set, which is how this store works in any case."},
		{"GetBucketReplication", "PutBucketReplication", "DeleteBucketReplication", "replication",
			"s3:GetReplicationConfiguration", "s3:PutReplicationConfiguration", only(unset(noReplication)), notSet},
		{"GetBucketRequestPayment", "PutBucketRequestPayment", "", "requestPayment",
			"s3:GetBucketRequestPayment", "s3:PutBucketRequestPayment", documentHandlers{get: (*handler).getBucketRequestPayment, put: (*handler).putBucketRequestPayment}, "The owner pays; `Requester` is not offered."},
		{"GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging", "tagging",
			"s3:GetBucketTagging", "s3:PutBucketTagging", bucketTags().handlers(http.StatusNoContent), ""},
		{"GetBucketVersioning", "PutBucketVersioning", "", "versioning",
			"s3:GetBucketVersioning", "s3:PutBucketVersioning", documentHandlers{get: (*handler).getBucketVersioning, put: (*handler).putBucketVersioning},
			"MFA delete is refused."},
		{"GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite", "website",
			"s3:GetBucketWebsite", "s3:PutBucketWebsite", only(unset(noWebsite)), notSet},
		{"GetObjectLockConfiguration", "PutObjectLockConfiguration", "", "object-lock",
			"s3:GetBucketObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration", documentHandlers{get: (*handler).getObjectLockConfiguration, put: (*handler).putObjectLockConfiguration}, ""},
		{"GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock", "publicAccessBlock",
			"s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock", publicAccessBlock().handlers(0), "Nothing is public here, so that every setting holds."},
	}
}

// documentList is a configuration of which a bucket has several, by id.
type documentList struct{ name, plural, selector, read, write string }

func (d documentList) operations() []operation {
	return []operation{
		{name: "Get" + d.name, method: get, scope: scopeBucket, query: q(d.selector, "id"), permission: d.read},
		{name: "List" + d.plural, method: get, scope: scopeBucket, query: q(d.selector), permission: d.read},
		{name: "Put" + d.name, method: put, scope: scopeBucket, query: q(d.selector), permission: d.write, body: bodyXML, limit: limitConfigXML},
		{name: "Delete" + d.name, method: del, scope: scopeBucket, query: q(d.selector), permission: d.write, status: http.StatusNoContent},
	}
}

func documentLists() []documentList {
	return []documentList{
		{"BucketAnalyticsConfiguration", "BucketAnalyticsConfigurations", "analytics",
			"s3:GetAnalyticsConfiguration", "s3:PutAnalyticsConfiguration"},
		{"BucketIntelligentTieringConfiguration", "BucketIntelligentTieringConfigurations", "intelligent-tiering",
			"s3:GetIntelligentTieringConfiguration", "s3:PutIntelligentTieringConfiguration"},
		{"BucketInventoryConfiguration", "BucketInventoryConfigurations", "inventory",
			"s3:GetInventoryConfiguration", "s3:PutInventoryConfiguration"},
		{"BucketMetricsConfiguration", "BucketMetricsConfigurations", "metrics",
			"s3:GetMetricsConfiguration", "s3:PutMetricsConfiguration"},
	}
}

// objectConfigOperations are the sub-resources of an object.
func objectConfigOperations() []operation {
	return []operation{
		{name: "GetObjectAcl", method: get, scope: scopeObject, query: q("acl"),
			permission: "s3:GetObjectAcl", versionPermission: "s3:GetObjectVersionAcl", handle: (*handler).getObjectACL,
			note: "The owner has full control, always."},
		{name: "PutObjectAcl", method: put, scope: scopeObject, query: q("acl"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:PutObjectAcl", versionPermission: "s3:PutObjectVersionAcl", handle: (*handler).putObjectACL, note: onlyPrivate},
		{name: "GetObjectTagging", method: get, scope: scopeObject, query: q("tagging"),
			permission: "s3:GetObjectTagging", versionPermission: "s3:GetObjectVersionTagging", handle: (*handler).getObjectTagging},
		{name: "PutObjectTagging", method: put, scope: scopeObject, query: q("tagging"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:PutObjectTagging", versionPermission: "s3:PutObjectVersionTagging", handle: (*handler).putObjectTagging},
		{name: "DeleteObjectTagging", method: del, scope: scopeObject, query: q("tagging"), status: http.StatusNoContent,
			permission: "s3:DeleteObjectTagging", versionPermission: "s3:DeleteObjectVersionTagging", handle: (*handler).deleteObjectTagging},
		{name: "GetObjectAttributes", method: get, scope: scopeObject, query: q("attributes"),
			permission: "s3:GetObjectAttributes", versionPermission: "s3:GetObjectVersionAttributes", handle: (*handler).getObjectAttributes,
			note: "Reading the object is asked for, too, as s3:GetObject."},
		{name: "GetObjectTorrent", method: get, scope: scopeObject, query: q("torrent"), permission: "s3:GetObjectTorrent"},
		{name: "GetObjectLegalHold", method: get, scope: scopeObject, query: q("legal-hold"), permission: "s3:GetObjectLegalHold", handle: (*handler).getObjectLegalHold},
		{name: "PutObjectLegalHold", method: put, scope: scopeObject, query: q("legal-hold"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:PutObjectLegalHold", handle: (*handler).putObjectLegalHold},
		{name: "GetObjectRetention", method: get, scope: scopeObject, query: q("retention"), permission: "s3:GetObjectRetention", handle: (*handler).getObjectRetention},
		{name: "PutObjectRetention", method: put, scope: scopeObject, query: q("retention"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:PutObjectRetention", handle: (*handler).putObjectRetention,
			note: "x-amz-bypass-governance-retention is asked as s3:BypassGovernanceRetention."},
		{name: "UpdateObjectEncryption", method: put, scope: scopeObject, query: q("encryption"), body: bodyXML, limit: limitSmallXML,
			permission: "s3:UpdateObjectEncryption"},
		{name: "GetObjectAnnotation", method: get, scope: scopeObject, query: q("annotation", "annotationName"),
			permission: "s3:GetObjectAnnotation"},
		{name: "ListObjectAnnotations", method: get, scope: scopeObject, query: q("annotation"),
			permission: "s3:ListObjectAnnotations"},
		{name: "PutObjectAnnotation", method: put, scope: scopeObject, query: q("annotation"), body: bodyStream,
			permission: "s3:PutObjectAnnotation"},
		{name: "DeleteObjectAnnotation", method: del, scope: scopeObject, query: q("annotation"), status: http.StatusNoContent,
			permission: "s3:DeleteObjectAnnotation"},
	}
}
