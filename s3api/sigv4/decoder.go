package sigv4

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"tdkvs/s3api/s3err"
)

// Limits of the framing. Chunk data has none but the declared length.
const (
	maxLine      = 4 << 10 // bytes, a chunk header or a trailer with its line end
	maxTrailers  = 16
	minChunk     = 8 << 10 // bytes, every chunk but the last
	maxExcess    = 1 << 20 // bytes read behind the declared length, to find out what is wrong
	trailerField = "x-amz-trailer-signature"
)

// decoder takes aws-chunked framing off:
//
//	hex-size[;chunk-signature=hex]\r\n data \r\n
//	...
//	0[;chunk-signature=hex]\r\n
//	[name:value\r\n ...  [x-amz-trailer-signature:hex\r\n]]
//	\r\n
//
// Clients differ at the end: some end trailers with \n or with \n\r\n, some that
// sign leave the last line end out; all of these are taken.
type decoder struct {
	br         *bufio.Reader
	verify     *chunkVerifier // nil where chunks are not signed
	announced  []string       // trailers that may and must come
	hasTrailer bool
	lastLine   bool // the body must end with an empty line

	size     int64 // declared length of all data
	seen     int64 // sum of the chunk sizes so far
	left     int64 // of the current chunk
	chunk    int   // number of the current chunk, from 1
	last     int64 // size of the current chunk
	trailers []trailer
	err      error // final
}

type trailer struct{ name, value string }

func (d *decoder) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, d.err
	}
	for d.err == nil && d.left == 0 {
		d.err = d.nextChunk()
	}
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.br.Read(p[:min(int64(len(p)), d.left)])
	d.left -= int64(n)
	if d.verify != nil {
		d.verify.hash.Write(p[:n])
	}
	if d.left == 0 {
		err = d.endChunk()
	}
	if err != nil {
		d.err = cut(err)
		return 0, d.err
	}
	return n, nil
}

// cut turns the early end of a connection into the client's error.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errFraming().Wrap(io.ErrUnexpectedEOF)
	}
	return err
}

func errFraming() *Error {
	return s3err.New(s3err.IncompleteBody, "The request body terminated unexpectedly")
}

// nextChunk reads a chunk header; at the final chunk also all that follows,
// and returns io.EOF.
func (d *decoder) nextChunk() error {
	line, err := d.line()
	if err != nil {
		return cut(err)
	}
	size, signature, ok := parseChunkHeader(line, d.verify != nil)
	switch {
	case !ok:
		return errFraming()
	case size > uint64(d.size-d.seen): // also bounds size to an int64
		return d.tooLong(size)
	case size > 0 && d.chunk > 0 && d.last < minChunk:
		return s3err.Of(s3err.InvalidChunkSizeError).
			With("Chunk", strconv.Itoa(d.chunk+1)). // AWS names the chunk at which it noticed
			With("BadChunkSize", strconv.FormatInt(d.last, 10))
	}
	if d.verify != nil {
		d.verify.begin(signature)
	}
	if size > 0 {
		d.chunk++
		d.last, d.left = int64(size), int64(size)
		d.seen += int64(size)
		return nil
	}
	return d.end()
}

// tooLong is the answer to a chunk that does not fit into the declared length:
// that, or that its framing is wrong.
func (d *decoder) tooLong(size uint64) error {
	if size <= maxExcess {
		if _, err := d.br.Discard(int(size)); err != nil {
			return cut(err)
		}
		if err := d.lineEnd(); err != nil {
			return cut(err)
		}
	}
	return s3err.Of(s3err.IncompleteBody)
}

// line reads up to and with the next \n. The result is valid until the next
// read. io.EOF comes only with an empty line.
func (d *decoder) line() ([]byte, error) {
	line, err := d.br.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(line) > maxLine:
		return nil, errFraming()
	case errors.Is(err, io.EOF) && len(line) > 0:
		return line, nil
	}
	return line, err
}

// parseChunkHeader reads "size[;extension]\r\n". The extension of an unsigned
// chunk is nobody's business.
func parseChunkHeader(line []byte, signed bool) (size uint64, signature string, ok bool) {
	line, ok = bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return 0, "", false
	}
	digits, extension, _ := bytes.Cut(line, []byte(";"))
	if len(digits) == 0 || len(digits) > 16 {
		return 0, "", false
	}
	for _, c := range digits {
		if !isHex(c) {
			return 0, "", false
		}
		size = size<<4 | uint64(unhex(c))
	}
	if !signed {
		return size, "", true
	}
	sig, ok := bytes.CutPrefix(extension, []byte("chunk-signature="))
	return size, string(sig), ok && isHash(string(sig))
}

// endChunk reads the line end after chunk data and checks its signature.
func (d *decoder) endChunk() error {
	if err := d.lineEnd(); err != nil {
		return err
	}
	if d.verify != nil {
		return d.verify.end()
	}
	return nil
}

// lineEnd reads a line end.
func (d *decoder) lineEnd() error {
	end, err := d.br.Peek(2)
	if err != nil {
		return err
	}
	if end[0] != '\r' || end[1] != '\n' {
		return errFraming()
	}
	_, err = d.br.Discard(2)
	return err
}

// end handles what follows the header of the final chunk.
func (d *decoder) end() error {
	if d.verify != nil {
		if err := d.verify.end(); err != nil {
			return err
		}
	}
	if d.seen != d.size {
		return s3err.Of(s3err.IncompleteBody)
	}
	if d.hasTrailer {
		if err := d.readTrailers(); err != nil {
			return err
		}
		return io.EOF
	}
	line, err := d.line()
	if err == nil && string(line) == "\r\n" {
		_, err = d.br.Peek(1)
	}
	switch {
	case err == nil:
		return errFraming()
	case errors.Is(err, io.EOF):
		return io.EOF
	}
	return err
}

// readTrailers reads trailers to the end of the body and checks that they are
// those announced and, where the mode says so, their signature.
func (d *decoder) readTrailers() error {
	var signature string
	empty := false // the last line
	for {
		line, err := d.line()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		text := strings.TrimRight(string(line), "\r\n")
		empty = text == "" && len(line) > 0
		switch {
		case empty:
		case signature != "" || strings.Contains(text, "\r"):
			return errFraming()
		default:
			if signature, err = d.trailer(text); err != nil {
				return err
			}
		}
	}
	if d.lastLine && !empty {
		return errFraming()
	}
	for _, name := range d.announced {
		if !d.hasTrailerNamed(name) {
			return errTrailer()
		}
	}
	switch {
	case d.verify == nil:
		return nil
	case signature == "":
		return errTrailer()
	}
	return d.verify.trailer(d.trailers, signature)
}

func errTrailer() error { return s3err.Of(s3err.MalformedTrailerError) }

// trailer takes one line of the trailer; it returns the signature where it is
// that. Behind the last announced trailer only the signature can come.
func (d *decoder) trailer(line string) (signature string, err error) {
	name, value, ok := strings.Cut(line, ":")
	name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	announced := slices.Contains(d.announced, name)
	switch {
	case ok && name == trailerField && d.verify != nil:
		if !isHash(value) {
			return "", errFraming()
		}
		return value, nil
	case !announced && d.verify != nil && len(d.announced) > 0 && len(d.trailers) == len(d.announced):
		return "", errFraming()
	case !ok || !announced || d.hasTrailerNamed(name):
		return "", errTrailer()
	}
	d.trailers = append(d.trailers, trailer{name, value})
	return "", nil
}

func (d *decoder) hasTrailerNamed(name string) bool {
	return slices.ContainsFunc(d.trailers, func(t trailer) bool { return t.name == name })
}
