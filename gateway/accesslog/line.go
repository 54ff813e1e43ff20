package accesslog

import (
	"log/slog"
	"time"
)

// Line is what is logged of a request. Nothing in it is secret or longer than a
// line may be: that is the caller's business.
type Line struct {
	Time  time.Time // not the zero time, which log/slog leaves out
	Level slog.Level

	RequestID, Remote, Method, Path, Operation string

	Status   int
	BytesOut int64
	Duration time.Duration

	// The following are left out where they are empty.
	Query     string
	HasBody   bool // whether BytesIn is logged
	BytesIn   int64
	AccessKey string
	Code      string
	Error     string
	UserAgent string
}

// Message is that of every line.
const Message = "request"

// fields gives the line's fields to a sink, in the order in which they are
// written.
func (l *Line) fields(to sink) {
	to.text("request_id", l.RequestID)
	to.text("remote", l.Remote)
	to.text("method", l.Method)
	to.text("path", l.Path)
	to.text("operation", l.Operation)
	to.number("status", int64(l.Status))
	to.number("bytes_out", l.BytesOut)
	to.duration("duration", l.Duration)
	optional(to, "query", l.Query)
	if l.HasBody {
		to.number("bytes_in", l.BytesIn)
	}
	optional(to, "access_key", l.AccessKey)
	optional(to, "code", l.Code)
	optional(to, "error", l.Error)
	optional(to, "user_agent", l.UserAgent)
}

func optional(to sink, name, value string) {
	if value != "" {
		to.text(name, value)
	}
}

// sink takes the fields of a line.
type sink interface {
	text(name, value string)
	number(name string, value int64)
	duration(name string, value time.Duration)
}

// record is a sink that makes a record of log/slog.
type record struct{ slog.Record }

func (r *record) text(name, value string)                   { r.AddAttrs(slog.String(name, value)) }
func (r *record) number(name string, value int64)           { r.AddAttrs(slog.Int64(name, value)) }
func (r *record) duration(name string, value time.Duration) { r.AddAttrs(slog.Duration(name, value)) }

// record returns the line as a record.
func (l *Line) record() slog.Record {
	r := &record{slog.NewRecord(l.Time, l.Level, Message, 0)}
	l.fields(r)
	return r.Record
}
