package s3api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/s3api"
)

const (
	noLock       = "Bucket is missing Object Lock Configuration"
	lockedObject = "Access Denied because object protected by object lock."
	pastDate     = "The retain until date must be in the future!"
	noLockSet    = "The specified object does not have a ObjectLock configuration."
	bypass       = "x-amz-bypass-governance-retention"
)

// lockBucket makes a bucket with object lock.
func (s *server) lockBucket(name string) {
	s.t.Helper()
	s.put("/"+name, "", "x-amz-bucket-object-lock-enabled", "true").want(200)
}

// locked writes an object with a digest and these headers, and returns its
// version.
func (s *server) locked(path string, headers ...string) string {
	s.t.Helper()
	return s.put(path, "body", append([]string{"Content-MD5", md5Of("body")}, headers...)...).want(200).header.Get("x-amz-version-id")
}

// until is a date some time from now, as this store shows it.
func until(d time.Duration) string {
	return time.Now().Add(d).UTC().Format("2006-01-02T15:04:05.000Z")
}

func retention(mode, until string) string {
	return `<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Mode>` + mode + `</Mode><RetainUntilDate>` + until + `</RetainUntilDate></Retention>`
}

func legalHold(status string) string {
	return `<LegalHold xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>` + status + `</Status></LegalHold>`
}

func lockConfig(inner string) string {
	return `<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + inner + `</ObjectLockConfiguration>`
}

const enabled = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"

func defaultRetention(inner string) string {
	return lockConfig(enabled + "<Rule><DefaultRetention>" + inner + "</DefaultRetention></Rule>")
}

// Covers: CreateBucket, GetObjectLockConfiguration, PutObjectLockConfiguration.
func TestBucketLock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for i, off := range []string{"false", "False", ""} {
		name := fmt.Sprintf("/plain%d", i)
		s.put(name, "", "x-amz-bucket-object-lock-enabled", off).want(200)
		s.get(name+"?object-lock").wantError(404, "ObjectLockConfigurationNotFoundError",
			"Object Lock configuration does not exist for this bucket.", "BucketName", name[1:])
	}
	s.put("/odd", "", "x-amz-bucket-object-lock-enabled", "maybe").wantError(400, "InvalidArgument", "", "ArgumentName", "x-amz-bucket-object-lock-enabled", "ArgumentValue", "maybe")
	s.head("/odd").want(404)
	s.put("/big", "", "x-amz-bucket-object-lock-enabled", "True").want(200)
	s.lockBucket("bkt")
	for _, name := range []string{"/bkt", "/big"} {
		s.get(name + "?object-lock").want(200).wantXML(lockConfig(enabled))
		if !strings.HasPrefix(s.put(name+"/key", "x").want(200).header.Get("x-amz-version-id"), "") || s.head(name+"/key").header.Get("x-amz-version-id") == "" {
			t.Errorf("%s is not versioned", name)
		}
	}
	for _, config := range []string{
		"<Mode>GOVERNANCE</Mode><Days>1</Days>", "<Mode>COMPLIANCE</Mode><Days>36500</Days>",
		"<Mode>COMPLIANCE</Mode><Years>100</Years>", "<Mode>GOVERNANCE</Mode><Years>1</Years>",
	} {
		s.putDoc("/bkt?object-lock", defaultRetention(config)).want(200).wantBody("")
		s.get("/bkt?object-lock").want(200).wantXML(defaultRetention(config))
	}
	s.putDoc("/bkt?object-lock", defaultRetention("<Days>2</Days><Mode>GOVERNANCE</Mode>"), "x-amz-bucket-object-lock-token", "token").want(200)
	s.get("/bkt?object-lock").want(200).wantXML(defaultRetention("<Mode>GOVERNANCE</Mode><Days>2</Days>"))
	s.putDoc("/bkt?object-lock", lockConfig(enabled)).want(200)
	s.get("/bkt?object-lock").want(200).wantXML(lockConfig(enabled))
	for _, method := range []string{"GET", "PUT"} {
		body := lockConfig(enabled)
		s.do(request{method: method, path: "/none?object-lock", body: body, header: pairs([]string{"Content-MD5", md5Of(body)})}).
			wantError(404, "NoSuchBucket", "", "BucketName", "none")
	}
}

// Covers: PutObjectLockConfiguration.
func TestBucketLockErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("plain")
	s.putDoc("/plain?object-lock", lockConfig(enabled)).wantError(409, "InvalidBucketState",
		"Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
	s.get("/plain?object-lock").want(404)
	s.lockBucket("bkt")
	s.put("/bkt?object-lock", lockConfig(enabled)).wantError(400, "InvalidRequest", missingDigest)
	s.put("/bkt?object-lock", lockConfig(enabled), "Content-MD5", md5Of("x")).wantError(400, "BadDigest", "")
	for _, bad := range []string{
		"", "{}", "<ObjectLock/>", lockConfig(""), lockConfig("<ObjectLockEnabled>Disabled</ObjectLockEnabled>"),
		lockConfig("<ObjectLockEnabled>enabled</ObjectLockEnabled>"), lockConfig(enabled + enabled), lockConfig(enabled + "<Rule/>"),
		lockConfig(enabled + "<Rule><Other/></Rule>"), lockConfig(enabled + "<Other/>"), defaultRetention(""),
		lockConfig("<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>"),
		defaultRetention("<Mode>GOVERNANCE</Mode>"), defaultRetention("<Days>1</Days>"),
		defaultRetention("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>"),
		defaultRetention("<Mode>governance</Mode><Days>1</Days>"), defaultRetention("<Mode>abc</Mode><Years>1</Years>"),
		defaultRetention("<Mode>GOVERNANCE</Mode><Days>many</Days>"), defaultRetention("<Mode>GOVERNANCE</Mode><Days>1.5</Days>"),
		defaultRetention("<Mode>GOVERNANCE</Mode><Days>1</Days><Days>1</Days>"), defaultRetention("<Mode>GOVERNANCE</Mode><Weeks>1</Weeks>"),
	} {
		s.putDoc("/bkt?object-lock", bad).wantError(400, "MalformedXML", malformedXML)
	}
	for _, tt := range []struct{ name, value, message string }{
		{"Days", "0", "Default retention period must be a positive integer value."},
		{"Days", "-1", "Default retention period must be a positive integer value."},
		{"Years", "0", "Default retention period must be a positive integer value."},
		{"Years", "-1", "Default retention period must be a positive integer value."},
		{"Days", "36501", "Default retention period too large."},
		{"Years", "101", "Default retention period too large."},
	} {
		s.putDoc("/bkt?object-lock", defaultRetention("<Mode>GOVERNANCE</Mode><"+tt.name+">"+tt.value+"</"+tt.name+">")).
			wantError(400, "InvalidArgument", tt.message, "ArgumentName", tt.name, "ArgumentValue", tt.value)
	}
	s.get("/bkt?object-lock").want(200).wantXML(lockConfig(enabled))
}

// TestLockHeaders: a lock that comes with an object, by every way there is.
//
// Covers: PutObject, CopyObject, CreateMultipartUpload, GetObject, HeadObject.
func TestLockHeaders(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.lockBucket("bkt")
	date := until(time.Hour)
	lock := []string{"x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", date, "x-amz-object-lock-legal-hold", "OFF"}
	s.locked("/bkt/put", lock...)
	s.put("/bkt/sum", "body", append(lock, "x-amz-checksum-crc32", crc32Of("body"))...).want(200)
	s.put("/bkt/source", "body").want(200)
	s.put("/bkt/copy", "", append(lock, "x-amz-copy-source", "/bkt/source")...).want(200)
	up := s.upload("/bkt/upload", lock...)
	up.complete(completeDoc(1, up.part(1, "body").header.Get("ETag"))).want(200)
	for _, path := range []string{"/bkt/put", "/bkt/sum", "/bkt/copy", "/bkt/upload"} {
		for _, r := range []*result{s.get(path), s.head(path)} {
			r.want(200).wantHeader(lock...)
		}
		s.get(path + "?retention").want(200).wantXML(retention("GOVERNANCE", date))
		s.get(path + "?legal-hold").want(200).wantXML(legalHold("OFF"))
	}
	// A copy has the lock that it is given, and none of the source's.
	s.put("/bkt/plain", "", "x-amz-copy-source", "/bkt/put").want(200)
	for _, path := range []string{"/bkt/plain", "/bkt/source"} {
		s.head(path).want(200).wantHeader(lock[0], "", lock[2], "", lock[4], "")
	}
	// Half of it, and other ways to write a date.
	s.locked("/bkt/hold", "x-amz-object-lock-legal-hold", "ON")
	s.head("/bkt/hold").want(200).wantHeader(lock[0], "", lock[2], "", lock[4], "ON")
	for in, out := range map[string]string{
		"2999-01-02T03:04:05Z": "2999-01-02T03:04:05.000Z", "2999-01-02T03:04:05.6789Z": "2999-01-02T03:04:05.678Z",
		"2999-01-02T03:04:05+02:00": "2999-01-02T01:04:05.000Z", "29990102T030405Z": "2999-01-02T03:04:05.000Z",
	} {
		s.locked("/bkt/date", lock[0], "COMPLIANCE", lock[2], in)
		s.head("/bkt/date").want(200).wantHeader(lock[0], "COMPLIANCE", lock[2], out, lock[4], "")
	}
}

// Covers: PutObject, CopyObject, CreateMultipartUpload.
func TestLockHeaderErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("plain")
	s.lockBucket("bkt")
	s.put("/bkt/source", "x").want(200)
	const mode, date, hold = "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold"
	const both = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied."
	ok := until(time.Hour)
	for _, tt := range []struct {
		headers       []string
		message       string
		name, invalid string
	}{
		{[]string{mode, "GOVERNANCE"}, both, date, ""},
		{[]string{date, ok}, both, mode, ""},
		{[]string{mode, "governance", date, ok}, "Unknown wormMode directive.", mode, "governance"},
		{[]string{mode, "GOVERNANCE", date, "tomorrow"}, "The retain until date must be provided in ISO 8601 format", date, "tomorrow"},
		{[]string{mode, "GOVERNANCE", date, "2000-01-01T00:00:00Z"}, pastDate, date, "2000-01-01T00:00:00Z"},
		{[]string{hold, "on"}, "Legal Hold must be either of 'ON' or 'OFF'", hold, "on"},
		{[]string{hold, ""}, "Legal Hold must be either of 'ON' or 'OFF'", hold, ""},
	} {
		for _, bucket := range []string{"bkt", "plain"} { // the headers are checked before the bucket
			for _, r := range []*result{
				s.putDoc("/"+bucket+"/key", "body", tt.headers...), s.post("/"+bucket+"/key?uploads", "", tt.headers...),
				s.put("/"+bucket+"/key", "", append(tt.headers, "x-amz-copy-source", "/bkt/source")...),
			} {
				r.wantError(400, "InvalidArgument", tt.message, "ArgumentName", tt.name, "ArgumentValue", tt.invalid)
			}
		}
	}
	for _, good := range [][]string{{mode, "GOVERNANCE", date, ok}, {mode, "COMPLIANCE", date, ok}, {hold, "ON"}, {hold, "OFF"}} {
		s.put("/bkt/key", "body", good...).wantError(400, "InvalidRequest",
			"Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
		s.putDoc("/plain/key", "body", good...).wantError(400, "InvalidRequest", noLock)
		s.post("/plain/key?uploads", "", good...).wantError(400, "InvalidRequest", noLock)
		s.put("/plain/key", "", append(good, "x-amz-copy-source", "/bkt/source")...).wantError(400, "InvalidRequest", noLock)
	}
	s.head("/bkt/key").want(404)
	s.head("/plain/key").want(404)
}

// Covers: PutObject, CopyObject, CreateMultipartUpload, PutObjectLockConfiguration.
func TestDefaultRetention(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.lockBucket("bkt")
	s.put("/bkt/before", "x").want(200)
	s.putDoc("/bkt?object-lock", defaultRetention("<Mode>GOVERNANCE</Mode><Days>1</Days>")).want(200)
	s.put("/bkt/put", "x").want(200)
	s.put("/bkt/copy", "", "x-amz-copy-source", "/bkt/put").want(200)
	up := s.upload("/bkt/upload")
	up.complete(completeDoc(1, up.part(1, "body").header.Get("ETag"))).want(200)
	for _, path := range []string{"/bkt/put", "/bkt/copy", "/bkt/upload"} {
		r := s.head(path).want(200).wantHeader("x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-legal-hold", "")
		got, err := time.Parse(time.RFC3339, r.header.Get("x-amz-object-lock-retain-until-date"))
		written, err2 := http.ParseTime(r.header.Get("Last-Modified"))
		if err != nil || err2 != nil || got.Sub(written) < 24*time.Hour || got.Sub(written) > 24*time.Hour+2*time.Second {
			t.Errorf("%s of %s is retained until %s (%v, %v)", path, written, got, err, err2)
		}
	}
	s.get("/bkt/before?retention").wantError(404, "NoSuchObjectLockConfiguration", noLockSet)
	date := until(2 * time.Hour)
	s.locked("/bkt/own", "x-amz-object-lock-mode", "COMPLIANCE", "x-amz-object-lock-retain-until-date", date)
	s.get("/bkt/own?retention").want(200).wantXML(retention("COMPLIANCE", date))
	s.putDoc("/bkt?object-lock", lockConfig(enabled)).want(200)
	s.put("/bkt/after", "x").want(200)
	s.get("/bkt/after?retention").wantError(404, "NoSuchObjectLockConfiguration", noLockSet)
}

// Covers: PutObjectRetention, GetObjectRetention.
func TestRetention(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.lockBucket("bkt")
	old := s.put("/bkt/key", "1").want(200).header.Get("x-amz-version-id")
	cur := s.put("/bkt/key", "2").want(200).header.Get("x-amz-version-id")
	s.get("/bkt/key?retention").wantError(404, "NoSuchObjectLockConfiguration", noLockSet)
	near, far := until(time.Hour), until(2*time.Hour)
	set := func(doc string, headers ...string) *result { return s.putDoc("/bkt/key?retention", doc, headers...) }
	set(retention("GOVERNANCE", near)).want(200).wantBody("")
	s.get("/bkt/key?retention").want(200).wantXML(retention("GOVERNANCE", near))
	s.get("/bkt/key?retention&versionId="+old).wantError(404, "NoSuchObjectLockConfiguration", noLockSet)
	s.putDoc("/bkt/key?retention&versionId="+old, retention("COMPLIANCE", near)).want(200)
	s.get("/bkt/key?retention&versionId=" + old).want(200).wantXML(retention("COMPLIANCE", near))

	// GOVERNANCE: longer always, shorter, none or COMPLIANCE with the header only.
	set(retention("GOVERNANCE", far)).want(200)
	s.get("/bkt/key?retention&versionId=" + cur).want(200).wantXML(retention("GOVERNANCE", far))
	for _, weaker := range []string{retention("GOVERNANCE", near), "<Retention/>", retention("COMPLIANCE", near)} {
		set(weaker).wantError(403, "AccessDenied", lockedObject)
		set(weaker, bypass, "false").wantError(403, "AccessDenied", lockedObject)
	}
	set(retention("GOVERNANCE", near), bypass, "true").want(200)
	s.get("/bkt/key?retention").want(200).wantXML(retention("GOVERNANCE", near))
	set("<Retention></Retention>", bypass, "True").want(200)
	s.get("/bkt/key?retention").wantError(404, "NoSuchObjectLockConfiguration", noLockSet)
	set("<Retention/>").want(200)
	set(retention("GOVERNANCE", near)).want(200)
	set(retention("COMPLIANCE", near), bypass, "true").want(200)

	// COMPLIANCE: longer, nothing else, for nobody.
	for _, weaker := range []string{retention("COMPLIANCE", until(time.Minute)), "<Retention/>", retention("GOVERNANCE", far)} {
		set(weaker).wantError(403, "AccessDenied", lockedObject)
		set(weaker, bypass, "true").wantError(403, "AccessDenied", lockedObject)
	}
	set(retention("COMPLIANCE", far)).want(200)
	s.get("/bkt/key?retention").want(200).wantXML(retention("COMPLIANCE", far))
	s.head("/bkt/key").wantHeader("x-amz-object-lock-mode", "COMPLIANCE", "x-amz-object-lock-retain-until-date", far)
	s.get("/bkt/key").want(200).wantBody("2")
}

// Covers: PutObjectRetention, GetObjectRetention, PutObjectLegalHold, GetObjectLegalHold.
func TestLockErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("plain")
	s.put("/plain/key", "x").want(200)
	s.lockBucket("bkt")
	version := s.put("/bkt/key", "x").want(200).header.Get("x-amz-version-id")
	docs := map[string]string{"retention": retention("GOVERNANCE", until(time.Hour)), "legal-hold": legalHold("ON")}
	for kind, doc := range docs {
		path := func(target string) string { return target + "?" + kind }
		for _, method := range []string{"GET", "PUT"} {
			do := func(path string) *result {
				return s.do(request{method: method, path: path, body: doc, header: pairs([]string{"Content-MD5", md5Of(doc)})})
			}
			do(path("/plain/key")).wantError(400, "InvalidRequest", noLock)
			do(path("/none/key")).wantError(404, "NoSuchBucket", "")
			do(path("/bkt/none")).wantError(404, "NoSuchKey", "", "Key", "none")
			do(path("/bkt/key")+"&versionId="+strings.Repeat("x", 32)).wantError(404, "NoSuchVersion", "")
			do(path("/bkt/key")+"&versionId=bogus").wantError(400, "InvalidArgument", "Invalid version id specified")
		}
		s.put(path("/bkt/key"), doc).wantError(400, "InvalidRequest", missingDigest)
		s.put(path("/bkt/key"), doc, "Content-MD5", md5Of("x")).wantError(400, "BadDigest", "")
		s.put(path("/bkt/key"), doc, "x-amz-checksum-crc32", crc32Of(doc)).want(200)
	}
	s.putDoc("/bkt/key?legal-hold", legalHold("OFF")).want(200)
	for _, bad := range []string{
		"", "{}", "<Other/>", "<Retention><Mode>GOVERNANCE</Mode></Retention>", "<Retention><RetainUntilDate>" + until(time.Hour) + "</RetainUntilDate></Retention>",
		retention("governance", until(time.Hour)), retention("abc", until(time.Hour)), retention("GOVERNANCE", "tomorrow"), retention("", until(time.Hour)),
		retention("GOVERNANCE", ""), strings.Replace(retention("GOVERNANCE", until(time.Hour)), "</Retention>", "<More/></Retention>", 1),
		strings.Replace(retention("GOVERNANCE", until(time.Hour)), "</Mode>", "</Mode><Mode>COMPLIANCE</Mode>", 1),
	} {
		s.putDoc("/bkt/key?retention", bad).wantError(400, "MalformedXML", malformedXML)
	}
	for _, bad := range []string{"", "<Other/>", "<LegalHold/>", legalHold(""), legalHold("on"), legalHold("abc"), legalHold("ON") + "x",
		"<LegalHold><Status>ON</Status><Status>ON</Status></LegalHold>", "<LegalHold><State>ON</State></LegalHold>"} {
		s.putDoc("/bkt/key?legal-hold", bad).wantError(400, "MalformedXML", malformedXML)
	}
	const past = "2000-01-01T00:00:00Z"
	s.putDoc("/bkt/key?retention", retention("GOVERNANCE", past)).wantError(400, "InvalidArgument", pastDate,
		"ArgumentName", "RetainUntilDate", "ArgumentValue", past)
	s.putDoc("/plain/key?retention", retention("GOVERNANCE", past)).wantError(400, "InvalidRequest", noLock)

	// A delete marker has neither.
	s.delete("/bkt/key").want(204)
	for kind, doc := range docs {
		s.putDoc("/bkt/key?"+kind, doc).wantError(405, "MethodNotAllowed", "")
		s.get("/bkt/key?"+kind).wantError(404, "NoSuchKey", "")
		s.get("/bkt/key?" + kind + "&versionId=" + version).want(200)
	}
}

// Covers: PutObjectLegalHold, GetObjectLegalHold, DeleteObject.
func TestLegalHold(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.lockBucket("bkt")
	old := s.put("/bkt/key", "1").want(200).header.Get("x-amz-version-id")
	s.put("/bkt/key", "2").want(200)
	s.get("/bkt/key?legal-hold").wantError(404, "NoSuchObjectLockConfiguration", noLockSet)
	s.head("/bkt/key").wantHeader("x-amz-object-lock-legal-hold", "")
	s.putDoc("/bkt/key?legal-hold&versionId="+old, legalHold("ON")).want(200).wantBody("")
	s.get("/bkt/key?legal-hold").wantError(404, "NoSuchObjectLockConfiguration", noLockSet)
	s.get("/bkt/key?legal-hold&versionId=" + old).want(200).wantXML(legalHold("ON"))
	s.head("/bkt/key?versionId="+old).wantHeader("x-amz-object-lock-legal-hold", "ON")
	s.delete("/bkt/key?versionId="+old).wantError(403, "AccessDenied", lockedObject)
	s.delete("/bkt/key?versionId="+old, bypass, "true").wantError(403, "AccessDenied", lockedObject)
	s.putDoc("/bkt/key?legal-hold&versionId="+old, legalHold("OFF")).want(200)
	s.get("/bkt/key?legal-hold&versionId=" + old).want(200).wantXML(legalHold("OFF"))
	s.delete("/bkt/key?versionId=" + old).want(204)
	s.get("/bkt/key?versionId=" + old).want(404)
}

// Covers: DeleteObject, DeleteObjects, PutObject.
func TestDeleteLocked(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.lockBucket("bkt")
	put := func(key, mode string, d time.Duration) string {
		return s.locked("/bkt/"+key, "x-amz-object-lock-mode", mode, "x-amz-object-lock-retain-until-date", until(d))
	}
	governed, complied := put("g", "GOVERNANCE", time.Hour), put("c", "COMPLIANCE", time.Hour)
	soon, begun := put("soon", "COMPLIANCE", 1500*time.Millisecond), time.Now()
	s.delete("/bkt/soon?versionId="+soon).wantError(403, "AccessDenied", lockedObject)
	// A delete marker can always be made, and removed; an overwrite, too.
	for _, key := range []string{"g", "c"} {
		marker := s.delete("/bkt/" + key).want(204).header.Get("x-amz-version-id")
		if marker == "" {
			t.Fatal("no delete marker")
		}
		s.get("/bkt/" + key).want(404)
		s.delete("/bkt/" + key + "?versionId=" + marker).want(204)
		s.get("/bkt/" + key).want(200).wantBody("body")
		s.put("/bkt/"+key, "new").want(200)
	}
	s.delete("/bkt/g?versionId="+governed).wantError(403, "AccessDenied", lockedObject)
	s.delete("/bkt/g?versionId="+governed, bypass, "false").wantError(403, "AccessDenied", lockedObject)
	s.delete("/bkt/c?versionId="+complied, bypass, "true").wantError(403, "AccessDenied", lockedObject)
	both := deleteDoc("<Object><Key>g</Key><VersionId>"+governed+"</VersionId></Object>", "<Object><Key>c</Key><VersionId>"+complied+"</VersionId></Object>",
		"<Object><Key>free</Key></Object>")
	denied := func(key, version string) string {
		return "<Error><Key>" + key + "</Key><VersionId>" + version + "</VersionId><Code>AccessDenied</Code><Message>" + lockedObject + "</Message></Error>"
	}
	s.post("/bkt?delete", both, "Content-MD5", md5Of(both)).want(200).wantXML(denied("g", governed), denied("c", complied), "<Deleted><Key>free</Key>")
	s.post("/bkt?delete", both, "Content-MD5", md5Of(both), bypass, "true").want(200).
		wantXML("<Deleted><Key>g</Key><VersionId>"+governed+"</VersionId>", denied("c", complied))
	s.get("/bkt/g?versionId=" + governed).want(404)
	s.get("/bkt/c?versionId=" + complied).want(200).wantBody("body")
	s.delete("/bkt").wantError(409, "BucketNotEmpty", "")
	time.Sleep(time.Until(begun.Add(1600 * time.Millisecond)))
	s.delete("/bkt/soon?versionId=" + soon).want(204)
	// Asked of a bucket without object lock the header changes nothing.
	s.bucket("plain")
	s.put("/plain/key", "x").want(200)
	s.delete("/plain/key", bypass, "true").want(204)
}

// TestLockPermissions: what reads, sets and ends a lock is asked for by name.
//
// Covers: PutObject, CopyObject, GetObject, GetObjectAttributes, PutObjectRetention, DeleteObject, DeleteObjects, CreateBucket.
func TestLockPermissions(t *testing.T) {
	t.Parallel()
	var denied []string
	s := newServer(t, func(c *s3api.Config) {
		c.Authorizer = authorizerFunc(func(_ context.Context, a s3api.Access) error {
			if slices.Contains(denied, a.Permission) {
				return fmt.Errorf("%s: %w", a.Permission, s3api.ErrDenied)
			}
			return nil
		})
	})
	user := func(method, path, body string, headers ...string) *result {
		return s.do(request{method: method, path: path, body: body, header: pairs(append(headers, "Content-MD5", md5Of(body))), key: userKey, secret: userSecret})
	}
	s.lockBucket("bkt")
	version := s.locked("/bkt/key", "x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", until(time.Hour),
		"x-amz-object-lock-legal-hold", "OFF", "x-amz-tagging", "a=1")
	for _, tt := range []struct{ denied, hidden, method, path, body, header, value string }{
		{"s3:GetObjectRetention", "x-amz-object-lock-mode", "GET", "/bkt/key", "", "", ""},
		{"s3:GetObjectRetention", "x-amz-object-lock-retain-until-date", "HEAD", "/bkt/key", "", "", ""},
		{"s3:GetObjectLegalHold", "x-amz-object-lock-legal-hold", "GET", "/bkt/key", "", "", ""},
		{"s3:GetObjectTagging", "x-amz-tagging-count", "GET", "/bkt/key", "", "", ""},
		{"s3:GetObjectVersionTagging", "x-amz-tagging-count", "GET", "/bkt/key?versionId=" + version, "", "", ""},
		{"s3:PutObjectTagging", "", "PUT", "/bkt/key", "x", "x-amz-tagging", "a=1"},
		{"s3:PutObjectLegalHold", "", "PUT", "/bkt/key", "x", "x-amz-object-lock-legal-hold", "OFF"},
		{"s3:BypassGovernanceRetention", "", "PUT", "/bkt/key?retention&versionId=" + version, "<Retention/>", bypass, "true"},
		{"s3:BypassGovernanceRetention", "", "DELETE", "/bkt/key?versionId=" + version, "", bypass, "true"},
		{"s3:PutBucketObjectLockConfiguration", "", "PUT", "/new", "", "x-amz-bucket-object-lock-enabled", "true"},
		{"s3:PutBucketVersioning", "", "PUT", "/new", "", "x-amz-bucket-object-lock-enabled", "true"},
		{"s3:GetObjectTagging", "", "PUT", "/bkt/copy", "", "x-amz-copy-source", "/bkt/key"},
		{"s3:GetObjectVersionTagging", "", "PUT", "/bkt/copy", "", "x-amz-copy-source", "/bkt/key?versionId=" + version},
		{"s3:PutObjectTagging", "", "PUT", "/bkt/copy", "", "x-amz-copy-source", "/bkt/key"},
		{"s3:GetObject", "", "GET", "/bkt/key?attributes", "", "x-amz-object-attributes", "ETag"},
	} {
		var headers []string
		if tt.header != "" {
			headers = []string{tt.header, tt.value}
		}
		denied = []string{tt.denied}
		r := user(tt.method, tt.path, tt.body, headers...)
		if tt.hidden == "" {
			r.wantError(403, "AccessDenied", "")
			continue
		}
		r.want(200).wantHeader(tt.hidden, "")
		denied = nil
		if r := user(tt.method, tt.path, tt.body, headers...).want(200); r.header.Get(tt.hidden) == "" {
			t.Errorf("%s is hidden without %s", tt.hidden, tt.denied)
		}
	}
	denied = []string{"s3:PutObjectRetention"}
	user("PUT", "/bkt/key", "x", "x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", until(time.Hour)).wantError(403, "AccessDenied", "")
	denied = []string{"s3:BypassGovernanceRetention"}
	user("POST", "/bkt?delete", deleteDoc("<Object><Key>key</Key><VersionId>"+version+"</VersionId></Object>"), bypass, "true").want(200).
		wantXML("<Code>AccessDenied</Code><Message>Access Denied</Message>")
	user("DELETE", "/bkt/other", "", bypass, "true").want(204) // nothing to bypass: a marker is made
	denied = nil
	user("PUT", "/bkt/key?retention&versionId="+version, "<Retention/>", bypass, "true").want(200)
	user("DELETE", "/bkt/key?versionId="+version, "", bypass, "true").want(204)
}
