package s3api

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
)

// Defaults of Config.
const (
	DefaultRegion    = "us-east-1"
	DefaultAccountID = "000000000000"
	DefaultKeepAlive = 10 * time.Second
)

// Identity is who sent a request.
type Identity struct {
	AccessKey   string // empty: anonymous
	UserID      string // canonical user id, as shown in Owner elements
	DisplayName string
	AccountID   string // twelve digits; compared with x-amz-expected-bucket-owner
	Root        bool   // may do everything
}

// Credential is an access key's secret and the identity it stands for.
type Credential struct {
	Secret   string
	Identity Identity
}

// ErrNoSuchAccessKey is what Config.Credentials returns, or wraps, for an access
// key that it does not know.
var ErrNoSuchAccessKey = errors.New("no such access key")

// Access is one permission that a request needs.
type Access struct {
	Identity   Identity
	Operation  string // the S3 operation, such as "GetObject"
	Permission string // the IAM action, such as "s3:GetObject" or "s3:GetObjectVersion"
	Bucket     string // empty for operations on the service
	Key        string // empty for operations on a bucket
	VersionID  string
}

// Authorizer decides whether an identity may do something. It is asked only
// about identities that are neither root nor, outside open mode, anonymous.
type Authorizer interface {
	// Authorize returns nil to allow, and an error to deny: the request is then
	// answered 403 AccessDenied, or 500 where the error is not ErrDenied.
	Authorize(ctx context.Context, a Access) error
}

// ErrDenied is what an Authorizer returns, or wraps, to deny.
var ErrDenied = errors.New("access denied")

// Config is what a Handler needs. Backend is required; so is Credentials, unless
// Open is set.
type Config struct {
	// Backend is the storage engine.
	Backend Backend
	// Credentials looks up an access key; an unknown one is ErrNoSuchAccessKey.
	Credentials func(ctx context.Context, accessKey string) (Credential, error)
	// Authorizer decides for identities that are not root. Nil denies them all.
	Authorizer Authorizer
	// Open serves every request as Owner, signed or not. Signatures are then not
	// checked. Who may connect at all is the front end's business: a store
	// without credentials answers loopback clients only.
	Open bool
	// Owner is the identity that owns what anonymous clients of an open store
	// create. Its UserID and AccountID have defaults.
	Owner Identity
	// Region is the region that requests are signed for and buckets lie in.
	// Empty means us-east-1.
	Region string
	// Domains are the host names under which buckets are addressed virtual-host
	// style ("bucket.s3.example.com" for "s3.example.com"). Without a domain
	// every request is path-style.
	Domains []string
	// StorageClasses are names that are accepted as storage classes beside those of
	// AWS.
	StorageClasses []string
	// HostID is sent as x-amz-id-2 and in error bodies: it names this server.
	HostID string
	// KeepAlive is the time after which a long CopyObject, UploadPartCopy or
	// CompleteMultipartUpload begins to send white space, so that neither client
	// nor proxy gives up; zero means DefaultKeepAlive.
	KeepAlive time.Duration
	// Logger receives internal errors with their cause. Nil means slog.Default.
	Logger *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// withDefaults returns a copy with every optional field set.
func (c Config) withDefaults() Config {
	if c.Region == "" {
		c.Region = DefaultRegion
	}
	if c.Owner.AccountID == "" {
		c.Owner.AccountID = DefaultAccountID
	}
	if c.Owner.UserID == "" {
		c.Owner.UserID = DefaultUserID
	}
	if c.Owner.DisplayName == "" {
		c.Owner.DisplayName = "root"
	}
	if c.HostID == "" {
		c.HostID = "tdkvs"
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = DefaultKeepAlive
	}
	domains := make([]string, len(c.Domains))
	for i, d := range c.Domains {
		domains[i] = strings.ToLower(strings.Trim(d, "."))
	}
	c.Domains = domains
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// DefaultUserID is the canonical user id of an owner without one: 64 hexadecimal
// digits, as AWS writes them.
const DefaultUserID = "74646b7673000000000000000000000000000000000000000000000000000001"
