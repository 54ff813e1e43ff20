package volumehttp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"
)

// connPool makes the connections to one server, and keeps those that nobody uses.
type connPool struct {
	address string
	dialer  net.Dialer
	tls     *tls.Config // nil: plain
	most    int         // connections that are kept

	mu      sync.Mutex  // owns what follows
	idle    []*conn     // the one that was used last is the last
	closing bool        // what comes back is not kept, until a connection is asked for again
	timer   *time.Timer // that closes those that are kept for too long; nil: none is to
}

func newConnPool(base *url.URL, config Config, secured *tls.Config) *connPool {
	p := &connPool{address: base.Host, dialer: net.Dialer{Timeout: config.DialTimeout}, tls: secured, most: config.MaxIdleConns}
	switch {
	case base.Port() != "":
	case secured != nil:
		p.address = net.JoinHostPort(base.Hostname(), "443")
	default:
		p.address = net.JoinHostPort(base.Hostname(), "80")
	}
	return p
}

// securityOf is how connections to a URL are secured; nil: they are not.
func securityOf(base *url.URL) *tls.Config {
	if base.Scheme != "https" {
		return nil
	}
	return &tls.Config{ServerName: base.Hostname(), NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
}

// take returns a connection that was kept, or a new one.
func (p *connPool) take(ctx context.Context) (*conn, error) {
	if c := p.pop(); c != nil {
		return c, nil
	}
	plain, err := p.dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	if p.tls == nil {
		return newConn(plain), nil
	}
	secured := tls.Client(plain, p.tls)
	ctx, cancel := context.WithTimeout(ctx, p.dialer.Timeout)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return newConn(secured), nil
}

// pop returns the connection that was used last. Those before it rest longest, and
// are closed in time if nobody needs them.
func (p *connPool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = false
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle[last], p.idle = nil, p.idle[:last]
	return c
}

// give keeps a connection for the next call. There is nothing left to read on it.
func (p *connPool) give(c *conn) {
	c.used, c.kept = true, time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing || len(p.idle) >= p.most {
		_ = c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(clientKeepAlive, p.expire)
	}
}

// expire closes the connections that were kept for too long.
func (p *connPool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, n := time.Now(), 0
	for n < len(p.idle) && now.Sub(p.idle[n].kept) >= clientKeepAlive {
		_ = p.idle[n].Close()
		n++
	}
	p.idle = append(p.idle[:0], p.idle[n:]...)
	p.timer = nil
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(clientKeepAlive-now.Sub(p.idle[0].kept), p.expire)
	}
}

// close closes the connections that are not used, and those in use when they come
// back, until one is asked for again.
func (p *connPool) close() {
	p.closeIdle()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
}

// closeIdle closes the connections that are not used.
func (p *connPool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}
