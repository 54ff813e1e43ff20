package volumehttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tdkvs/volume"
)

// lane is a connection whose client has promised, by headerLane in its first
// request, to send nothing but gets, and puts of known length. It is taken over
// from net/http: its requests are read, served and answered by one goroutine, each
// answer in one write where it is short. Whatever else comes ends it.
type lane struct {
	s      *Server
	cn     *conn
	peer   string
	ctx    context.Context // ends with the lane
	cancel context.CancelFunc
	busy   atomic.Int32 // what it does, see below
	pos    portion      // what is left of the body of the request
	guard  guard
}

// What a lane does. Only one that waits for a request can be closed from outside.
const (
	laneWaits int32 = iota
	laneServes
	laneClosed
)

// lanes are those of a server.
type lanes struct {
	once    sync.Once // for the server that they came from
	mu      sync.Mutex
	open    map[*lane]struct{}
	ending  atomic.Bool
	aborted bool // owned by mu
	running sync.WaitGroup
}

// add makes a lane one of them, unless they are ending.
func (l *lanes) add(x *lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending.Load() {
		return false
	}
	if l.open == nil {
		l.open = make(map[*lane]struct{})
	}
	l.open[x] = struct{}{}
	l.running.Add(1)
	return true
}

func (l *lanes) remove(x *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, x)
	l.running.Done()
}

// end closes the lanes that wait for a request. The others end with the one that
// they serve.
func (l *lanes) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending.Store(true)
	for x := range l.open {
		if x.busy.CompareAndSwap(laneWaits, laneClosed) {
			x.cn.abort()
		}
	}
}

// connect gives a lane its connection, and reports whether it may use it.
func (l *lanes) connect(x *lane, cn *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	x.cn = cn
	return !l.aborted
}

// abort closes them all.
func (l *lanes) abort() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.aborted = true
	for x := range l.open {
		if x.cn != nil {
			x.cn.abort()
		}
	}
}

// Shutdown ends the connections that the server has taken over from net/http, whose
// server knows nothing of them: those that are idle at once, the others when the
// request that they serve has ended, or when ctx is done. Call it when that server's
// own Shutdown has ended.
func (s *Server) Shutdown(ctx context.Context) {
	s.lanes.end()
	defer context.AfterFunc(ctx, s.lanes.abort)()
	s.lanes.running.Wait()
}

// takeOver serves a connection as a lane, from the given request on, until its end. It
// reports false where it can not be taken over.
func (s *Server) takeOver(w http.ResponseWriter, r *http.Request) bool {
	first, ok := laneRequestOf(r)
	if !ok {
		return false
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	x := &lane{s: s, peer: r.RemoteAddr, ctx: ctx, cancel: cancel}
	x.busy.Store(laneServes)
	if !s.lanes.add(x) {
		return false
	}
	defer s.lanes.remove(x)
	plain, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil { // a client that does not wait for its answers has lost the connection
		return !errors.Is(err, http.ErrNotSupported)
	}
	defer func() { _ = plain.Close() }()
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok {
		s.lanes.once.Do(func() { server.RegisterOnShutdown(s.lanes.end) })
	}
	if !s.lanes.connect(x, newConn(plain)) {
		return true
	}
	if n := buffered.Reader.Buffered(); n > 0 {
		ahead, _ := buffered.Peek(n) // they are there
		x.cn.in.Reset(io.MultiReader(bytes.NewReader(bytes.Clone(ahead)), plain))
	}
	x.run(first)
	return true
}

// run serves requests until the connection ends.
func (x *lane) run(r laneRequest) {
	for x.serve(&r) {
		if !x.busy.CompareAndSwap(laneServes, laneWaits) || x.s.lanes.ending.Load() {
			return
		}
		x.cn.allowRead(serverKeepAlive)
		head, err := x.cn.head()
		if err != nil || !x.busy.CompareAndSwap(laneWaits, laneServes) {
			return
		}
		if r, err = parseLaneRequest(head, x.s.volume); err != nil {
			x.refuse(&r, err)
			return
		}
		x.cn.forget(head)
	}
}

// serve serves a request, and reports whether another can follow.
func (x *lane) serve(r *laneRequest) bool {
	x.pos = portion{cn: x.cn, left: r.length, idle: x.s.config.IdleTimeout}
	x.cn.allowWrite(x.s.config.IdleTimeout)
	err := x.s.signer.check(r.auth, r.method, r.target, r.volume, x.peer, x.s.config.Now())
	if err == nil {
		err = x.s.expected(r.volume, r.target)
	}
	switch {
	case err != nil:
	case r.method == http.MethodGet:
		err = x.get(r)
	default:
		err = x.put(r)
	}
	if errors.Is(err, errBroken) {
		return false
	}
	if err != nil && !x.refuse(r, err) {
		return false
	}
	return x.pos.left == 0
}

// errBroken is within the error of a connection that can not be used any more.
var errBroken = errors.New("the connection is broken")

// refuse answers a request by an error, and reports whether another can follow: a
// short body is taken in.
func (x *lane) refuse(r *laneRequest, err error) bool {
	code, status := encodeError(err)
	x.s.logFailure(x.ctx, r.method, r.target, x.peer, code, err)
	body := marshalJSON(errorJSON{Code: code, Message: bounded(err.Error())})
	out := x.appendStatus(x.cn.out[:0], status, r.volume == x.s.volume)
	out = append(append(append(out, headerError+": "...), code...), "\r\n"...)
	x.cn.out = appendJSON(out, body)
	if x.pos.left > 2*maxBuffered {
		_ = x.cn.write(x.cn.out) // a peer that is gone needs no answer
		return false
	}
	if _, err := io.Copy(io.Discard, &x.pos); err != nil {
		return false
	}
	x.cn.allowWrite(x.s.config.IdleTimeout)
	return x.cn.write(x.cn.out) == nil
}

// appendStatus appends the beginning of an answer.
func (x *lane) appendStatus(dst []byte, status int, named bool) []byte {
	dst = strconv.AppendInt(append(dst, "HTTP/1.1 "...), int64(status), 10)
	dst = append(append(append(dst, ' '), http.StatusText(status)...), "\r\n"+headerProtocol+": "+protocolVersion+"\r\n"...)
	if named {
		dst = append(append(append(dst, headerVolume+": "...), x.s.volume...), "\r\n"...)
	}
	return dst
}

// appendJSON appends the rest of an answer that is a message.
func appendJSON(dst, body []byte) []byte {
	dst = append(dst, "Content-Type: "+typeJSON+"\r\n"+headerCRC+": "...)
	dst = append(append(dst, jsonChecksum(body)...), "\r\nContent-Length: "...)
	dst = append(strconv.AppendInt(dst, int64(len(body)), 10), "\r\n\r\n"...)
	return append(dst, body...)
}

// laneRequest is the head of a request on a lane.
type laneRequest struct {
	method string
	target string
	id     volume.BlobID
	volume string
	auth   string
	length int64 // of the body
	size   int64 // of the payload of a put; -1: not said
	span   blobRange
	info   bool // of a get: the info frame is wanted
}

// wantsLane reports that a request asks for a lane, on this very connection: a proxy does
// not hand on what the Connection field names (RFC 9110, 7.6.1), for what it sends on
// one connection comes from many.
func wantsLane(r *http.Request) bool {
	if r.Header.Get(headerLane) == "" {
		return false
	}
	for _, line := range r.Header["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(option), headerLane) {
				return true
			}
		}
	}
	return false
}

// laneRequestOf is the request that makes a lane of its connection, if it can. It is
// known to be allowed.
func laneRequestOf(r *http.Request) (laneRequest, bool) {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.Close || r.Header.Get("Expect") != "" || r.ContentLength < 0 {
		return laneRequest{}, false
	}
	x := laneRequest{
		method: r.Method, target: r.RequestURI, volume: r.Header.Get(headerVolume), auth: r.Header.Get(headerAuth),
		length: r.ContentLength, size: -1,
	}
	if text := r.Header.Get(headerSize); text != "" {
		if x.field([]byte(headerSize), []byte(text), "") != nil {
			return x, false
		}
	}
	return x, x.aim() == nil
}

// parseLaneRequest takes the head of a request apart, of which each line ends in CRLF.
// known is the volume that is most likely meant.
func parseLaneRequest(head []byte, known string) (laneRequest, error) {
	x := laneRequest{size: -1}
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	method, line, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(line, []byte(" "))
	if string(version) != "HTTP/1.1" {
		return x, fmt.Errorf("request line %.60q: %w", head, volume.ErrInvalid)
	}
	x.method, x.target = same(method, http.MethodGet), string(target)
	for len(rest) > 0 {
		var name, value []byte
		var ok bool
		if name, value, rest, ok = cutField(rest); !ok {
			return x, fmt.Errorf("header line %.40q: %w", name, volume.ErrInvalid)
		}
		if err := x.field(name, value, known); err != nil {
			return x, err
		}
	}
	return x, x.aim()
}

// field takes one header field. What is of no concern is passed over.
func (x *laneRequest) field(name, value []byte, known string) (err error) {
	is := func(field string) bool { return isField(name, field) }
	switch {
	case is(headerVolume):
		x.volume = same(value, known)
	case is(headerAuth):
		x.auth = string(value)
	case is("Content-Length"):
		x.length, err = decimal(value)
	case is(headerSize):
		x.size, err = decimal(value)
	case is("Transfer-Encoding"), is("Expect"), is("Upgrade"):
		err = errors.New("not on this connection")
	}
	if err != nil {
		return fmt.Errorf("header %s: %.40q: %v: %w", name, value, err, volume.ErrInvalid)
	}
	return nil
}

// aim finds out what is asked for.
func (x *laneRequest) aim() error {
	path, query, _ := strings.Cut(x.target, "?")
	name, ok := strings.CutPrefix(path, "/v1/blobs/")
	if !ok || x.method != http.MethodGet && x.method != http.MethodPut || x.method == http.MethodGet && x.length != 0 {
		return fmt.Errorf("%s %s with %d bytes on a connection for gets and puts: %w", x.method, x.target, x.length, volume.ErrInvalid)
	}
	var err error
	if x.id, err = volume.ParseBlobID(name); err != nil {
		return fmt.Errorf("%v: %w", err, volume.ErrInvalid)
	}
	x.span = blobRange{id: x.id, length: -1}
	for query != "" {
		var part string
		part, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(part, "=")
		if err := x.parameter(name, value); err != nil {
			return fmt.Errorf("parameter %s=%q: %w", name, value, volume.ErrInvalid)
		}
	}
	return nil
}

func (x *laneRequest) parameter(name, value string) (err error) {
	switch name {
	case "offset":
		x.span.offset, err = strconv.ParseInt(value, 10, 64)
	case "length":
		x.span.length, err = strconv.ParseInt(value, 10, 64)
	case paramInfo:
		if x.info = value == infoFirst; !x.info {
			err = volume.ErrInvalid
		}
	}
	return err
}

// guard ends a read that takes long when its client goes away: it looks at the
// connection in the meantime, from which nothing is to come.
type guard struct {
	timer *time.Timer
	mu    sync.Mutex
	on    bool          // a read is under way
	ended chan struct{} // closed when the look has ended; nil: there is none
}

// guardAfter is how long a read may take until it is looked whether its client is there.
const guardAfter = 100 * time.Millisecond

// watch begins to guard a read.
func (x *lane) watch() {
	g := &x.guard
	g.mu.Lock()
	g.on = true
	g.mu.Unlock()
	if g.timer == nil {
		g.timer = time.AfterFunc(guardAfter, x.look)
		return
	}
	g.timer.Reset(guardAfter)
}

// look waits for the client to say something, or to go away.
func (x *lane) look() {
	g := &x.guard
	g.mu.Lock()
	if !g.on || g.ended != nil {
		g.mu.Unlock()
		return
	}
	ended := make(chan struct{})
	g.ended = ended
	_ = x.cn.SetReadDeadline(time.Time{})
	g.mu.Unlock()
	defer close(ended)
	if _, err := x.cn.in.Peek(1); err != nil && !timedOut(err) {
		x.cancel()
	}
}

// unwatch ends the guarding, and waits for a look that is under way.
func (x *lane) unwatch() {
	g := &x.guard
	g.timer.Stop()
	g.mu.Lock()
	g.on = false
	ended := g.ended
	g.ended = nil
	g.mu.Unlock()
	if ended == nil {
		return
	}
	_ = x.cn.SetReadDeadline(time.Unix(1, 0))
	<-ended
	x.cn.readUntil = time.Time{}
}
