package compattests

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// transport returns a transport with a pool of its own for up to n connections; every name in domain leads to the store.
func (d *deployment) transport(t testing.TB, n int) *http.Transport {
	t.Helper()
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	tr := &http.Transport{
		MaxIdleConns: n, MaxIdleConnsPerHost: n, DisableCompression: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, _, err := net.SplitHostPort(addr); err == nil && strings.HasSuffix(host, domain) {
				addr = d.addr
			}
			return dialer.DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// httpClient returns a client that follows no redirects, so that tests see every answer as it is.
func (d *deployment) httpClient(t testing.TB, n int) *http.Client {
	return &http.Client{Transport: d.transport(t, n), CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// sdk returns an AWS SDK client with the SDK's defaults, path style and no retries: a retry would hide a failure.
func (d *deployment) sdk(t testing.TB, options ...func(*s3.Options)) *s3.Client {
	t.Helper()
	cfg := aws.Config{
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider(d.accessKey, d.secretKey, ""),
		BaseEndpoint: aws.String(d.url()),
		HTTPClient:   d.httpClient(t, 64),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
		// What config.LoadDefaultConfig sets, and so what programs do.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}
	options = append([]func(*s3.Options){func(o *s3.Options) { o.UsePathStyle = true }}, options...)
	return s3.NewFromConfig(cfg, options...)
}

// tlsFront puts a proxy that ends TLS before the store, as many installations have one. Over TLS the SDKs sign no
// payloads and send their checksums in trailers. It returns the endpoint and a client that trusts it.
func (d *deployment) tlsFront(t testing.TB) (string, *http.Client) {
	t.Helper()
	proxy := d.tlsProxy(t)
	client := proxy.Client()
	tr, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the test server's client has a %T", client.Transport)
	}
	tr.TLSClientConfig.MinVersion = tls.VersionTLS12
	return proxy.URL, client
}

func (d *deployment) tlsProxy(t testing.TB) *httptest.Server {
	t.Helper()
	target, err := url.Parse(d.url())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host // the path stays as it was sent
			r.Out.Host = r.In.Host                                        // it is signed
		},
		Transport: d.transport(t, 16),
	})
	t.Cleanup(proxy.Close)
	return proxy
}

// bucket makes a bucket.
func bucket(t testing.TB, c *s3.Client, name string) string {
	t.Helper()
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("create bucket %s: %v", name, err)
	}
	return name
}

// put stores an object and returns the answer.
func put(t testing.TB, c *s3.Client, bucket, key string, body []byte) *s3.PutObjectOutput {
	t.Helper()
	out, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)})
	if err != nil {
		t.Fatalf("put %q (%d bytes): %v", key, len(body), err)
	}
	return out
}

// get returns an object's bytes.
func get(t testing.TB, c *s3.Client, bucket, key string) []byte {
	t.Helper()
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return drain(t, out.Body)
}

func drain(t testing.TB, body io.ReadCloser) []byte {
	t.Helper()
	b, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		t.Fatalf("body, after %d bytes: %v", len(b), err)
	}
	return b
}

// refusal is an answer of the native API other than 2xx.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.text) }

// statusOf returns the HTTP status of a call's error, 200 for none and 0 where there was no answer.
func statusOf(err error) int {
	var byS3 *smithyhttp.ResponseError
	var native *refusal
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &byS3):
		return byS3.HTTPStatusCode()
	case errors.As(err, &native):
		return native.status
	}
	return 0
}

// wantCode fails the test unless err is the S3 error of the code and HTTP status.
func wantCode(t testing.TB, what string, err error, code string, status int) {
	t.Helper()
	gotStatus := statusOf(err)
	var api smithy.APIError
	gotCode := "none"
	if errors.As(err, &api) {
		gotCode = api.ErrorCode()
	}
	if gotStatus != status || gotCode != code {
		t.Errorf("%s: status %d, code %s, want %d %s (%v)", what, gotStatus, gotCode, status, code, err)
	}
}

// answer is a whole HTTP answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("status %d\n%s", a.status, window(a.body, 0)) }

// call sends one request as it is, without signature.
func call(t testing.TB, c *http.Client, method, url string, body []byte, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: body, after %d bytes: %v", method, url, len(got), err)
	}
	return answer{resp.StatusCode, resp.Header, got}
}

// escape writes a key into a path of the native API: every byte but those that no one changes, percent-encoded.
func escape(key string) string {
	var s strings.Builder
	for i := range len(key) {
		if b := key[i]; b == '/' || b == '-' || b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' {
			s.WriteByte(b)
		} else {
			fmt.Fprintf(&s, "%%%02X", b)
		}
	}
	return s.String()
}
