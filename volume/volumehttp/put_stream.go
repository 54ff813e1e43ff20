package volumehttp

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"tdkvs/volume"
)

// putStream is the body of a put that is sent while it is read, in chunks. The
// goroutine of the caller reads it and writes it, while another listens to the
// server. When the caller's body breaks, the stream ends with an error frame
// instead of its end: so the server's answer tells that it has let go of the
// blob's id.
type putStream struct {
	framer  *framer
	buf     *buffer // frames that were made and not sent
	taken   func()  // called at each sign of life before the answer; nil: none is wanted
	started bool    // some of it was sent: there is no way back
	err     error   // of the framer, but not io.EOF
}

const (
	// continueTimeout is how long a server is waited for that was asked whether it
	// takes the body; then it is sent, as to one that does not know of the question.
	continueTimeout = 2 * time.Second
	// gatherTime is how long frames may be gathered to be sent at once.
	gatherTime = 20 * time.Millisecond
	// lateAnswer is how long the answer of a server may take that takes no more.
	lateAnswer = time.Second
)

// listener reads what a server says while it is sent a body.
type listener struct {
	proceed chan struct{} // closed when the server wants the body
	heard   chan struct{} // closed when what follows is set: the answer
	head    answerHead
	err     error
}

// listen reads until there is an answer, and then ends the writing.
func (l *listener) listen(cn *conn, known string, taken func()) {
	defer close(l.heard)
	asked := false
	for {
		l.head, l.err = cn.readHead(known)
		switch {
		case l.err != nil || l.head.status >= 200:
			_ = cn.SetWriteDeadline(time.Unix(1, 0))
			return
		case l.head.status == http.StatusProcessing && taken != nil:
			taken()
		}
		if !asked { // any word of the server says that it is there
			asked = true
			close(l.proceed)
		}
	}
}

func (l *listener) done() bool {
	select {
	case <-l.heard:
		return true
	default:
		return false
	}
}

// askStreaming sends a request with a streamed body, and reads the head of the
// answer. The server is asked first (Expect: 100-continue, RFC 9110 section
// 10.1.1), so that one which refuses is not sent the body.
func (k *call) askStreaming(r *request) error {
	cn, config := k.conn, &k.client.config
	cn.allow(config.ResponseTimeout)
	cn.out = k.client.appendHead(cn.out[:0], r, false)
	if err := cn.write(cn.out); err != nil {
		return err
	}
	l := &listener{proceed: make(chan struct{}), heard: make(chan struct{})}
	go l.listen(cn, config.VolumeUUID, r.stream.taken)
	sent := k.sendAfter(r.stream, l)
	switch {
	case sent == nil:
		_ = cn.SetReadDeadline(time.Now().Add(config.ResponseTimeout))
	case timedOut(sent) && !l.done():
		_ = cn.Close()
	default:
		_ = cn.SetReadDeadline(time.Now().Add(lateAnswer))
	}
	<-l.heard
	cn.readUntil, cn.writeUntil = time.Time{}, time.Time{}
	switch {
	case l.err == nil:
		l.head.closing = l.head.closing || sent != nil || !r.stream.finished()
		k.answered(l.head)
		return nil
	case sent != nil && !errors.Is(sent, errAnswered):
		return sent
	}
	return l.err
}

// errAnswered ends the writing of a body that nobody wants any more.
var errAnswered = errors.New("the server has answered")

// sendAfter sends the stream when the server wants it. errAnswered: it has answered
// before the end.
func (k *call) sendAfter(s *putStream, l *listener) error {
	timer := time.NewTimer(continueTimeout)
	defer timer.Stop()
	select {
	case <-l.proceed:
	case <-l.heard:
		return errAnswered
	case <-timer.C:
	}
	_ = k.conn.SetReadDeadline(time.Time{}) // it is the caller's body that is waited for now
	return s.send(k.conn, l, k.client.config.IdleTimeout)
}

// send sends the stream, a run of frames in each chunk.
func (s *putStream) send(cn *conn, l *listener, idle time.Duration) error {
	for last := false; !last; {
		if l.done() {
			return errAnswered
		}
		s.started = true
		var err error
		if last, err = s.gather(); err != nil {
			return err
		}
		if err := s.sendChunk(cn, last, idle); err != nil {
			if l.done() {
				return errAnswered
			}
			return err
		}
		s.buf.data = s.buf.data[:0]
	}
	return nil
}

// sendChunk sends what was gathered, and the end of the body behind the last of it. The
// server may take idle for each block.
func (s *putStream) sendChunk(cn *conn, last bool, idle time.Duration) error {
	end := "\r\n"
	if last {
		end = "\r\n0\r\n\r\n"
	}
	var head [20]byte
	cn.out = append(strconv.AppendUint(head[:0], uint64(len(s.buf.data)), 16), "\r\n"...)
	blocks := 1 + len(s.buf.data)/volume.BlockSize
	_ = cn.SetWriteDeadline(time.Now().Add(time.Duration(blocks) * idle))
	return cn.write(cn.out, s.buf.data, []byte(end))
}

// gather adds frames until there is no room for another, or until the first has
// waited long enough; and reports whether these are the last. Its error cuts the
// connection.
func (s *putStream) gather() (last bool, err error) {
	began := time.Now()
	for len(s.buf.data) == 0 || cap(s.buf.data)-len(s.buf.data) >= largestFrame && time.Since(began) < gatherTime {
		data, err := s.framer.next(s.buf.data)
		s.buf.data = data
		switch {
		case errors.Is(err, io.EOF):
			return true, nil
		case err != nil && s.framer.ctx.Err() != nil:
			s.err = err
			return true, err
		case err != nil:
			s.err = err
			s.buf.data = appendFrame(s.buf.data, s.framer.id, kindError, nil)
			return true, nil
		}
	}
	return false, nil
}

// finished reports that the stream was sent to its end, of either kind.
func (s *putStream) finished() bool { return s.err != nil || s.framer.ended }
