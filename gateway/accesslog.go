package gateway

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tdkvs/s3api"
)

// Bounds of what a client sent in a log line, in bytes.
const (
	maxLoggedPath  = 3 * 1024
	maxLoggedQuery = 1024
	maxLoggedError = 2 * 1024
)

// record counts a request and writes its log line. Health checks are of interest
// to nobody unless they fail.
func (g *gateway) record(r *http.Request, out *writer, in *body, info *s3api.RequestInfo, id string, took time.Duration) {
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
	ctx := r.Context()
	if !g.cfg.Logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("request_id", id),
		slog.String("remote", r.RemoteAddr),
		slog.String("method", clip(r.Method, 20)),
		slog.String("path", clip(r.URL.EscapedPath(), maxLoggedPath)),
		slog.String("operation", info.Operation),
		slog.Int("status", out.status),
		slog.Int64("bytes_out", out.written),
		slog.Duration("duration", took),
	)
	if r.URL.RawQuery != "" {
		attrs = append(attrs, slog.String("query", clip(redact(r.URL.RawQuery), maxLoggedQuery)))
	}
	if in != nil {
		attrs = append(attrs, slog.Int64("bytes_in", received))
	}
	if info.AccessKey != "" {
		attrs = append(attrs, slog.String("access_key", info.AccessKey))
	}
	if info.ErrorCode != "" {
		attrs = append(attrs, slog.String("code", info.ErrorCode))
	}
	if info.Err != nil {
		attrs = append(attrs, slog.String("error", clip(info.Err.Error(), maxLoggedError)))
	}
	if agent := r.UserAgent(); agent != "" {
		attrs = append(attrs, slog.String("user_agent", clip(agent, 200)))
	}
	g.cfg.Logger.LogAttrs(ctx, level, "request", attrs...)
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
