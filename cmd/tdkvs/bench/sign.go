package bench

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"time"
)

const unsignedPayload = "UNSIGNED-PAYLOAD"

// signer makes the headers of AWS Signature Version 4 (AWS, "Authenticating
// Requests: Using the Authorization Header"). It signs the host, the time and
// the hash of the body. It belongs to one goroutine.
type signer struct {
	access, secret, region, host string

	day       string    // of the key in mac
	mac       hash.Hash // HMAC with the signing key of the day
	scope     string    // day/region/s3/aws4_request
	second    int64     // of stamp
	stamp     string    // 20060102T150405Z
	canonical []byte
	sum       [sha256.Size]byte
}

const signedNames = "host;x-amz-content-sha256;x-amz-date"

// append appends the header lines that sign a request. path and query are as they
// are sent: escaped, the query's parameters in order. Without an access key: none.
func (s *signer) append(dst []byte, at time.Time, method string, path, query []byte, payload string) []byte {
	if s.access == "" {
		return dst
	}
	s.turn(at)
	c := append(s.canonical[:0], method...)
	c = append(append(append(c, '\n'), path...), '\n')
	c = append(append(c, query...), "\nhost:"...)
	c = append(append(c, s.host...), "\nx-amz-content-sha256:"...)
	c = append(append(c, payload...), "\nx-amz-date:"...)
	c = append(append(c, s.stamp...), "\n\n"+signedNames+"\n"...)
	c = append(c, payload...)
	s.sum = sha256.Sum256(c)

	c = append(c[:0], "AWS4-HMAC-SHA256\n"...)
	c = append(append(c, s.stamp...), '\n')
	c = append(append(c, s.scope...), '\n')
	c = hex.AppendEncode(c, s.sum[:])
	s.canonical = c
	s.mac.Reset()
	_, _ = s.mac.Write(c) // a hash never fails

	dst = append(append(dst, "X-Amz-Date: "...), s.stamp...)
	dst = append(append(dst, "\r\nX-Amz-Content-Sha256: "...), payload...)
	dst = append(append(dst, "\r\nAuthorization: AWS4-HMAC-SHA256 Credential="...), s.access...)
	dst = append(append(append(dst, '/'), s.scope...), ", SignedHeaders="+signedNames+", Signature="...)
	return append(hex.AppendEncode(dst, s.mac.Sum(s.sum[:0])), "\r\n"...)
}

// turn brings what depends on the time up to date: a text each second, a key each
// day.
func (s *signer) turn(at time.Time) {
	second := at.Unix()
	if second == s.second {
		return
	}
	s.second, s.stamp = second, at.UTC().Format("20060102T150405Z")
	day := s.stamp[:8]
	if day == s.day {
		return
	}
	s.day, s.scope = day, day+"/"+s.region+"/s3/aws4_request"
	key := []byte("AWS4" + s.secret)
	for _, part := range []string{day, s.region, "s3", "aws4_request"} {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(part)) // a hash never fails
		key = mac.Sum(nil)
	}
	s.mac = hmac.New(sha256.New, key)
}

// escape appends text as a value in a query, as signatures want it: all but
// letters, digits and -._~ as %XY.
func escape(dst []byte, text string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}
