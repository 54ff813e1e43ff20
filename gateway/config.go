package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/s3api"
)

// Store is what the native routes need of the engine.
type Store interface {
	Bucket(ctx context.Context, name string) (meta.Bucket, error)
	CreateBucket(ctx context.Context, b meta.Bucket) error
	PutObject(ctx context.Context, req meta.PutRequest, payload meta.Payload) (meta.Object, error)
	Object(ctx context.Context, bucket, key, versionID string) (meta.Object, error)
	OpenObject(ctx context.Context, bucket, key, versionID string) (s3api.ObjectReader, error)
	DeleteObjects(ctx context.Context, bucket string, items []meta.DeleteItem) ([]meta.DeleteResult, error)
}

// Credentials looks up an access key, in the form that s3api.Config takes, so
// that one source serves both. An unknown key is s3api.ErrNoSuchAccessKey.
type Credentials func(ctx context.Context, accessKey string) (s3api.Credential, error)

// RootCredentials is the source that knows one key pair, which may do everything.
func RootCredentials(accessKey, secretKey string) Credentials {
	return func(_ context.Context, key string) (s3api.Credential, error) {
		if key != accessKey || accessKey == "" || secretKey == "" {
			return s3api.Credential{}, s3api.ErrNoSuchAccessKey
		}
		return s3api.Credential{Secret: secretKey, Identity: s3api.Identity{
			AccessKey: accessKey, UserID: s3api.DefaultUserID, DisplayName: "root",
			AccountID: s3api.DefaultAccountID, Root: true,
		}}, nil
	}
}

// Config is what a gateway needs. S3, Store, Health and Admin are required.
type Config struct {
	// S3 serves every path that is not the gateway's own. Its own Config must be
	// Open exactly when Credentials is nil here.
	S3 http.Handler
	// Store is the engine.
	Store Store
	// Health says whether metadata and volumes answer.
	Health func(ctx context.Context) master.Health
	// Admin is what the admin API works with. Its Operator is required.
	Admin Admin
	// Credentials looks up access keys. Nil means that none are configured: the
	// gateway is in protected mode and serves clients on loopback only, whoever
	// they are.
	Credentials Credentials
	// Authorizer decides for identities that are not root. Nil denies them all.
	Authorizer s3api.Authorizer
	// MetricsToken lets whoever shows it see the metrics, beside root. Empty: root alone.
	MetricsToken string
	// Region is what native requests are signed for, and the region of the bucket
	// of native keys. Empty means s3api.DefaultRegion.
	Region string
	// Domains are those of s3api.Config: below them every path is S3's.
	Domains []string
	// Owner is the canonical user id that owns what clients of an open store
	// write. Empty means s3api.DefaultUserID.
	Owner string
	// HostID is sent as x-amz-id-2 with answers that are not S3's.
	HostID string
	// Timeout is how long a client may take over each piece of a body, in either
	// direction. Zero means DefaultTimeout.
	Timeout time.Duration
	// Logger receives one line per request, and what went wrong. Nil means
	// slog.Default.
	Logger *slog.Logger
	// Now is the clock that signatures are checked against. Nil means time.Now.
	Now func() time.Time
}

// DefaultTimeout is how long a client may take over progressUnit bytes of a
// request body, or to take what one write sends it.
const DefaultTimeout = 60 * time.Second

func (c Config) withDefaults() Config {
	if c.Region == "" {
		c.Region = s3api.DefaultRegion
	}
	if c.Owner == "" {
		c.Owner = s3api.DefaultUserID
	}
	if c.HostID == "" {
		c.HostID = "tdkvs"
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
