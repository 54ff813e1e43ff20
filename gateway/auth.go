package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"tdkvs/s3api"
	"tdkvs/s3api/sigv4"
)

// caller is who sent a native request, and how its body is covered.
type caller struct {
	identity s3api.Identity
	signed   *sigv4.Result // what the request says of its body; nil with basic authentication
}

// authenticate establishes who sent a native request: by HTTP basic
// authentication, with access key and secret key as user and password (RFC
// 7617), or by an AWS signature. In protected mode everybody is root, and
// signatures, should there be any, are not checked: only clients on this machine
// got this far.
func (g *gateway) authenticate(r *http.Request) (caller, error) {
	if g.cfg.Credentials == nil {
		res, err := sigv4.Unverified(r)
		return caller{identity: s3api.Identity{UserID: g.cfg.Owner, Root: true}, signed: res}, err
	}
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Basic") {
		identity, err := g.basic(r)
		return caller{identity: identity}, err
	}
	res, err := g.verifier.Verify(r)
	if err != nil {
		return caller{}, err
	}
	if res.Kind == sigv4.Anonymous {
		return caller{}, unauthorized("credentials are required: HTTP basic authentication with access key and secret key, or an AWS signature")
	}
	c, err := g.cfg.Credentials(r.Context(), res.AccessKey)
	if err != nil {
		return caller{}, err
	}
	c.Identity.AccessKey = res.AccessKey
	return caller{identity: c.Identity, signed: res}, nil
}

// basic checks user and password. Whether the key is unknown or the secret wrong,
// the answer is the same, and takes as long.
func (g *gateway) basic(r *http.Request) (s3api.Identity, error) {
	accessKey, secret, ok := r.BasicAuth()
	if !ok {
		return s3api.Identity{}, unauthorized("malformed basic authentication")
	}
	c, err := g.cfg.Credentials(r.Context(), accessKey)
	unknown := errors.Is(err, s3api.ErrNoSuchAccessKey)
	if err != nil && !unknown {
		return s3api.Identity{}, err
	}
	want, got := sha256.Sum256([]byte(c.Secret)), sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 || unknown || c.Secret == "" {
		return s3api.Identity{}, unauthorized("wrong access key or secret key")
	}
	c.Identity.AccessKey = accessKey
	return c.Identity, nil
}

// unauthorized asks the client to authenticate.
func unauthorized(message string) *failure {
	return &failure{status: http.StatusUnauthorized, message: message,
		header: http.Header{"Www-Authenticate": {`Basic realm="tdkvs", charset="UTF-8"`}}}
}

// secret is the verifier's view of the credentials.
func (g *gateway) secret(ctx context.Context, accessKey string) (sigv4.Secret, error) {
	c, err := g.cfg.Credentials(ctx, accessKey)
	if errors.Is(err, s3api.ErrNoSuchAccessKey) {
		return sigv4.Secret{}, sigv4.ErrUnknownAccessKey
	}
	if err != nil {
		return sigv4.Secret{}, err
	}
	return sigv4.Secret{Key: c.Secret}, nil
}

// authorize asks for the permission that the same access by S3 needs.
func (g *gateway) authorize(ctx context.Context, id s3api.Identity, operation, permission, key string) error {
	if id.Root {
		return nil
	}
	denied := &failure{status: http.StatusForbidden, message: "access denied"}
	if g.cfg.Authorizer == nil {
		return denied
	}
	err := g.cfg.Authorizer.Authorize(ctx, s3api.Access{Identity: id, Operation: operation, Permission: permission, Bucket: Bucket, Key: key})
	if errors.Is(err, s3api.ErrDenied) {
		denied.err = err
		return denied
	}
	return err
}
