package sigv4

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// signedAsSent signs the way old versions of curl do.
func signedAsSent(t *testing.T, target, payload string) *http.Request {
	t.Helper()
	header := ""
	signed := []string{"host", "x-amz-date"}
	if payload != "" {
		header = "x-amz-content-sha256: " + payload + "\n"
		signed = []string{"host", "x-amz-content-sha256", "x-amz-date"}
	} else {
		payload = emptyHash
	}
	r := parseRequest(t, "PUT "+target+" HTTP/1.1\nHost: localhost:3000\nContent-Length: 3\nx-amz-date: 20130524T000000Z\n"+header)
	sc := exampleSigner.scope(exampleTime)
	key := deriveKey(exampleSecret, sc)
	signature := key.sign(appendStringToSign(nil, exampleTime.Format(timeFormat), sc, appendSentRequest(nil, r, signed, payload)))
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		algorithm, exampleKey, sc, strings.Join(signed, ";"), signature))
	return r
}

// TestLenient accepts requests signed as sent, if told to, and not those whose
// path or query is another.
func TestLenient(t *testing.T) {
	t.Parallel()
	strict, lenient := exampleVerifier(exampleTime), exampleVerifier(exampleTime)
	lenient.Lenient = true
	for _, target := range []string{"/set/a", "/set/a+b", "/set/%c3%bc(x)", "/set/a//b", "/b?uploads", "/b?prefix=a/b&delimiter=/&a=1"} {
		for _, payload := range []string{"", payloadUnsigned, emptyHash} {
			r := signedAsSent(t, target, payload)
			res, err := lenient.Verify(r)
			if err != nil {
				t.Errorf("%s %s: %s", target, payload, explain(err))
				continue
			}
			if res.Kind != Header || res.Size != 3 || (res.Payload == HashedPayload) != (payload == emptyHash) {
				t.Errorf("%+v", res)
			}
			if _, err := strict.Verify(r); (err == nil) != (payload != "" && (target == "/set/a" || target == "/set/a//b")) {
				t.Errorf("%s %s: strict: %v", target, payload, err)
			}
			other := strings.Replace(target, "a", "b", 1)
			if other == target {
				other += "b"
			}
			changed := signedAsSent(t, other, payload)
			changed.Header.Set("Authorization", r.Header.Get("Authorization"))
			_, err = lenient.Verify(changed)
			wrong{status: 403, want: noMatch}.check(t, err)
		}
	}
}
