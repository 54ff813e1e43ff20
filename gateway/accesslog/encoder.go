package accesslog

import (
	"strconv"
	"time"
)

// encoder is a sink that writes a line as the handlers of log/slog do. Values are
// printable ASCII nearly always, and what that takes is all it knows: with any
// other it gives up.
type encoder struct {
	format Format
	dst    []byte
	odd    bool // a value was something else
}

// longestKept is how much of a buffer is kept for the next line.
const longestKept = 16 << 10

// encode makes the line; false where it can not.
func (e *encoder) encode(l *Line) bool {
	if cap(e.dst) > longestKept {
		e.dst = nil
	}
	e.dst, e.odd = e.dst[:0], false
	if e.format == JSON {
		e.dst = append(e.dst, `{"time":"`...)
		e.dst = l.Time.AppendFormat(e.dst, time.RFC3339Nano)
		e.dst = append(e.dst, `","level":"`+l.Level.String()+`","msg":"`+Message+`"`...)
		l.fields(e)
		e.dst = append(e.dst, '}', '\n')
	} else {
		e.dst = append(e.dst, "time="...)
		e.dst = l.Time.AppendFormat(e.dst, "2006-01-02T15:04:05.000Z07:00")
		e.dst = append(e.dst, " level="+l.Level.String()+" msg="+Message...)
		l.fields(e)
		e.dst = append(e.dst, '\n')
	}
	return !e.odd
}

// name begins a field.
func (e *encoder) name(name string) {
	if e.format == JSON {
		e.dst = append(append(append(e.dst, ',', '"'), name...), '"', ':')
	} else {
		e.dst = append(append(append(e.dst, ' '), name...), '=')
	}
}

func (e *encoder) number(name string, value int64) {
	e.name(name)
	e.dst = strconv.AppendInt(e.dst, value, 10)
}

func (e *encoder) duration(name string, value time.Duration) {
	if e.format == JSON {
		e.number(name, int64(value))
		return
	}
	e.name(name)
	e.dst = append(e.dst, value.String()...)
}

func (e *encoder) text(name, value string) {
	e.name(name)
	apart, escaped := value == "", false // has what makes text be quoted, and what is escaped in quotes
	for i := range len(value) {
		switch c := value[i]; {
		case c < ' ' || c > '~':
			e.odd = true
			return
		case c == '"':
			apart, escaped = true, true
		case c == '\\':
			escaped = true
		case c == ' ' || c == '=':
			apart = true
		}
	}
	switch {
	case e.format == Text && !apart:
		e.dst = append(e.dst, value...)
	case escaped:
		e.dst = strconv.AppendQuote(e.dst, value)
	default:
		e.dst = append(append(append(e.dst, '"'), value...), '"')
	}
}
