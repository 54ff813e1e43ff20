package accesslog

import (
	"context"
	"io"
	"log/slog"
	"sync"
)

// Format is the form of a log.
type Format uint8

// The formats: key=value, and an object a line.
const (
	Text Format = iota
	JSON
)

// Handler is a handler of log/slog that also takes lines of requests. What it
// derives (WithAttrs, WithGroup) is a plain handler of log/slog.
//
// Lines of requests that went well are gathered for up to 50 ms while there are
// many of them. All others are written at once, and what was gathered before them:
// lines never change their order. Flush must be called at the end.
type Handler struct {
	slog.Handler
	format  Format
	w       *gatherer
	buffers sync.Pool // of *encoder; a line is in one until it is written
}

// NewHandler returns a handler that writes what is of a level or above to w, whole
// lines in each call of Write, one call after the other.
func NewHandler(w io.Writer, format Format, level slog.Leveler) *Handler {
	h := &Handler{format: format, w: newGatherer(w)}
	options := &slog.HandlerOptions{Level: level}
	if format == JSON {
		h.Handler = slog.NewJSONHandler(h.w, options)
	} else {
		h.Handler = slog.NewTextHandler(h.w, options)
	}
	return h
}

// Log writes the line of a request with a logger. Where the logger's handler is
// a Handler that costs a fraction of what a record does. Lines of a level that is
// off are not written.
func Log(ctx context.Context, logger *slog.Logger, l *Line) {
	handler := logger.Handler()
	if !handler.Enabled(ctx, l.Level) {
		return
	}
	if h, ok := handler.(*Handler); ok && h.write(l) {
		return
	}
	_ = handler.Handle(ctx, l.record()) // as slog.Logger: who could be told?
}

// write writes a line, unless there is something in it that only log/slog knows
// how to write.
func (h *Handler) write(l *Line) bool {
	e, ok := h.buffers.Get().(*encoder)
	if !ok {
		e = &encoder{format: h.format}
	}
	defer h.buffers.Put(e)
	if !e.encode(l) {
		return false
	}
	if l.Level >= slog.LevelWarn {
		_, _ = h.w.Write(e.dst) // as slog.Logger
	} else {
		h.w.gather(e.dst)
	}
	return true
}

// Flush writes what was gathered.
func (h *Handler) Flush() { h.w.flush() }
