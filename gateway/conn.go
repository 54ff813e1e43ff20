package gateway

import (
	"context"
	"net"
	"sync"
	"time"
)

// holdSize is how much of an answer, in bytes, a connection holds to send it with
// what follows.
const holdSize = 16 << 10

// holds are idle buffers of connections.
var holds = sync.Pool{New: func() any { return new([holdSize]byte) }}

// Gather returns a listener whose connections send an answer of up to 16 KiB by one
// system call, and a longer one without a small piece before it. net/http makes
// two of an object of 4 KiB, for its buffer is of that size and the header comes
// first. It is for servers of NewServer, which send what a handler flushes.
func Gather(listener net.Listener) net.Listener { return gathering{listener} }

type gathering struct{ net.Listener }

func (g gathering) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// conn holds small writes back until
//   - more is written than there is room for,
//   - a read begins: whoever waits for the client has said all he had to say,
//   - its write deadline is removed, which net/http does behind every answer; a new
//     one is the deadline of what is held, too: the one before may be over, because
//     the disk was slow and not the client,
//   - a handler flushes, or the connection is closed.
//
// An error of sending what was held is that of the next write or read.
type conn struct {
	net.Conn

	mu     sync.Mutex      // held while something is sent
	buffer *[holdSize]byte // of the pool, while anything is held
	held   int             // bytes
	err    error           // final, of a write
	pieces [2][]byte       // of the write that is under way
	vector net.Buffers     // over pieces
}

// Write takes p, and sends it unless it can be held.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if c.held+len(p) > holdSize {
		return c.send(p)
	}
	if c.buffer == nil {
		c.buffer = holds.Get().(*[holdSize]byte)
	}
	c.held += copy(c.buffer[c.held:], p)
	return len(p), nil
}

// send sends what is held, and p behind it, by one system call.
func (c *conn) send(p []byte) (int, error) {
	held := c.held
	if held == 0 {
		n, err := c.Conn.Write(p)
		c.err = err
		return n, err
	}
	var n int64
	if len(p) == 0 {
		var sent int
		sent, c.err = c.Conn.Write(c.buffer[:held])
		n = int64(sent)
	} else {
		c.pieces = [2][]byte{c.buffer[:held], p}
		c.vector = c.pieces[:]
		n, c.err = c.vector.WriteTo(c.Conn)
		c.pieces = [2][]byte{}
	}
	holds.Put(c.buffer)
	c.buffer, c.held = nil, 0
	return max(int(n)-held, 0), c.err
}

// flush sends what is held.
func (c *conn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.held == 0 {
		return c.err
	}
	_, err := c.send(nil)
	return err
}

func (c *conn) Read(p []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		_ = c.flush() // the next write or read has the error
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c *conn) SetDeadline(t time.Time) error {
	if t.IsZero() {
		_ = c.flush() // as above
	}
	return c.Conn.SetDeadline(t)
}

// lastWhile is how long the client has for what is held when the connection is
// closed.
const lastWhile = time.Second

// Close closes the connection, also in the middle of a write.
func (c *conn) Close() error {
	c.flushAtEnd()
	return c.Conn.Close()
}

// CloseWrite ends what the client is sent. net/http does so before it closes a
// connection whose client may still be sending.
func (c *conn) CloseWrite() error {
	c.flushAtEnd()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// flushAtEnd sends what is held, unless a write is under way: then another goroutine
// cuts it off.
func (c *conn) flushAtEnd() {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.err == nil && c.held > 0 {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(lastWhile)) // without one it may take longer
		_, _ = c.send(nil)                                     // nobody reads or writes any more
	}
}

type connKey struct{}

// withConn keeps a connection in the context of its requests.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if held, ok := c.(*conn); ok {
		return context.WithValue(ctx, connKey{}, held)
	}
	return ctx
}

// flushConn sends what the connection of a request holds.
func flushConn(ctx context.Context) error {
	if c, ok := ctx.Value(connKey{}).(*conn); ok {
		return c.flush()
	}
	return nil
}
