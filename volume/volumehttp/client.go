package volumehttp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
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
	// MaxIdleConns is how many connections are kept for reuse; 0 is 256.
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
	*clientPool
}

// clientPool is what the clients of one server share.
type clientPool struct {
	transport *http.Transport
	readers   sync.Pool // of *bufio.Reader
	buffers   bufferPool
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
	if config.MaxIdleConns <= 0 {
		config.MaxIdleConns = 256
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	pool := &clientPool{transport: &http.Transport{
		// No Proxy: volumes are reached directly.
		DialContext:            (&net.Dialer{Timeout: config.DialTimeout}).DialContext,
		TLSHandshakeTimeout:    config.DialTimeout,
		MaxIdleConns:           config.MaxIdleConns,
		MaxIdleConnsPerHost:    config.MaxIdleConns,
		IdleConnTimeout:        clientKeepAlive,
		ExpectContinueTimeout:  2 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		// Whatever is longer passes by these.
		WriteBufferSize: 4 << 10,
		ReadBufferSize:  4 << 10,
	}}
	pool.readers.New = func() any { return bufio.NewReaderSize(nil, frameBuffer) }
	return &Client{config: config, base: base, clientPool: pool}, nil
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
	return &other
}

// Close closes idle connections, also those of clients that ForVolume returned.
// Calls in flight go on.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

// String returns the URL of the volume.
func (c *Client) String() string { return c.base.String() }

// request is one call to the server.
type request struct {
	method string
	path   string
	query  url.Values
	header http.Header
	body   *requestSource // nil: none

	// taken is called at each sign of life before the answer; nil: none is wanted.
	taken func()

	// watched is told of the watch over the call, to rewind it at each sign of
	// progress; nil: a time limit for the whole request.
	watched func(*watch)
}

// requestSource is a request body: open returns it from its beginning, as often
// as needed; length -1 is unknown.
type requestSource struct {
	open   func() (io.ReadCloser, error)
	length int64
}

// call is a request under way: its response, once there is one, and the watch
// over both.
type call struct {
	ctx      context.Context // the caller's
	client   *Client
	watch    *watch
	response *http.Response
}

// start sends a request and waits for the head of the response. A response that
// is no success is returned as the error it stands for. The call must be ended.
func (c *Client) start(ctx context.Context, r request) (*call, error) {
	if err := ctx.Err(); err != nil {
		return nil, c.wrap(err)
	}
	if c.config.VolumeUUID == "" && r.path != "/v1/status" {
		return nil, c.wrap(fmt.Errorf("no volume was named to expect there: %w", volume.ErrWrongVolume))
	}
	// A kept connection can turn out closed by the server, and others with it.
	// Then a new one is tried; each request may be repeated.
	const attempts = 3
	var first error
	for attempt := 1; ; attempt++ {
		k, stale, err := c.try(ctx, r)
		switch {
		case err == nil:
			return k, nil
		case errors.Is(err, errSentInPart):
			return nil, c.wrap(first)
		case !stale || attempt == attempts:
			return nil, c.wrap(err)
		}
		first = err
		c.transport.CloseIdleConnections()
	}
}

// try is one attempt of start. stale says of an error that it may be due to a
// kept connection, and that the request can be repeated.
func (c *Client) try(ctx context.Context, r request) (k *call, stale bool, err error) {
	watched, watch := newWatch(ctx)
	k = &call{ctx: ctx, client: c, watch: watch}
	reused := false
	req, err := c.newRequest(httptrace.WithClientTrace(watched, &httptrace.ClientTrace{
		GotConn:        func(info httptrace.GotConnInfo) { reused = info.Reused },
		Got1xxResponse: r.sign,
	}), r)
	if err != nil {
		k.end()
		return nil, false, err
	}
	if r.watched != nil {
		r.watched(watch)
	}
	watch.arm(c.config.DialTimeout + c.config.ResponseTimeout)
	k.response, err = c.transport.RoundTrip(req) //nolint:bodyclose // call.end closes it
	watch.disarm()
	if err != nil {
		stale = reused && ctx.Err() == nil && !watch.expired()
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

// sign takes an answer before the answer. 100 only says that the server has read
// the head of the request.
func (r *request) sign(status int, _ textproto.MIMEHeader) error {
	if status == http.StatusProcessing && r.taken != nil {
		r.taken()
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	target := *c.base
	target.Path = r.path
	target.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if c.config.VolumeUUID != "" {
		req.Header.Set(headerVolume, c.config.VolumeUUID)
	}
	if r.taken != nil {
		req.Header.Set(headerSigns, "1")
	}
	if c.config.Secret != "" {
		sign(req, c.config.Secret, c.config.Now())
	}
	if r.body != nil {
		req.ContentLength = r.body.length
		if req.Body, err = r.body.open(); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// check refuses a response that is not a success of the volume that was asked.
func (k *call) check() error {
	h := k.response.Header
	if h.Get(headerProtocol) != protocolVersion {
		return fmt.Errorf("%s, but not from a volume: %w", k.response.Status, volume.ErrUnavailable)
	}
	if k.response.StatusCode >= 300 {
		return k.decodeFailure()
	}
	if want := k.client.config.VolumeUUID; want != "" && h.Get(headerVolume) != want {
		return fmt.Errorf("volume %q answers, and %s was expected: %w", h.Get(headerVolume), want, volume.ErrWrongVolume)
	}
	return nil
}

func (k *call) decodeFailure() error {
	var e errorJSON
	if err := k.readJSON(&e); err != nil {
		return fmt.Errorf("%s: %w", k.response.Status, err)
	}
	return decodeError(e.Code, e.Message)
}

// read returns the whole body of a response, which is a message.
func (k *call) read() ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(&responseBody{k}, maxJSON+1))
	if err != nil {
		return nil, k.failure(err)
	}
	if len(body) > maxJSON {
		return nil, fmt.Errorf("message of more than %d bytes: %w", maxJSON, volume.ErrUnavailable)
	}
	return body, nil
}

func (k *call) readJSON(v any) error {
	body, err := k.read()
	if err != nil {
		return err
	}
	if err := unmarshalChecked(body, k.response.Header, v); err != nil {
		return fmt.Errorf("%v: %w", err, volume.ErrUnavailable)
	}
	return nil
}

// failure says what a failed exchange means: that the caller gave up, or that
// the volume can not be reached.
func (k *call) failure(err error) error {
	if ctxErr := k.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	if k.watch.expired() {
		err = errors.New("no sign of life, timed out")
	}
	return fmt.Errorf("%w: %v", volume.ErrUnavailable, err)
}

// end lets go of the connection: for reuse if the response was read to its end,
// else it is closed.
func (k *call) end() {
	k.watch.stop()
	if k.response != nil {
		_ = k.response.Body.Close() // it was only read from
	}
}

// wrap says which volume an error comes from.
func (c *Client) wrap(err error) error { return fmt.Errorf("volume %s: %w", c.base, err) }

// responseBody gives the server an idle timeout for each read.
type responseBody struct{ call *call }

func (b *responseBody) Read(p []byte) (int, error) {
	b.call.watch.arm(b.call.client.config.IdleTimeout)
	defer b.call.watch.disarm()
	return b.call.response.Body.Read(p)
}

// exchange makes a call with messages: in is sent and out received as JSON;
// nil is none.
func (c *Client) exchange(ctx context.Context, r request, in, out any) error {
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return c.wrap(err)
		}
		r.header = http.Header{headerCRC: {jsonChecksum(body)}, "Content-Type": {typeJSON}}
		r.body = &requestSource{length: int64(len(body)), open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(body)), nil
		}}
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
func (c *Client) command(ctx context.Context, r request, in any) error {
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
	if err := c.exchange(ctx, request{method: http.MethodGet, path: blobPath(id) + "/stat"}, nil, &answer); err != nil {
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
		r := request{method: http.MethodPost, path: "/v1/delete"}
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
		r := request{method: http.MethodGet, path: "/v1/blobs", query: url.Values{
			"after": {after.String()}, "limit": {strconv.Itoa(limit - len(infos))},
		}}
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
	k, err := c.start(ctx, request{method: http.MethodPost, path: blobPath(id) + "/verify"})
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
	if err := c.exchange(ctx, request{method: http.MethodGet, path: "/v1/status"}, nil, &answer); err != nil {
		return volume.Status{}, err
	}
	return answer.decode(), nil
}

// Claim implements volume.Blobs.
func (c *Client) Claim(ctx context.Context, cluster string) error {
	r := request{method: http.MethodPost, path: "/v1/claim"}
	return c.command(ctx, r, claimJSON{Cluster: cluster})
}
