package volumehttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"tdkvs/volume"
)

// maxBuffered is the longest payload, in bytes, that Put holds in memory, so
// that the request has a length and can be repeated. Longer ones are streamed.
const maxBuffered = 1 << 20

// Put implements volume.Blobs. It does not touch body after it returned, and so
// waits for a Read of it that is under way, even when ctx is done.
func (c *Client) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	f := &framer{ctx: ctx, id: id, size: size, body: body, desc: desc}
	memory := memoryFor(size)
	if size > maxBuffered || memory > 0 && !c.config.WriteBudget.Take(memory) {
		return c.putStream(ctx, f, c.buffers.get(frameHeader+volume.BlockSize))
	}
	defer c.config.WriteBudget.Give(memory)
	buf := c.buffers.get(framedLength(size))
	for f.sent <= maxBuffered {
		var err error
		buf.data, err = f.next(buf.data)
		if errors.Is(err, io.EOF) {
			return c.putBuffer(ctx, f, buf)
		}
		if err != nil {
			c.buffers.put(buf)
			return c.wrap(err)
		}
	}
	return c.putStream(ctx, f, buf)
}

// memoryFor is what the buffer for a payload takes of the budget, in bytes. A
// block is always granted; a payload of unknown size may become the longest.
func memoryFor(size int64) int64 {
	if size < 0 {
		size = maxBuffered
	}
	room := bufferSizes[bufferClass(framedLength(size))]
	if room <= blockBuffer {
		return 0
	}
	return int64(room)
}

func putRequest(id volume.BlobID, size int64) *request {
	return &request{method: http.MethodPut, target: blobPath(id), mediaType: typeFrames, size: size}
}

// putBuffer sends a whole stream that lies in memory.
func (c *Client) putBuffer(ctx context.Context, f *framer, buf *buffer) error {
	defer c.buffers.put(buf)
	r := putRequest(f.id, f.sent)
	r.body, r.lane = buf.data, true
	err := c.command(ctx, r, nil)
	if r.attempts > 1 && errors.Is(err, volume.ErrExists) {
		return c.confirm(ctx, f)
	}
	return err
}

// confirm decides what ErrExists means for a request that was sent twice: that
// the first one was served before its connection broke, if the blob is ours.
func (c *Client) confirm(ctx context.Context, f *framer) error {
	info, err := c.Stat(ctx, f.id)
	switch {
	case errors.Is(err, volume.ErrNotFound):
		// The first one was still at work, and has failed.
		return c.wrap(fmt.Errorf("%w: put %s was cut off twice", volume.ErrUnavailable, f.id))
	case err != nil:
		return err
	case info.Size != f.sent || !bytes.Equal(info.Descriptor, f.descriptor):
		return c.wrap(fmt.Errorf("put %s: %w", f.id, volume.ErrExists))
	}
	return nil
}

// putStream sends a stream while it is read, after what buf holds of it.
func (c *Client) putStream(ctx context.Context, f *framer, buf *buffer) error {
	defer c.buffers.put(buf)
	stream := &putStream{framer: f, buf: buf}
	r := putRequest(f.id, f.size)
	r.stream = stream
	if watched, ok := f.body.(volume.Watched); ok {
		stream.taken = watched.Taken
	}
	err := c.command(ctx, r, nil)
	switch {
	case stream.err != nil: // the reason for whatever the exchange says
		return c.wrap(stream.err)
	case err == nil && !f.ended:
		return c.wrap(fmt.Errorf("%w: put %s was acknowledged before its end", volume.ErrUnavailable, f.id))
	}
	return err
}
