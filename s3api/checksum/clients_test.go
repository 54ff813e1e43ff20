package checksum_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"

	"tdkvs/s3api/checksum"
	"tdkvs/s3api/s3err"
	"tdkvs/s3api/sigv4"
)

const (
	accessKey = "AKIAIOSFODNN7EXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	region    = "us-east-1"
)

// seen is what the server made of the last upload.
type seen struct {
	mode  sigv4.PayloadMode
	spec  checksum.Spec
	body  []byte
	alg   string
	value string
}

// uploads is a server that does with a body what a PutObject does, and tells.
func uploads(t *testing.T, secure bool) (*httptest.Server, chan seen) {
	t.Helper()
	results := make(chan seen, 1)
	v := &sigv4.Verifier{Region: region, Secrets: func(_ context.Context, key string) (sigv4.Secret, error) {
		if key != accessKey {
			return sigv4.Secret{}, sigv4.ErrUnknownAccessKey
		}
		return sigv4.Secret{Key: secretKey}, nil
	}}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := receive(v, r)
		var e *s3err.Error
		switch {
		case errors.As(err, &e):
			w.WriteHeader(e.Status)
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", e.Code, e.Message)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(got.body)))
			results <- got
		}
	})
	server := httptest.NewUnstartedServer(handler)
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server, results
}

func receive(v *sigv4.Verifier, r *http.Request) (seen, error) {
	res, err := v.Verify(r)
	if err != nil {
		return seen{}, err
	}
	if res.Kind == sigv4.Presigned {
		sigv4.HoistQuery(r)
	}
	spec, err := checksum.ParseHeader(r.Header)
	if err != nil {
		return seen{}, err
	}
	body := res.Body(r.Body)
	defer body.Close() //nolint:errcheck // has no error to give
	p := checksum.NewPayload(body, checksum.Config{Size: res.Size, Spec: spec, SHA256: res.SHA256})
	defer p.Close() //nolint:errcheck // has no error to give
	data, err := io.ReadAll(p)
	if err != nil {
		return seen{}, err
	}
	d := p.Digests()
	return seen{res.Payload, spec, data, d.Checksum.Algorithm, d.Checksum.Value}, nil
}

func awsClient(server *httptest.Server, change ...func(o *s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		Region: region, BaseEndpoint: aws.String(server.URL), UsePathStyle: true, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		Retryer:     aws.NopRetryer{}, RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
	}, change...)
}

// unseekable hides everything of a reader but Read.
type unseekable struct{ io.Reader }

// TestAWSClient uploads with aws-sdk-go-v2: over http and https, seekable and
// not, with each checksum algorithm.
func TestAWSClient(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		server, results := uploads(t, secure)
		client := awsClient(server)
		for _, size := range []int{0, 1, 100_000, 3 << 20} {
			data := bytes.Repeat([]byte("x"), size)
			for _, a := range []types.ChecksumAlgorithm{"", types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256} {
				in := &s3.PutObjectInput{
					Bucket: aws.String("bucket"), Key: aws.String("some/key with spaces+and%"), Body: bytes.NewReader(data), ChecksumAlgorithm: a,
					Metadata: map[string]string{"a": "b"}, ContentType: aws.String("text/plain"),
				}
				if secure && size > 1 {
					in.Body, in.ContentLength = unseekable{in.Body}, aws.Int64(int64(size))
				}
				if _, err := client.PutObject(t.Context(), in); err != nil {
					t.Fatalf("https %t, %d bytes, %s: %v", secure, size, a, err)
				}
				got := <-results
				want := string(a)
				if want == "" {
					want = "CRC32" // the SDK's default
				}
				if !bytes.Equal(got.body, data) || got.alg != want {
					t.Errorf("https %t: %d of %d bytes, %s of %s", secure, len(got.body), size, got.alg, want)
				}
				if size > 1 && secure != (got.mode == sigv4.StreamingUnsignedTrailer) {
					t.Errorf("https %t: payload mode %d", secure, got.mode)
				}
			}
		}
	}
}

// TestAWSClientRefused sends checksums that are wrong.
func TestAWSClientRefused(t *testing.T) {
	t.Parallel()
	server, _ := uploads(t, false)
	for _, tt := range []struct {
		name string
		in   s3.PutObjectInput
		want string
	}{
		{"crc32", s3.PutObjectInput{ChecksumCRC32: aws.String("AAAAAA==")}, "BadDigest"},
		{"content-md5", s3.PutObjectInput{ContentMD5: aws.String("1B2M2Y8AsgTpgAmY7PhCfg==")}, "BadDigest"},
		{"invalid content-md5", s3.PutObjectInput{ContentMD5: aws.String("x")}, "InvalidDigest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.in.Bucket, tt.in.Key, tt.in.Body = aws.String("bucket"), aws.String("key"), strings.NewReader("body")
			_, err := awsClient(server).PutObject(t.Context(), &tt.in)
			var e smithy.APIError
			if !errors.As(err, &e) || e.ErrorCode() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestAWSPresigned uploads through presigned URLs.
func TestAWSPresigned(t *testing.T) {
	t.Parallel()
	server, results := uploads(t, false)
	presigner := s3.NewPresignClient(awsClient(server))
	for _, in := range []*s3.PutObjectInput{
		{}, {Metadata: map[string]string{"a": "b c"}}, {ContentType: aws.String("text/plain")},
	} {
		in.Bucket, in.Key = aws.String("bucket"), aws.String("a//b ü+")
		signed, err := presigner.PresignPutObject(t.Context(), in, s3.WithPresignExpires(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), signed.Method, signed.URL, strings.NewReader("the body"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = signed.SignedHeader
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s %v", signed.URL, resp.Status, text, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if got := <-results; string(got.body) != "the body" || got.alg != "CRC64NVME" {
			t.Errorf("%+v", got)
		}
	}
}

// TestMinioClient uploads with minio-go: signed chunks over http, trailers, and
// several checksums, which it leaves out of empty bodies.
func TestMinioClient(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		server, results := uploads(t, secure)
		u, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		for _, trailing := range []bool{false, true} {
			client, err := minio.New(u.Host, &minio.Options{
				Creds: miniocreds.NewStaticV4(accessKey, secretKey, ""), Secure: secure, Region: region,
				Transport: server.Client().Transport, TrailingHeaders: trailing, BucketLookup: minio.BucketLookupPath, MaxRetries: 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range []int{0, 1, 64 << 10, 1<<20 + 1} {
				data := bytes.Repeat([]byte("y"), size)
				for _, sum := range []minio.ChecksumType{minio.ChecksumNone, minio.ChecksumCRC32C, minio.ChecksumCRC64NVME, minio.ChecksumSHA256} {
					if sum != minio.ChecksumNone && !trailing {
						continue // needs trailers
					}
					_, err := client.PutObject(t.Context(), "bucket", "a/b c", unseekable{bytes.NewReader(data)}, int64(size),
						minio.PutObjectOptions{Checksum: sum, DisableMultipart: true, UserMetadata: map[string]string{"a": "b"}})
					if err != nil {
						t.Fatalf("https %t, trailers %t, %d bytes, %s: %v", secure, trailing, size, sum, err)
					}
					got := <-results
					if !bytes.Equal(got.body, data) {
						t.Errorf("%d of %d bytes", len(got.body), size)
					}
					if sum != minio.ChecksumNone && size > 0 && got.alg != sum.String() {
						t.Errorf("https %t, %d bytes: %s of %s", secure, size, got.alg, sum)
					}
				}
			}
		}
	}
}
