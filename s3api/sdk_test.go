package s3api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// sdk is a client of today's SDK with its defaults, checksums in trailers and
// all.
func (s *server) sdk(options ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		Region: region, BaseEndpoint: aws.String(s.http.URL), UsePathStyle: true,
		Credentials: credentialsProvider(), RetryMaxAttempts: 1, HTTPClient: s.client,
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}, options...)
}

func credentialsProvider() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(rootKey, rootSecret, "")
}

// wantCode fails unless err is an API error of this code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func body(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Covers: PutObject, GetObject, HeadObject, DeleteObject.
func TestSDKObjects(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, ctx := s.sdk(), t.Context()
	bkt := aws.String("bkt")
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bkt, CreateBucketConfiguration: &types.CreateBucketConfiguration{
		LocationConstraint: types.BucketLocationConstraint(region)}}); err != nil {
		t.Fatal(err)
	}
	_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bkt})
	var owned *types.BucketAlreadyOwnedByYou
	if !errors.As(err, &owned) {
		t.Errorf("got %v", err)
	}
	const key = "dir//a b+c/ü😀&<>?#%.txt"
	put, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bkt, Key: aws.String(key), Body: strings.NewReader("body"), ContentType: aws.String("text/plain"),
		Metadata: map[string]string{"Name": "value"}, Tagging: aws.String("a=b"), CacheControl: aws.String("no-cache")})
	if err != nil {
		t.Fatal(err)
	}
	if *put.ETag != etagOf("body") || aws.ToString(put.ChecksumCRC32) == "" || put.ChecksumType != types.ChecksumTypeFullObject {
		t.Errorf("put: %+v", put)
	}
	got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bkt, Key: aws.String(key)})
	if err != nil {
		t.Fatal(err)
	}
	if b := body(t, got.Body); b != "body" || *got.ETag != *put.ETag || got.Metadata["name"] != "value" || *got.ContentLength != 4 ||
		*got.TagCount != 1 || *got.ChecksumCRC32 != *put.ChecksumCRC32 || *got.CacheControl != "no-cache" {
		t.Errorf("get: %q %+v", b, got)
	}
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: bkt, Key: aws.String("none")})
	var noKey *types.NoSuchKey
	if !errors.As(err, &noKey) {
		t.Errorf("got %v", err)
	}
	_, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bkt, Key: aws.String("none")})
	var notFound *types.NotFound
	if !errors.As(err, &notFound) {
		t.Errorf("got %v", err)
	}
	_, err = c.PutObject(ctx, &s3.PutObjectInput{Bucket: bkt, Key: aws.String(key), Body: strings.NewReader("x"), IfNoneMatch: aws.String("*")})
	wantCode(t, err, "PreconditionFailed")
	cp, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bkt, Key: aws.String("copy"), CopySource: aws.String("bkt/" + url.QueryEscape(key))})
	if err != nil {
		t.Fatal(err)
	}
	if *cp.CopyObjectResult.ETag != *put.ETag || time.Since(*cp.CopyObjectResult.LastModified) > time.Minute {
		t.Errorf("copy: %+v", cp.CopyObjectResult)
	}
	del, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bkt, Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: aws.String(key)}, {Key: aws.String("copy")}, {Key: aws.String("none")}}}})
	if err != nil || len(del.Deleted) != 3 || len(del.Errors) != 0 {
		t.Errorf("delete: %+v, %v", del, err)
	}
	if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: bkt}); err != nil {
		t.Error(err)
	}
	_, err = c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: bkt})
	if !errors.As(err, &notFound) {
		t.Errorf("got %v", err)
	}
}

func TestSDKChecksums(t *testing.T) {
	t.Parallel()
	s := newTLSServer(t)
	s.bucket("bkt")
	ctx, c := t.Context(), s.sdk()
	for _, algorithm := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		for _, src := range []io.Reader{strings.NewReader("body"), io.MultiReader(strings.NewReader("body"))} {
			in := &s3.PutObjectInput{Bucket: aws.String("bkt"), Key: aws.String("key"), Body: src, ChecksumAlgorithm: algorithm,
				ContentLength: aws.Int64(4), ContentEncoding: aws.String("gzip")}
			if _, err := c.PutObject(ctx, in); err != nil {
				t.Errorf("%s: %v", algorithm, err)
				continue
			}
			head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("bkt"), Key: aws.String("key"), ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatal(err)
			}
			sums := map[types.ChecksumAlgorithm]*string{"CRC32": head.ChecksumCRC32, "CRC32C": head.ChecksumCRC32C, "CRC64NVME": head.ChecksumCRC64NVME,
				"SHA1": head.ChecksumSHA1, "SHA256": head.ChecksumSHA256}
			if aws.ToString(sums[algorithm]) == "" || *head.ContentEncoding != "gzip" || *head.ContentLength != 4 {
				t.Errorf("%s: head is %+v", algorithm, head)
			}
			got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bkt"), Key: aws.String("key")})
			if err != nil {
				t.Fatal(err)
			}
			if b := body(t, got.Body); b != "body" {
				t.Errorf("%s: body is %q", algorithm, b)
			}
		}
	}
}

func TestSDKListing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	var want []string
	for i := range 25 {
		k := fmt.Sprintf("dir/%02d/ü &<x>", i)
		s.fill(k)
		want = append(want, k)
	}
	c, ctx := s.sdk(), t.Context()
	var got []string
	p := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: aws.String("bkt"), MaxKeys: aws.Int32(7)})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			got = append(got, *o.Key)
			if *o.Size != 1 || *o.ETag != etagOf("x") || o.StorageClass != types.ObjectStorageClassStandard || time.Since(*o.LastModified) > time.Minute {
				t.Errorf("entry %+v", o)
			}
		}
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %v", got)
	}
	v1, err := c.ListObjects(ctx, &s3.ListObjectsInput{Bucket: aws.String("bkt"), Delimiter: aws.String("/"), Prefix: aws.String("dir/"), MaxKeys: aws.Int32(3)})
	if err != nil || len(v1.CommonPrefixes) != 3 || *v1.NextMarker != "dir/02/" || !*v1.IsTruncated {
		t.Errorf("got %+v, %v", v1, err)
	}
	buckets, err := c.ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil || len(buckets.Buckets) != 1 || *buckets.Owner.ID != owner {
		t.Errorf("got %+v, %v", buckets, err)
	}
	loc, err := c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String("bkt")})
	if err != nil || string(loc.LocationConstraint) != region {
		t.Errorf("got %+v, %v", loc, err)
	}
	acl, err := c.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: aws.String("bkt")})
	if err != nil || len(acl.Grants) != 1 || *acl.Grants[0].Grantee.ID != owner || acl.Grants[0].Grantee.Type != types.TypeCanonicalUser {
		t.Errorf("got %+v, %v", acl, err)
	}
}

// Covers: CreateMultipartUpload, UploadPart, CompleteMultipartUpload.
func TestSDKMultipart(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	c, ctx := s.sdk(), t.Context()
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 12<<20)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("bkt"), Key: aws.String("big"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	if err != nil {
		t.Fatal(err)
	}
	var parts []types.CompletedPart
	for n := range 3 {
		p, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: aws.String("bkt"), Key: aws.String("big"), UploadId: up.UploadId, PartNumber: aws.Int32(int32(n + 1)),
			Body: bytes.NewReader(data[n*5<<20 : min((n+1)*5<<20, len(data))]), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(n + 1)), ETag: p.ETag, ChecksumCRC32: p.ChecksumCRC32})
	}
	out, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: aws.String("bkt"), Key: aws.String("big"), UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}, MpuObjectSize: aws.Int64(int64(len(data)))})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(*out.ETag, `-3"`) || !strings.HasSuffix(aws.ToString(out.ChecksumCRC32), "-3") || out.ChecksumType != types.ChecksumTypeComposite {
		t.Errorf("complete: %+v", out)
	}
	big, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bkt"), Key: aws.String("big")})
	if err != nil {
		t.Fatal(err)
	}
	if b := body(t, big.Body); b != string(data) {
		t.Errorf("%d bytes came back", len(b))
	}
	create, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("bkt"), Key: aws.String("copy"),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject})
	if err != nil {
		t.Fatal(err)
	}
	part, err := c.UploadPartCopy(ctx, &s3.UploadPartCopyInput{Bucket: aws.String("bkt"), Key: aws.String("copy"), UploadId: create.UploadId,
		PartNumber: aws.Int32(1), CopySource: aws.String("bkt/big"), CopySourceRange: aws.String("bytes=0-5242879")})
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: aws.String("bkt"), Key: aws.String("copy"), UploadId: create.UploadId})
	if err != nil || len(list.Parts) != 1 || *list.Parts[0].ETag != *part.CopyPartResult.ETag || *list.Parts[0].Size != 5<<20 {
		t.Errorf("got %+v, %v", list, err)
	}
	done, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: aws.String("bkt"), Key: aws.String("copy"), UploadId: create.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.CopyPartResult.ETag}}}})
	if err != nil || aws.ToString(done.ChecksumCRC64NVME) == "" {
		t.Fatalf("got %+v, %v", done, err)
	}
	whole, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bkt"), Key: aws.String("copy"), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		t.Fatal(err)
	}
	if b := body(t, whole.Body); b != string(data[:5<<20]) { // the SDK has verified the checksum
		t.Errorf("%d bytes came back", len(b))
	}
	_, err = c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: aws.String("bkt"), Key: aws.String("copy"), UploadId: create.UploadId})
	var gone *types.NoSuchUpload
	if !errors.As(err, &gone) {
		t.Errorf("got %v", err)
	}
}

func TestSDKPresigned(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	p := s3.NewPresignClient(s.sdk())
	put, err := p.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bkt"), Key: aws.String("a b"), Metadata: map[string]string{"a": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, url string, signed http.Header, text string) *result {
		t.Helper()
		r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range signed {
			r.Header[k] = v
		}
		return s.send(r)
	}
	do("PUT", put.URL, put.SignedHeader, "body").want(200)
	get, err := p.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bkt"), Key: aws.String("a b"), ResponseContentType: aws.String("text/csv")})
	if err != nil {
		t.Fatal(err)
	}
	do("GET", get.URL, get.SignedHeader, "").want(200).wantBody("body").wantHeader("Content-Type", "text/csv", "x-amz-meta-a", "1")
}
