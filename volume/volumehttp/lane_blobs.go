package volumehttp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"tdkvs/volume"
)

// put stores a blob whose stream has a known length.
func (x *lane) put(r *laneRequest) error {
	body := &putBody{frames: frameReader{id: r.id, r: &x.pos}}
	if x.pos.left > connBuffer {
		buffered := x.s.readers.Get().(*bufio.Reader)
		buffered.Reset(&x.pos)
		body.frames.r = buffered
		defer func() {
			buffered.Reset(nil) // the pool must not hold on to the connection
			x.s.readers.Put(buffered)
		}()
	}
	err := x.s.blobs.Put(x.ctx, r.id, r.size, body, body.describe)
	switch {
	case err == nil:
		x.cn.out = appendJSON(x.appendStatus(x.cn.out[:0], http.StatusCreated, true), []byte(`{"code":"`+codeOK+`"}`))
		x.cn.allowWrite(x.s.config.IdleTimeout)
		if err := x.cn.write(x.cn.out); err != nil {
			return fmt.Errorf("answer: %w: %v", errBroken, err)
		}
		return nil
	case errors.Is(body.err, io.EOF):
		return err
	case body.err != nil: // the request's fault, whatever the store made of it
		return fmt.Errorf("put %s: body: %v: %w", r.id, body.err, volume.ErrUnavailable)
	}
	return err
}

// get sends a range of a blob.
func (x *lane) get(r *laneRequest) error {
	x.watch()
	defer x.unwatch()
	b := r.span
	var err error
	if r.info || b.length < 0 { // the length of the answer must be known
		var info volume.Info
		info, b.body, err = x.s.blobs.Open(x.ctx, b.id, b.offset, b.length)
		if err == nil && b.length < 0 {
			b.length = max(0, info.Size-b.offset)
		}
		if err == nil && r.info {
			b.info = appendInfo(nil, info)
		}
	} else {
		b.body, err = x.s.blobs.Get(x.ctx, b.id, b.offset, b.length)
	}
	if err != nil {
		return err
	}
	sender := laneSender{lane: x, blobRange: b, at: b.offset, whole: int64(len(b.info)) + framedRange(b.offset, b.length), told: r.span.length < 0}
	err = sender.send()
	if closeErr := b.body.Close(); closeErr != nil {
		x.s.log.WarnContext(x.ctx, "close of a blob failed", "id", b.id, "error", closeErr)
	}
	return err
}

// laneSender sends a range of a blob on a lane.
type laneSender struct {
	*lane
	blobRange
	at    int64 // where in the blob the next byte lies
	whole int64 // length of the stream
	begun bool  // some of it was sent
	told  bool  // the length is what the store says of the blob
}

// send sends the range. A failure before the first frame is returned, to become an
// error answer; a later one becomes an error frame, and ends the connection. Whatever
// else came with it is left out.
func (s *laneSender) send() error {
	next, done := s.blocks()
	defer done()
	for end := s.offset + s.length; ; {
		block, err := next()
		reached := s.at + int64(len(block.Bytes))
		switch {
		case reached > end:
			err = s.misfit("goes on")
		case reached == end && (err == nil || errors.Is(err, io.EOF)):
			return s.frames(block, true)
		case errors.Is(err, io.EOF):
			err = s.misfit("ends")
		case err == nil:
			if err := s.frames(block, false); err != nil {
				return err
			}
			continue
		}
		if s.begun {
			return s.breakOff(err)
		}
		return err
	}
}

// blocks returns what gives the blocks of the range, each valid until the next: as the
// blob has them, or in a buffer that goes back when done is called.
func (s *laneSender) blocks() (next func() (volume.Block, error), done func()) {
	if of, ok := s.body.(volume.BlockReader); ok {
		return of.NextBlock, func() {}
	}
	buf := s.s.buffers.Get().(*[]byte)
	return func() (volume.Block, error) {
		block := (*buf)[:volume.BlockSize-s.at%volume.BlockSize]
		n, err := readBlock(s.body, block)
		return volume.Block{Bytes: block[:n]}, err
	}, func() { s.s.buffers.Put(buf) }
}

// misfit is the error of a blob that has another length than it should have. Where it
// is the store that said which, nothing of what it says can be believed.
func (s *laneSender) misfit(what string) error {
	kind := volume.ErrCorrupt
	if s.told {
		kind = volume.ErrUnavailable
	}
	return fmt.Errorf("%s at byte %d of the range of %d from %d: %w", what, s.at-s.offset, s.length, s.offset, kind)
}

// frames sends a data frame, where there is a block, with the head of the answer before
// the first and the end behind the last.
func (s *laneSender) frames(of volume.Block, last bool) error {
	block := of.Bytes
	out := s.cn.out[:0]
	if !s.begun {
		out = s.appendStatus(out, http.StatusOK, true)
		out = append(out, "Content-Type: "+typeFrames+"\r\nContent-Length: "...)
		out = append(strconv.AppendInt(out, s.whole, 10), "\r\n\r\n"...)
		out = append(out, s.info...)
	}
	if len(block) > 0 {
		out = appendHeader(out, s.id, s.at, of)
		s.at += int64(len(block))
	}
	s.cn.allowWrite(s.s.config.IdleTimeout)
	var err error
	switch {
	case last && len(block) <= connBuffer:
		out = appendEnd(append(out, block...), s.id, s.length)
		err = s.cn.write(out)
	case last:
		var end [frameHeader + endPayload]byte
		err = s.cn.write(out, block, appendEnd(end[:0], s.id, s.length))
	default:
		err = s.cn.write(out, block)
	}
	s.cn.out = out
	s.begun = true
	if err != nil {
		return fmt.Errorf("send: %w: %v", errBroken, err)
	}
	return nil
}

// breakOff tells the client why no more comes, as far as there is room in what was
// announced, and ends the connection.
func (s *laneSender) breakOff(cause error) error {
	code, _ := encodeError(cause)
	s.s.log.WarnContext(s.ctx, "read of a blob failed midway", "id", s.id, "code", code, "error", cause)
	room := framedRange(s.at, s.offset+s.length-s.at) - frameHeader
	payload, err := json.Marshal(errorJSON{Code: code, Message: bounded(cause.Error())})
	if err != nil || int64(len(payload)) > min(room, maxErrorPayload) {
		payload = []byte(`{"code":"` + code + `"}`)
	}
	if int64(len(payload)) <= room {
		_ = s.cn.write(appendFrame(s.cn.out[:0], s.id, kindError, payload))
	}
	return fmt.Errorf("%w: %v", errBroken, cause)
}

// framedRange is how long the frames of a range are, with the end.
func framedRange(offset, length int64) int64 {
	frames := int64(0)
	if length > 0 {
		frames = (offset+length-1)/volume.BlockSize - offset/volume.BlockSize + 1
	}
	return length + frames*frameHeader + frameHeader + endPayload
}
