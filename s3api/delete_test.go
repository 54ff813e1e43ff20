package s3api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tdkvs/master/meta"
	"tdkvs/s3api"
)

// deleteDoc is a Delete document of these inner elements.
func deleteDoc(inner ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + strings.Join(inner, "") + "</Delete>"
}

func deleteKey(key string) string { return "<Object><Key>" + escape(key) + "</Key></Object>" }

// deleteMany sends a DeleteObjects with a Content-MD5.
func (s *server) deleteMany(body string) *result {
	s.t.Helper()
	return s.post("/bkt?delete", body, "Content-MD5", md5Of(body))
}

// Covers: DeleteObjects.
func TestDeleteObjects(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for _, k := range []string{"a", "b/c", "d e", "f&g"} {
		s.put(keyPath("bkt", k), "x").want(200)
	}
	r := s.deleteMany(deleteDoc(deleteKey("a"), deleteKey("none"), deleteKey("d e"), deleteKey("f&g"), deleteKey("a"))).want(200)
	r.wantXML(`<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Deleted><Key>a</Key></Deleted>` +
		`<Deleted><Key>none</Key></Deleted><Deleted><Key>d e</Key></Deleted><Deleted><Key>f&amp;g</Key></Deleted></DeleteResult>`)
	if got := fmt.Sprint(s.get("/bkt").texts("Key")); got != "[b/c]" {
		t.Errorf("left are %s", got)
	}
	s.deleteMany(deleteDoc("<Quiet>true</Quiet>", deleteKey("b/c"), deleteKey(strings.Repeat("k", 1025)))).want(200).
		wantXML("<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Error><Key>kkk", "<Code>KeyTooLongError</Code><Message>Your key is too long</Message></Error></DeleteResult>")
	s.delete("/bkt").want(204)
	s.deleteMany(deleteDoc(deleteKey("a"))).wantError(404, "NoSuchBucket", "", "BucketName", "bkt")
}

// Covers: DeleteObjects.
func TestDeleteObjectsConditions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for _, k := range []string{"a", "b", "c", "d"} {
		s.put("/bkt/"+k, "x").want(200)
	}
	modified := s.head("/bkt/a").header.Get("Last-Modified")
	object := func(key, more string) string { return "<Object><Key>" + key + "</Key>" + more + "</Object>" }
	s.deleteMany(deleteDoc(
		object("a", "<ETag>"+escape(etagOf("x"))+"</ETag><Size>1</Size><LastModifiedTime>"+modified+"</LastModifiedTime>"),
		object("b", "<ETag>\"other\"</ETag>"), object("c", "<Size>7</Size>"), object("d", "<LastModifiedTime>2015-10-21T07:28:00Z</LastModifiedTime>"),
		object("gone", "<ETag>\"other\"</ETag>"), object("none", "<Size>7</Size>"), object("a", "<VersionId>abc</VersionId>"), object("none", "<VersionId>null</VersionId>"),
	)).want(200).wantXML("<Deleted><Key>a</Key></Deleted>",
		"<Error><Key>b</Key><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold.</Message></Error>",
		"<Error><Key>c</Key><Code>PreconditionFailed</Code>", "<Error><Key>d</Key><Code>PreconditionFailed</Code>",
		"<Error><Key>gone</Key><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
		"<Deleted><Key>none</Key></Deleted>", "<Error><Key>a</Key><VersionId>abc</VersionId><Code>NoSuchVersion</Code>",
		"<Deleted><Key>none</Key><VersionId>null</VersionId></Deleted>")
	if got := fmt.Sprint(s.get("/bkt").texts("Key")); got != "[b c d]" {
		t.Errorf("left are %s", got)
	}
}

// Covers: DeleteObjects.
func TestDeleteObjectsErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/a", "x").want(200)
	s.post("/bkt?delete", deleteDoc(deleteKey("a"))).wantError(400, "InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	s.post("/bkt?delete", deleteDoc(deleteKey("a")), "Content-MD5", md5Of("x")).wantError(400, "BadDigest", "")
	s.post("/bkt?delete", deleteDoc(deleteKey("a")), "x-amz-checksum-crc32", "AAAAAA==").wantError(400, "BadDigest", "")
	// A damaged body is a bad digest, even where it is bad XML, too.
	s.post("/bkt?delete", deleteDoc(deleteKey("a"))+"damage", "Content-MD5", md5Of(deleteDoc(deleteKey("a")))).wantError(400, "BadDigest", "")
	s.deleteMany("").wantError(400, "MissingRequestBodyError", "Request Body is empty")
	many := make([]string, 1001)
	for i := range many {
		many[i] = deleteKey(fmt.Sprint(i))
	}
	for _, bad := range []string{
		deleteDoc(), deleteDoc(many...), deleteDoc(deleteKey("")), deleteDoc("<Object/>"), deleteDoc("<Object><Key>a</Key><Extra/></Object>"),
		deleteDoc("<Quiet>maybe</Quiet>", deleteKey("a")), deleteDoc("<Other/>"), deleteDoc("text"), "<Delete>", "<Delete><Object></Delete>",
		"<Remove/>", "{}", deleteDoc(deleteKey("a")) + deleteDoc(), "<!DOCTYPE x>" + deleteDoc(deleteKey("a")),
		`<?xml version="1.0" encoding="latin1"?><Delete/>`, deleteDoc("<Object><Key><b>a</b></Key></Object>"),
		deleteDoc("<Object><Key>a</Key><Size>x</Size></Object>"), deleteDoc("<Object><Key>a</Key><LastModifiedTime>x</LastModifiedTime></Object>"),
		"<?php ?>" + deleteDoc(deleteKey("a")),
	} {
		s.deleteMany(bad).wantError(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema.")
	}
	s.get("/bkt/a").want(200)
	// What is harmless is let through: no namespace, comments, white space, CDATA.
	s.deleteMany("\n<Delete><!-- c --> <Object>\n<Key><![CDATA[a]]></Key></Object>\n</Delete>\n").want(200).wantXML("<Key>a</Key>")
	s.get("/bkt/a").want(404)
	s.deleteMany("\uFEFF<?xml version=\"1.0\"?>\n" + deleteDoc(deleteKey("a"))[len(`<?xml version="1.0" encoding="UTF-8"?>`):]).want(200)
	s.deleteMany("\uFEFF\uFEFF"+deleteDoc(deleteKey("a"))).wantError(400, "MalformedXML", "")
	s.deleteMany(deleteDoc(deleteKey("a"))+"\uFEFF").wantError(400, "MalformedXML", "")
	all := make([]string, 1000)
	copy(all, many)
	s.deleteMany(deleteDoc(all...)).want(200)
	s.deleteMany(deleteDoc(strings.Repeat(" ", 9<<20))).wantError(400, "MaxMessageLengthExceeded", "")

	s.hooks.deleteObjects = func(_ context.Context, _ string, items []meta.DeleteItem) ([]meta.DeleteResult, error) {
		res := make([]meta.DeleteResult, len(items))
		res[0].Err = &meta.Error{Kind: meta.KindUnavailable}
		return res, nil
	}
	s.deleteMany(deleteDoc(deleteKey("a"), deleteKey("b"))).want(200).wantXML(
		"<Error><Key>a</Key><Code>ServiceUnavailable</Code><Message>Service is unable to handle request.</Message></Error><Deleted><Key>b</Key></Deleted>")
}

// TestDeleteObjectsAsksForEachKey: an identity may delete some keys and not
// others.
//
// Covers: DeleteObjects.
func TestDeleteObjectsAsksForEachKey(t *testing.T) {
	t.Parallel()
	var asked []string
	s := newServer(t, func(c *s3api.Config) {
		c.Authorizer = authorizerFunc(func(_ context.Context, a s3api.Access) error {
			asked = append(asked, a.Permission+" "+a.Bucket+"/"+a.Key+" "+a.VersionID)
			if a.Key == "mine" {
				return nil
			}
			return fmt.Errorf("not yours: %w", s3api.ErrDenied)
		})
	})
	s.bucket("bkt")
	s.put("/bkt/mine", "x").want(200)
	s.put("/bkt/other", "x").want(200)
	body := deleteDoc(deleteKey("mine"), deleteKey("other"), "<Object><Key>other</Key><VersionId>null</VersionId></Object>")
	s.do(request{method: "POST", path: "/bkt?delete", body: body, key: userKey, secret: userSecret, header: map[string]string{"Content-MD5": md5Of(body)}}).
		want(200).wantXML("<Deleted><Key>mine</Key></Deleted><Error><Key>other</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
	if got := strings.Join(asked, "|"); got != "s3:DeleteObject bkt/mine |s3:DeleteObject bkt/other |s3:DeleteObjectVersion bkt/other null" {
		t.Errorf("asked for %s", got)
	}
	s.get("/bkt/mine").want(404)
	s.get("/bkt/other").want(200)
}

type authorizerFunc func(context.Context, s3api.Access) error

func (f authorizerFunc) Authorize(ctx context.Context, a s3api.Access) error { return f(ctx, a) }
