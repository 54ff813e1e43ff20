package s3api

import (
	"errors"
	"io"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/s3api/postpolicy"
	"tdkvs/s3api/s3err"
)

// formFile is the file of a form, as a request body. It ends with an error, so
// that nothing is stored, where the form is cut short or goes on with another
// file, or where the policy does not allow the file's size.
type formFile struct {
	form   *form
	policy *postpolicy.Policy // nil where the form has none
	max    int64              // bytes
	size   int64              // bytes read so far
	err    error              // final
}

func newFormFile(f *form, policy *postpolicy.Policy) *formFile {
	limit := int64(meta.MaxPutSize)
	if policy != nil {
		limit = policy.MaxSize(limit)
	}
	return &formFile{form: f, policy: policy, max: limit}
}

// Read fills b: the parser gives out small pieces.
func (f *formFile) Read(b []byte) (n int, err error) {
	for n < len(b) && f.err == nil {
		var m int
		m, f.err = f.form.file.Read(b[n:])
		n += m
		f.size += int64(m)
		switch {
		case f.size > f.max:
			f.err = f.tooLarge()
		case errors.Is(f.err, io.EOF):
			f.err = f.end()
		case f.err != nil:
			f.err = formError(f.err)
		}
	}
	if f.err != nil && !errors.Is(f.err, io.EOF) {
		return 0, f.err
	}
	if n > 0 || len(b) == 0 {
		return n, nil
	}
	return 0, f.err
}

// Close does nothing: the connection is the server's.
func (f *formFile) Close() error { return nil }

// end decides, when the file has ended, whether it may be stored. It returns
// io.EOF when it may.
func (f *formFile) end() error {
	if f.policy != nil {
		if err := f.policy.CheckSize(f.size); err != nil {
			return err
		}
	}
	if err := f.form.noSecondFile(); err != nil {
		return err
	}
	return io.EOF
}

// noSecondFile reads what follows the file. All of it is ignored, as on AWS, but
// for another file, which its sender would believe to be stored. What is no form
// any more ends the search; an error of the connection is returned.
func (f *form) noSecondFile() error {
	for {
		f.guard.bound()
		part, err := f.parts.NextRawPart()
		if err != nil {
			return connectionError(err)
		}
		if name, _ := disposition(part); strings.EqualFold(name, fileField) {
			return errFileCount(2)
		}
		f.guard.open = true
		if _, err := io.Copy(io.Discard, part); err != nil {
			return connectionError(err)
		}
	}
}

// connectionError returns an error unless it is only about the form.
func connectionError(err error) error {
	err = formError(err)
	switch s3err.CodeOf(err) {
	case s3err.MalformedPOSTRequest, s3err.MaxPostPreDataLengthExceededError:
		return nil
	}
	return err
}

// maxOverrun is how much of a file that is too large is read to tell its size.
const maxOverrun = 16 << 20

// tooLarge returns the error of a file above the limit, with its size.
func (f *formFile) tooLarge() error {
	n, _ := io.Copy(io.Discard, io.LimitReader(f.form.file, maxOverrun)) // what there is will do
	f.size += n
	if f.policy != nil {
		if err := f.policy.CheckSize(f.size); err != nil {
			return err
		}
	}
	return tooLarge(f.size)
}
