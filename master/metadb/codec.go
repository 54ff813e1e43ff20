package metadb

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"tdkvs/master/meta"
)

// recordVersion is the first byte of every record. Within a version, fields are
// only ever added; a reader skips those it does not know.
const recordVersion = 1

// The errors of decoding, tested with errors.Is.
var (
	ErrBadRecord   = errors.New("metadb: malformed record")
	ErrNewerRecord = errors.New("metadb: record written by a newer version of the program")
)

// encoder appends fields in protobuf wire format. Zero values are left out, and
// fields are written in order of their numbers, so a record has one encoding.
type encoder struct{ b []byte }

func newRecord(size int) encoder {
	return encoder{append(make([]byte, 0, size), recordVersion)}
}

func (e *encoder) uint(num protowire.Number, v uint64) {
	if v != 0 {
		e.b = protowire.AppendTag(e.b, num, protowire.VarintType)
		e.b = protowire.AppendVarint(e.b, v)
	}
}

func (e *encoder) int(num protowire.Number, v int64) { e.uint(num, uint64(v)) }

func (e *encoder) bool(num protowire.Number, v bool) {
	if v {
		e.uint(num, 1)
	}
}

func (e *encoder) str(num protowire.Number, s string) {
	if s != "" {
		e.b = protowire.AppendTag(e.b, num, protowire.BytesType)
		e.b = protowire.AppendString(e.b, s)
	}
}

// time writes Unix milliseconds. Only the zero time is left out.
func (e *encoder) time(num protowire.Number, t time.Time) {
	if !t.IsZero() {
		e.b = protowire.AppendTag(e.b, num, protowire.VarintType)
		e.b = protowire.AppendVarint(e.b, uint64(t.UnixMilli()))
	}
}

// bytes writes a field even when it is empty: an element of a list.
func (e *encoder) bytes(num protowire.Number, v []byte) {
	e.b = protowire.AppendTag(e.b, num, protowire.BytesType)
	e.b = protowire.AppendBytes(e.b, v)
}

// open begins a nested message: an element of a list, even when empty. What is written
// until close, with what open returned, is in it.
func (e *encoder) open(num protowire.Number) (at int) {
	e.b = protowire.AppendTag(e.b, num, protowire.BytesType)
	e.b = append(e.b, 0) // most are shorter than 128 bytes
	return len(e.b)
}

// close ends a nested message: its length goes before it.
func (e *encoder) close(at int) {
	n := len(e.b) - at
	if longer := protowire.SizeVarint(uint64(n)) - 1; longer > 0 {
		e.b = append(e.b, make([]byte, longer)...)
		copy(e.b[at+longer:], e.b[at:at+n])
	}
	protowire.AppendVarint(e.b[:at-1], uint64(n))
}

// strings writes a map as entries {1: name, 2: value} in order of name.
func (e *encoder) strings(num protowire.Number, m map[string]string) {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		at := e.open(num)
		e.str(1, name)
		e.str(2, m[name])
		e.close(at)
	}
}

// record returns the finished record; KindMetadataTooLarge when it is longer
// than meta.MaxRecordPayload.
func (e *encoder) record(what string) ([]byte, error) {
	if len(e.b) > meta.MaxRecordPayload {
		return nil, &meta.Error{
			Kind: meta.KindMetadataTooLarge, Op: "encode " + what,
			Message: fmt.Sprintf("%d bytes, the limit is %d", len(e.b), meta.MaxRecordPayload),
		}
	}
	return e.b, nil
}

// decoder walks the fields of a message. The first error sticks and ends the
// walk; a known field of another wire type is such an error.
type decoder struct {
	b    []byte // what is left
	text string // all of the message, of which texts are cut; empty: each is a copy of its own
	num  protowire.Number
	typ  protowire.Type
	n    uint64
	v    []byte // stands right before b
	err  error
}

// openRecord checks the version byte and returns a walk over the fields.
func openRecord(b []byte) decoder {
	switch {
	case len(b) == 0 || b[0] == 0:
		return decoder{err: fmt.Errorf("%w: no version", ErrBadRecord)}
	case b[0] > recordVersion:
		return decoder{err: fmt.Errorf("%w: record version %d", ErrNewerRecord, b[0])}
	}
	return decoder{b: b[1:]}
}

// openText is openRecord for records that are mostly text: what is read of it as
// text has one allocation in common, which stays as long as any of it does.
func openText(b []byte) decoder {
	d := openRecord(b)
	d.text = string(d.b)
	return d
}

// next moves to the next field and reports whether there is one.
func (d *decoder) next() bool {
	if d.err != nil || len(d.b) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(d.b)
	if n < 0 {
		return d.fail("tag", protowire.ParseError(n))
	}
	d.num, d.typ, d.b = num, typ, d.b[n:]
	switch typ {
	case protowire.VarintType:
		d.n, n = protowire.ConsumeVarint(d.b)
	case protowire.BytesType:
		d.v, n = protowire.ConsumeBytes(d.b)
	default:
		n = protowire.ConsumeFieldValue(num, typ, d.b)
	}
	if n < 0 {
		return d.fail("value", protowire.ParseError(n))
	}
	d.b = d.b[n:]
	return true
}

func (d *decoder) fail(what string, err error) bool {
	if d.err == nil {
		d.err = fmt.Errorf("%w: field %d: %s: %w", ErrBadRecord, d.num, what, err)
	}
	return false
}

var (
	errWireType   = errors.New("unexpected wire type")
	errOutOfRange = errors.New("out of range")
)

func (d *decoder) uint() uint64 {
	if d.typ != protowire.VarintType {
		d.fail("integer", errWireType)
		return 0
	}
	return d.n
}

// uintMax returns an integer of at most limit.
func (d *decoder) uintMax(limit uint64) uint64 {
	v := d.uint()
	if v > limit {
		d.fail("integer", errOutOfRange)
		return 0
	}
	return v
}

// size returns an integer that can not be negative.
func (d *decoder) size() int64 { return int64(d.uintMax(math.MaxInt64)) }

func (d *decoder) int() int64 { return int64(d.uint()) }

func (d *decoder) bool() bool { return d.uintMax(1) == 1 }

func (d *decoder) time() time.Time { return time.UnixMilli(d.int()).UTC() }

func (d *decoder) bytes() []byte {
	if d.typ != protowire.BytesType {
		d.fail("bytes", errWireType)
		return nil
	}
	return d.v
}

func (d *decoder) str() string {
	v := d.bytes()
	if d.text == "" {
		return string(v)
	}
	return d.asText(v)
}

// asText is v, which has just been read, as a part of the text.
func (d *decoder) asText(v []byte) string {
	if d.text == "" {
		return ""
	}
	end := len(d.text) - len(d.b)
	return d.text[end-len(v) : end]
}

// message returns a walk over a nested message; end must be called with it.
func (d *decoder) message() decoder {
	v := d.bytes()
	return decoder{b: v, text: d.asText(v), err: d.err}
}

// end takes over the error of a nested walk.
func (d *decoder) end(sub *decoder) {
	if d.err == nil {
		d.err = sub.err
	}
}

// entry adds one map entry to m, which it makes when nil.
func (d *decoder) entry(m map[string]string) map[string]string {
	var name, value string
	sub := d.message()
	for sub.next() {
		switch sub.num {
		case 1:
			name = sub.str()
		case 2:
			value = sub.str()
		}
	}
	d.end(&sub)
	if m == nil {
		m = make(map[string]string)
	}
	m[name] = value
	return m
}
