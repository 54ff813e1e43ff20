package master_test

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

func (s *store) createUpload(key string) meta.Upload {
	s.t.Helper()
	up, err := s.CreateUpload(bg, meta.Upload{
		Bucket: bucket, Key: key, Owner: "me", ChecksumAlgorithm: "CRC32", ChecksumType: "COMPOSITE",
		Attributes: meta.Attributes{Headers: meta.Headers{ContentType: "text/plain"}, UserMeta: map[string]string{"a": "b"}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return up
}

func (s *store) tryPutPart(up meta.Upload, number int, body string) (meta.Part, error) {
	return s.PutPart(bg, up.Bucket, up.Key, up.UploadID, number, int64(len(body)), newPayload(body))
}

func (s *store) putPart(up meta.Upload, number int, body string) meta.Part {
	s.t.Helper()
	p, err := s.tryPutPart(up, number, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// chosen reads an upload and picks parts of it, as a front end would.
func (s *store) chosen(up meta.Upload, numbers ...int) meta.CompleteRequest {
	s.t.Helper()
	fresh, parts, err := s.UploadParts(bg, up.Bucket, up.Key, up.UploadID, 0, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	if numbers != nil {
		parts = slices.DeleteFunc(parts, func(p meta.Part) bool { return !slices.Contains(numbers, p.Number) })
	}
	return meta.CompleteRequest{Upload: fresh, Parts: parts, Digests: meta.Digests{ETag: fmt.Sprintf("%s-%d", up.UploadID, len(parts))}}
}

func (s *store) complete(up meta.Upload, numbers ...int) meta.Object {
	s.t.Helper()
	o, err := s.CompleteUpload(bg, s.chosen(up, numbers...))
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// assemble makes an object of parts with these bodies and numbers.
func (s *store) assemble(key string, bodies []string, numbers ...int) meta.Object {
	s.t.Helper()
	up := s.createUpload(key)
	for i, b := range bodies {
		n := i + 1
		if numbers != nil {
			n = numbers[i]
		}
		s.putPart(up, n, b)
	}
	return s.complete(up)
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	up := s.createUpload("k")
	if got, err := s.Upload(bg, bucket, "k", up.UploadID); err != nil || !reflect.DeepEqual(got, up) {
		t.Errorf("upload is %+v, %v, want %+v", got, err, up)
	}
	if !up.Initiated.Equal(s.clock.now()) {
		t.Errorf("initiated %v", up.Initiated)
	}
	s.putPart(up, 3, "three")
	s.putPart(up, 1, "bad one")
	s.putPart(up, 1, "one")
	s.putPart(up, 2, "left out")
	p := s.putPart(up, 10000, "")
	if p.Number != 10000 || p.Size != 0 || p.ETag != etag("") || !p.Modified.Equal(s.clock.now()) {
		t.Errorf("part is %+v", p)
	}
	_, err := s.Object(bg, bucket, "k", "")
	wantKind(t, err, meta.KindNoSuchKey)
	req := s.chosen(up, 1, 3, 10000)
	if req.Upload.Revision != 5 {
		t.Errorf("revision %d after 5 parts", req.Upload.Revision)
	}
	o, err := s.CompleteUpload(bg, req)
	if err != nil {
		t.Fatal(err)
	}
	if o.Size != 8 || o.Parts != 3 || o.ETag != req.Digests.ETag || o.UserMeta["a"] != "b" || o.Owner != "me" || o.Headers.ContentType != "text/plain" {
		t.Errorf("object is %+v", o)
	}
	if got, err := s.Object(bg, bucket, "k", ""); err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("object is read as %+v, %v, want %+v", got, err, o)
	}
	s.wantBody("k", "onethree")
	if u, err := s.Usage(bg, bucket); err != nil || u != (meta.Usage{Objects: 1, Bytes: 8}) {
		t.Errorf("usage %+v, %v", u, err)
	}
	_, err = s.Upload(bg, bucket, "k", up.UploadID)
	wantKind(t, err, meta.KindNoSuchUpload)
	s.collect()
	if n := s.blobs(); n != 3 {
		t.Errorf("%d blobs, want those of the 3 parts chosen", n)
	}
	if n := s.count('p'); n != 0 {
		t.Errorf("%d part rows are left", n)
	}
	s.wantBody("k", "onethree")
}

func TestCompletedUploadIsRemembered(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	up := s.createUpload("k")
	s.putPart(up, 1, "one")
	req := s.chosen(up)
	o, err := s.CompleteUpload(bg, req)
	if err != nil {
		t.Fatal(err)
	}
	check := func(got meta.Object, err error) {
		t.Helper()
		if err != nil || got.ETag != o.ETag || got.Size != 3 || got.Key != "k" || got.Bucket != bucket || !got.Modified.Equal(o.Modified) {
			t.Errorf("%+v, %v, want %+v", got, err, o)
		}
	}
	check(s.CompletedUpload(bg, bucket, "k", up.UploadID))
	check(s.CompleteUpload(bg, req)) // the same again: the same answer, and nothing is done
	other := req
	other.Digests.ETag = "other"
	_, err = s.CompleteUpload(bg, other)
	wantKind(t, err, meta.KindNoSuchUpload)
	s.put("k", "later")
	check(s.CompleteUpload(bg, req))
	s.wantBody("k", "later")
	_, err = s.CompletedUpload(bg, bucket, "other", up.UploadID)
	wantKind(t, err, meta.KindNoSuchUpload)
	_, err = s.CompletedUpload(bg, "none", "k", up.UploadID)
	wantKind(t, err, meta.KindNoSuchBucket)
	s.clock.advance(23 * time.Hour)
	s.collect()
	check(s.CompletedUpload(bg, bucket, "k", up.UploadID))
	s.clock.advance(2 * time.Hour)
	s.collect()
	_, err = s.CompletedUpload(bg, bucket, "k", up.UploadID)
	wantKind(t, err, meta.KindNoSuchUpload)
}

func TestUploadErrors(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	up := s.createUpload("k")
	good := s.putPart(up, 1, "one")
	at := func(bucket, key, id string) meta.Upload { return meta.Upload{Bucket: bucket, Key: key, UploadID: id} }
	for what, c := range map[string]struct {
		up   meta.Upload
		want meta.Kind
	}{
		"another key":      {at(bucket, "other", up.UploadID), meta.KindNoSuchUpload},
		"another bucket":   {at("none", "k", up.UploadID), meta.KindNoSuchBucket},
		"unknown id":       {at(bucket, "k", strings.Repeat("0", 32)), meta.KindNoSuchUpload},
		"empty id":         {at(bucket, "k", ""), meta.KindNoSuchUpload},
		"id with a 0x00":   {at(bucket, "k", up.UploadID[:31]+"\x00"), meta.KindNoSuchUpload},
		"id in upper case": {at(bucket, "k", strings.ToUpper(up.UploadID)), meta.KindNoSuchUpload},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := s.Upload(bg, c.up.Bucket, c.up.Key, c.up.UploadID)
			wantKind(t, err, c.want)
			_, _, err = s.UploadParts(bg, c.up.Bucket, c.up.Key, c.up.UploadID, 0, 0)
			wantKind(t, err, c.want)
			_, err = s.PutPart(bg, c.up.Bucket, c.up.Key, c.up.UploadID, 1, 1, &payload{r: &untouched{t}})
			wantKind(t, err, c.want)
			wantKind(t, s.AbortUpload(bg, c.up.Bucket, c.up.Key, c.up.UploadID), c.want)
			_, err = s.CompleteUpload(bg, meta.CompleteRequest{Upload: c.up, Parts: []meta.Part{good}})
			wantKind(t, err, c.want)
			_, err = s.CompletedUpload(bg, c.up.Bucket, c.up.Key, c.up.UploadID)
			wantKind(t, err, c.want)
		})
	}
	for _, n := range []int{-1, 0, 10001, 1 << 20} {
		_, err := s.PutPart(bg, bucket, "k", up.UploadID, n, 1, &payload{r: &untouched{t}})
		wantKind(t, err, meta.KindInvalidPart)
	}
	_, err := s.PutPart(bg, bucket, "k", up.UploadID, 1, meta.MaxPutSize+1, &payload{r: &untouched{t}})
	wantKind(t, err, meta.KindEntityTooLarge)
	second := good
	second.Number = 2
	big := meta.Part{Number: 1, Size: meta.MaxObjectSize + 1, Extents: []meta.Extent{{Size: meta.MaxObjectSize + 1}}}
	for what, c := range map[string]struct {
		parts []meta.Part
		want  meta.Kind
	}{
		"none":        {nil, meta.KindInvalidPart},
		"descending":  {[]meta.Part{second, good}, meta.KindInvalidPart},
		"twice":       {[]meta.Part{good, good}, meta.KindInvalidPart},
		"number 0":    {[]meta.Part{{}}, meta.KindInvalidPart},
		"no extents":  {[]meta.Part{{Number: 1, Size: 1}}, meta.KindInvalidPart},
		"number high": {[]meta.Part{{Number: 10001}}, meta.KindInvalidPart},
		"too large":   {[]meta.Part{big}, meta.KindEntityTooLarge},
	} {
		req := s.chosen(up)
		req.Parts = c.parts
		if _, err := s.CompleteUpload(bg, req); meta.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	if got := s.count('m'); got != 0 {
		t.Errorf("%d manifest rows", got)
	}
}

func TestPutPartThatFails(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	up := s.createUpload("k")
	s.putPart(up, 1, "one")
	broken := newPayload("two")
	broken.fail = errors.New("cut")
	if _, err := s.PutPart(bg, bucket, "k", up.UploadID, 1, 3, broken); !errors.Is(err, broken.fail) {
		t.Errorf("%v", err)
	}
	s.hookPut(func() {
		if err := s.AbortUpload(bg, bucket, "k", up.UploadID); err != nil {
			t.Error(err)
		}
	})
	_, err := s.tryPutPart(up, 1, "three")
	wantKind(t, err, meta.KindNoSuchUpload)
	s.collect()
	if n := s.blobs(); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

func TestUploadPartsPages(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	up := s.createUpload("k")
	for n := 2; n <= 20; n += 2 {
		s.putPart(up, n, fmt.Sprint(n))
	}
	s.putPart(up, 10000, "last")
	for _, c := range []struct {
		after, limit int
		want         []int
	}{
		{0, 0, []int{2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 10000}},
		{-5, 3, []int{2, 4, 6}},
		{4, 2, []int{6, 8}},
		{5, 2, []int{6, 8}},
		{20, 5, []int{10000}},
		{10000, 5, nil},
		{1 << 30, 5, nil},
	} {
		got, parts, err := s.UploadParts(bg, bucket, "k", up.UploadID, c.after, c.limit)
		if err != nil || got.Revision != 11 {
			t.Fatalf("%+v, %v", got, err)
		}
		var numbers []int
		for _, p := range parts {
			numbers = append(numbers, p.Number)
		}
		if !slices.Equal(numbers, c.want) {
			t.Errorf("after %d, limit %d: %v, want %v", c.after, c.limit, numbers, c.want)
		}
	}
}

func TestCompleteConditionsAndConflict(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "old")
	up := s.createUpload("k")
	s.putPart(up, 1, "one")
	req := s.chosen(up)
	req.IfNoneMatch = "*"
	_, err := s.CompleteUpload(bg, req)
	wantKind(t, err, meta.KindPreconditionFailed)
	req = s.chosen(up)
	s.putPart(up, 2, "two")
	_, err = s.CompleteUpload(bg, req)
	wantKind(t, err, meta.KindConflict)
	s.wantBody("k", "old")
	req = s.chosen(up)
	req.IfMatch = etag("old")
	if _, err := s.CompleteUpload(bg, req); err != nil {
		t.Fatal(err)
	}
	s.wantBody("k", "onetwo")
	_, err = s.tryPutPart(up, 3, "three")
	wantKind(t, err, meta.KindNoSuchUpload)
}

func TestAbort(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	up := s.createUpload("k")
	for n := 1; n <= 250; n++ { // more than one step of the worker
		s.putPart(up, n, "x")
	}
	if err := s.AbortUpload(bg, bucket, "k", up.UploadID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.AbortUpload(bg, bucket, "k", up.UploadID), meta.KindNoSuchUpload)
	if n := s.count('g'); n != 1 {
		t.Errorf("%d garbage entries for one upload", n)
	}
	s.collect()
	if s.blobs() != 0 || s.count('p') != 0 || s.count('g') != 0 {
		t.Errorf("%d blobs, %d part rows, %d garbage entries are left", s.blobs(), s.count('p'), s.count('g'))
	}
}

// big makes an upload of n parts without writing n blobs one request at a time.
func (s *store) big(key string, n int) meta.Upload {
	s.t.Helper()
	up := s.createUpload(key)
	for i := 1; i <= n; i++ {
		s.putPart(up, i, fmt.Sprintf("part %05d\n", i))
	}
	return up
}

// An object of 10,000 parts: the commit stays within a transaction, reads find
// their place, and one garbage entry takes it all away.
func TestTenThousandParts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	up := s.big("k", meta.MaxParts)
	o := s.complete(up)
	const line = len("part 00001\n")
	if o.Size != int64(meta.MaxParts*line) || o.Parts != meta.MaxParts {
		t.Fatalf("object is %+v", o)
	}
	var want strings.Builder
	for i := 1; i <= meta.MaxParts; i++ {
		fmt.Fprintf(&want, "part %05d\n", i)
	}
	s.wantBody("k", want.String())
	r, err := s.OpenObject(bg, bucket, "k", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []int{1, 2, 350, 351, 352, 4999, 9999, 10000} {
		at := int64((part - 1) * line)
		wantRange(t, r, want.String(), at, int64(line))
		wantRange(t, r, want.String(), at+5, min(20, o.Size-at-5))
		parts, err := s.ObjectParts(bg, o, part-1, 1)
		if err != nil || len(parts) != 1 || parts[0].Number != part || parts[0].Offset != at || parts[0].Size != int64(line) {
			t.Fatalf("part %d is %+v, %v", part, parts, err)
		}
	}
	if parts, err := s.ObjectParts(bg, o, 9990, 0); err != nil || len(parts) != 10 {
		t.Errorf("%d parts above 9990, %v", len(parts), err)
	}
	if parts, err := s.ObjectParts(bg, o, 10000, 5); err != nil || len(parts) != 0 {
		t.Errorf("%d parts above 10000, %v", len(parts), err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	s.collect()
	if s.blobs() != meta.MaxParts || s.count('p') != 0 {
		t.Fatalf("%d blobs, %d part rows after completion", s.blobs(), s.count('p'))
	}
	before := s.db.updates.Load()
	s.remove("k")
	if n := s.db.updates.Load() - before; n != 1 {
		t.Errorf("deleting it took %d commits", n)
	}
	s.clock.advance(time.Hour)
	s.collect()
	if s.blobs() != 0 || s.count('m') != 0 {
		t.Errorf("%d blobs, %d manifest rows are left", s.blobs(), s.count('m'))
	}
}

// A completion that fails at any of its commits leaves the old object, and no
// rows once the upload has ended.
func TestCompleteFailsAtEveryCommit(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "old")
	up := s.createUpload("k")
	s.putPart(up, 1, "x")
	req := s.chosen(up)
	first := req.Parts[0]
	req.Parts = nil
	for n := 1; n <= meta.MaxParts; n++ { // parts of one blob: only the manifest counts here
		p := first
		p.Number, p.Size, p.Extents = n, 0, nil
		if n == 1 {
			p = first
		}
		p.Checksum.Value = strings.Repeat("c", 100)
		req.Parts = append(req.Parts, p)
	}
	commits := 0
	for n := int64(1); ; n++ {
		s.db.fail(&s.db.before, n, metadb.ErrNoSpace)
		_, err := s.CompleteUpload(bg, req)
		s.db.heal()
		if err == nil {
			break
		}
		wantKind(t, err, meta.KindNoSpace)
		s.wantBody("k", "old")
		commits++
	}
	if commits < 3 {
		t.Errorf("10,000 parts took %d commits: the test does not reach the middle", commits)
	}
	s.wantBody("k", "x")
}

// A condition that comes to fail after it was first checked fails in the commit.
func TestCompleteConditionFailsInCommit(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	up := s.createUpload("k")
	s.putPart(up, 1, "x")
	req := s.chosen(up)
	req.IfNoneMatch = "*"
	first := true
	other := func() error {
		if first {
			first = false
			s.put("k", "other")
		}
		return nil
	}
	s.db.before.Store(&other)
	_, err := s.CompleteUpload(bg, req)
	wantKind(t, err, meta.KindPreconditionFailed)
	s.wantBody("k", "other")
}

// A manifest whose completion was overtaken goes with the upload.
func TestOvertakenCompletion(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	up := s.createUpload("k")
	s.putPart(up, 1, "x")
	// One sorts below the manifest that is kept, one above it.
	orphans := [][]byte{metadb.ManifestKey(up.UploadID, "0000000000000000", 1), metadb.ManifestKey(up.UploadID, "ffffffffffffffff", 1)}
	row, _, err := metadb.MarshalManifestChunk(s.chosen(up).Parts)
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.Update(bg, func(tx metadb.Tx) error { return errors.Join(tx.Set(orphans[0], row), tx.Set(orphans[1], row)) })
	if err != nil {
		t.Fatal(err)
	}
	s.complete(up)
	s.collect()
	for _, orphan := range orphans {
		if _, ok := s.rows()[string(orphan)]; ok {
			t.Errorf("the row of an unused manifest, %q, is left", orphan)
		}
	}
	s.wantBody("k", "x")
}

func TestOverwriteMultipart(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.assemble("k", []string{"a", "b"})
	s.assemble("k", []string{"cc", "dd"})
	s.wantBody("k", "ccdd")
	s.put("k", "plain")
	s.wantBody("k", "plain")
	s.assemble("k", []string{"e"})
	s.wantBody("k", "e")
	if u, err := s.Usage(bg, bucket); err != nil || u != (meta.Usage{Objects: 1, Bytes: 1}) {
		t.Errorf("usage %+v, %v", u, err)
	}
	s.clock.advance(time.Hour)
	s.collect()
	if n := s.blobs(); n != 1 {
		t.Errorf("%d blobs", n)
	}
	s.wantBody("k", "e")
}

// The parts of an object that was replaced and collected are a conflict, not a
// wrong answer.
func TestObjectPartsOfReplacedObject(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	o := s.assemble("k", []string{"a", "b"})
	s.put("k", "plain")
	if parts, err := s.ObjectParts(bg, o, 0, 0); err != nil || len(parts) != 2 {
		t.Errorf("within the grace: %d parts, %v", len(parts), err)
	}
	s.clock.advance(time.Hour)
	s.collect()
	_, err := s.ObjectParts(bg, o, 0, 0)
	wantKind(t, err, meta.KindConflict)
	plain, err := s.Object(bg, bucket, "k", "")
	if err != nil {
		t.Fatal(err)
	}
	if parts, err := s.ObjectParts(bg, plain, 0, 0); err != nil || parts != nil {
		t.Errorf("an object in one piece has parts %v, %v", parts, err)
	}
}

// Parts are opened one at a time, as the reader comes to them.
func TestPartsAreOpenedLazily(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.assemble("k", []string{"aa", "bb", "cc"})
	r, err := s.OpenObject(bg, bucket, "k", "")
	if err != nil {
		t.Fatal(err)
	}
	rc, err := r.Range(bg, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for b := make([]byte, 1); ; {
		open := int64(0)
		for _, v := range s.volumes {
			open += v.opens.Load()
		}
		if open > 1 {
			t.Fatalf("%d blobs are open", open)
		}
		_, err := rc.Read(b)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[0])
	}
	if string(got) != "abbc" {
		t.Errorf("read %q", got)
	}
	if err := errors.Join(rc.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
}
