package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tdkvs/gateway/adminapi"
	"tdkvs/s3api/sigv4"
)

// adminClient speaks the admin API.
type adminClient struct {
	base   string        // the endpoint, without a slash at its end
	signer *sigv4.Signer // nil: no credentials, for a store in protected mode
	http   http.Client
}

// Bounds of one call.
const (
	adminTimeout   = time.Minute
	maxAdminAnswer = 64 << 20 // bytes
)

// connect makes the client, with what whereabouts finds.
func (a *adminSession) connect(env lookupEnv) (*adminClient, error) {
	found, err := whereabouts{
		command: "admin", endpoint: a.endpoint, accessKey: a.accessKey, secretKey: a.secretKey,
		region: a.region, regionGiven: a.given["region"], data: a.data, config: a.config,
	}.find(env)
	if err != nil {
		return nil, err
	}
	c := &adminClient{base: found.base, http: http.Client{Timeout: adminTimeout}}
	if keys := found.keys; keys != (credentialsConfig{}) {
		c.signer = &sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: keys.AccessKey, SecretKey: keys.SecretKey}, Region: found.region}
	}
	return c, nil
}

// call makes a request and decodes its answer. A path that is not a constant has
// its names escaped by the caller.
func (c *adminClient) call(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := c.request(ctx, method, path, query, content)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", c.base, unwrapURL(err))
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	return readAnswer(resp, answer)
}

// request makes a signed request.
func (c *adminClient) request(ctx context.Context, method, path string, query url.Values, content []byte) (*http.Request, error) {
	target := c.base + adminapi.Prefix + path
	if len(query) > 0 {
		target += "?" + strings.ReplaceAll(query.Encode(), "+", "%20") // a space, to every signer
	}
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "tdkvs-admin/"+versionText())
	if c.signer != nil {
		sum := sha256.Sum256(content)
		if err := c.signer.Sign(r, hex.EncodeToString(sum[:]), time.Now()); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// unwrapURL takes method and URL out of a client's error: they are said already.
func unwrapURL(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// readAnswer decodes a document, or the failure in its place.
func readAnswer(resp *http.Response, answer any) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer))
	if err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		if err := json.Unmarshal(b, answer); err != nil {
			return fmt.Errorf("the answer is not one of a tdkvs: %w", err)
		}
		return nil
	}
	var f adminapi.Failure
	if err := json.Unmarshal(b, &f); err != nil || f.Error.Message == "" {
		return fmt.Errorf("the answer is %s, and not one of a tdkvs", resp.Status)
	}
	return &answeredError{status: resp.StatusCode, FailureText: f.Error}
}

// answeredError is a failure that the store has answered.
type answeredError struct {
	status int
	adminapi.FailureText
}

func (e *answeredError) Error() string {
	return fmt.Sprintf("%s (%s, status %d)", e.Message, e.Code, e.status)
}
