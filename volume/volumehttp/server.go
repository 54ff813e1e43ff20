package volumehttp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"tdkvs/volume"
)

// ServerConfig configures a Server. Its zero value serves loopback only.
type ServerConfig struct {
	// Secret is the cluster secret that requests must be signed with. Without
	// one only peers on a loopback address are served.
	Secret string
	// IdleTimeout is how long a peer may take to send or to accept the next
	// bytes of a body; 0 is one minute.
	IdleTimeout time.Duration
	// Logger receives failures; nil is slog.Default.
	Logger *slog.Logger
	// Now is the clock that signatures are judged by; nil is time.Now.
	Now func() time.Time
}

// Server serves a store over HTTP. It is an http.Handler; run it by the server
// that NewHTTPServer returns, or one with limits like it.
type Server struct {
	blobs     volume.Blobs
	config    ServerConfig
	log       *slog.Logger
	volume    string // UUID, which never changes
	signer    *signer
	mux       *http.ServeMux
	heartbeat time.Duration // between the signs of life of a long Verify
	signEvery time.Duration // between those of a put
	readers   sync.Pool     // of *bufio.Reader
	buffers   sync.Pool     // of *[]byte for one outgoing block
	lanes     lanes
}

// NewServer asks the store for its identity and returns a handler over it.
func NewServer(ctx context.Context, blobs volume.Blobs, config ServerConfig) (*Server, error) {
	status, err := blobs.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("volume server: %w", err)
	}
	if config.IdleTimeout <= 0 {
		config.IdleTimeout = time.Minute
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &Server{
		blobs: blobs, config: config, log: config.Logger, volume: status.Volume,
		signer: newSigner(config.Secret), mux: http.NewServeMux(), heartbeat: 5 * time.Second, signEvery: 300 * time.Millisecond,
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.readers.New = func() any { return bufio.NewReaderSize(nil, frameBuffer) }
	s.buffers.New = func() any {
		b := make([]byte, 0, sendBuffer+2<<10) // most descriptors fit
		return &b
	}
	s.routes()
	return s, nil
}

// NewHTTPServer returns a server with limits against slow and oversized
// requests. Body timeouts are the handler's; listening and shutdown are the
// caller's.
func NewHTTPServer(handler http.Handler, logger *slog.Logger) *http.Server {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       serverKeepAlive,
		MaxHeaderBytes:    16 << 10,
	}
	if logger != nil {
		server.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelWarn)
	}
	return server
}

// serverKeepAlive is longer than clientKeepAlive, so that it is the client who
// closes an idle connection and no request meets a closing one.
const (
	serverKeepAlive = 3 * time.Minute
	clientKeepAlive = 90 * time.Second
)

// handler serves one route. An error it returns is written as the response,
// unless one was begun.
type handler func(w *response, r *http.Request) error

func (s *Server) routes() {
	for pattern, h := range map[string]handler{
		"PUT /v1/blobs/{id}":         s.put,
		"GET /v1/blobs/{id}":         s.get,
		"HEAD /v1/blobs/{id}":        s.head,
		"DELETE /v1/blobs/{id}":      s.deleteOne,
		"GET /v1/blobs/{id}/stat":    s.stat,
		"POST /v1/blobs/{id}/verify": s.verify,
		"GET /v1/blobs":              s.list,
		"POST /v1/delete":            s.deleteMany,
		"POST /v1/claim":             s.claim,
		"GET /v1/status":             s.status,
		"GET /v1/damaged":            s.damaged,
		"/": func(_ *response, r *http.Request) error {
			return fmt.Errorf("no route %s %s: %w", r.Method, r.URL.Path, volume.ErrInvalid)
		},
	} {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			resp := w.(*response)
			if err := h(resp, r); err != nil {
				s.fail(resp, r, err)
			}
		})
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp := &response{ResponseWriter: w, control: http.NewResponseController(w), idle: s.config.IdleTimeout}
	resp.extendWrite() // replaces what an earlier request left on the connection
	resp.Header().Set(headerProtocol, protocolVersion)
	if r.URL.Path == "/-/healthz" {
		resp.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(resp, "ok\n") // a peer that is gone needs no answer
		return
	}
	if err := s.signer.authorize(r, s.config.Now()); err != nil {
		s.fail(resp, r, err)
		return
	}
	resp.Header().Set(headerVolume, s.volume)
	if err := s.expected(r.Header.Get(headerVolume), r.URL.Path); err != nil {
		s.fail(resp, r, err)
		return
	}
	if wantsLane(r) && s.takeOver(w, r) {
		return
	}
	s.mux.ServeHTTP(resp, r)
}

// expected checks that the request is for this volume. Only the question who
// this is may be asked of any.
func (s *Server) expected(want, path string) error {
	switch {
	case want == s.volume:
		return nil
	case want == "" && path == "/v1/status":
		return nil
	case want == "":
		return fmt.Errorf("the request names no volume; this is %s: %w", s.volume, volume.ErrWrongVolume)
	default:
		return fmt.Errorf("this is volume %s, and %s was expected: %w", s.volume, want, volume.ErrWrongVolume)
	}
}

// logFailure reports a failed request to the log, where it is ours.
func (s *Server) logFailure(ctx context.Context, method, path, peer, code string, err error) {
	level := slog.LevelDebug
	if code == codeInternal || code == "corrupt" || code == "denied" || code == "wrong_volume" {
		level = slog.LevelWarn
	}
	s.log.Log(ctx, level, "volume request failed", "method", method, "path", path, "peer", peer, "code", code, "error", err)
}

// fail reports an error to the peer, and to the log where it is ours.
func (s *Server) fail(w *response, r *http.Request, err error) {
	code, status := encodeError(err)
	s.logFailure(r.Context(), r.Method, r.URL.Path, r.RemoteAddr, code, err)
	if w.begun {
		// Only a broken connection can still tell the peer.
		panic(http.ErrAbortHandler)
	}
	w.Header().Set(headerError, code)
	w.json(status, errorJSON{Code: code, Message: bounded(err.Error())})
}

// bounded cuts a message so that it fits into any frame.
func bounded(message string) string {
	const limit = 1 << 10
	if len(message) > limit {
		return message[:limit]
	}
	return message
}

// readJSON reads a checked JSON request body.
func (s *Server) readJSON(w *response, r *http.Request, v any) error {
	w.extendRead()
	body, err := io.ReadAll(http.MaxBytesReader(w.ResponseWriter, r.Body, maxJSON))
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return fmt.Errorf("message of more than %d bytes: %w", maxJSON, volume.ErrInvalid)
	}
	if err != nil {
		return fmt.Errorf("message: %v: %w", err, volume.ErrUnavailable)
	}
	w.endRead()
	return unmarshalChecked(body, r.Header.Get(headerCRC), v)
}

func pathID(r *http.Request) (volume.BlobID, error) {
	id, err := volume.ParseBlobID(r.PathValue("id"))
	if err != nil {
		return id, fmt.Errorf("%v: %w", err, volume.ErrInvalid)
	}
	return id, nil
}

// queryInt parses a decimal query parameter, or returns what stands for none.
func queryInt(r *http.Request, name string, none int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return none, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parameter %s=%q: %w", name, text, volume.ErrInvalid)
	}
	return n, nil
}

// response is a ResponseWriter that keeps the connection's deadlines: each call
// gives the peer another idle timeout.
type response struct {
	http.ResponseWriter
	control *http.ResponseController
	idle    time.Duration
	begun   bool // a status was written
}

// Deadlines are best effort: a recorder in a test has none.

func (w *response) extendRead()  { _ = w.control.SetReadDeadline(time.Now().Add(w.idle)) }
func (w *response) extendWrite() { _ = w.control.SetWriteDeadline(time.Now().Add(w.idle)) }

// endRead lifts the read deadline once the body is read: the server goes on
// reading to notice a peer that leaves, and must not take silence for that.
func (w *response) endRead() { _ = w.control.SetReadDeadline(time.Time{}) }

func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	w.begun = true
	w.extendWrite()
	return w.ResponseWriter.Write(p)
}

// json writes a whole response.
func (w *response) json(status int, v any) {
	body := marshalJSON(v)
	h := w.Header()
	h.Set("Content-Type", typeJSON)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set(headerCRC, jsonChecksum(body))
	w.extendWrite()
	w.WriteHeader(status)
	_, _ = w.Write(body) // a peer that is gone needs no answer
}

// marshalJSON is a message, which is of one of the types of this package.
func marshalJSON(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil { // can not be
		return []byte(`{"code":"internal"}`)
	}
	return body
}
