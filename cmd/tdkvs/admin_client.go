package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"tdkvs/gateway/adminapi"
	"tdkvs/s3api/sigv4"
	"tdkvs/volume/vfs"
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

// connect finds endpoint and credentials: flags come before the configuration
// file of a store on this machine, its endpoint before the environment's, and its
// credentials behind. What a server has left in its own directory comes with the
// flag that names that, and last where none does.
func (a *adminSession) connect(env lookupEnv) (*adminClient, error) {
	here, err := findBeside(a.config)
	if err != nil {
		return nil, err
	}
	fromEnv, _ := env(envEndpoint)
	endpoint := cmp.Or(a.endpoint, here.endpoint, leftEndpoint(a.data), fromEnv, leftEndpoint(here.dir), defaultEndpoint)
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, misusef("admin: the endpoint is a URL such as %s, not %q", defaultEndpoint, endpoint)
	}
	c := &adminClient{base: u.Scheme + "://" + u.Host, http: http.Client{Timeout: adminTimeout}}
	keys, err := a.keys(env, here, u)
	if err != nil {
		return nil, err
	}
	region := a.region
	if !a.given["region"] && here.region != "" {
		region = here.region
	}
	if keys != (credentialsConfig{}) {
		c.signer = &sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: keys.AccessKey, SecretKey: keys.SecretKey}, Region: region}
	}
	return c, nil
}

// keys are the root credentials; none where nobody gives any.
func (a *adminSession) keys(env lookupEnv, here beside, endpoint *url.URL) (credentialsConfig, error) {
	if (a.accessKey == "") != (a.secretKey == "") {
		return credentialsConfig{}, misusef("admin: give both -access-key and -secret-key, or neither")
	}
	switch {
	case a.accessKey != "" && a.data != "":
		return credentialsConfig{}, misusef("admin: give keys or -data, not both")
	case a.accessKey != "":
		return credentialsConfig{AccessKey: a.accessKey, SecretKey: a.secretKey}, nil
	case a.data != "":
		return dataKeys(a.data)
	}
	given, err := givenCredentials(env, here.keys, here.file)
	if err != nil || given.source != fromNowhere {
		return given.credentialsConfig, err
	}
	return here.madeKeys(endpoint)
}

// dataKeys reads the credentials that a server has made in its first directory.
func dataKeys(dir string) (credentialsConfig, error) {
	fsys := vfs.OS()
	file := filepath.Join(dir, credentialsFile)
	if _, err := fsys.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return credentialsConfig{}, fmt.Errorf("there is no file %s: name the first directory of a server that has made its own credentials", file)
	}
	c, err := storedCredentials(fsys, dir, slog.New(slog.DiscardHandler))
	return c.credentialsConfig, err
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
	target := c.base + adminapi.Prefix + path
	if len(query) > 0 {
		target += "?" + strings.ReplaceAll(query.Encode(), "+", "%20") // a space, to every signer
	}
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(content))
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "tdkvs-admin/"+versionText())
	if c.signer != nil {
		sum := sha256.Sum256(content)
		if err := c.signer.Sign(r, hex.EncodeToString(sum[:]), time.Now()); err != nil {
			return err
		}
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", c.base, unwrapURL(err))
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	return readAnswer(resp, answer)
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
