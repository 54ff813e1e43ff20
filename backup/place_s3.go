package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"tdkvs/s3api/sigv4"
)

// S3Config says where a bucket is.
type S3Config struct {
	Endpoint string // such as https://s3.eu-central-1.amazonaws.com; the bucket is in the path
	Bucket   string
	Prefix   string // of the names in it
	Region   string
	sigv4.Credentials
}

// S3 is a bucket with backups, behind any endpoint that speaks S3. It uses PUT and
// GET of whole objects and of ranges, DELETE, and ListObjectsV2.
type S3 struct {
	cfg    S3Config
	base   *url.URL
	http   *http.Client
	pause  time.Duration // before a call is tried again
	signer sigv4.Signer
}

// NewS3 returns the place in a bucket, which must exist.
func NewS3(cfg S3Config) (*S3, error) {
	base, err := url.Parse(cfg.Endpoint)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("the endpoint is a URL such as https://s3.eu-central-1.amazonaws.com, not %q", cfg.Endpoint)
	}
	return &S3{
		cfg: cfg, base: base, http: &http.Client{}, pause: 200 * time.Millisecond,
		signer: sigv4.Signer{Credentials: cfg.Credentials, Region: cfg.Region},
	}, nil
}

func (s *S3) String() string { return "s3://" + path.Join(s.cfg.Bucket, s.cfg.Prefix) }

// Bounds of a call.
const (
	s3Attempts = 6
	s3Timeout  = 5 * time.Minute
	maxListing = 8 << 20
)

// s3Error is a failure that the endpoint has answered.
type s3Error struct {
	status  int
	Code    string `xml:"Code"`
	Message string `xml:"Message"`
	what    string
}

func (e *s3Error) Error() string {
	return fmt.Sprintf("%s: %s %s (status %d)", e.what, e.Code, e.Message, e.status)
}

// Is makes a missing object fs.ErrNotExist. A missing bucket is not one.
func (e *s3Error) Is(target error) bool {
	return target == fs.ErrNotExist && e.status == http.StatusNotFound && e.Code != "NoSuchBucket"
}

// again reports whether it makes sense to try once more.
func (e *s3Error) again() bool {
	switch e.status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		http.StatusTooManyRequests, http.StatusRequestTimeout:
		return true
	}
	return false
}

// s3Call is a request that may be made more than once.
type s3Call struct {
	method string
	key    string // empty: the bucket
	query  url.Values
	ranged string
	body   []byte
	limit  int64 // of the answer
}

// call makes a request, and makes it again while the endpoint can not be reached
// or is busy.
func (s *S3) call(ctx context.Context, c s3Call) ([]byte, error) {
	pause := s.pause
	for attempt := 1; ; attempt++ {
		b, err := s.once(ctx, c)
		answered := (*s3Error)(nil)
		if err == nil || ctx.Err() != nil || attempt == s3Attempts || errors.As(err, &answered) && !answered.again() {
			return b, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause *= 3
	}
}

func (s *S3) once(ctx context.Context, c s3Call) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s3Timeout)
	defer cancel()
	u := *s.base
	u.Path = path.Join("/", u.Path, s.cfg.Bucket, c.key)
	u.RawQuery = strings.ReplaceAll(c.query.Encode(), "+", "%20")
	r, err := http.NewRequestWithContext(ctx, c.method, u.String(), bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	if c.ranged != "" {
		r.Header.Set("Range", c.ranged)
	}
	sum := sha256.Sum256(c.body)
	if s.cfg.AccessKey != "" {
		if err := s.signer.Sign(r, hex.EncodeToString(sum[:]), time.Now()); err != nil {
			return nil, err
		}
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or not needed
	what := fmt.Sprintf("%s %s/%s", c.method, s, strings.TrimPrefix(strings.TrimPrefix(c.key, s.cfg.Prefix), "/"))
	if resp.StatusCode/100 != 2 {
		failed := &s3Error{status: resp.StatusCode, what: what}
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is of it
		if xml.Unmarshal(b, failed) != nil || failed.Code == "" {
			failed.Code = http.StatusText(resp.StatusCode)
		}
		return nil, failed
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, c.limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if int64(len(b)) > c.limit {
		return nil, damaged("%s: more than %d bytes", what, c.limit)
	}
	return b, nil
}

func (s *S3) key(name string) string { return path.Join(s.cfg.Prefix, name) }

// Put implements Place.
func (s *S3) Put(ctx context.Context, name string, content []byte) error {
	_, err := s.call(ctx, s3Call{method: http.MethodPut, key: s.key(name), body: content, limit: maxListing})
	return err
}

// Get implements Place.
func (s *S3) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	return s.call(ctx, s3Call{method: http.MethodGet, key: s.key(name), limit: limit})
}

// GetRange implements Place.
func (s *S3) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	if length == 0 {
		return nil, nil
	}
	b, err := s.call(ctx, s3Call{
		method: http.MethodGet, key: s.key(name), ranged: fmt.Sprintf("bytes=%d-%d", offset, offset+length-1), limit: length,
	})
	if err == nil && int64(len(b)) != length {
		err = damaged("%s/%s ends before byte %d", s, name, offset+length)
	}
	return b, err
}

// Delete implements Keeper.
func (s *S3) Delete(ctx context.Context, name string) error {
	_, err := s.call(ctx, s3Call{method: http.MethodDelete, key: s.key(name), limit: maxListing})
	if absent(err) {
		return nil
	}
	return err
}

// List implements Place.
func (s *S3) List(ctx context.Context, prefix string, fn func(Entry) error) error {
	root := ""
	if s.cfg.Prefix != "" {
		root = strings.TrimSuffix(s.cfg.Prefix, "/") + "/"
	}
	query := url.Values{"list-type": {"2"}, "prefix": {root + prefix}}
	for {
		b, err := s.call(ctx, s3Call{method: http.MethodGet, query: query, limit: maxListing})
		if err != nil {
			return err
		}
		var page struct {
			Contents []struct {
				Key          string
				Size         int64
				LastModified time.Time
			}
			IsTruncated           bool
			NextContinuationToken string
		}
		if err := xml.Unmarshal(b, &page); err != nil {
			return fmt.Errorf("%s: the answer to a listing is none: %w", s, err)
		}
		for _, o := range page.Contents {
			if err := fn(Entry{Name: strings.TrimPrefix(o.Key, root), Size: o.Size, Modified: o.LastModified}); err != nil {
				return err
			}
		}
		if !page.IsTruncated {
			return nil
		}
		if page.NextContinuationToken == "" {
			return fmt.Errorf("%s: a listing that is cut short does not say where to go on", s)
		}
		query.Set("continuation-token", page.NextContinuationToken)
	}
}
