package volumehttp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"tdkvs/volume"
)

var errClosed = errors.New("read of a closed blob")

// Get implements volume.Blobs. Close a reader that is not read to its end, or
// its connection stays in use.
func (c *Client) Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
	r, err := c.openRange(ctx, id, offset, length, "")
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Open implements volume.Blobs, in one request. Close the reader as that of Get.
func (c *Client) Open(ctx context.Context, id volume.BlobID, offset, length int64) (volume.Info, io.ReadCloser, error) {
	r, err := c.openRange(ctx, id, offset, length, paramInfo+"="+infoFirst)
	if err != nil {
		return volume.Info{}, nil, err
	}
	info, err := r.info()
	if err != nil {
		_ = r.Close() // never fails
		return volume.Info{}, nil, err
	}
	return info, r, nil
}

// openRange asks for a stream of a range of a blob.
func (c *Client) openRange(ctx context.Context, id volume.BlobID, offset, length int64, query string) (*blobReader, error) {
	k, err := c.start(ctx, &request{method: http.MethodGet, target: rangeTarget(id, offset, length, query), lane: length >= 0 || query != ""})
	if err != nil {
		return nil, err
	}
	r := &blobReader{call: k, start: offset, want: length, frames: frameReader{id: id, r: k, offset: offset}}
	if !k.short() {
		r.buffer()
	}
	return r, nil
}

// longRead is how much of a long blob is read at once where there is memory for it, in
// bytes: four frames.
const longRead = 4*largestFrame + frameHeader + endPayload

// buffer takes a buffer for frames that are more than the connection's buffer holds.
func (r *blobReader) buffer() {
	c := r.call.client
	from := &c.readers
	if r.long = r.call.left > frameBuffer && c.config.ReadBudget.Take(longRead); r.long {
		from = &c.longer
	}
	r.buffered = from.Get().(*bufio.Reader)
	r.buffered.Reset(r.call)
	r.frames.r = r.buffered
}

// unbuffer gives the buffer back.
func (r *blobReader) unbuffer() {
	if r.buffered == nil {
		return
	}
	c := r.call.client
	r.buffered.Reset(nil) // the pool must not hold on to the connection
	if r.long {
		c.longer.Put(r.buffered)
		c.config.ReadBudget.Give(longRead)
	} else {
		c.readers.Put(r.buffered)
	}
	r.buffered, r.frames.r = nil, nil
}

// rangeTarget is the target of a request for a range of a blob, with more of a query
// or none.
func rangeTarget(id volume.BlobID, offset, length int64, query string) string {
	const room = 128
	target := append(make([]byte, 0, room), blobPath(id)...)
	mark := byte('?')
	if query != "" {
		target = append(append(target, mark), query...)
		mark = '&'
	}
	if offset != 0 || length != -1 {
		target = strconv.AppendInt(append(append(target, mark), "offset="...), offset, 10)
		target = strconv.AppendInt(append(target, "&length="...), length, 10)
	}
	return string(target)
}

// blobReader is the payload of a get stream. It hands out a block only when its
// checksum agreed, and io.EOF only after the end frame.
type blobReader struct {
	call     *call
	buffered *bufio.Reader // of the frames, where they are more than the connection's buffer holds
	long     bool          // buffered is of the budget
	closed   bool
	frames   frameReader
	start    int64  // where in the blob the stream begins
	want     int64  // its length; -1: to the end of the blob
	block    []byte // of the current frame, what was not read yet
	err      error
}

// fill makes sure that block holds something, or returns why it never will.
func (r *blobReader) fill() error {
	if len(r.block) > 0 {
		return nil
	}
	if r.err == nil {
		r.err = r.advance()
	}
	return r.err
}

// info reads the frame that says what the blob is. The range is known to lie within
// the blob from then on.
func (r *blobReader) info() (volume.Info, error) {
	kind, payload, err := r.frames.next()
	if err == nil && kind != kindInfo {
		err = fmt.Errorf("a %q frame where an info was asked for: %w", kind, errDamaged)
	}
	var info volume.Info
	if err == nil {
		info = infoOf(r.frames.id, payload)
		err = r.within(info.Size)
	}
	if err != nil {
		return volume.Info{}, r.call.client.wrap(r.call.failure(err))
	}
	return info, nil
}

// within learns the size of the blob, of which the server has opened a range.
func (r *blobReader) within(size int64) error {
	if r.start < 0 || r.start > size || r.want > size-r.start {
		return fmt.Errorf("%d bytes from %d of a blob of %d: %w", r.want, r.start, size, errDamaged)
	}
	if r.want < 0 {
		r.want = size - r.start
	}
	return nil
}

func (r *blobReader) advance() error {
	if r.closed {
		return r.call.client.wrap(errClosed)
	}
	if err := r.call.ctx.Err(); err != nil {
		return r.call.client.wrap(err)
	}
	kind, payload, err := r.frames.next()
	if err != nil {
		return r.call.client.wrap(r.call.failure(err))
	}
	got := r.frames.offset - r.start
	switch {
	case kind == kindData && (r.want < 0 || got <= r.want):
		r.block = payload
		return nil
	case kind == kindEnd && (r.want < 0 || got == r.want):
		if err := r.frames.end(payload, got); err != nil {
			return r.call.client.wrap(r.call.failure(err))
		}
		return io.EOF
	case kind == kindError:
		return r.call.client.wrap(streamError(payload))
	}
	err = fmt.Errorf("a %q frame after %d bytes of %d: %w", kind, got, r.want, errDamaged)
	return r.call.client.wrap(r.call.failure(err))
}

// streamError is the error that an error frame stands for.
func streamError(payload []byte) error {
	var e errorJSON
	if err := json.Unmarshal(payload, &e); err != nil {
		return fmt.Errorf("%w: error frame: %v", volume.ErrUnavailable, err)
	}
	return decodeError(e.Code, e.Message)
}

func (r *blobReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.block)
	r.block = r.block[n:]
	return n, nil
}

// WriteTo writes block by block, from where Read left off.
func (r *blobReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		err := r.fill()
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(r.block)
		total += int64(n)
		r.block = r.block[n:]
		if err != nil {
			return total, err
		}
	}
}

// Close never fails. It must not be called during a Read.
func (r *blobReader) Close() error {
	if r.closed {
		return nil
	}
	r.closed, r.block = true, nil
	r.call.end()
	r.unbuffer()
	if r.err == nil {
		r.err = r.call.client.wrap(errClosed)
	}
	return nil
}
