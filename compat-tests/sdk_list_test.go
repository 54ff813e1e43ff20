package compattests

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// listedKeys is a small tree with everything that makes listings go wrong: a key that is also a prefix, prefixes of
// prefixes, keys on both sides of the delimiter in byte order, doubled delimiters, and many keys under one prefix.
func listedKeys() []string {
	keys := []string{"a", "a/", "a/1", "a/2", "a-", "a0", "a//x", "a//y", "b", "b/c/d", "b/c/e", "b/d", "top", "é/1", "é/2", "z//", "z/a/b", "😀"}
	for i := range 60 {
		keys = append(keys, fmt.Sprintf("many/%03d", i), fmt.Sprintf("deep/%02d/x/%d", i%20, i))
	}
	slices.Sort(keys)
	return keys
}

// expectedListing is what a listing must give, computed from its definition: the keys of the prefix after start, those
// with a further delimiter rolled up into common prefixes.
func expectedListing(keys []string, prefix, delimiter, start string) []string {
	var entries []string
	for _, key := range keys {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok || key <= start {
			continue
		}
		entry := key
		if head, _, found := strings.Cut(rest, delimiter); delimiter != "" && found {
			entry = prefix + head + delimiter
		}
		if len(entries) == 0 || entries[len(entries)-1] != entry {
			entries = append(entries, entry)
		}
	}
	return entries
}

// Covers: ListObjects, ListObjectsV2.
func TestSDKListings(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c := d.sdk(t)
		b, keys := bucket(t, c, "listings"), listedKeys()
		putAll(t, c, b, keys)
		for _, prefix := range []string{"", "a", "a/", "a//", "many/", "many/01", "deep/", "b/c", "é", "none", "z/"} {
			for _, delimiter := range []string{"", "/", "//", "a", "0"} {
				want := expectedListing(keys, prefix, delimiter, "")
				for _, size := range []int32{1, 3, 7, 1000} {
					if size == 1 && len(want) > 30 {
						continue // nothing that the others do not show, at many times the cost
					}
					what := fmt.Sprintf("prefix %q, delimiter %q, pages of %d", prefix, delimiter, size)
					if got := listV2(t, c, b, prefix, delimiter, size); !slices.Equal(got, want) {
						t.Errorf("version 2, %s:\n got %q\nwant %q", what, got, want)
					}
					if got := listV1(t, c, b, prefix, delimiter, size); !slices.Equal(got, want) {
						t.Errorf("version 1, %s:\n got %q\nwant %q", what, got, want)
					}
				}
			}
		}
		for _, start := range []string{"a", "a/1", "a/zzz", "many/030", "m", "zzzz", "a//"} {
			out, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &b, StartAfter: &start})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := merged(out.Contents, nil), expectedListing(keys, "", "", start); !slices.Equal(got, want) {
				t.Errorf("start-after %q:\n got %q\nwant %q", start, got, want)
			}
		}
		testListingDetails(t, c, b, len(keys))
	})
}

// testListingDetails checks the fields of a listing that no walk over pages looks at.
func testListingDetails(t *testing.T, c *s3.Client, b string, keys int) {
	t.Helper()
	ctx := t.Context()
	out, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b, FetchOwner: aws.Bool(true), MaxKeys: aws.Int32(5000)})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToInt32(out.MaxKeys) != 1000 || int(aws.ToInt32(out.KeyCount)) != keys || aws.ToBool(out.IsTruncated) || aws.ToString(out.Name) != b {
		t.Errorf("max-keys %d, key-count %d, truncated %v, name %q", aws.ToInt32(out.MaxKeys), aws.ToInt32(out.KeyCount),
			aws.ToBool(out.IsTruncated), aws.ToString(out.Name))
	}
	for _, o := range out.Contents {
		if body := []byte("of " + *o.Key); aws.ToString(o.ETag) != etagOf(body) || aws.ToInt64(o.Size) != int64(len(body)) || o.Owner == nil ||
			o.LastModified == nil || o.StorageClass != types.ObjectStorageClassStandard {
			t.Errorf("listed %+v", o)
		}
	}
	none, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b, MaxKeys: aws.Int32(0)})
	if err != nil || len(none.Contents) != 0 || aws.ToBool(none.IsTruncated) {
		t.Errorf("max-keys 0: %+v, %v", none, err)
	}
	_, err = c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b, MaxKeys: aws.Int32(-1)})
	wantCode(t, "max-keys -1", err, "InvalidArgument", http.StatusBadRequest)
	_, err = c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b, ContinuationToken: aws.String("made up")})
	wantCode(t, "a made-up token", err, "InvalidArgument", http.StatusBadRequest)
	_, err = c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("no-such-bucket")})
	wantCode(t, "no bucket", err, "NoSuchBucket", http.StatusNotFound)
}

// putAll stores an object under each key, several at once.
func putAll(t testing.TB, c *s3.Client, b string, keys []string) {
	t.Helper()
	var wg sync.WaitGroup
	work := make(chan string)
	for range 8 {
		wg.Go(func() {
			for key := range work {
				if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: &key, Body: bytes.NewReader([]byte("of " + key))}); err != nil {
					t.Errorf("put %q: %v", key, err)
				}
			}
		})
	}
	for _, key := range keys {
		work <- key
	}
	close(work)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// merged joins the keys and the common prefixes of a page into one ordered list.
func merged(contents []types.Object, prefixes []types.CommonPrefix) []string {
	var entries []string
	for _, o := range contents {
		entries = append(entries, *o.Key)
	}
	for _, p := range prefixes {
		entries = append(entries, *p.Prefix)
	}
	slices.Sort(entries)
	return entries
}

// listV2 walks all pages of a listing of version 2.
func listV2(t testing.TB, c *s3.Client, b, prefix, delimiter string, size int32) []string {
	t.Helper()
	in := &s3.ListObjectsV2Input{Bucket: &b, Prefix: &prefix, MaxKeys: &size}
	if delimiter != "" {
		in.Delimiter = &delimiter
	}
	var entries []string
	for {
		out, err := c.ListObjectsV2(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		page := merged(out.Contents, out.CommonPrefixes)
		if len(page) > int(size) || int(aws.ToInt32(out.KeyCount)) != len(page) {
			t.Fatalf("a page of %d entries, key-count %d, max-keys %d", len(page), aws.ToInt32(out.KeyCount), size)
		}
		entries = append(entries, page...)
		if !aws.ToBool(out.IsTruncated) {
			return entries
		}
		if in.ContinuationToken = out.NextContinuationToken; in.ContinuationToken == nil || len(page) == 0 {
			t.Fatalf("a truncated page of %d entries with the token %q", len(page), aws.ToString(in.ContinuationToken))
		}
	}
}

// listV1 walks all pages of a listing of version 1, which gives NextMarker only for a listing with a delimiter.
func listV1(t testing.TB, c *s3.Client, b, prefix, delimiter string, size int32) []string {
	t.Helper()
	in := &s3.ListObjectsInput{Bucket: &b, Prefix: &prefix, MaxKeys: &size}
	if delimiter != "" {
		in.Delimiter = &delimiter
	}
	var entries []string
	for {
		out, err := c.ListObjects(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		page := merged(out.Contents, out.CommonPrefixes)
		if len(page) > int(size) {
			t.Fatalf("a page of %d entries, max-keys %d", len(page), size)
		}
		entries = append(entries, page...)
		if !aws.ToBool(out.IsTruncated) {
			return entries
		}
		if len(page) == 0 {
			t.Fatal("an empty page that is truncated")
		}
		in.Marker = &page[len(page)-1]
		if delimiter != "" {
			if aws.ToString(out.NextMarker) != *in.Marker {
				t.Fatalf("NextMarker %q, the last entry is %q", aws.ToString(out.NextMarker), *in.Marker)
			}
		}
	}
}
