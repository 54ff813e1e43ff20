package compattests

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// wire is what lies between the master and a volume: a TCP proxy that can be made to misbehave while it runs.
type wire struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex // owns what follows
	open     map[net.Conn]bool
	delay    time.Duration // of each piece of data, either way
	hold     bool          // nothing goes through
	repeat   bool          // what new connections send is sent a second time, on a connection of its own
	truncate int           // answers of new connections end after so many bytes; 0: they do not
	released chan struct{} // closed when hold ends
}

// newWire listens on a port of its own and leads to the target. The test's cleanup cuts it.
func newWire(t testing.TB, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{target: target, listener: l, open: map[net.Conn]bool{}, released: make(chan struct{})}
	w.running.Go(w.accept)
	t.Cleanup(func() {
		_ = l.Close() // it was only listened on
		w.heal()
		w.cut()
		w.running.Wait()
	})
	return w
}

func (w *wire) accept() {
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.running.Go(func() { w.serve(c) })
	}
}

// serve passes the data of one connection.
func (w *wire) serve(client net.Conn) {
	defer w.close(client)
	server, err := net.DialTimeout("tcp", w.target, 5*time.Second)
	if err != nil {
		return
	}
	defer w.close(server)
	w.mu.Lock()
	w.open[client], w.open[server] = true, true
	repeat, most := w.repeat, w.truncate
	w.mu.Unlock()
	var second io.Writer
	if repeat {
		if again, err := net.DialTimeout("tcp", w.target, 5*time.Second); err == nil {
			defer w.close(again)
			w.mu.Lock()
			w.open[again] = true
			w.mu.Unlock()
			w.running.Go(func() { _, _ = io.Copy(io.Discard, again) }) // its answers are for nobody
			second = again
		}
	}
	w.running.Go(func() {
		w.pass(server, client, second, 0)
		w.close(server)
	})
	w.pass(client, server, nil, most)
}

// pass copies from one connection to another, and to a second where there is one, until either ends; most 0 is no bound.
func (w *wire) pass(to io.Writer, from io.Reader, second io.Writer, most int) {
	buf := make([]byte, 16<<10)
	for passed := 0; most == 0 || passed < most; {
		n, err := from.Read(buf)
		if most > 0 {
			n = min(n, most-passed)
		}
		passed += n
		w.wait()
		if second != nil {
			_, _ = second.Write(buf[:n]) // it may have been refused
		}
		if _, werr := to.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}

// wait delays a piece of data as long as the wire is slow, or lets nothing through.
func (w *wire) wait() {
	w.mu.Lock()
	delay, hold, released := w.delay, w.hold, w.released
	w.mu.Unlock()
	time.Sleep(delay)
	if hold {
		<-released
	}
}

func (w *wire) close(c net.Conn) {
	w.mu.Lock()
	delete(w.open, c)
	w.mu.Unlock()
	_ = c.Close() // whoever reads from it learns
}

// cut ends every connection, in the middle of whatever goes through it.
func (w *wire) cut() {
	w.mu.Lock()
	open := make([]net.Conn, 0, len(w.open))
	for c := range w.open {
		open = append(open, c)
	}
	w.mu.Unlock()
	for _, c := range open {
		w.close(c)
	}
}

// heal makes it a good wire again. Connections that were being truncated or sent twice stay so.
func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay, w.repeat, w.truncate = 0, false, 0
	if w.hold {
		w.hold = false
		close(w.released)
		w.released = make(chan struct{})
	}
}

// spoil makes it misbehave in a way of its choice until it is healed, and says how.
func (w *wire) spoil(choices *rand.Rand) string {
	how := "cuts its connections"
	w.mu.Lock()
	switch choices.IntN(5) {
	case 0:
		w.delay = time.Duration(1+choices.IntN(50)) * time.Millisecond
		how = fmt.Sprintf("delays by %v", w.delay)
	case 1:
		w.hold = true
		how = "lets nothing through"
	case 2:
		w.repeat = true
		how = "sends requests twice"
	case 3:
		w.truncate = 1 + choices.IntN(3000)
		how = fmt.Sprintf("ends answers after %d bytes", w.truncate)
	}
	again := w.repeat || w.truncate > 0
	w.mu.Unlock()
	if again || how == "cuts its connections" {
		w.cut() // what matters begins with new ones
	}
	return how
}
