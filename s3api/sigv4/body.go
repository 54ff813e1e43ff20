package sigv4

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"sync"
)

// Body is a request body with its framing taken off. It is not safe for
// concurrent use.
//
// Signed chunks are hashed while they pass, in whatever size they come: a byte
// may be released before the signature of its chunk was seen, but never the last
// bytes of a chunk that fails, and io.EOF is returned only after every chunk, the
// final chunk and the trailer were found right. Whoever keeps the bytes must wait
// for io.EOF. So memory does not depend on the chunk size that a client chooses.
type Body struct {
	src     io.Reader // what Read reads: the body itself or decoder
	decoder *decoder  // nil where there is no framing
}

// readerSize is that of the buffer below the decoder, which serves chunk
// headers; larger reads of chunk data pass by it.
const readerSize = 16 << 10

// readers keeps idle buffers of the decoders.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readerSize) }}

var errClosed = errors.New("sigv4: body read after Close")

// Body returns a request's body decoded: unchanged where it has no framing. It
// may be called once. Close gives pooled memory back; it does not close body.
func (res *Result) Body(body io.Reader) *Body {
	if !res.Payload.Chunked() {
		return &Body{src: body}
	}
	br := readers.Get().(*bufio.Reader)
	br.Reset(body)
	d := &decoder{br: br, size: res.Size, announced: res.Trailers, hasTrailer: res.Payload != StreamingSigned,
		lastLine: res.Payload == StreamingUnsignedTrailer}
	switch {
	case res.chunks != nil:
		d.verify = newChunkVerifier(*res.chunks)
	case res.Payload == StreamingSignedTrailer: // Unverified: one more trailer
		d.announced = append(slices.Clip(d.announced), trailerField)
	}
	return &Body{src: d, decoder: d}
}

// Read reads decoded bytes. Errors other than those of the connection are
// *Error: IncompleteBody, SignatureDoesNotMatch, InvalidChunkSizeError,
// MalformedTrailerError. An error is final.
func (b *Body) Read(p []byte) (int, error) { return b.src.Read(p) }

// Trailer returns the value of an announced trailer, by its name in lower case.
// It knows nothing before Read returned io.EOF.
func (b *Body) Trailer(name string) (string, bool) {
	if b.decoder == nil || !errors.Is(b.decoder.err, io.EOF) {
		return "", false
	}
	for _, t := range b.decoder.trailers {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}

// Close releases the decoder's buffer; Read fails afterwards. Trailers stay.
func (b *Body) Close() error {
	if b.decoder == nil {
		return nil
	}
	if br := b.decoder.br; br != nil {
		b.decoder.br = nil
		br.Reset(nil)
		readers.Put(br)
	}
	b.src = closedReader{}
	return nil
}

type closedReader struct{}

func (closedReader) Read([]byte) (int, error) { return 0, errClosed }
