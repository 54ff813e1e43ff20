package sigv4

import (
	"net/http"
	"strconv"
	"strings"

	"tdkvs/s3api/s3err"
)

// Values of x-amz-content-sha256 that are not a hash.
const (
	payloadUnsigned          = "UNSIGNED-PAYLOAD"
	payloadStreaming         = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	payloadStreamingTrailer  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	payloadStreamingUnsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	payloadStreamingECDSA    = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" // SigV4a, also with -TRAILER
)

// readPayload fills in what the request says of its body. value is that of
// x-amz-content-sha256, from header or query.
func (res *Result) readPayload(r *http.Request, value string) error {
	switch value {
	case "":
		if res.Kind == Header {
			return s3err.New(s3err.InvalidRequest, "Missing required header for this request: x-amz-content-sha256")
		}
		res.Payload = UnsignedPayload
	case payloadUnsigned:
		for _, coding := range r.Header["Content-Encoding"] {
			if ContentEncoding(coding) != coding { // or the framing would be stored
				return s3err.Argument("aws-chunked encoding is not supported when x-amz-content-sha256 UNSIGNED-PAYLOAD is supplied.",
					"Content-Encoding", coding)
			}
		}
		res.Payload = UnsignedPayload
	case payloadStreaming:
		res.Payload = StreamingSigned
	case payloadStreamingTrailer:
		res.Payload = StreamingSignedTrailer
	case payloadStreamingUnsigned:
		res.Payload = StreamingUnsignedTrailer
	case payloadStreamingECDSA, payloadStreamingECDSA + "-TRAILER":
		return errUnsupportedMechanism()
	default:
		if !isHash(value) {
			return s3err.Argument("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "+
				"STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, "+
				"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER "+
				"or a valid sha256 value.", "x-amz-content-sha256", value)
		}
		res.Payload = HashedPayload
		res.SHA256 = strings.ToLower(value)
	}
	return res.readSize(r)
}

func isHash(v string) bool {
	if len(v) != 64 {
		return false
	}
	for i := range len(v) {
		if !isHex(v[i]) {
			return false
		}
	}
	return true
}

// readSize fills in Size and Trailers.
func (res *Result) readSize(r *http.Request) error {
	res.Size = r.ContentLength
	if !res.Payload.Chunked() {
		return nil
	}
	if res.Kind == Anonymous && res.Payload != StreamingUnsignedTrailer {
		// There is no key that could have signed the chunks.
		return s3err.New(s3err.InvalidRequest, "Anonymous requests don't support this x-amz-content-sha256 value. "+
			"Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.")
	}
	size, err := strconv.ParseUint(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 63)
	if err != nil { // missing, or no number
		return s3err.Of(s3err.MissingContentLength)
	}
	res.Size = int64(size)
	if res.Payload == StreamingSigned {
		return nil
	}
	for _, line := range r.Header["X-Amz-Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				res.Trailers = append(res.Trailers, name)
			}
		}
	}
	if len(res.Trailers) > maxTrailers {
		return s3err.New(s3err.InvalidRequest, "The value specified in the x-amz-trailer header is not supported")
	}
	return nil
}

// ContentEncoding returns a Content-Encoding header without aws-chunked, which
// is a framing of the request and not stored with an object.
func ContentEncoding(value string) string {
	if !strings.Contains(strings.ToLower(value), "aws-chunked") {
		return value
	}
	var kept []string
	for coding := range strings.SplitSeq(value, ",") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "aws-chunked") {
			kept = append(kept, coding)
		}
	}
	return strings.Join(kept, ",")
}
