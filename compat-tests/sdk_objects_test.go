package compattests

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// sizes are those around the borders of what the store may treat differently.
func sizes() []int {
	return []int{0, 1, 100, 4 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 5, 9<<20 + 1}
}

// Covers: CreateBucket, HeadBucket, ListBuckets, DeleteBucket, GetBucketLocation.
func TestSDKBuckets(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		names := []string{"alpha", "alpha-2", "beta", "gamma.dotted", "kappa-" + fmt.Sprint(time.Now().Unix())}
		for _, name := range names {
			bucket(t, c, name)
		}
		_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("alpha"),
			CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}})
		wantCode(t, "create again", err, "BucketAlreadyOwnedByYou", http.StatusConflict)
		for _, bad := range []string{"ab", "Upper", "under_score", "1.2.3.4", "get", "set", "delete", "end-", "xn--x"} {
			_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bad})
			wantCode(t, "create "+bad, err, "InvalidBucketName", http.StatusBadRequest)
		}
		var listed []string
		for pages := s3.NewListBucketsPaginator(c, &s3.ListBucketsInput{MaxBuckets: aws.Int32(2)}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Buckets) > 2 {
				t.Errorf("a page of %d buckets, at most 2 asked for", len(page.Buckets))
			}
			for _, b := range page.Buckets {
				listed = append(listed, *b.Name)
				if age := time.Since(*b.CreationDate); age < -time.Minute || age > time.Hour {
					t.Errorf("%s was created %v ago", *b.Name, age)
				}
			}
		}
		// The bucket of the native API may exist from the start.
		listed = slices.DeleteFunc(listed, func(s string) bool { return s == "kv" })
		if !slices.Equal(listed, names) {
			t.Errorf("listed %v, want %v", listed, names)
		}
		out, err := c.ListBuckets(ctx, &s3.ListBucketsInput{Prefix: aws.String("alpha")})
		if err != nil || len(out.Buckets) != 2 {
			t.Errorf("prefix alpha lists %+v, %v", out, err)
		}
		loc, err := c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String("beta")})
		if err != nil || string(loc.LocationConstraint) != region {
			t.Errorf("location %+v, %v, want %s", loc, err, region)
		}
		head, err := c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("beta")})
		if err != nil || aws.ToString(head.BucketRegion) != region {
			t.Errorf("head %+v, %v", head, err)
		}
		put(t, c, "beta", "x", nil)
		_, err = c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("beta")})
		wantCode(t, "delete a bucket in use", err, "BucketNotEmpty", http.StatusConflict)
		if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("beta"), Key: aws.String("x")}); err != nil {
			t.Error(err)
		}
		if _, err = c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("beta")}); err != nil {
			t.Error(err)
		}
		_, err = c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("beta")})
		wantCode(t, "head of no bucket", err, "NotFound", http.StatusNotFound)
		_, err = c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("beta")})
		wantCode(t, "delete no bucket", err, "NoSuchBucket", http.StatusNotFound)
		_, err = c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("beta"), Key: aws.String("x"), Body: bytes.NewReader(nil)})
		wantCode(t, "put into no bucket", err, "NoSuchBucket", http.StatusNotFound)
	})
}

// Covers: PutObject, GetObject, HeadObject, DeleteObject.
func TestSDKObjects(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		b := bucket(t, c, "objects")
		for _, size := range sizes() {
			key, body := fmt.Sprintf("size/%d", size), content(fmt.Sprint("sdk", size), size)
			meta := map[string]string{"color": "blue", "size": fmt.Sprint(size)}
			out, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: &key, Body: bytes.NewReader(body), Metadata: meta,
				ContentType: aws.String("text/x-test"), CacheControl: aws.String("max-age=7"), ContentLanguage: aws.String("de"),
				ContentDisposition: aws.String(`attachment; filename="x y"`), ContentEncoding: aws.String("identity")})
			if err != nil {
				t.Fatalf("put %s: %v", key, err)
			}
			if aws.ToString(out.ETag) != etagOf(body) {
				t.Errorf("put %s: ETag %s, want %s", key, aws.ToString(out.ETag), etagOf(body))
			}
			got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatalf("get %s: %v", key, err)
			}
			sameBytes(t, key, drain(t, got.Body), body)
			head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatalf("head %s: %v", key, err)
			}
			for what, pair := range map[string][2]string{
				"ETag":                {aws.ToString(got.ETag), aws.ToString(head.ETag)},
				"Content-Type":        {aws.ToString(got.ContentType), "text/x-test"},
				"Cache-Control":       {aws.ToString(head.CacheControl), "max-age=7"},
				"Content-Language":    {aws.ToString(got.ContentLanguage), "de"},
				"Content-Disposition": {aws.ToString(got.ContentDisposition), `attachment; filename="x y"`},
				"Content-Encoding":    {aws.ToString(head.ContentEncoding), "identity"},
				"CRC32":               {aws.ToString(got.ChecksumCRC32), aws.ToString(out.ChecksumCRC32)},
				"CRC32 of HEAD":       {aws.ToString(head.ChecksumCRC32), aws.ToString(out.ChecksumCRC32)},
				"Accept-Ranges":       {aws.ToString(head.AcceptRanges), "bytes"},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: %s %q, want %q", key, what, pair[0], pair[1])
				}
			}
			if !maps.Equal(got.Metadata, meta) || !maps.Equal(head.Metadata, meta) {
				t.Errorf("%s: metadata %v and %v, want %v", key, got.Metadata, head.Metadata, meta)
			}
			if aws.ToInt64(head.ContentLength) != int64(size) || aws.ToInt64(got.ContentLength) != int64(size) {
				t.Errorf("%s: lengths %d, %d", key, aws.ToInt64(head.ContentLength), aws.ToInt64(got.ContentLength))
			}
		}
		testOverwriteAndDelete(t, c, b)
	})
}

func testOverwriteAndDelete(t *testing.T, c *s3.Client, b string) {
	t.Helper()
	key := "again"
	for i, size := range []int{3 << 20, 10, 2 << 20, 0} {
		body := content(fmt.Sprint("again", i), size)
		put(t, c, b, key, body)
		sameBytes(t, "overwritten", get(t, c, b, key), body)
	}
	for range 2 { // a delete of what is not there succeeds
		if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: &key}); err != nil {
			t.Error(err)
		}
		_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: &key})
		wantCode(t, "get what is deleted", err, "NoSuchKey", http.StatusNotFound)
		_, err = c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &b, Key: &key})
		wantCode(t, "head what is deleted", err, "NotFound", http.StatusNotFound)
	}
}

// Covers: GetObject.
func TestSDKRanges(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		b := bucket(t, c, "ranges")
		for _, size := range []int{1000, 200_000, 3<<20 + 17} {
			key, body := fmt.Sprint(size), content(fmt.Sprint("range", size), size)
			put(t, c, b, key, body)
			for _, r := range []struct{ from, to int }{{0, 0}, {0, 99}, {1, 2}, {size - 1, size - 1}, {500, size - 1}, {size / 2, size/2 + 300},
				{0, size - 1}, {min(65535, size-1), min(65536, size-1)}, {size / 3, 2 * size / 3}} {
				header := fmt.Sprintf("bytes=%d-%d", r.from, r.to)
				out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key, Range: &header})
				if err != nil {
					t.Fatalf("%s of %s: %v", header, key, err)
				}
				sameBytes(t, header+" of "+key, drain(t, out.Body), body[r.from:r.to+1])
				if want := fmt.Sprintf("bytes %d-%d/%d", r.from, r.to, size); aws.ToString(out.ContentRange) != want {
					t.Errorf("Content-Range %q, want %q", aws.ToString(out.ContentRange), want)
				}
			}
			for header, want := range map[string][]byte{"bytes=-7": body[size-7:], "bytes=900-": body[900:], "bytes=990-99999999": body[990:],
				"bytes=-99999999": body, "bytes=x-": body, "lines=1-2": body, "bytes=5-2": body} {
				out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key, Range: &header})
				if err != nil {
					t.Errorf("%s of %s: %v", header, key, err)
					continue
				}
				sameBytes(t, header+" of "+key, drain(t, out.Body), want)
			}
			for _, header := range []string{fmt.Sprintf("bytes=%d-", size), "bytes=99999999-", "bytes=-0"} {
				_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key, Range: &header})
				wantCode(t, header, err, "InvalidRange", http.StatusRequestedRangeNotSatisfiable)
			}
		}
	})
}

// Covers: PutObject, GetObject.
func TestSDKConditions(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		b, key := bucket(t, c, "conditions"), "k"
		putIf := func(match, noneMatch *string) error {
			_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: &key, Body: bytes.NewReader([]byte("v2")), IfMatch: match, IfNoneMatch: noneMatch})
			return err
		}
		wantCode(t, "If-Match on no object", putIf(aws.String(`"abc"`), nil), "NoSuchKey", http.StatusNotFound)
		if err := putIf(nil, aws.String("*")); err != nil {
			t.Errorf("If-None-Match on no object: %v", err)
		}
		wantCode(t, "If-None-Match on an object", putIf(nil, aws.String("*")), "PreconditionFailed", http.StatusPreconditionFailed)
		wantCode(t, "If-Match of another", putIf(aws.String(`"abc"`), nil), "PreconditionFailed", http.StatusPreconditionFailed)
		if err := putIf(aws.String(etagOf([]byte("v2"))), nil); err != nil {
			t.Errorf("If-Match of the present: %v", err)
		}
		etag, past, future := etagOf([]byte("v2")), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		for _, tc := range []struct {
			what   string
			in     s3.GetObjectInput
			status int
			code   string
		}{
			{"If-Match", s3.GetObjectInput{IfMatch: &etag}, 0, ""},
			{"If-Match of another", s3.GetObjectInput{IfMatch: aws.String(`"x"`)}, 412, "PreconditionFailed"},
			{"If-None-Match", s3.GetObjectInput{IfNoneMatch: &etag}, 304, "NotModified"},
			{"If-None-Match of another", s3.GetObjectInput{IfNoneMatch: aws.String(`"x"`)}, 0, ""},
			{"If-Modified-Since the past", s3.GetObjectInput{IfModifiedSince: &past}, 0, ""},
			{"If-Modified-Since now", s3.GetObjectInput{IfModifiedSince: aws.Time(time.Now().Add(2 * time.Second))}, 304, "NotModified"},
			{"If-Unmodified-Since the past", s3.GetObjectInput{IfUnmodifiedSince: &past}, 412, "PreconditionFailed"},
			{"If-Unmodified-Since the future", s3.GetObjectInput{IfUnmodifiedSince: &future}, 0, ""},
			{"If-Match wins over If-Unmodified-Since", s3.GetObjectInput{IfMatch: &etag, IfUnmodifiedSince: &past}, 0, ""},
			{"If-None-Match wins over If-Modified-Since", s3.GetObjectInput{IfNoneMatch: &etag, IfModifiedSince: &past}, 304, "NotModified"},
		} {
			tc.in.Bucket, tc.in.Key = &b, &key
			out, err := c.GetObject(ctx, &tc.in)
			if tc.status != 0 {
				wantCode(t, tc.what, err, tc.code, tc.status)
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", tc.what, err)
				continue
			}
			sameBytes(t, tc.what, drain(t, out.Body), []byte("v2"))
		}
	})
}

// Covers: PutObject, GetObject, HeadObject.
func TestSDKChecksums(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		endpoint, trusting := d.tlsFront(t)
		plain := d.sdk(t)
		overTLS := d.sdk(t, func(o *s3.Options) { o.BaseEndpoint, o.HTTPClient = &endpoint, trusting })
		b := bucket(t, plain, "checksums")
		for name, c := range map[string]*s3.Client{"header": plain, "trailer": overTLS} {
			for _, algorithm := range types.ChecksumAlgorithm("").Values() {
				if !slices.Contains([]string{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"}, string(algorithm)) {
					continue
				}
				testChecksum(t, c, b, name, algorithm)
			}
			// What the SDK does when nobody asks for anything, with bodies of several chunks too.
			for _, size := range []int{0, 1, 100_000, 5<<20 + 3} {
				body := content(name+fmt.Sprint(size), size)
				put(t, c, b, "default", body)
				sameBytes(t, name+": default checksum", get(t, c, b, "default"), body)
			}
		}
		testWrongChecksums(t, plain, b)
	})
}

func testChecksum(t *testing.T, c *s3.Client, b, name string, algorithm types.ChecksumAlgorithm) {
	t.Helper()
	what, body := fmt.Sprintf("%s in %s", algorithm, name), content(string(algorithm), 150_000)
	out, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: &what, Body: bytes.NewReader(body), ChecksumAlgorithm: algorithm})
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	// The SDK checks the bytes against the answer's checksum itself when it is asked for one.
	got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: &what, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	sameBytes(t, what, drain(t, got.Body), body)
	sent := []*string{out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA1, out.ChecksumSHA256}
	back := []*string{got.ChecksumCRC32, got.ChecksumCRC32C, got.ChecksumCRC64NVME, got.ChecksumSHA1, got.ChecksumSHA256}
	set := 0
	for i := range sent {
		if aws.ToString(sent[i]) != aws.ToString(back[i]) {
			t.Errorf("%s: PUT answered %q, GET %q", what, aws.ToString(sent[i]), aws.ToString(back[i]))
		}
		if sent[i] != nil {
			set++
		}
	}
	if set != 1 || got.ChecksumType != types.ChecksumTypeFullObject {
		t.Errorf("%s: %d checksums returned, type %q", what, set, got.ChecksumType)
	}
}

// testWrongChecksums sends sums of other bytes: each is refused, and what was there stays.
func testWrongChecksums(t *testing.T, c *s3.Client, b string) {
	t.Helper()
	key, old := "guarded", []byte("the old one")
	put(t, c, b, key, old)
	for what, in := range map[string]*s3.PutObjectInput{
		"CRC32":     {ChecksumCRC32: aws.String("AAAAAA==")},
		"CRC32C":    {ChecksumCRC32C: aws.String("AAAAAA==")},
		"CRC64NVME": {ChecksumCRC64NVME: aws.String("AAAAAAAAAAA=")},
		"SHA1":      {ChecksumSHA1: aws.String("2jmj7l5rSw0yVb/vlWAYkK/YBwk=")},
		"SHA256":    {ChecksumSHA256: aws.String("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")},
		"MD5":       {ContentMD5: aws.String("1B2M2Y8AsgTpgAmY7PhCfg==")},
	} {
		for _, size := range []int{10, 2 << 20} {
			in.Bucket, in.Key, in.Body = &b, &key, bytes.NewReader(content(what, size))
			_, err := c.PutObject(t.Context(), in)
			wantCode(t, "wrong "+what, err, "BadDigest", http.StatusBadRequest)
		}
	}
	sameBytes(t, "after refused overwrites", get(t, c, b, key), old)
}

func TestSDKAwkwardKeys(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		b, other := bucket(t, c, "awkward"), bucket(t, c, "awkward-copies")
		keys := append(awkwardKeys(), controlKeys()...)
		for _, key := range keys {
			put(t, c, b, key, []byte("body of "+key))
		}
		for _, key := range keys {
			sameBytes(t, fmt.Sprintf("key %q", key), get(t, c, b, key), []byte("body of "+key))
			source := url.QueryEscape(b + "/" + key) // which escapes "+", as the header needs
			if _, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &other, Key: &key, CopySource: &source}); err != nil {
				t.Errorf("copy %q: %v", key, err)
				continue
			}
			sameBytes(t, fmt.Sprintf("copy of %q", key), get(t, c, other, key), []byte("body of "+key))
		}
		slices.Sort(keys)
		if got := listAll(t, c, b); !slices.Equal(got, keys) {
			t.Errorf("listed %d keys, want %d:\n%q\n%q", len(got), len(keys), got, keys)
		}
		var ids []types.ObjectIdentifier
		for _, key := range awkwardKeys() {
			ids = append(ids, types.ObjectIdentifier{Key: &key})
		}
		out, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &b, Delete: &types.Delete{Objects: ids}})
		if err != nil || len(out.Errors) > 0 || len(out.Deleted) != len(ids) {
			t.Errorf("delete objects: %+v, %v", out, err)
		}
		for _, key := range controlKeys() {
			if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b, Key: &key}); err != nil {
				t.Errorf("delete %q: %v", key, err)
			}
		}
		if rest := listAll(t, c, b); len(rest) > 0 {
			t.Errorf("left after all was deleted: %q", rest)
		}
		for what, key := range map[string]string{"too long": string(bytes.Repeat([]byte("k"), 1025))} {
			_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: &key, Body: bytes.NewReader(nil)})
			wantCode(t, what, err, "KeyTooLongError", http.StatusBadRequest)
		}
	})
}

// listAll returns all keys of a bucket, asked for in the encoding that can hold any.
func listAll(t testing.TB, c *s3.Client, b string) []string {
	t.Helper()
	keys := []string{}
	for pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &b, EncodingType: types.EncodingTypeUrl}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			key, err := url.QueryUnescape(*o.Key)
			if err != nil {
				t.Fatalf("listed key %q: %v", *o.Key, err)
			}
			keys = append(keys, key)
		}
	}
	return keys
}

func TestSDKVirtualHostStyle(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		_, port, _ := bytes.Cut([]byte(d.addr), []byte(":"))
		endpoint := "http://" + domain + ":" + string(port)
		hosted := d.sdk(t, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = &endpoint, false })
		b, path := bucket(t, hosted, "hosted"), d.sdk(t)
		// Below a bucket's own host, the paths of the native API and of the store's own pages are keys like any other.
		keys := []string{"k", "a//b", "../x", "hosted/x", "😀 +%", "get/x", "set/x", "-/healthz"}
		for _, key := range keys {
			put(t, hosted, b, key, []byte(key))
			sameBytes(t, key, get(t, path, b, key), []byte(key))
			sameBytes(t, key, get(t, hosted, b, key), []byte(key))
		}
		if got := listAll(t, hosted, b); len(got) != len(keys) {
			t.Errorf("listed %q", got)
		}
	})
}

func TestSDKPresigned(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx, web := d.sdk(t), t.Context(), d.httpClient(t, 4)
		b, signer := bucket(t, c, "presigned"), s3.NewPresignClient(c)
		for _, key := range []string{"plain", "a//b", "../x y+z", "😀?&=#"} {
			body := content(key, 70_000)
			up, err := signer.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: &key, ContentType: aws.String("image/x")})
			if err != nil {
				t.Fatal(err)
			}
			if a := call(t, web, up.Method, up.URL, body, "Content-Type", "image/x"); a.status != 200 {
				t.Errorf("presigned PUT of %q: %v", key, a)
			}
			down, err := signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key, ResponseContentType: aws.String("text/x-other")})
			if err != nil {
				t.Fatal(err)
			}
			a := call(t, web, down.Method, down.URL, nil)
			sameBytes(t, "presigned GET of "+key, a.body, body)
			if ct := a.header.Get("Content-Type"); a.status != 200 || ct != "text/x-other" {
				t.Errorf("presigned GET of %q: status %d, type %s", key, a.status, ct)
			}
			if a := call(t, web, http.MethodPut, down.URL, body); a.status != 403 {
				t.Errorf("a URL signed for GET used for PUT: %v", a)
			}
			if a := call(t, web, http.MethodGet, down.URL+"0", nil); a.status != 403 {
				t.Errorf("a URL with a changed signature: %v", a)
			}
		}
		key := "plain"
		short, err := signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key}, s3.WithPresignExpires(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2100 * time.Millisecond) // the expiry is what is tested, and the store's clock cannot be faked from here
		a := call(t, web, http.MethodGet, short.URL, nil)
		if a.status != 403 || !bytes.Contains(a.body, []byte("<Code>AccessDenied</Code>")) || !bytes.Contains(a.body, []byte("expired")) {
			t.Errorf("an expired URL: %v", a)
		}
	})
}

// Covers: CopyObject.
func TestSDKCopy(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		b, other := bucket(t, c, "copies"), bucket(t, c, "copies-2")
		for _, size := range []int{0, 1000, 3 << 20} {
			key, body := fmt.Sprint(size), content(fmt.Sprint("copy", size), size)
			if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: &key, Body: bytes.NewReader(body),
				ContentType: aws.String("text/x-a"), Metadata: map[string]string{"m": "1"}}); err != nil {
				t.Fatal(err)
			}
			source := b + "/" + key
			out, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &other, Key: &key, CopySource: &source})
			if err != nil || aws.ToString(out.CopyObjectResult.ETag) != etagOf(body) {
				t.Fatalf("copy: %+v, %v", out, err)
			}
			wantCopy(t, c, other, key, body, "text/x-a", "1")
			_, err = c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &other, Key: &key, CopySource: &source,
				MetadataDirective: types.MetadataDirectiveReplace, ContentType: aws.String("text/x-b"), Metadata: map[string]string{"m": "2"}})
			if err != nil {
				t.Fatal(err)
			}
			wantCopy(t, c, other, key, body, "text/x-b", "2")
			_, err = c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &b, Key: &key, CopySource: &source})
			wantCode(t, "copy onto itself without a change", err, "InvalidRequest", http.StatusBadRequest)
			_, err = c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &b, Key: &key, CopySource: &source,
				MetadataDirective: types.MetadataDirectiveReplace, ContentType: aws.String("text/x-c"), Metadata: map[string]string{"m": "3"}})
			if err != nil {
				t.Errorf("copy onto itself with new metadata: %v", err)
			}
			wantCopy(t, c, b, key, body, "text/x-c", "3")
			_, err = c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &other, Key: &key, CopySource: &source, CopySourceIfMatch: aws.String(`"x"`)})
			wantCode(t, "copy-source-if-match", err, "PreconditionFailed", http.StatusPreconditionFailed)
		}
		_, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &b, Key: aws.String("y"), CopySource: aws.String(b + "/none")})
		wantCode(t, "copy of nothing", err, "NoSuchKey", http.StatusNotFound)
		_, err = c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &b, Key: aws.String("y"), CopySource: aws.String("no-such-bucket/none")})
		wantCode(t, "copy from no bucket", err, "NoSuchBucket", http.StatusNotFound)
	})
}

func wantCopy(t *testing.T, c *s3.Client, b, key string, body []byte, contentType, m string) {
	t.Helper()
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, "copy "+key, got, body)
	if aws.ToString(out.ContentType) != contentType || out.Metadata["m"] != m {
		t.Errorf("copy %s: type %s, metadata %v, want %s and m=%s", key, aws.ToString(out.ContentType), out.Metadata, contentType, m)
	}
}
