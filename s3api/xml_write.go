package s3api

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// Parts of the documents that clients compare byte for byte.
const (
	xmlHeader    = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	xmlNamespace = "http://s3.amazonaws.com/doc/2006-03-01/"
	xmlTime      = "2006-01-02T15:04:05.000Z"
)

// document is an XML document in the making. Its methods append, so that a
// listing costs no allocation per key. The zero value is ready for use.
type document struct {
	b []byte
}

// root begins the document with its outermost element, in the namespace of S3.
func (d *document) root(name string) {
	d.b = append(d.b, xmlHeader...)
	d.b = append(d.b, '<')
	d.b = append(d.b, name...)
	d.b = append(d.b, ` xmlns="`+xmlNamespace+`">`...)
}

func (d *document) open(name string) {
	d.b = append(d.b, '<')
	d.b = append(d.b, name...)
	d.b = append(d.b, '>')
}

func (d *document) close(name string) {
	d.b = append(d.b, '<', '/')
	d.b = append(d.b, name...)
	d.b = append(d.b, '>')
}

// text writes <name>value</name>.
func (d *document) text(name, value string) {
	d.open(name)
	d.b = appendText(d.b, value)
	d.close(name)
}

// optional writes <name>value</name>, and nothing for an empty value.
func (d *document) optional(name, value string) {
	if value != "" {
		d.text(name, value)
	}
}

func (d *document) int(name string, value int64) {
	d.open(name)
	d.b = strconv.AppendInt(d.b, value, 10)
	d.close(name)
}

func (d *document) bool(name string, value bool) {
	d.open(name)
	d.b = strconv.AppendBool(d.b, value)
	d.close(name)
}

// time writes a time as AWS does: UTC, ISO 8601, milliseconds.
func (d *document) time(name string, t time.Time) {
	d.open(name)
	d.b = appendTime(d.b, t)
	d.close(name)
}

// etag writes an ETag in its quotes, which stand as references.
func (d *document) etag(etag string) {
	d.b = append(d.b, "<ETag>&quot;"...)
	d.b = appendText(d.b, etag)
	d.b = append(d.b, "&quot;</ETag>"...)
}

// owner writes who owns or began something.
func (d *document) owner(name string, id Identity) {
	d.open(name)
	d.text("ID", id.UserID)
	d.optional("DisplayName", id.DisplayName)
	d.close(name)
}

// appendTime appends t as "2006-01-02T15:04:05.000Z".
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, xmlTime)
	}
	hour, minute, second := t.Clock()
	b = append(b, byte('0'+year/1000), byte('0'+year/100%10))
	b = append2(b, year%100)
	b = append2(append(b, '-'), int(month))
	b = append2(append(b, '-'), day)
	b = append2(append(b, 'T'), hour)
	b = append2(append(b, ':'), minute)
	b = append2(append(b, ':'), second)
	ms := t.Nanosecond() / 1e6
	b = append(b, '.', byte('0'+ms/100))
	return append(append2(b, ms%100), 'Z')
}

// append2 appends a number below 100 as two digits.
func append2(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// appendText appends s as character data. What XML can not hold as it is, or
// would not give back as it was (control characters, carriage returns), becomes
// a numeric reference, as AWS writes it.
func appendText(b []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if plainText[c] {
				i++
				continue
			}
			b = append(b, s[from:i]...)
			b = appendReference(b, rune(c))
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == 0xFFFE || r == 0xFFFF || r == utf8.RuneError && n == 1 {
			b = append(b, s[from:i]...)
			b = appendReference(b, r)
			from = i + n
		}
		i += n
	}
	return append(b, s[from:]...)
}

// appendReference appends r as an entity or numeric reference.
func appendReference(b []byte, r rune) []byte {
	switch r {
	case '&':
		return append(b, "&amp;"...)
	case '<':
		return append(b, "&lt;"...)
	case '>':
		return append(b, "&gt;"...)
	case '"':
		return append(b, "&quot;"...)
	}
	b = append(b, "&#x"...)
	b = strconv.AppendInt(b, int64(r), 16)
	return append(b, ';')
}

// plainText are the ASCII characters that stand for themselves.
var plainText = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '&' && c != '<' && c != '>' && c != '"'
	}
	return t
}()

// appendURL appends s as encoding-type=url writes keys: UTF-8, percent-encoded
// but for letters, digits and "-_.*/". AWS writes a space as "+"; here it is
// "%20", which decoders of forms and of URLs both take for a space.
func appendURL(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case isAlnum(c), 'A' <= c && c <= 'Z', c == '-', c == '_', c == '.', c == '*', c == '/':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// keyEncoder writes the elements of a listing that hold keys, plainly or as
// encoding-type=url asks.
type keyEncoder struct{ kind string } // as sent; empty: plainly

func (e keyEncoder) text(d *document, name, value string) {
	d.open(name)
	d.b = e.append(d.b, value)
	d.close(name)
}

// append appends a key.
func (e keyEncoder) append(b []byte, key string) []byte {
	if e.kind != "" {
		return appendURL(b, key)
	}
	return appendText(b, key)
}

func (e keyEncoder) optional(d *document, name, value string) {
	if value != "" {
		e.text(d, name, value)
	}
}

// sparse encodes only what a decoder would change and what XML can not hold. It
// is for the Prefix of ListObjects: botocore asks for encoding on its own account
// and does not decode that element, and others do.
func (e keyEncoder) sparse(d *document, name, value string) {
	if e.kind == "" {
		e.text(d, name, value)
		return
	}
	d.open(name)
	for len(value) > 0 {
		r, n := utf8.DecodeRuneInString(value)
		switch {
		case r == '%', r == '+', r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0xFFFE, r == 0xFFFF, r == utf8.RuneError && n == 1:
			d.b = appendURL(d.b, value[:n])
		default:
			d.b = appendText(d.b, value[:n])
		}
		value = value[n:]
	}
	d.close(name)
}

// echo says how keys are encoded.
func (e keyEncoder) echo(d *document) { d.optional("EncodingType", e.kind) }

// prefixes writes common prefixes, which AWS puts behind all keys.
func (e keyEncoder) prefixes(d *document, prefixes []string) {
	for _, p := range prefixes {
		d.open("CommonPrefixes")
		e.text(d, "Prefix", p)
		d.close("CommonPrefixes")
	}
}
