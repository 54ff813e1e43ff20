package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"tdkvs/gateway/metrics"
	"tdkvs/s3api/sigv4"
)

// gateway serves all requests. Its fields are set once, by New.
type gateway struct {
	cfg      Config
	routes   *mux.Router
	verifier *sigv4.Verifier
	stats    *stats

	server, hostID []string // values of headers of every answer, which nobody changes
}

// New returns the handler of everything that comes in on the store's port.
func New(cfg Config) (http.Handler, error) {
	if cfg.S3 == nil || cfg.Store == nil || cfg.Health == nil || cfg.Admin.Operator == nil {
		return nil, errors.New("gateway: Config needs S3, Store, Health and Admin.Operator")
	}
	g := &gateway{cfg: cfg.withDefaults(), server: []string{"tdkvs"}}
	g.hostID = []string{g.cfg.HostID}
	g.stats = newStats(g.cfg.Now().UTC())
	g.verifier = &sigv4.Verifier{Region: g.cfg.Region, Now: g.cfg.Now, Secrets: g.secret, Lenient: true}
	// Keys such as "a//b" and "../x" are real: paths are neither cleaned nor
	// decoded before they are matched.
	g.routes = mux.NewRouter().SkipClean(true).UseEncodedPath()
	own := g.routes.MatcherFunc(func(r *http.Request, _ *mux.RouteMatch) bool { return !g.virtualHost(r.Host) }).Subrouter()
	own.PathPrefix(getPrefix).Handler(g.native(getPrefix, "NativeGet", "GET, HEAD", g.get))
	own.PathPrefix(setPrefix).Handler(g.native(setPrefix, "NativeSet", "PUT", g.set))
	own.PathPrefix(deletePrefix).Handler(g.native(deletePrefix, "NativeDelete", "DELETE", g.delete))
	own.Path("/-/healthz").Handler(g.page("Healthz", g.healthz))
	own.Path("/-/readyz").Handler(g.page("Readyz", g.readyz))
	own.Path(metrics.Path).Handler(g.page("Metrics", g.metricsPage()))
	own.MatcherFunc(func(r *http.Request, _ *mux.RouteMatch) bool { return isAdmin(r) }).HandlerFunc(g.admin)
	g.routes.NotFoundHandler = g.cfg.S3
	return g, nil
}

// virtualHost reports whether a host names a bucket below one of the domains:
// there, "/get/x" is an object of that bucket like any other.
func (g *gateway) virtualHost(host string) bool {
	host = hostName(host)
	below := false
	for _, d := range g.cfg.Domains {
		d = strings.ToLower(strings.Trim(d, "."))
		if host == d {
			return false
		}
		below = below || strings.HasSuffix(host, "."+d)
	}
	return below
}

// hostName is the Host header without port and final dot, in lower case.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// ServeHTTP serves one request, whatever becomes of it, and logs it.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.stats.inFlight.Add(1)
	defer g.stats.inFlight.Add(-1)
	out := newWriter(w, r, g.cfg.Timeout)
	header := w.Header()
	header["Server"], header[hostIDHeader] = g.server, g.hostID
	header["X-Amz-Request-Id"] = out.id[:]
	in := newBody(w, r.Body, g.cfg.Timeout, out.began)
	received := r // as it came, for the log and the server
	if in != nil {
		r = new(http.Request)
		*r = *received
		r.Body = in
	}
	defer func() {
		v := recover()
		aborted := g.recovered(out, v)
		now := time.Now()
		out.finish(now)
		if in != nil {
			in.finish(now)
		}
		g.record(received, out, in, now)
		if aborted {
			panic(http.ErrAbortHandler) // the server breaks the connection
		}
	}()
	continueEmpty(w, r)
	if g.cfg.Credentials == nil && !public(r) {
		if err := g.protect(r); err != nil {
			g.refuse(out, r, &out.info, err)
			return
		}
	}
	if !isOwn(out.path) {
		g.cfg.S3.ServeHTTP(out, r)
		return
	}
	g.routes.ServeHTTP(out, r)
}

// isOwn reports whether a path may be one of the gateway's own. All others are S3's,
// whatever the host.
func isOwn(path string) bool {
	for _, prefix := range [...]string{ownPrefix, getPrefix, setPrefix, deletePrefix} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// ownPrefix is that of the pages of health, metrics and the admin API. No bucket
// can be called so.
const ownPrefix = "/-/"

// continueEmpty sends the "100 Continue" that a client asked for although its
// body is empty. RFC 9110 (10.1.1) lets a server leave it out then, as net/http
// does; botocore, which the aws CLI is made of, takes the next answer on the same
// connection for a wrong one if it is.
func continueEmpty(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 && r.ProtoAtLeast(1, 1) && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		w.WriteHeader(http.StatusContinue)
		_ = flushConn(r.Context()) // where it fails, so will the answer
	}
}

// hostIDHeader is spelled as the S3 handler spells it, so that its own replaces
// the gateway's instead of joining it.
const hostIDHeader = "x-amz-id-2"

// recovered deals with what a handler panicked with, if it did, and reports
// whether the connection must be broken.
func (g *gateway) recovered(out *writer, v any) (abort bool) {
	if v == nil {
		return false
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return true
	}
	out.info.Err = fmt.Errorf("panic: %v", v)
	g.cfg.Logger.Error("panic", slog.String("request_id", out.id[0]), slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
	if out.status != 0 {
		return true // something was sent: only a broken connection tells the truth
	}
	writeText(out, http.StatusInternalServerError, internalText+out.id[0], nil)
	return false
}
