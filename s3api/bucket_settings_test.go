package s3api_test

import (
	"strings"
	"testing"
)

// element is an element in the namespace of S3.
func element(name, inner string) string {
	return "<" + name + ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + inner + "</" + name + ">"
}

// refusesMalformed checks the answers to documents that can not be understood.
func (s *server) refusesMalformed(path string, bad ...string) {
	s.t.Helper()
	for _, b := range append(bad, "{}", "<Other/>", "<") {
		s.put(path, b).wantError(400, "MalformedXML", malformedXML)
	}
	s.put(path, "").wantError(400, "MissingRequestBodyError", emptyBody)
	s.put(strings.Replace(path, "/bkt?", "/none?", 1), "<Other/>").wantError(404, "NoSuchBucket", "", "BucketName", "none")
}

// Covers: PutBucketRequestPayment, GetBucketRequestPayment.
func TestRequestPayment(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	doc := func(payer string) string {
		return element("RequestPaymentConfiguration", "<Payer>"+payer+"</Payer>")
	}
	s.putDoc("/bkt?requestPayment", doc("BucketOwner")).want(200).wantBody("")
	s.put("/bkt?requestPayment", doc("Requester")).wantError(501, "NotImplemented", "")
	s.put("/bkt?requestPayment", doc("BucketOwner"), "Content-MD5", md5Of("x")).wantError(400, "BadDigest", "")
	s.refusesMalformed("/bkt?requestPayment", doc("Nobody"), doc(""), element("RequestPaymentConfiguration", ""), doc("BucketOwner")+"x")
	s.get("/bkt?requestPayment").want(200).wantXML(doc("BucketOwner"))
}

// Covers: PutBucketOwnershipControls, GetBucketOwnershipControls, DeleteBucketOwnershipControls, CreateBucket.
func TestOwnershipControls(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	const notSet = "The bucket ownership controls were not found."
	rule := func(ownership string) string {
		return "<Rule><ObjectOwnership>" + ownership + "</ObjectOwnership></Rule>"
	}
	doc := func(ownership string) string { return element("OwnershipControls", rule(ownership)) }
	s.get("/bkt?ownershipControls").wantError(404, "OwnershipControlsNotFoundError", notSet)
	s.putDoc("/bkt?ownershipControls", doc("BucketOwnerEnforced")).want(200).wantBody("")
	s.get("/bkt?ownershipControls").want(200).wantXML(doc("BucketOwnerEnforced"))
	for _, other := range []string{"BucketOwnerPreferred", "ObjectWriter"} {
		s.put("/bkt?ownershipControls", doc(other)).wantError(501, "NotImplemented", "")
	}
	s.refusesMalformed("/bkt?ownershipControls", doc("Nobody"), doc(""), element("OwnershipControls", ""), element("OwnershipControls", "<Rule/>"),
		element("OwnershipControls", rule("BucketOwnerEnforced")+rule("BucketOwnerEnforced")))
	s.get("/bkt?ownershipControls").want(200).wantXML(doc("BucketOwnerEnforced"))
	s.delete("/bkt?ownershipControls").want(204).wantBody("")
	s.delete("/bkt?ownershipControls").want(204)
	s.get("/bkt?ownershipControls").wantError(404, "OwnershipControlsNotFoundError", notSet)
	s.put("/asked", "", "x-amz-object-ownership", "BucketOwnerEnforced").want(200)
	s.get("/asked?ownershipControls").want(200).wantXML(doc("BucketOwnerEnforced"))
}

// Covers: PutPublicAccessBlock, GetPublicAccessBlock, DeletePublicAccessBlock.
func TestPublicAccessBlock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	doc := func(inner string) string { return element("PublicAccessBlockConfiguration", inner) }
	const notSet = "The public access block configuration was not found"
	s.get("/bkt?publicAccessBlock").wantError(404, "NoSuchPublicAccessBlockConfiguration", notSet)
	for in, out := range map[string]string{
		"<RestrictPublicBuckets>true</RestrictPublicBuckets><BlockPublicAcls>TRUE</BlockPublicAcls>": "<BlockPublicAcls>true</BlockPublicAcls>" +
			"<IgnorePublicAcls>false</IgnorePublicAcls><BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>",
		"<IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>": "<BlockPublicAcls>false</BlockPublicAcls>" +
			"<IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets>",
	} {
		s.putDoc("/bkt?publicAccessBlock", doc(in)).want(200).wantBody("")
		s.get("/bkt?publicAccessBlock").want(200).wantXML(doc(out))
	}
	s.put("/bkt?publicAccessBlock", doc("")).wantError(400, "InvalidRequest", "Must specify at least one configuration.")
	s.refusesMalformed("/bkt?publicAccessBlock", doc("<BlockPublicAcls>yes</BlockPublicAcls>"), doc("<Other>true</Other>"),
		doc("<BlockPublicAcls>true</BlockPublicAcls><BlockPublicAcls>true</BlockPublicAcls>"))
	s.delete("/bkt?publicAccessBlock").want(204).wantBody("")
	s.delete("/bkt?publicAccessBlock").want(204)
	s.get("/bkt?publicAccessBlock").wantError(404, "NoSuchPublicAccessBlockConfiguration", notSet)
	s.delete("/none?publicAccessBlock").wantError(404, "NoSuchBucket", "")
}

// Covers: PutBucketAccelerateConfiguration, GetBucketAccelerateConfiguration.
func TestAcceleration(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.bucket("dotted.bkt")
	doc := func(status string) string {
		return element("AccelerateConfiguration", "<Status>"+status+"</Status>")
	}
	s.get("/bkt?accelerate").want(200).wantXML(element("AccelerateConfiguration", ""))
	s.put("/bkt?accelerate", doc("Enabled")).wantError(501, "NotImplemented", "")
	s.put("/bkt?accelerate", doc("Suspended")).want(200).wantBody("")
	s.get("/bkt?accelerate").want(200).wantXML(doc("Suspended"))
	s.put("/dotted.bkt?accelerate", doc("Suspended")).wantError(400, "InvalidRequest",
		"S3 Transfer Acceleration is not supported for buckets with periods (.) in their names")
	s.refusesMalformed("/bkt?accelerate", doc("suspended"), doc(""), element("AccelerateConfiguration", ""))
}
