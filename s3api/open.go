package s3api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tdkvs/s3api/s3err"
	"tdkvs/s3api/sigv4"
)

// unverified reads what a request to an open store says of its body, whether or
// not it is signed, and with whatever key: there is nothing to check a signature
// against. Framing, lengths, hashes and trailers are checked as ever.
func unverified(r *http.Request) (*sigv4.Result, error) {
	mode := r.Header.Get("X-Amz-Content-Sha256")
	var res *sigv4.Result
	var err error
	if strings.HasPrefix(mode, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") {
		res, err = unverifiedChunks(r, strings.HasSuffix(mode, "-TRAILER"))
	} else {
		anonymous := *r
		anonymous.Header = r.Header.Clone()
		anonymous.Header.Del("Authorization")
		anonymous.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath}
		res, err = new(sigv4.Verifier).Verify(&anonymous)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case r.Header.Get("Authorization") != "":
		res.Kind = sigv4.Header
	case r.URL.Query().Has("X-Amz-Signature"):
		res.Kind = sigv4.Presigned
	}
	return res, nil
}

// unverifiedChunks describes a body in signed chunks whose signatures nobody can
// check: the decoder takes the framing off and reads past the signatures.
func unverifiedChunks(r *http.Request, trailer bool) (*sigv4.Result, error) {
	length := r.Header.Get("X-Amz-Decoded-Content-Length")
	size, err := strconv.ParseUint(length, 10, 63)
	if length == "" {
		return nil, s3err.Of(s3err.MissingContentLength)
	}
	if err != nil {
		return nil, s3err.Argument("x-amz-decoded-content-length must be a non-negative integer", "x-amz-decoded-content-length", length)
	}
	res := &sigv4.Result{Payload: sigv4.StreamingSigned, Size: int64(size)}
	if trailer {
		res.Payload = sigv4.StreamingSignedTrailer
		for name := range strings.SplitSeq(r.Header.Get("X-Amz-Trailer"), ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				res.Trailers = append(res.Trailers, name)
			}
		}
		res.Trailers = append(res.Trailers, "x-amz-trailer-signature")
	}
	return res, nil
}
