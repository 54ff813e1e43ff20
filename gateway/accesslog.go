package gateway

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tdkvs/gateway/accesslog"
)

// Bounds of what a client sent in a log line, in bytes.
const (
	maxLoggedPath  = 3 * 1024
	maxLoggedQuery = 1024
	maxLoggedError = 2 * 1024
)

// record counts a request and writes its log line. Health checks are of interest
// to nobody unless they fail.
func (g *gateway) record(r *http.Request, out *writer, in *body, now time.Time) {
	info, took := &out.info, now.Sub(out.began)
	var received int64
	if in != nil {
		received = in.read
	}
	g.stats.count(answered{
		operation: info.Operation, code: info.ErrorCode, status: out.status, in: received, out: out.written,
		firstByte: out.untilFirstByte(took), took: took,
	})
	level := slog.LevelInfo
	switch {
	case out.status >= 500:
		level = slog.LevelWarn
	case info.Operation == "Healthz" || info.Operation == "Readyz" || info.Operation == "Metrics":
		level = slog.LevelDebug
	}
	if !g.cfg.Logger.Enabled(r.Context(), level) {
		return
	}
	line := accesslog.Line{
		Time: now, Level: level, RequestID: out.id[0], Remote: r.RemoteAddr,
		Method: clip(r.Method, 20), Path: clip(out.path, maxLoggedPath), Operation: info.Operation,
		Status: out.status, BytesOut: out.written, Duration: took,
		HasBody: in != nil, BytesIn: received, AccessKey: info.AccessKey, Code: info.ErrorCode,
		UserAgent: clip(r.UserAgent(), 200),
	}
	if r.URL.RawQuery != "" {
		line.Query = clip(redact(r.URL.RawQuery), maxLoggedQuery)
	}
	if info.Err != nil {
		line.Error = clip(info.Err.Error(), maxLoggedError)
	}
	accesslog.Log(r.Context(), g.cfg.Logger, &line)
}

// redact takes the values out of a query that make it a key to the store: those
// of a presigned URL, of either signature version.
func redact(raw string) string {
	var b strings.Builder
	b.Grow(len(raw))
	for i, part := range strings.Split(raw, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		name, value, hasValue := strings.Cut(part, "=")
		b.WriteString(name)
		if !hasValue {
			continue
		}
		b.WriteByte('=')
		if secret(name) {
			value = "REDACTED"
		}
		b.WriteString(value)
	}
	return b.String()
}

// secret reports whether a parameter's value is not for the log. A name that can
// not be read counts.
func secret(escaped string) bool {
	name, err := url.QueryUnescape(escaped)
	if err != nil {
		return true
	}
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "x-amz-") || name == "signature" || name == "awsaccesskeyid"
}
