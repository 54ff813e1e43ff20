package sigv4

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// TestPublishedExamples verifies the requests of AWS "Signature Calculations for
// the Authorization Header: Transferring Payload in a Single Chunk" and
// "Authenticating Requests: Using Query Parameters", with the published
// signatures.
func TestPublishedExamples(t *testing.T) {
	t.Parallel()
	const scope = "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
	for _, tt := range []struct {
		name, head string
		kind       Kind
		payload    PayloadMode
	}{
		{name: "get object", kind: Header, payload: HashedPayload, head: `
GET /test.txt HTTP/1.1
Host: examplebucket.s3.amazonaws.com
` + scope + `SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41
Range: bytes=0-9
x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
x-amz-date: 20130524T000000Z`},
		{name: "put object", kind: Header, payload: HashedPayload, head: `
PUT /test$file.text HTTP/1.1
Host: examplebucket.s3.amazonaws.com
Date: Fri, 24 May 2013 00:00:00 GMT
` + scope + `SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd
x-amz-date: 20130524T000000Z
x-amz-storage-class: REDUCED_REDUNDANCY
x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072`},
		{name: "get bucket lifecycle", kind: Header, payload: HashedPayload, head: `
GET /?lifecycle HTTP/1.1
Host: examplebucket.s3.amazonaws.com
` + scope + `SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543
x-amz-date: 20130524T000000Z
x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`},
		{name: "list objects", kind: Header, payload: HashedPayload, head: `
GET /?max-keys=2&prefix=J HTTP/1.1
Host: examplebucket.s3.amazonaws.com
` + scope + ` SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7
x-amz-date: 20130524T000000Z
x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`},
		{name: "presigned get", kind: Presigned, payload: UnsignedPayload, head: `
GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1
Host: examplebucket.s3.amazonaws.com`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := parseRequest(t, tt.head)
			res, err := exampleVerifier(exampleTime).Verify(r)
			if err != nil {
				t.Fatal(explain(err))
			}
			if res.Kind != tt.kind || res.Payload != tt.payload || res.AccessKey != exampleKey || !res.Time.Equal(exampleTime) {
				t.Errorf("got %+v", res)
			}
			r.Method = "POST"
			if _, err := exampleVerifier(exampleTime).Verify(r); err == nil {
				t.Error("the same signature with another method passed")
			}
		})
	}
}

// TestPublishedSignatures makes the published signatures with Signer.
func TestPublishedSignatures(t *testing.T) {
	t.Parallel()
	r := newRequest(t, "GET", "https://examplebucket.s3.amazonaws.com/test.txt", nil)
	r.Header.Set("Range", "bytes=0-9")
	if err := exampleSigner.Sign(r, emptyHash, exampleTime); err != nil {
		t.Fatal(err)
	}
	const want = "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
	if got := r.Header.Get("Authorization"); !strings.HasSuffix(got, want) {
		t.Errorf("Authorization: %s, want %s", got, want)
	}
	r = newRequest(t, "GET", "https://examplebucket.s3.amazonaws.com/test.txt", nil)
	got, err := exampleSigner.Presign(r, 24*time.Hour, exampleTime)
	if err != nil {
		t.Fatal(err)
	}
	if want := "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"; !strings.HasSuffix(got, want) {
		t.Errorf("URL: %s, want %s", got, want)
	}
}

// chunkedExample builds the body of the chunked examples: 65 KiB of "a" in
// chunks of 64 KiB and 1 KiB, with the published signatures.
func chunkedExample(s1, s2, s3, end string) []byte {
	var b bytes.Buffer
	b.WriteString("10000;chunk-signature=" + s1 + "\r\n")
	b.Write(bytes.Repeat([]byte("a"), 65536))
	b.WriteString("\r\n400;chunk-signature=" + s2 + "\r\n")
	b.Write(bytes.Repeat([]byte("a"), 1024))
	b.WriteString("\r\n0;chunk-signature=" + s3 + "\r\n" + end)
	return b.Bytes()
}

const chunkedHead = `
PUT /examplebucket/chunkObject.txt HTTP/1.1
Host: s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-storage-class: REDUCED_REDUNDANCY
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9
x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD
Content-Encoding: aws-chunked
x-amz-decoded-content-length: 66560
Content-Length: 66824`

const trailerHead = `
PUT /examplebucket/chunkObject.txt HTTP/1.1
Host: s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-storage-class: REDUCED_REDUNDANCY
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer,Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e
x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
Content-Encoding: aws-chunked
x-amz-decoded-content-length: 66560
x-amz-trailer: x-amz-checksum-crc32c
Content-Length: 67000`

// TestPublishedChunks decodes the bodies of AWS "Signature Calculations ...:
// Transferring Payload in Multiple Chunks" and "... Including Trailing Headers".
func TestPublishedChunks(t *testing.T) {
	t.Parallel()
	plain := chunkedExample(
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", "\r\n")
	const trailerSignature = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
	withTrailer := chunkedExample(
		"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
		"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
		"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
		"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:"+trailerSignature+"\r\n\r\n")
	for _, tt := range []struct {
		name, head, trailer string
		body                []byte
	}{
		{"chunked", chunkedHead, "", plain},
		{"trailer", trailerHead, "sOO8/Q==", withTrailer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, err := exampleVerifier(exampleTime).Verify(parseRequest(t, tt.head))
			if err != nil {
				t.Fatal(explain(err))
			}
			if res.Size != 66560 {
				t.Errorf("size %d", res.Size)
			}
			for _, src := range []io.Reader{bytes.NewReader(tt.body), iotest.OneByteReader(bytes.NewReader(tt.body)), iotest.DataErrReader(bytes.NewReader(tt.body))} {
				body := res.Body(src)
				got, err := io.ReadAll(body)
				if err != nil {
					t.Fatal(explain(err))
				}
				if !bytes.Equal(got, bytes.Repeat([]byte("a"), 66560)) {
					t.Errorf("decoded %d other bytes", len(got))
				}
				if v, ok := body.Trailer("x-amz-checksum-crc32c"); v != tt.trailer || ok != (tt.trailer != "") {
					t.Errorf("trailer %q %t", v, ok)
				}
				if err := body.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
