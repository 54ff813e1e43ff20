package volumehttp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

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
	begun bool  // the head of the answer was made
	told  bool  // the length is what the store says of the blob

	parts [runParts][]byte // what has come together: the first is for the buffer of the connection
	count int              // of those behind the first
	heads [runBlocks * frameHeader]byte
	end   [frameHeader + endPayload]byte
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

// frames adds a data frame, where there is a block, with the head of the answer before
// the first and the end behind the last, and sends what has come together, unless the
// next block is there to go with it.
func (s *laneSender) frames(block volume.Block, last bool) error {
	if !s.begun {
		s.begin()
	}
	if len(block.Bytes) > 0 {
		at := s.count / 2 * frameHeader
		s.parts[s.count+1] = appendHeader(s.heads[:at], s.id, s.at, block)[at:]
		s.parts[s.count+2] = block.Bytes
		s.count += 2
		s.at += int64(len(block.Bytes))
	}
	if !last && block.Stays && s.count < 2*runBlocks {
		return nil
	}
	return s.flush(last)
}

// begin makes the head of the answer.
func (s *laneSender) begin() {
	out := s.appendStatus(s.cn.out[:0], http.StatusOK, true)
	out = append(out, "Content-Type: "+typeFrames+"\r\nContent-Length: "...)
	out = append(strconv.AppendInt(out, s.whole, 10), "\r\n\r\n"...)
	s.cn.out = append(out, s.info...)
	s.begun = true
}

// flush sends what has come together; a short block is copied to go with the rest.
func (s *laneSender) flush(last bool) error {
	s.cn.allowWrite(time.Duration(max(1, s.count/2)) * s.s.config.IdleTimeout) // for each block
	out := s.cn.out
	if s.count == 2 && len(s.parts[2]) <= connBuffer {
		out = append(append(out, s.parts[1]...), s.parts[2]...)
		s.count = 0
	}
	switch {
	case last && s.count == 0:
		out = appendEnd(out, s.id, s.length)
	case last:
		s.parts[s.count+1] = appendEnd(s.end[:0], s.id, s.length)
		s.count++
	}
	parts := s.parts[:s.count+1]
	if parts[0] = out; len(out) == 0 {
		parts = parts[1:]
	}
	s.cn.out, s.count = out[:0], 0
	if err := s.cn.write(parts...); err != nil {
		return fmt.Errorf("send: %w: %v", errBroken, err)
	}
	return nil
}

// breakOff tells the client why no more comes, as far as there is room in what was
// announced, and ends the connection.
func (s *laneSender) breakOff(cause error) error {
	code, _ := encodeError(cause)
	s.s.log.WarnContext(s.ctx, "read of a blob failed midway", "id", s.id, "code", code, "error", cause)
	if err := s.flush(false); err != nil {
		return err
	}
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
