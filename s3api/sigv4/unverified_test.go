package sigv4

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

// TestUnverified reads bodies signed with a key that nobody knows.
func TestUnverified(t *testing.T) {
	t.Parallel()
	stranger := signerWith(func(s *Signer) { s.AccessKey, s.SecretKey = "nobody", "knows" })
	data := bytes.Repeat([]byte("d"), 2*minChunk)
	names := map[PayloadMode]string{
		StreamingSigned: payloadStreaming, StreamingSignedTrailer: payloadStreamingTrailer, StreamingUnsignedTrailer: payloadStreamingUnsigned,
	}
	for _, mode := range chunkedModes {
		signed := exampleChunks(mode, len(data))
		r := httptest.NewRequest(http.MethodPut, "/b/k", bytes.NewReader(exampleEncoder(signed).encode(t, data, minChunk)))
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(data)))
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
		resign(stranger, names[mode], exampleTime)(r)
		res, err := Unverified(r)
		if err != nil {
			t.Fatal(err)
		}
		if res.Kind != Header || res.Payload != mode || res.Size != int64(len(data)) || res.AccessKey != "" || len(res.Trailers) != len(signed.Trailers) {
			t.Errorf("%+v", res)
		}
		body := res.Body(r.Body)
		got, err := io.ReadAll(body)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("mode %d: %d bytes, %v", mode, len(got), err)
		}
		if _, ok := body.Trailer("x-amz-checksum-crc32"); ok != (mode != StreamingSigned) {
			t.Errorf("mode %d: trailer %t", mode, ok)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestUnverifiedKinds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		change  func(r *http.Request)
		kind    Kind
		payload PayloadMode
		err     string
	}{
		{"anonymous", func(*http.Request) {}, Anonymous, UnsignedPayload, ""},
		{"header", func(r *http.Request) { resign(exampleSigner, emptyHash, exampleTime)(r) }, Header, HashedPayload, ""},
		{"basic", set("Authorization", "Basic x"), Header, UnsignedPayload, ""},
		{"presigned", func(r *http.Request) { presign(r, exampleSigner, time.Second, exampleTime) }, Presigned, UnsignedPayload, ""},
		{"presigned with a hash", query("", "X-Amz-Signature=x&X-Amz-Content-Sha256="+emptyHash), Presigned, HashedPayload, ""},
		{"bad hash", set("X-Amz-Content-Sha256", "x"), 0, 0, badPayload},
		{"bad query", query("", "%"), 0, 0, "InvalidURI: Couldn't parse the specified URI."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPut, "/b/k", nil)
			tt.change(r)
			res, err := Unverified(r)
			if tt.err != "" {
				wrong{status: 400, want: tt.err}.check(t, err)
				return
			}
			if err != nil || res.Kind != tt.kind || res.Payload != tt.payload {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
}
