package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"tdkvs/s3api/sigv4"
)

// maxAdminBody bounds the body of an admin request, in bytes.
const maxAdminBody = 64 << 10

// readAdminBody reads a whole body, which the signature must cover.
func readAdminBody(r *http.Request, signed *sigv4.Result) ([]byte, error) {
	if signed.Payload.Chunked() {
		return nil, badAdmin("InvalidRequest", "the admin API takes no bodies in chunks of the AWS kind")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAdminBody+1))
	switch {
	case err != nil:
		return nil, brokenBody(err)
	case len(body) > maxAdminBody:
		return nil, &failure{status: http.StatusRequestEntityTooLarge, code: "EntityTooLarge", message: fmt.Sprintf("the body is larger than %d bytes", maxAdminBody)}
	case signed.Kind == sigv4.Header && signed.SHA256 == "" && len(body) > 0:
		return nil, badAdmin("InvalidRequest", "the signature must cover the body: send its SHA-256 in x-amz-content-sha256")
	}
	if sum := sha256.Sum256(body); signed.SHA256 != "" && hex.EncodeToString(sum[:]) != signed.SHA256 {
		return nil, badAdmin("XAmzContentSHA256Mismatch", "the body does not have the SHA-256 that was signed")
	}
	return body, nil
}

// decode reads the body as one JSON object with known fields only.
func (r *adminRequest) decode(into any) error {
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return badAdmin("InvalidRequest", "a body is needed: one JSON object")
		}
		return badAdmin("InvalidRequest", "the body is not the JSON that is expected: "+clip(err.Error(), 200))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badAdmin("InvalidRequest", "there is something behind the JSON object in the body")
	}
	return nil
}

// empty refuses a body where none is expected.
func (r *adminRequest) empty() error {
	if len(r.body) > 0 {
		return badAdmin("InvalidRequest", "this request takes no body")
	}
	return nil
}
