package s3api

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strconv"
	"strings"

	"tdkvs/s3api/postpolicy"
	"tdkvs/s3api/s3err"
)

// maxFormFields bounds what stands in a form before its file, in bytes, with
// boundaries and the headers of parts. Source: AWS "HTML form fields".
const maxFormFields = 20 << 10

// Buffers of a form: formBuffer for reading the connection, and what the parser
// reads ahead of what it has given out.
const (
	formBuffer = 32 << 10
	readAhead  = 4 << 10
)

// form is an upload form (RFC 7578), read as far as its file.
type form struct {
	// fields are the fields before the file, each name once: the values of a name
	// that comes several times are joined with commas, as on AWS.
	fields []postpolicy.Field
	file   *multipart.Part
	parts  *multipart.Reader
	guard  *prefaceReader // below parts
}

// fileField is the name of the file in a form.
const fileField = "file"

// readForm reads the fields of a form. What follows the file is not looked at
// until the file is read.
func (r *Request) readForm() (*form, error) {
	mediaType, params, err := mime.ParseMediaType(r.header("Content-Type"))
	switch {
	case mediaType != "multipart/form-data":
		return nil, s3err.Of(s3err.PreconditionFailed).With("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
	case err != nil || params["boundary"] == "":
		return nil, s3err.Of(s3err.MalformedPOSTRequest)
	}
	guard := &prefaceReader{r: bufio.NewReaderSize(r.body, formBuffer)}
	guard.bound()
	f := &form{parts: multipart.NewReader(guard, params["boundary"]), guard: guard}
	left := maxFormFields
	for {
		part, err := f.parts.NextRawPart()
		if errors.Is(err, io.EOF) && errors.Unwrap(err) == nil { // the last boundary; an end without one comes wrapped
			return nil, errFileCount(0)
		}
		if err != nil {
			return nil, formError(err)
		}
		left -= len(params["boundary"]) + partOverhead(part)
		name, fileName := disposition(part)
		if name == "" {
			return nil, s3err.Of(s3err.MalformedPOSTRequest)
		}
		if strings.EqualFold(name, fileField) {
			guard.open = true
			f.file = part
			f.expand(fileName)
			return f, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, int64(max(left, 0))+1))
		if err != nil {
			return nil, formError(err)
		}
		if left -= len(value); left < 0 {
			return nil, errFormTooLong()
		}
		f.add(name, string(value))
	}
}

// prefaceReader bounds what the parser may read outside of the file, whatever a
// client makes of the headers of parts.
type prefaceReader struct {
	r    io.Reader
	left int
	open bool // a file is being read
}

// bound begins a stretch without a file.
func (p *prefaceReader) bound() { p.open, p.left = false, maxFormFields+readAhead }

func (p *prefaceReader) Read(b []byte) (int, error) {
	if p.open {
		return p.r.Read(b)
	}
	if p.left == 0 {
		return 0, errFormTooLong()
	}
	n, err := p.r.Read(b[:min(len(b), p.left)])
	p.left -= n
	return n, err
}

// partOverhead is the length of a part without boundary and content.
func partOverhead(part *multipart.Part) int {
	n := len("--\r\n") + len("\r\n") + len("\r\n") // around the boundary, behind the headers, behind the content
	for name, values := range part.Header {
		for _, v := range values {
			n += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}
	return n
}

// disposition returns the name of a part, empty where it is no form field, and
// its file name, nil where it has none.
func disposition(part *multipart.Part) (name string, fileName *string) {
	kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || kind != "form-data" {
		return "", nil
	}
	if file, ok := params["filename"]; ok {
		fileName = &file
	}
	return params["name"], fileName
}

// add enters a field.
func (f *form) add(name, value string) {
	if i := f.index(name); i >= 0 {
		f.fields[i].Value += "," + value
		return
	}
	f.fields = append(f.fields, postpolicy.Field{Name: name, Value: value})
}

func (f *form) index(name string) int {
	return slices.IndexFunc(f.fields, func(field postpolicy.Field) bool { return strings.EqualFold(field.Name, name) })
}

// has reports whether the form has a field.
func (f *form) has(name string) bool { return f.index(name) >= 0 }

// value returns a field, empty where there is none.
func (f *form) value(name string) string {
	if i := f.index(name); i >= 0 {
		return f.fields[i].Value
	}
	return ""
}

// expand replaces ${filename} in every field but the policy by the last part of
// the file's path. Where the file has no name, AWS leaves the variable as it is.
func (f *form) expand(fileName *string) {
	if fileName == nil {
		return
	}
	base := (*fileName)[strings.LastIndexAny(*fileName, `/\`)+1:]
	for i := range f.fields {
		if field := &f.fields[i]; !strings.EqualFold(field.Name, "policy") {
			field.Value = strings.ReplaceAll(field.Value, "${filename}", base)
		}
	}
}

// errField is the answer to a form that lacks a field; name is spelled as AWS
// spells it.
func errField(name string) error {
	return s3err.Argument("Bucket POST must contain a field named '"+name+"'.  If it is specified, please check the order of the fields.", name, "")
}

func errFileCount(n int) error {
	return s3err.Argument("POST requires exactly one file upload per request.", fileField, strconv.Itoa(n))
}

func errFormTooLong() error {
	return s3err.Of(s3err.MaxPostPreDataLengthExceededError).With("MaxPostPreDataLengthBytes", strconv.Itoa(maxFormFields))
}

// formError puts an error of reading a form into S3's words. Those of the
// connection are in them already.
func formError(err error) error {
	if s3err.CodeOf(err) != "" {
		return err
	}
	return s3err.Of(s3err.MalformedPOSTRequest).Wrap(err)
}
