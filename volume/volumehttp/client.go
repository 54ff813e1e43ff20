package volumehttp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"tdkvs/volume"
)

// Config configures a Client.
type Config struct {
	// URL is where the volume listens: http or https, host and port, no path.
	URL string
	// Secret is the cluster secret that requests are signed with; empty for a
	// volume that has none, which serves its own machine only.
	Secret string
	// VolumeUUID is the volume that must answer. Without one only Status can
	// be asked, which tells it; see ForVolume.
	VolumeUUID string
	// DialTimeout bounds the making of a connection; 0 is 5 seconds.
	DialTimeout time.Duration
	// ResponseTimeout is how long the volume may take to answer a request that
	// it has received; 0 is one minute.
	ResponseTimeout time.Duration
	// IdleTimeout is how long the volume may take to send or to accept the next
	// bytes of a body; 0 is one minute.
	IdleTimeout time.Duration
	// WriteBudget is the memory for payloads on their way to volumes, which
	// clients may share. What finds it used up is sent block by block, and can
	// not be sent again when its connection breaks. Nil is one of
	// volume.DefaultBudget bytes.
	WriteBudget *volume.Budget
	// ReadBudget is the memory for what is read at once of long blobs, which clients may
	// share. Without it they are read block by block. Nil is one of volume.DefaultBudget
	// bytes.
	ReadBudget *volume.Budget
	// MaxIdleConns is how many connections are kept for reuse, of those for gets and
	// short puts, and of those for all else; 0 is 256.
	MaxIdleConns int
	// Now is the clock that dates signatures; nil is time.Now.
	Now func() time.Time
}

// Client is a volume.Blobs over HTTP. Beside the errors of the store a network
// failure is ErrUnavailable; a Put or Delete that fails so may have been done.
// All methods are safe for concurrent use.
type Client struct {
	config Config
	base   *url.URL
	fixed  string // the header fields of every request
	*clientPool
}

// clientPool is what the clients of one server share.
type clientPool struct {
	conns   *connPool // for all that is not for lanes
	lanes   *connPool
	signer  *signer
	readers sync.Pool // of *bufio.Reader, for a frame
	longer  sync.Pool // of *bufio.Reader, for longRead bytes
	buffers bufferPool
}

var _ volume.Blobs = (*Client)(nil)

// NewClient returns a client. It connects when it is first used.
func NewClient(config Config) (*Client, error) {
	base, err := parseURL(config.URL)
	if err != nil {
		return nil, err
	}
	setDefault(&config.DialTimeout, 5*time.Second)
	setDefault(&config.ResponseTimeout, time.Minute)
	setDefault(&config.IdleTimeout, time.Minute)
	if config.WriteBudget == nil {
		config.WriteBudget = volume.NewBudget(volume.DefaultBudget)
	}
	if config.ReadBudget == nil {
		config.ReadBudget = volume.NewBudget(volume.DefaultBudget)
	}
	if config.MaxIdleConns <= 0 {
		config.MaxIdleConns = 256
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	secured := securityOf(base)
	pool := &clientPool{
		conns: newConnPool(base, config, secured), lanes: newConnPool(base, config, secured), signer: newSigner(config.Secret),
	}
	pool.readers.New = func() any { return bufio.NewReaderSize(nil, frameBuffer) }
	pool.longer.New = func() any { return bufio.NewReaderSize(nil, longRead) }
	return (&Client{config: config, base: base, clientPool: pool}).ForVolume(config.VolumeUUID), nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("volume url: %w", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("volume url %q: want http://host:port: %w", text, volume.ErrInvalid)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("volume url %q: want nothing but http://host:port: %w", text, volume.ErrInvalid)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// ForVolume returns a client of the same server, sharing its connections, that
// expects the volume with this UUID.
func (c *Client) ForVolume(uuid string) *Client {
	other := *c
	other.config.VolumeUUID = uuid
	other.fixed = "Host: " + c.base.Host + "\r\n"
	if uuid != "" {
		other.fixed += headerVolume + ": " + uuid + "\r\n"
	}
	return &other
}

// Close closes idle connections, also those of clients that ForVolume returned.
// Calls in flight go on.
func (c *Client) Close() error {
	c.conns.close()
	c.lanes.close()
	return nil
}

// String returns the URL of the volume.
func (c *Client) String() string { return c.base.String() }

// start sends a request and waits for the head of the response. A response that
// is no success is returned as the error it stands for. The call must be ended.
func (c *Client) start(ctx context.Context, r *request) (*call, error) {
	if err := ctx.Err(); err != nil {
		return nil, c.wrap(err)
	}
	if c.config.VolumeUUID == "" && r.target != "/v1/status" {
		return nil, c.wrap(fmt.Errorf("no volume was named to expect there: %w", volume.ErrWrongVolume))
	}
	// A kept connection can turn out closed by the server, and others with it.
	// Then a new one is tried; each request may be repeated.
	const attempts = 3
	for {
		r.attempts++
		k, stale, err := c.try(ctx, r)
		switch {
		case err == nil:
			return k, nil
		case !stale || r.attempts == attempts:
			return nil, c.wrap(err)
		}
		c.poolFor(r).closeIdle()
	}
}

// poolFor is where the connections for a request are.
func (c *Client) poolFor(r *request) *connPool {
	if r.lane {
		return c.lanes
	}
	return c.conns
}

// try is one attempt of start. stale says of an error that it may be due to a
// kept connection, and that the request can be repeated.
func (c *Client) try(ctx context.Context, r *request) (k *call, stale bool, err error) {
	k = &call{ctx: ctx, client: c, pool: c.poolFor(r)}
	if k.conn, err = k.pool.take(ctx); err != nil {
		return nil, false, k.failure(err)
	}
	k.unwatch = context.AfterFunc(ctx, k.conn.abort)
	if r.stream != nil {
		err = k.askStreaming(r)
	} else {
		err = k.ask(r)
	}
	if err != nil {
		stale = k.conn.used && !timedOut(err) && ctx.Err() == nil && (r.stream == nil || !r.stream.started)
		err = k.failure(err)
	} else {
		err = k.check()
	}
	if err != nil {
		k.end()
		return nil, stale, err
	}
	return k, false, nil
}

// wrap says which volume an error comes from.
func (c *Client) wrap(err error) error { return fmt.Errorf("volume %s: %w", c.base, err) }

// exchange makes a call with messages: in is sent and out received as JSON;
// nil is none.
func (c *Client) exchange(ctx context.Context, r *request, in, out any) error {
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return c.wrap(err)
		}
		r.body, r.mediaType, r.checksum = body, typeJSON, jsonChecksum(body)
	}
	k, err := c.start(ctx, r)
	if err != nil {
		return err
	}
	defer k.end()
	if err := k.readJSON(out); err != nil {
		return c.wrap(err)
	}
	return nil
}

// command is exchange for a request whose only answer is that it was done.
func (c *Client) command(ctx context.Context, r *request, in any) error {
	var answer errorJSON
	if err := c.exchange(ctx, r, in, &answer); err != nil {
		return err
	}
	if answer.Code != codeOK {
		return c.wrap(decodeError(answer.Code, answer.Message))
	}
	return nil
}

// Stat implements volume.Blobs.
func (c *Client) Stat(ctx context.Context, id volume.BlobID) (volume.Info, error) {
	var answer infoJSON
	if err := c.exchange(ctx, &request{method: http.MethodGet, target: blobPath(id) + "/stat"}, nil, &answer); err != nil {
		return volume.Info{}, err
	}
	info, err := answer.decode()
	if err == nil && info.ID != id {
		err = fmt.Errorf("asked for %s, told of %s", id, info.ID)
	}
	if err != nil {
		return volume.Info{}, c.wrap(fmt.Errorf("%w: %v", volume.ErrUnavailable, err))
	}
	return info, nil
}

// Delete implements volume.Blobs. A failure may leave some of the blobs deleted.
func (c *Client) Delete(ctx context.Context, ids []volume.BlobID) error {
	if err := ctx.Err(); err != nil {
		return c.wrap(err)
	}
	for len(ids) > 0 {
		batch := ids[:min(len(ids), pageSize)]
		ids = ids[len(batch):]
		message := deleteJSON{IDs: make([]string, len(batch))}
		for i, id := range batch {
			message.IDs[i] = id.String()
		}
		r := &request{method: http.MethodPost, target: "/v1/delete"}
		if err := c.command(ctx, r, message); err != nil {
			return err
		}
	}
	return nil
}

// List implements volume.Blobs. A long list takes several requests.
func (c *Client) List(ctx context.Context, after volume.BlobID, limit int) ([]volume.Info, error) {
	var infos []volume.Info
	for {
		r := &request{method: http.MethodGet, target: "/v1/blobs?after=" + after.String() + "&limit=" + strconv.Itoa(limit-len(infos))}
		var page listJSON
		if err := c.exchange(ctx, r, nil, &page); err != nil {
			return nil, err
		}
		for _, answer := range page.Blobs {
			info, err := answer.decode()
			if err != nil || bytes.Compare(info.ID[:], after[:]) <= 0 {
				return nil, c.wrap(fmt.Errorf("listed %q after %s: %w", answer.ID, after, volume.ErrUnavailable))
			}
			infos = append(infos, info)
			after = info.ID
		}
		if !page.More || len(page.Blobs) == 0 || len(infos) >= limit {
			return infos, nil
		}
	}
}

// Verify implements volume.Blobs.
func (c *Client) Verify(ctx context.Context, id volume.BlobID) error {
	k, err := c.start(ctx, &request{method: http.MethodPost, target: blobPath(id) + "/verify"})
	if err != nil {
		return err
	}
	defer k.end()
	body, err := k.read()
	if err != nil {
		return c.wrap(err)
	}
	var outcome errorJSON
	if err := json.Unmarshal(body, &outcome); err != nil {
		return c.wrap(fmt.Errorf("%w: outcome of a verification: %v", volume.ErrUnavailable, err))
	}
	if outcome.Code != codeOK {
		return c.wrap(decodeError(outcome.Code, outcome.Message))
	}
	return nil
}

// Status implements volume.Blobs. It is the one call that needs no VolumeUUID.
func (c *Client) Status(ctx context.Context) (volume.Status, error) {
	var answer statusJSON
	if err := c.exchange(ctx, &request{method: http.MethodGet, target: "/v1/status"}, nil, &answer); err != nil {
		return volume.Status{}, err
	}
	return answer.decode(), nil
}

// Claim implements volume.Blobs.
func (c *Client) Claim(ctx context.Context, cluster string) error {
	r := &request{method: http.MethodPost, target: "/v1/claim"}
	return c.command(ctx, r, claimJSON{Cluster: cluster})
}
