package s3api_test

import (
	"strings"
	"testing"
)

// acl is an AccessControlPolicy of its owner's id and grants.
func acl(owner string, grants ...string) string {
	return `<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>` + owner + `</ID><DisplayName>root</DisplayName></Owner>` +
		`<AccessControlList>` + strings.Join(grants, "") + `</AccessControlList></AccessControlPolicy>`
}

func aclGrant(grantee, permission string) string {
	return `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">` + grantee +
		`</Grantee><Permission>` + permission + `</Permission></Grant>`
}

// Covers: PutBucketAcl, PutObjectAcl, GetBucketAcl, GetObjectAcl.
func TestPrivateACL(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "x").want(200)
	full := aclGrant("<ID>"+owner+"</ID><DisplayName>root</DisplayName>", "FULL_CONTROL")
	everyone := aclGrant("<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>", "READ")
	for _, path := range []string{"/bkt?acl", "/bkt/key?acl"} {
		// What is private already, said in each of the three ways.
		s.put(path, "", "x-amz-acl", "private").want(200).wantBody("")
		s.put(path, "", "x-amz-grant-full-control", `id="`+owner+`"`).want(200)
		s.put(path, "", "x-amz-grant-full-control", ` ID = `+owner).want(200)
		s.putDoc(path, acl(owner, full)).want(200)
		s.put(path, s.get(path).want(200).body).want(200) // as it was read
		for _, refused := range []*result{
			s.put(path, "", "x-amz-acl", "public-read"), s.put(path, "", "x-amz-acl", "authenticated-read"), s.put(path, "", "x-amz-grant-read", "id="+owner),
			s.put(path, "", "x-amz-grant-full-control", "id=other"), s.put(path, "", "x-amz-grant-full-control", "id="+owner+`, uri="http://acs.amazonaws.com/groups/global/AllUsers"`),
			s.put(path, "", "x-amz-grant-write-acp", "emailAddress=a@example.com"),
			s.put(path, acl(owner, full, everyone)), s.put(path, acl(owner)), s.put(path, acl(owner, everyone)),
			s.put(path, acl(owner, aclGrant("<ID>"+owner+"</ID>", "READ"))), s.put(path, acl(owner, aclGrant("<EmailAddress>a@example.com</EmailAddress>", "READ"))),
		} {
			refused.wantError(501, "NotImplemented", "")
		}
		s.put(path, "").wantError(400, "MissingSecurityHeader", "Your request was missing a required header", "MissingHeaderName", "x-amz-acl")
		s.put(path, acl(owner, full), "x-amz-acl", "private").wantError(400, "UnexpectedContent", "This request does not support content")
		s.put(path, acl(owner, full), "x-amz-grant-read", "id="+owner).wantError(400, "UnexpectedContent", "")
		s.put(path, "", "x-amz-acl", "private", "x-amz-grant-full-control", "id="+owner).wantError(400, "InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
		s.put(path, "", "x-amz-acl", "bogus").wantError(400, "InvalidArgument", "", "ArgumentName", "x-amz-acl", "ArgumentValue", "bogus")
		for _, bad := range []string{owner, "name=" + owner, "id=", ""} {
			s.put(path, "", "x-amz-grant-read", bad).wantError(400, "InvalidArgument", "Argument format not recognized", "ArgumentName", "x-amz-grant-read", "ArgumentValue", bad)
		}
		s.put(path, acl("other", full)).wantError(400, "InvalidArgument", "Invalid id", "ArgumentName", "CanonicalUser/ID", "ArgumentValue", "other")
		for _, bad := range []string{
			"<x/>", "{}", acl("", full), acl(owner, "<Grant/>"), acl(owner, aclGrant("", "READ")), acl(owner, aclGrant("<ID>"+owner+"</ID>", "ALL")),
			acl(owner, aclGrant("<ID>"+owner+"</ID>", "")), acl(owner, aclGrant("<ID>"+owner+"</ID><URI>x</URI>", "READ")), acl(owner, "<Other/>"),
			acl(owner, full) + "x", strings.Replace(acl(owner, full), "<AccessControlList>", "<AccessControlList/><AccessControlList>", 1),
			strings.Replace(acl(owner, full), "<DisplayName>root</DisplayName></Owner>", "<Name/></Owner>", 1),
			"<AccessControlPolicy><Owner><ID>" + owner + "</ID></Owner></AccessControlPolicy>", "<AccessControlPolicy><AccessControlList/></AccessControlPolicy>",
		} {
			s.put(path, bad).wantError(400, "MalformedACLError", malformedXML)
		}
		s.put(path, acl(owner, full), "Content-MD5", md5Of("x")).wantError(400, "BadDigest", "")
		s.get(path).want(200).wantXML(full)
	}
	s.put("/bkt/key?acl", "", "x-amz-acl", "bucket-owner-full-control").want(200)
	s.put("/bkt?acl", "", "x-amz-acl", "bucket-owner-full-control").wantError(501, "NotImplemented", "")
	s.put("/none?acl", "", "x-amz-acl", "private").wantError(404, "NoSuchBucket", "")
	s.put("/bkt/none?acl", "", "x-amz-acl", "private").wantError(404, "NoSuchKey", "")
	// The same headers on what is being written.
	s.put("/bkt/new", "x", "x-amz-grant-full-control", "id="+owner).want(200)
	s.put("/bkt/new", "x", "x-amz-grant-read", "id="+owner).wantError(501, "NotImplemented", "", "Header", "x-amz-grant-read")
}

// Covers: PutObjectAcl.
func TestPrivateACLOfVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.lockBucket("bkt")
	old := s.put("/bkt/key", "1").want(200).header.Get("x-amz-version-id")
	cur := s.put("/bkt/key", "2").want(200).header.Get("x-amz-version-id")
	s.put("/bkt/key?acl", "", "x-amz-acl", "private").want(200).wantHeader("x-amz-version-id", cur)
	s.put("/bkt/key?acl&versionId="+old, "", "x-amz-acl", "private").want(200).wantHeader("x-amz-version-id", old)
	s.delete("/bkt/key").want(204)
	s.put("/bkt/key?acl", "", "x-amz-acl", "private").wantError(405, "MethodNotAllowed", "")
}

// TestACLsNotSupported: where ownership controls say that ACLs do not count, none
// that would grant something is taken.
//
// Covers: PutBucketAcl, PutObjectAcl, PutObject, CopyObject, CreateMultipartUpload, PutBucketOwnershipControls.
func TestACLsNotSupported(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.put("/bkt", "", "x-amz-object-ownership", "BucketOwnerEnforced").want(200)
	s.put("/bkt/key", "x", "x-amz-acl", "private").want(200)
	s.put("/bkt/key", "x", "x-amz-acl", "bucket-owner-full-control").want(200)
	s.put("/bkt?acl", "", "x-amz-acl", "private").want(200)
	public := aclGrant("<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>", "READ")
	for _, r := range []*result{
		s.put("/bkt?acl", "", "x-amz-acl", "public-read"), s.put("/bkt/key?acl", "", "x-amz-acl", "public-read"),
		s.put("/bkt?acl", acl(owner, public)), s.put("/bkt/key?acl", "", "x-amz-grant-read", "id="+owner),
		s.put("/bkt/key", "x", "x-amz-acl", "public-read"), s.post("/bkt/key?uploads", "", "x-amz-acl", "public-read"),
		s.put("/bkt/copy", "", "x-amz-copy-source", "/bkt/key", "x-amz-acl", "public-read"),
	} {
		r.wantError(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")
	}
	s.delete("/bkt?ownershipControls").want(204)
	s.put("/bkt/key", "x", "x-amz-acl", "public-read").want(200)
	s.put("/none/key", "x", "x-amz-acl", "public-read").wantError(404, "NoSuchBucket", "")
}
