package s3api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tdkvs/s3api"
)

func deleteVersion(key, id string) string {
	return "<Object><Key>" + escape(key) + "</Key><VersionId>" + id + "</VersionId></Object>"
}

// entries returns what a DeleteResult holds.
func (r *result) entries() string {
	r.t.Helper()
	r.want(200).wantXML(`<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	_, rest, _ := strings.Cut(r.body, "2006-03-01/\">")
	return strings.TrimSuffix(rest, "</DeleteResult>")
}

// wantEntries fails unless a DeleteResult holds exactly these entries.
func (r *result) wantEntries(entries ...string) {
	r.t.Helper()
	if got, want := r.entries(), strings.Join(entries, ""); got != want {
		r.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What DeleteObjects says of an object without versions, of a version, and of a
// delete marker that was made or removed.
func deleted(key string) string { return "<Deleted><Key>" + key + "</Key></Deleted>" }
func deletedVersion(key, id string) string {
	return "<Deleted><Key>" + key + "</Key><VersionId>" + id + "</VersionId></Deleted>"
}
func markerMade(key, id string) string {
	return "<Deleted><Key>" + key + "</Key><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>" + id + "</DeleteMarkerVersionId></Deleted>"
}
func markerRemoved(key, id string) string {
	return "<Deleted><Key>" + key + "</Key><VersionId>" + id + "</VersionId><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>" + id +
		"</DeleteMarkerVersionId></Deleted>"
}

// TestDeleteStates: what a delete does and says in each state of a bucket.
//
// Covers: DeleteObject.
func TestDeleteStates(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	del := func(path, id, marker string) {
		t.Helper()
		s.delete(path).want(204).wantBody("").wantHeader("x-amz-version-id", id, "x-amz-delete-marker", marker, "Content-Length", "")
	}
	s.bucket("bkt")
	s.put("/bkt/old", "old").want(200)
	s.put("/bkt/key", "x").want(200)
	del("/bkt/key", "", "")
	del("/bkt/key", "", "")
	s.put("/bkt/key", "x").want(200)
	del("/bkt/key?versionId="+another, another, "")
	del("/bkt/key?versionId=null", "null", "")
	del("/bkt/none?versionId=null", "null", "")
	s.get("/bkt/key").wantError(404, "NoSuchKey", "").wantHeader("x-amz-delete-marker", "")

	s.setVersioning("bkt", "Enabled")
	v1 := s.putVersion("/bkt/key", "one")
	m1 := s.mark("/bkt/key")
	s.mark("/bkt/key")
	s.mark("/bkt/none")
	del("/bkt/key?versionId="+another, another, "")
	del("/bkt/key?versionId=null", "null", "")
	del("/bkt/key?versionId="+m1, m1, "true")
	del("/bkt/key?versionId="+m1, m1, "")
	del("/bkt/key?versionId="+v1, v1, "")
	del("/bkt/key?versionId="+v1, v1, "")
	// The null version lies beneath a marker until it is deleted itself.
	old := s.mark("/bkt/old")
	s.get("/bkt/old?versionId=null").want(200).wantBody("old").wantHeader("x-amz-version-id", "null")
	del("/bkt/old?versionId=null", "null", "")
	s.get("/bkt/old?versionId=null").wantError(404, "NoSuchVersion", "")
	del("/bkt/old?versionId="+old, old, "true")
	s.get("/bkt/old").wantError(404, "NoSuchKey", "").wantHeader("x-amz-delete-marker", "")

	v2 := s.putVersion("/bkt/sus", "two")
	s.setVersioning("bkt", "Suspended")
	s.put("/bkt/sus", "null").want(200)
	for range 3 { // one null marker, which takes the place of the null version
		del("/bkt/sus", "null", "true")
		s.get("/bkt/sus").wantError(404, "NoSuchKey", "").wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", "null")
		s.get("/bkt/sus?versionId=null").wantError(405, "MethodNotAllowed", "").wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", "null")
	}
	s.get("/bkt/sus?versionId=" + v2).want(200).wantBody("two")
	del("/bkt/sus?versionId=null", "null", "true")
	s.get("/bkt/sus").want(200).wantBody("two").wantHeader("x-amz-version-id", v2)
	del("/bkt/sus?versionId=null", "null", "")
	del("/bkt/never", "null", "true")
	s.put("/bkt/never", "again").want(200)
	s.get("/bkt/never").want(200).wantBody("again").wantHeader("x-amz-version-id", "null")
}

// Covers: DeleteObjects.
func TestDeleteObjectsVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	a1, a2 := s.putVersion("/bkt/a", "1"), s.putVersion("/bkt/a", "2")
	b1 := s.putVersion("/bkt/b", "1")
	c1 := s.putVersion("/bkt/c", "1")
	cm := s.mark("/bkt/c")
	r := s.deleteMany(deleteDoc(deleteVersion("a", a2), deleteKey("b"), deleteVersion("c", cm), deleteKey("none"), deleteVersion("a", another),
		deleteVersion("none", b1), deleteVersion("b", "null"), deleteVersion("b", "abc"), deleteVersion("b", a1)))
	marks := r.want(200).texts("DeleteMarkerVersionId")
	if len(marks) != 3 {
		t.Fatalf("markers %v", marks)
	}
	r.wantEntries(deletedVersion("a", a2), markerMade("b", marks[0]), markerRemoved("c", cm), markerMade("none", marks[2]),
		deletedVersion("a", another), deletedVersion("none", b1), deletedVersion("b", "null"),
		"<Error><Key>b</Key><VersionId>abc</VersionId><Code>NoSuchVersion</Code><Message>The specified version does not exist.</Message></Error>",
		deletedVersion("b", a1))
	s.get("/bkt/a").want(200).wantBody("1").wantHeader("x-amz-version-id", a1)
	s.get("/bkt/b").wantError(404, "NoSuchKey", "").wantHeader("x-amz-version-id", marks[0])
	s.get("/bkt/b?versionId=" + b1).want(200)
	s.get("/bkt/c").want(200).wantHeader("x-amz-version-id", c1)
	s.get("/bkt/none").wantError(404, "NoSuchKey", "").wantHeader("x-amz-version-id", marks[2])

	// The same once more, quietly: only what fails is said.
	s.deleteMany(deleteDoc("<Quiet>true</Quiet>", deleteVersion("a", a1), deleteKey("c"), deleteVersion("b", "abc"))).
		wantEntries("<Error><Key>b</Key><VersionId>abc</VersionId><Code>NoSuchVersion</Code><Message>The specified version does not exist.</Message></Error>")
	s.deleteMany(deleteDoc("<Quiet>true</Quiet>", deleteKey("c"))).wantEntries()
	s.get("/bkt/a").wantError(404, "NoSuchKey", "").wantHeader("x-amz-delete-marker", "")

	s.setVersioning("bkt", "Suspended")
	s.put("/bkt/d", "x").want(200)
	s.deleteMany(deleteDoc(deleteKey("d"), deleteKey("e"), deleteVersion("b", b1))).
		wantEntries(markerMade("d", "null"), markerMade("e", "null"), deletedVersion("b", b1))
	s.deleteMany(deleteDoc(deleteVersion("d", "null"))).wantEntries(markerRemoved("d", "null"))
	s.put("/bkt/d", "x").want(200)
	s.deleteMany(deleteDoc(deleteVersion("d", "null"))).wantEntries(deletedVersion("d", "null"))

	s.bucket("plain")
	s.put("/plain/a", "x").want(200)
	body := deleteDoc(deleteKey("a"), deleteKey("b"), deleteVersion("a", another), deleteVersion("a", "null"))
	s.post("/plain?delete", body, "Content-MD5", md5Of(body)).
		wantEntries(deleted("a"), deleted("b"), deletedVersion("a", another), deletedVersion("a", "null"))
}

// TestDeleteObjectsTwice: what stands twice in a request is done once; another
// version, or another condition, is another thing.
//
// Covers: DeleteObjects.
func TestDeleteObjectsTwice(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	v1, v2 := s.putVersion("/bkt/a", "1"), s.putVersion("/bkt/a", "2")
	r := s.deleteMany(deleteDoc(deleteKey("a"), deleteKey("a"), deleteVersion("a", v1), deleteKey("a"), deleteVersion("a", v1), deleteVersion("a", v2),
		deleteVersion("a", "null"), deleteVersion("a", "null"))).want(200)
	r.wantEntries(markerMade("a", r.text("DeleteMarkerVersionId")), deletedVersion("a", v1), deletedVersion("a", v2), deletedVersion("a", "null"))
	s.delete("/bkt/a?versionId="+r.text("DeleteMarkerVersionId")).want(204).wantHeader("x-amz-delete-marker", "true")
	s.get("/bkt/a").wantError(404, "NoSuchKey", "").wantHeader("x-amz-delete-marker", "") // there was no second marker

	s.put("/bkt/b", "x").want(200)
	entry := func(etag string) string {
		return "<Object><Key>b</Key><ETag>" + escape(etag) + "</ETag></Object>"
	}
	r = s.deleteMany(deleteDoc(entry(`"other"`), entry(etagOf("x")), entry(etagOf("x")))).want(200)
	r.wantEntries("<Error><Key>b</Key><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold.</Message></Error>",
		markerMade("b", r.text("DeleteMarkerVersionId")),
		"<Error><Key>b</Key><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>")
}

// TestDeleteObjectsThousand: a full request, of versions and keys in turn.
//
// Covers: DeleteObjects.
func TestDeleteObjectsThousand(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	var objects, want []string
	for i := range 500 {
		key := fmt.Sprintf("key-%03d", i)
		id := s.putVersion("/bkt/"+key, "x")
		objects = append(objects, deleteVersion(key, id), deleteKey(key))
		want = append(want, deletedVersion(key, id), "marker")
	}
	r := s.deleteMany(deleteDoc(objects...)).want(200)
	marks := r.texts("DeleteMarkerVersionId")
	if len(marks) != 500 {
		t.Fatalf("%d markers", len(marks))
	}
	for i, id := range marks {
		want[2*i+1] = markerMade(fmt.Sprintf("key-%03d", i), id)
	}
	r.wantEntries(want...)
	s.deleteMany(deleteDoc(append(objects, deleteKey("one-more"))...)).wantError(400, "MalformedXML", versioningMalformed)
	s.get("/bkt/one-more").wantError(404, "NoSuchKey", "").wantHeader("x-amz-delete-marker", "")
}

// TestConditionalDeletes: what holds of the current version decides; there is
// none where the key is not there, or where its last version is a delete marker.
//
// Covers: DeleteObject.
func TestConditionalDeletes(t *testing.T) {
	t.Parallel()
	const past, failed = "Wed, 21 Oct 2015 07:28:00 GMT", "At least one of the pre-conditions you specified did not hold."
	for _, versioned := range []bool{false, true} {
		t.Run(fmt.Sprint("versioned ", versioned), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.bucket("bkt")
			marker := ""
			if versioned {
				s.setVersioning("bkt", "Enabled")
				marker = "true"
			}
			for _, condition := range [][]string{{"If-Match", "*"}, {"If-Match", etagOf("x")}, {"If-Match", etagOf("x"), "x-amz-if-match-size", "1"}} {
				s.delete("/bkt/key", condition...).wantError(404, "NoSuchKey", noSuchKey, "Key", "key").wantHeader("x-amz-delete-marker", "")
			}
			for _, condition := range [][]string{{"x-amz-if-match-size", "1"}, {"x-amz-if-match-last-modified-time", past}} {
				s.delete("/bkt/key", condition...).want(204).wantHeader("x-amz-delete-marker", "", "x-amz-version-id", "")
			}
			s.get("/bkt/key").wantError(404, "NoSuchKey", "").wantHeader("x-amz-delete-marker", "")
			s.put("/bkt/key", "x").want(200)
			for _, condition := range [][]string{
				{"If-Match", `"other"`}, {"If-Match", "other"}, {"x-amz-if-match-size", "7"}, {"x-amz-if-match-last-modified-time", past},
				{"If-Match", etagOf("x"), "x-amz-if-match-size", "7"}, {"If-Match", "*", "x-amz-if-match-last-modified-time", past},
			} {
				s.delete("/bkt/key", condition...).wantError(412, "PreconditionFailed", failed).wantHeader("x-amz-delete-marker", "", "x-amz-version-id", "")
			}
			for _, condition := range [][]string{
				{"If-Match", "*"}, {"If-Match", etagOf("x")}, {"If-Match", strings.Trim(etagOf("x"), `"`)}, {"x-amz-if-match-size", "1"},
				{"If-Match", etagOf("x"), "x-amz-if-match-size", "1", "x-amz-if-match-last-modified-time", "now"},
			} {
				s.put("/bkt/key", "x").want(200)
				if n := len(condition); condition[n-1] == "now" {
					condition[n-1] = s.head("/bkt/key").header.Get("Last-Modified")
				}
				s.delete("/bkt/key", condition...).want(204).wantHeader("x-amz-delete-marker", marker)
				s.get("/bkt/key").wantError(404, "NoSuchKey", "").wantHeader("x-amz-delete-marker", marker)
			}
		})
	}
}

// TestConditionalDeleteOfMarker: a delete marker has no ETag, but a time.
//
// Covers: DeleteObject, DeleteObjects.
func TestConditionalDeleteOfMarker(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	v1 := s.putVersion("/bkt/key", "x")
	marker := s.mark("/bkt/key")
	const past = "Wed, 21 Oct 2015 07:28:00 GMT"
	for _, etag := range []string{"*", etagOf("x"), `"other"`} {
		s.delete("/bkt/key", "If-Match", etag).wantError(404, "NoSuchKey", noSuchKey)
		s.delete("/bkt/key?versionId="+marker, "If-Match", etag).wantError(404, "NoSuchKey", noSuchKey)
		s.deleteMany(deleteDoc("<Object><Key>key</Key><ETag>" + escape(etag) + "</ETag></Object>")).
			wantEntries("<Error><Key>key</Key><Code>NoSuchKey</Code><Message>" + noSuchKey + "</Message></Error>")
	}
	s.delete("/bkt/key", "x-amz-if-match-size", "1").wantError(412, "PreconditionFailed", "")
	s.delete("/bkt/key", "x-amz-if-match-last-modified-time", past).wantError(412, "PreconditionFailed", "")
	s.deleteMany(deleteDoc("<Object><Key>key</Key><Size>1</Size></Object>")).
		wantEntries("<Error><Key>key</Key><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold.</Message></Error>")
	s.get("/bkt/key").wantError(404, "NoSuchKey", "").wantHeader("x-amz-version-id", marker) // nothing was done

	// A named version is compared itself. One that is gone has been deleted.
	v2 := s.putVersion("/bkt/key", "two")
	path := "/bkt/key?versionId=" + v1
	s.delete(path, "If-Match", etagOf("two")).wantError(412, "PreconditionFailed", "")
	s.delete(path, "x-amz-if-match-size", "3").wantError(412, "PreconditionFailed", "")
	s.delete(path, "If-Match", etagOf("x"), "x-amz-if-match-size", "1").want(204).wantHeader("x-amz-version-id", v1, "x-amz-delete-marker", "")
	s.delete(path, "If-Match", "*").want(204).wantHeader("x-amz-version-id", v1)
	s.delete(path, "If-Match", `"other"`).want(204).wantHeader("x-amz-version-id", v1)
	s.delete("/bkt/key?versionId=null", "If-Match", "*").wantError(404, "NoSuchKey", "")
	s.deleteMany(deleteDoc("<Object><Key>key</Key><VersionId>" + v2 + "</VersionId><ETag>other</ETag></Object>")).
		wantEntries("<Error><Key>key</Key><VersionId>" + v2 + "</VersionId><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold.</Message></Error>")
	s.deleteMany(deleteDoc("<Object><Key>key</Key><VersionId>" + v2 + "</VersionId><ETag>" + escape(etagOf("two")) + "</ETag></Object>")).
		wantEntries(deletedVersion("key", v2))
	s.get("/bkt/key").wantError(404, "NoSuchKey", "").wantHeader("x-amz-version-id", marker)
}

// TestConditionalDeletePermissions: who deletes by ETag learns of the ETag.
//
// Covers: DeleteObject, DeleteObjects.
func TestConditionalDeletePermissions(t *testing.T) {
	t.Parallel()
	var asked []string
	s := newServer(t, func(c *s3api.Config) {
		c.Authorizer = authorizerFunc(func(_ context.Context, a s3api.Access) error {
			asked = append(asked, strings.TrimPrefix(a.Permission, "s3:")+" "+a.Key)
			if strings.HasPrefix(a.Permission, "s3:Get") {
				return s3api.ErrDenied
			}
			return nil
		})
	})
	s.versioned("bkt")
	id := s.putVersion("/bkt/key", "x")
	as := func(method, path, body string, headers ...string) *result {
		t.Helper()
		asked = nil
		header := pairs(headers)
		if body != "" {
			header["Content-MD5"] = md5Of(body)
		}
		return s.do(request{method: method, path: path, body: body, header: header, key: userKey, secret: userSecret})
	}
	wantAsked := func(want string) {
		t.Helper()
		if got := strings.Join(asked, "|"); got != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
	}
	as("DELETE", "/bkt/key", "", "If-Match", etagOf("x")).wantError(403, "AccessDenied", "Access Denied")
	wantAsked("DeleteObject key|GetObject key")
	as("DELETE", "/bkt/key?versionId="+id, "", "If-Match", etagOf("x")).wantError(403, "AccessDenied", "Access Denied")
	wantAsked("DeleteObjectVersion key|GetObjectVersion key")
	object := func(more string) string { return "<Object><Key>key</Key>" + more + "</Object>" }
	const denied = "<Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
	as("POST", "/bkt?delete", deleteDoc(object("<ETag>x</ETag>"), object("<VersionId>"+id+"</VersionId><ETag>x</ETag>"))).
		wantEntries("<Error><Key>key</Key>"+denied, "<Error><Key>key</Key><VersionId>"+id+"</VersionId>"+denied)
	wantAsked("DeleteObject key|GetObject key|DeleteObjectVersion key|GetObjectVersion key")
	s.get("/bkt/key").want(200)
	as("DELETE", "/bkt/key", "", "If-Match", "*").want(204)
	wantAsked("DeleteObject key")
}
