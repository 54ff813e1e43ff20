package master_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
)

// rolled is what a listing shows for a key: the key itself or a common prefix.
func rolled(key, prefix, delimiter string) (string, bool) {
	if delimiter != "" {
		if i := strings.Index(key[len(prefix):], delimiter); i >= 0 {
			return key[:len(prefix)+i+len(delimiter)], true
		}
	}
	return key, false
}

func samePage(got, want meta.ListPage) bool {
	return slices.Equal(got.Prefixes, want.Prefixes) && got.Truncated == want.Truncated && got.Next == want.Next &&
		slices.EqualFunc(got.Objects, want.Objects, func(a, b meta.Listed) bool { return a.Key == b.Key })
}

func randomKey(r *rand.Rand, alphabet string, longest int) string {
	b := make([]byte, 1+r.IntN(longest))
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// Pages put together are the whole listing, with nothing twice and nothing left
// out, whatever their size.
func TestListingPagesJoin(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i := range 40 {
		s.put(fmt.Sprintf("d%d/f%d", i%7, i), "x")
		s.put(fmt.Sprintf("top%02d", i), "x")
	}
	whole, err := s.ListObjects(bg, meta.ListRequest{Bucket: bucket, Delimiter: "/", Limit: 1000})
	if err != nil || whole.Truncated || len(whole.Prefixes) != 7 || len(whole.Objects) != 40 {
		t.Fatalf("%d prefixes, %d objects, %v", len(whole.Prefixes), len(whole.Objects), err)
	}
	for limit := 1; limit <= 48; limit++ {
		var joined meta.ListPage
		req := meta.ListRequest{Bucket: bucket, Delimiter: "/", Limit: limit}
		for {
			page, err := s.ListObjects(bg, req)
			if err != nil {
				t.Fatal(err)
			}
			joined.Prefixes = append(joined.Prefixes, page.Prefixes...)
			joined.Objects = append(joined.Objects, page.Objects...)
			if !page.Truncated {
				break
			}
			if len(page.Prefixes)+len(page.Objects) != limit {
				t.Fatalf("a truncated page of %d holds %d", limit, len(page.Prefixes)+len(page.Objects))
			}
			req.After = page.Next
		}
		if !samePage(joined, whole) {
			t.Fatalf("pages of %d join to %d prefixes, %d objects", limit, len(joined.Prefixes), len(joined.Objects))
		}
	}
}

func TestListingShows(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	o, err := s.PutObject(bg, meta.PutRequest{
		Bucket: bucket, Key: "k", Owner: "me", Size: 3,
		Attributes: meta.Attributes{Headers: meta.Headers{StorageClass: "GLACIER", ContentType: "x/y"}},
	}, newPayload("abc"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.ListObjects(bg, meta.ListRequest{Bucket: bucket, Limit: 1})
	if err != nil || len(page.Objects) != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	got := page.Objects[0]
	if got.Key != "k" || got.Size != 3 || got.ETag != o.ETag || !got.Modified.Equal(o.Modified) ||
		got.Owner != "me" || got.StorageClass != "GLACIER" || got.ChecksumAlgorithm != "CRC32" || got.ChecksumType != "FULL_OBJECT" {
		t.Errorf("listed as %+v, is %+v", got, o)
	}
}

func TestListingLimits(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i := range 1003 {
		s.put(fmt.Sprintf("%04d", i), "")
	}
	for _, c := range []struct {
		limit, want int
		truncated   bool
	}{{-1, 0, false}, {0, 0, false}, {1, 1, true}, {1000, 1000, true}, {5000, 1000, true}} {
		page, err := s.ListObjects(bg, meta.ListRequest{Bucket: bucket, Limit: c.limit})
		if err != nil || len(page.Objects) != c.want || page.Truncated != c.truncated {
			t.Errorf("limit %d: %d objects, truncated %v, %v", c.limit, len(page.Objects), page.Truncated, err)
		}
	}
	page, err := s.ListObjects(bg, meta.ListRequest{Bucket: bucket, Limit: 3, After: "0999"})
	if err != nil || len(page.Objects) != 3 || page.Truncated || page.Next != "" {
		t.Errorf("the last page is %+v, %v", page, err)
	}
	_, err = s.ListObjects(bg, meta.ListRequest{Bucket: "none", Limit: 0})
	wantKind(t, err, meta.KindNoSuchBucket)
	_, err = s.ListUploads(bg, meta.UploadsRequest{Bucket: "none", Limit: 0})
	wantKind(t, err, meta.KindNoSuchBucket)
}

// A page of common prefixes costs its entries, not the objects beneath them.
func TestListingSeeksPastPrefixes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	counted := s.countWork()
	for d := range 5 {
		for f := range 300 {
			s.put(fmt.Sprintf("d%d/%d", d, f), "")
		}
		s.createUpload(fmt.Sprintf("d%d/a", d))
		s.createUpload(fmt.Sprintf("d%d/b", d))
	}
	counted.work = work{}
	page, err := s.ListObjects(bg, meta.ListRequest{Bucket: bucket, Delimiter: "/", Limit: 1000})
	if err != nil || len(page.Prefixes) != 5 || counted.work.moves > 6 {
		t.Errorf("%d prefixes in %d moves, %v", len(page.Prefixes), counted.work.moves, err)
	}
	counted.work = work{}
	ups, err := s.ListUploads(bg, meta.UploadsRequest{Bucket: bucket, Delimiter: "/", Limit: 1000})
	if err != nil || len(ups.Prefixes) != 5 || counted.work.moves > 6 {
		t.Errorf("%d prefixes of uploads in %d moves, %v", len(ups.Prefixes), counted.work.moves, err)
	}
	if err := s.DeleteBucket(bg, bucket); meta.KindOf(err) != meta.KindBucketNotEmpty {
		t.Error(err)
	}
}

// modelUploads lists uploads the plain way.
func modelUploads(all []meta.Upload, req meta.UploadsRequest) (page meta.UploadsPage) {
	seen := map[string]bool{}
	var lastKey, lastID string
	n := 0
	for _, up := range all {
		if !strings.HasPrefix(up.Key, req.Prefix) {
			continue
		}
		show, isPrefix := rolled(up.Key, req.Prefix, req.Delimiter)
		after := show > req.KeyMarker || (show == req.KeyMarker && !isPrefix && req.UploadIDMarker != "" && up.UploadID > req.UploadIDMarker)
		if isPrefix && seen[show] || req.KeyMarker != "" && !after {
			continue
		}
		if n == req.Limit {
			page.Truncated = req.Limit > 0
			break
		}
		n++
		if isPrefix {
			seen[show] = true
			lastKey, lastID = show, ""
			page.Prefixes = append(page.Prefixes, show)
		} else {
			lastKey, lastID = up.Key, up.UploadID
			page.Uploads = append(page.Uploads, up)
		}
	}
	if page.Truncated {
		page.NextKeyMarker, page.NextUploadIDMarker = lastKey, lastID
	}
	return page
}

func TestUploadsListingModel(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := rand.New(rand.NewPCG(9, 10))
	const alphabet = "ab/\x00\xff"
	var all []meta.Upload
	for range 300 {
		s.clock.advance(time.Duration(r.IntN(3)) * time.Millisecond)
		all = append(all, s.createUpload(randomKey(r, alphabet, 4)))
	}
	slices.SortFunc(all, func(a, b meta.Upload) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), a.Initiated.Compare(b.Initiated), cmp.Compare(a.UploadID, b.UploadID))
	})
	pick := func(n int) string {
		if r.IntN(3) == 0 {
			return ""
		}
		return randomKey(r, alphabet, n)
	}
	for i := range 1000 {
		req := meta.UploadsRequest{Bucket: bucket, Prefix: pick(2), Delimiter: pick(1), KeyMarker: pick(4), Limit: r.IntN(9)}
		if r.IntN(2) == 0 {
			up := all[r.IntN(len(all))]
			req.KeyMarker, req.UploadIDMarker = up.Key, up.UploadID
		} else if r.IntN(5) == 0 {
			req.KeyMarker, req.UploadIDMarker = "", "zzz" // does not count without a key
		}
		for {
			got, err := s.ListUploads(bg, req)
			if err != nil {
				t.Fatal(err)
			}
			want := modelUploads(all, req)
			if !slices.Equal(got.Prefixes, want.Prefixes) || got.Truncated != want.Truncated || got.NextKeyMarker != want.NextKeyMarker ||
				got.NextUploadIDMarker != want.NextUploadIDMarker || len(got.Uploads) != len(want.Uploads) {
				t.Fatalf("case %d, %+v:\ngot  %+v\nwant %+v", i, req, got, want)
			}
			for j := range got.Uploads {
				a, b := got.Uploads[j], want.Uploads[j]
				if a.Key != b.Key || a.UploadID != b.UploadID || !a.Initiated.Equal(b.Initiated) || a.Owner != b.Owner || a.Bucket != bucket {
					t.Fatalf("case %d: upload %+v, want %+v", i, a, b)
				}
			}
			if !got.Truncated {
				break
			}
			req.KeyMarker, req.UploadIDMarker = got.NextKeyMarker, got.NextUploadIDMarker
		}
	}
}
