package s3api

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"tdkvs/s3api/conditional"
	"tdkvs/s3api/s3err"
)

// reader decodes the XML body of a request while it streams in, strictly: an
// element that the caller does not expect, text between elements, or a document
// type is MalformedXML. The namespace may be missing. Unlike with a plain
// Unmarshal, an unknown condition in a delete can not be overlooked, and a long
// list is never held as text.
type reader struct {
	d   *xml.Decoder
	src *source
}

func newReader(r io.Reader) *reader {
	src := &source{r: r}
	return &reader{xml.NewDecoder(src), src}
}

// source remembers the error that ended a body, to tell it from one of its XML.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// malformed is the answer to a body that is not what it should be.
func malformed(err error) error { return s3err.Of(s3err.MalformedXML).Wrap(err) }

// token returns the next token that matters. An error of the body itself comes
// back as it is.
func (x *reader) token() (xml.Token, error) {
	for {
		t, err := x.d.Token()
		switch {
		case x.src.err != nil:
			return nil, x.src.err
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case err != nil:
			return nil, malformed(err)
		}
		switch t := t.(type) {
		case xml.Comment:
		case xml.ProcInst:
			if t.Target != "xml" {
				return nil, malformed(errors.New("processing instruction"))
			}
		case xml.Directive:
			return nil, malformed(errors.New("document type"))
		default:
			return t, nil
		}
	}
}

// document reads the whole document: its root, which must be name, by children,
// and nothing behind it. empty is true, and children is not called, when the
// body holds nothing. A byte order mark may stand first (XML 1.0, appendix F).
func (x *reader) document(name string, children func() error) (empty bool, err error) {
	for first := true; ; first = false {
		t, err := x.token()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if blank(t) || first && blank(withoutMark(t)) {
			continue
		}
		start, ok := t.(xml.StartElement)
		if !ok || start.Name.Local != name {
			return false, malformed(errors.New("unexpected root element"))
		}
		if err := children(); err != nil {
			return false, err
		}
		return false, x.end()
	}
}

// end reads to the end of the body, where only white space may stand.
func (x *reader) end() error {
	for {
		t, err := x.token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !blank(t) {
			return malformed(errors.New("content behind the root element"))
		}
	}
}

// children calls each for every child of the current element, up to its end.
// Each must read the child whole.
func (x *reader) children(each func(name string) error) error {
	for {
		t, err := x.token()
		if err != nil {
			return eofMalformed(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := each(t.Name.Local); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		default:
			if !blank(t) {
				return malformed(errors.New("text between elements"))
			}
		}
	}
}

// text reads the text of the current element, which has no children.
func (x *reader) text() (string, error) {
	var s string
	for {
		t, err := x.token()
		if err != nil {
			return "", eofMalformed(err)
		}
		switch t := t.(type) {
		case xml.CharData:
			s += string(t)
		case xml.EndElement:
			return s, nil
		default:
			return "", malformed(errors.New("element within text"))
		}
	}
}

// once reads the text of an element that may stand only once into s, which is
// empty before.
func (x *reader) once(s *string) error {
	if *s != "" {
		return malformed(errors.New("element twice"))
	}
	var err error
	*s, err = x.text()
	return err
}

// only reads the children of the current element, which has exactly one, of this
// name, that read reads.
func (x *reader) only(name string, read func() error) error {
	found := false
	err := x.children(func(child string) error {
		if child != name || found {
			return unexpected(child)
		}
		found = true
		return read()
	})
	if err == nil && !found {
		err = malformed(errors.New("missing element " + name))
	}
	return err
}

// int reads a decimal number.
func (x *reader) int() (int64, error) {
	s, err := x.text()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0, malformed(err)
	}
	return n, nil
}

// bool reads "true" or "false".
func (x *reader) bool() (bool, error) {
	s, err := x.text()
	if err != nil {
		return false, err
	}
	switch strings.TrimSpace(s) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, malformed(errors.New("not a boolean"))
}

// time reads a time, in ISO 8601 or as in HTTP headers.
func (x *reader) time() (time.Time, error) {
	s, err := x.text()
	if err != nil {
		return time.Time{}, err
	}
	s = strings.TrimSpace(s)
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	t, ok := conditional.ParseTime(s)
	if !ok {
		return time.Time{}, malformed(errors.New("not a time"))
	}
	return t, nil
}

// unexpected is what a handler returns for a child that it does not know.
func unexpected(name string) error { return malformed(errors.New("unexpected element " + name)) }

func eofMalformed(err error) error {
	if errors.Is(err, io.EOF) {
		return malformed(io.ErrUnexpectedEOF)
	}
	return err
}

// withoutMark takes a byte order mark off the front of a text.
func withoutMark(t xml.Token) xml.Token {
	if text, ok := t.(xml.CharData); ok {
		return xml.CharData(strings.TrimPrefix(string(text), "\uFEFF"))
	}
	return t
}

// blank reports whether t is white space.
func blank(t xml.Token) bool {
	text, ok := t.(xml.CharData)
	return ok && len(strings.TrimSpace(string(text))) == 0
}
