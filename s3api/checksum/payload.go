package checksum

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// Trailers gives the trailers of a body, by name in lower case, after io.EOF.
// *sigv4.Body is one.
type Trailers interface {
	Trailer(name string) (value string, ok bool)
}

// Config says what a Payload computes and checks.
type Config struct {
	Size int64 // expected length in bytes, decoded; -1 when not known beforehand
	Spec Spec  // what the client asks to be checked
	// Store is the algorithm whose value Digests reports; None means the client's
	// (Spec.Algorithm), and CRC64NVME where the client named none, as on AWS.
	Store Algorithm
	// SHA256 is the hash that the body must have by x-amz-content-sha256, in
	// lower-case hex; "" for none.
	SHA256 string
}

// Payload is a meta.Payload: a request body that computes its digests while it
// is read and refuses to end when a check fails. It is not safe for concurrent
// use.
type Payload struct {
	src     io.Reader
	cfg     Config
	store   Algorithm
	sums    *sums // nil after the end and after Close
	read    int64
	digests meta.Digests
	client  meta.Checksum // the client's, verified
	err     error         // final: io.EOF or what went wrong
}

var errClosed = errors.New("checksum: payload read after Close")

// NewPayload wraps a decoded body. Where body has a method Trailer, as
// *sigv4.Body does, trailer values are taken from it. Close must be called.
func NewPayload(body io.Reader, cfg Config) *Payload {
	p := &Payload{src: body, cfg: cfg, store: cfg.Store}
	if p.store == None {
		p.store = cfg.Spec.Algorithm
	}
	if p.store == None {
		p.store = CRC64NVME
	}
	p.sums = newSums(cfg.Size)
	p.sums.want(p.store)
	p.sums.want(cfg.Spec.Algorithm)
	if cfg.SHA256 != "" {
		p.sums.want(SHA256)
	}
	return p
}

// Read returns the body. It never reads body past Size, but for its end. The
// last byte is released, and io.EOF returned, only after these passed: the
// length (IncompleteBody), x-amz-content-sha256 (XAmzContentSHA256Mismatch),
// Content-MD5 and the additional checksum (BadDigest). Where Size is not known,
// only io.EOF is held back so. Errors other than those of body are *Error; an
// error is final.
func (p *Payload) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	if len(b) == 0 {
		return 0, nil
	}
	if p.cfg.Size >= 0 {
		b = b[:min(int64(len(b)), p.cfg.Size-p.read)]
	}
	var n int
	var err error
	if len(b) > 0 {
		n, err = p.src.Read(b)
		p.sums.write(b[:n])
		p.read += int64(n)
	}
	if err == nil && p.read == p.cfg.Size {
		err = p.expectEnd()
	}
	if errors.Is(err, io.EOF) {
		err = p.finish()
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		p.err = io.EOF
		if n > 0 {
			return n, nil
		}
		return 0, io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF) && s3err.CodeOf(err) == "":
		err = s3err.Of(s3err.IncompleteBody).Wrap(err)
	}
	p.err = err
	return 0, err
}

// expectEnd reads the end of the source behind its last byte: a framed body has
// something to say there. It returns io.EOF.
func (p *Payload) expectEnd() error {
	var probe [1]byte
	for range 100 {
		n, err := p.src.Read(probe[:])
		if n > 0 {
			return s3err.Of(s3err.IncompleteBody)
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// finish checks everything. It returns io.EOF when the body is what the client
// said.
func (p *Payload) finish() error {
	if p.cfg.Size >= 0 && p.read != p.cfg.Size {
		return s3err.Of(s3err.IncompleteBody)
	}
	md5, err := p.sums.md5()
	if err != nil {
		return s3err.Internal(err)
	}
	if p.cfg.SHA256 != "" {
		if got := hex.EncodeToString(p.sums.sum(SHA256, md5)); got != p.cfg.SHA256 {
			return s3err.Of(s3err.XAmzContentSHA256Mismatch).
				With("ClientComputedContentSHA256", p.cfg.SHA256).
				With("S3ComputedContentSHA256", got)
		}
	}
	if want := p.cfg.Spec.MD5; want != "" {
		if got := base64.StdEncoding.EncodeToString(md5); got != want {
			return s3err.New(s3err.BadDigest, "The Content-MD5 you specified did not match what we received.").
				With("ExpectedDigest", want).
				With("CalculatedDigest", got)
		}
	}
	if err := p.checkAdditional(md5); err != nil {
		return err
	}
	p.digests = meta.Digests{
		ETag: hex.EncodeToString(md5),
		Checksum: meta.Checksum{
			Algorithm: p.store.String(), Type: string(FullObject),
			Value: base64.StdEncoding.EncodeToString(p.sums.sum(p.store, md5)),
		},
	}
	return io.EOF
}

// checkAdditional compares the checksum of header or trailer; md5 is that of the body.
func (p *Payload) checkAdditional(md5 []byte) error {
	spec := p.cfg.Spec
	if spec.Algorithm == None {
		return nil
	}
	want := spec.Value
	if spec.Trailer {
		trailers, ok := p.src.(Trailers)
		if ok {
			want, ok = trailers.Trailer(spec.Algorithm.Header())
		}
		switch {
		case !ok:
			return s3err.Of(s3err.MalformedTrailerError)
		case !spec.Algorithm.valid(want):
			return invalid("Value for %s trailing header is invalid.", spec.Algorithm.Header())
		}
	}
	if got := base64.StdEncoding.EncodeToString(p.sums.sum(spec.Algorithm, md5)); got != want {
		return errBadDigest(spec.Algorithm.String())
	}
	p.client = meta.Checksum{Algorithm: spec.Algorithm.String(), Type: string(FullObject), Value: want}
	return nil
}

// errBadDigest names the algorithm as AWS does: in capitals for the body of a
// request, in lower case for a multipart object.
func errBadDigest(algorithm string) error {
	return s3err.New(s3err.BadDigest, "The "+algorithm+" you specified did not match the calculated checksum.")
}

// Digests returns ETag and checksum. It may be called once Read has returned
// the whole body; earlier it returns the zero value.
func (p *Payload) Digests() meta.Digests { return p.digests }

// Verified returns the checksum that the client sent in header or trailer, once
// the body was found to have it; the zero value where it sent none.
func (p *Payload) Verified() meta.Checksum { return p.client }

// Size returns the number of bytes read so far, which is the size of the body
// at its end.
func (p *Payload) Size() int64 { return p.read }

// Close gives hashers and buffers back. It does not close body. Digests stays
// valid. It may be called more than once.
func (p *Payload) Close() error {
	if p.sums != nil {
		p.sums.release()
		p.sums = nil
	}
	if p.err == nil {
		p.err = errClosed
	}
	return nil
}
