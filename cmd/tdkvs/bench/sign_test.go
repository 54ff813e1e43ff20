package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsv4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"tdkvs/s3api/sigv4"
)

const (
	testAccess = "AKIDBENCH"
	testSecret = "bench/secret+key"
	testRegion = "eu-test-1"
	testHost   = "127.0.0.1:3000"
)

func testSigner() *signer {
	return &signer{access: testAccess, secret: testSecret, region: testRegion, host: testHost}
}

// signedRequest is a request as a server reads it.
func signedRequest(t *testing.T, s *signer, at time.Time, method, path, query, payload string) *http.Request {
	t.Helper()
	text := method + " " + path
	if query != "" {
		text += "?" + query
	}
	text += " HTTP/1.1\r\nHost: " + testHost + "\r\n"
	text += string(s.append(nil, at, method, []byte(path), []byte(query), payload)) + "\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// randomText has characters of all kinds.
func randomText(rng *rand.Rand) string {
	const letters = "abcXYZ019-._~ /+=&%?#*'()ä\u20ac:@"
	all := []rune(letters)
	var b strings.Builder
	for range rng.IntN(20) {
		b.WriteRune(all[rng.IntN(len(all))])
	}
	return b.String()
}

// TestSignaturesAreAccepted has the store's verification check signatures, over
// paths, queries, hashes and times, also where the day changes.
func TestSignaturesAreAccepted(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	s := testSigner()
	at := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	verifier := &sigv4.Verifier{Region: testRegion, Now: func() time.Time { return at }, Secrets: func(_ context.Context, access string) (sigv4.Secret, error) {
		if access != testAccess {
			return sigv4.Secret{}, sigv4.ErrUnknownAccessKey
		}
		return sigv4.Secret{Key: testSecret}, nil
	}}
	for i := range 500 {
		at = at.Add(time.Duration(rng.IntN(90)) * time.Second)
		method := []string{"GET", "PUT", "HEAD", "DELETE", "POST"}[rng.IntN(5)]
		path := "/bucket/" + string(appendName(nil, "bench-1a2b/", uint64(i), 4096))
		query := ""
		if rng.IntN(2) == 0 {
			query = string(escape([]byte("continuation-token="), randomText(rng))) + "&list-type=2" + string(escape([]byte("&prefix="), randomText(rng)))
		}
		payload := []string{unsignedPayload, emptyHash}[rng.IntN(2)]
		r := signedRequest(t, s, at, method, path, query, payload)
		got, err := verifier.Verify(r)
		if err != nil || got.AccessKey != testAccess {
			t.Fatalf("%s %s?%s at %v: %+v, %v", method, path, query, at, got, err)
		}
		r.URL.Path += "x"
		r.RequestURI += "x"
		if _, err := verifier.Verify(r); err == nil {
			t.Fatalf("%s: the signature of another path is accepted: the test is blind", path)
		}
	}
}

// TestSignaturesEqualTheSDKs compares with those that AWS' own SDK makes.
func TestSignaturesEqualTheSDKs(t *testing.T) {
	t.Parallel()
	s := testSigner()
	sdk := awsv4.NewSigner(func(o *awsv4.SignerOptions) { o.DisableURIPathEscaping = true })
	keys := aws.Credentials{AccessKeyID: testAccess, SecretAccessKey: testSecret}
	for i, tt := range []struct{ method, path, query, payload string }{
		{"GET", "/bucket/bench-1/0000000001-4096", "", emptyHash},
		{"PUT", "/bucket/bench-1/0000000002-4096", "", unsignedPayload},
		{"GET", "/bucket", "list-type=2&max-keys=1000&prefix=bench-1%2F", emptyHash},
		{"POST", "/bucket", "delete=", emptyHash},
		{"PUT", "/bucket/bench-1/0000000002-4096", "partNumber=7&uploadId=a%2Bb%3D", unsignedPayload},
	} {
		at := time.Date(2026, 12, 31, 23, 59, 58, 0, time.UTC).Add(time.Duration(i) * time.Second)
		ours := signedRequest(t, s, at, tt.method, tt.path, tt.query, tt.payload)
		theirs := ours.Clone(t.Context())
		theirs.Header = http.Header{"X-Amz-Content-Sha256": {tt.payload}}
		theirs.URL.Scheme, theirs.URL.Host = "http", testHost
		if err := sdk.SignHTTP(t.Context(), keys, theirs, tt.payload, "s3", testRegion, at); err != nil {
			t.Fatal(err)
		}
		if got, want := ours.Header.Get("Authorization"), theirs.Header.Get("Authorization"); got != want {
			t.Errorf("%s %s?%s\n got %s\nwant %s", tt.method, tt.path, tt.query, got, want)
		}
	}
}

func TestAnonymousIsNotSigned(t *testing.T) {
	t.Parallel()
	if got := new(signer).append([]byte("x"), time.Now(), "GET", []byte("/"), nil, emptyHash); string(got) != "x" {
		t.Errorf("%q", got)
	}
}

func TestSigningAllocatesNothing(t *testing.T) {
	s, path := testSigner(), []byte("/bucket/bench-1/0000000001-4096")
	at := time.Now()
	dst := s.append(make([]byte, 0, 1024), at, "GET", path, nil, emptyHash)
	if n := testing.AllocsPerRun(100, func() { dst = s.append(dst[:0], at, "GET", path, nil, emptyHash) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if !bytes.Contains(dst, []byte("Signature=")) {
		t.Errorf("%q", dst)
	}
}

func BenchmarkSign(b *testing.B) {
	s, path := testSigner(), []byte("/bucket/bench-1/0000000001-4096")
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = s.append(dst[:0], time.Unix(1_800_000_000, 0), "GET", path, nil, emptyHash)
	}
}

func ExampleStandard() {
	for _, l := range Standard() {
		fmt.Println(l.Title())
	}
	// Output:
	// put 4KiB x32
	// get 4KiB x32
	// stat x32
	// put 128KiB x16
	// get 128KiB x16
	// put 10MiB x4
	// get 10MiB x4
	// list 1000 x4
	// multi-delete 100 x4
	// put 4KiB x1
	// mixed 128KiB x32
}
