package erasure

import (
	"context"
	"io"
)

// block is room for a unit.
type block = *[Unit]byte

// take returns room for a unit, give takes it back.
func (c *Coder) take() block {
	if b, ok := c.blocks.Get().(block); ok {
		return b
	}
	return new([Unit]byte)
}

func (c *Coder) give(b block) {
	if b != nil {
		c.blocks.Put(b)
	}
}

// lane reads the units of one shard, stripe by stripe, in a goroutine of its own.
// It is at most one unit ahead of what has been taken from it.
type lane struct {
	shard   int
	coder   *Coder
	cancel  context.CancelFunc
	columns func(number int64) (lo, hi int64)
	number  int64           // the first stripe
	until   int64           // the first stripe behind
	more    chan struct{}   // holds a token for each unit that may be read
	out     chan<- delivery // to whoever gathers

	// Those below are not the goroutine's but the gatherer's.
	next    int64     // the stripe of the unit that comes next
	ahead   *delivery // what came before its stripe was at hand
	started bool      // it has delivered something
}

// delivery is the next unit of a lane, or why there is none.
type delivery struct {
	from *lane
	unit block
	err  error
}

// run delivers the units of its stripes. It ends with the last, with the first
// error, or with ctx.
func (l *lane) run(ctx context.Context, open func() (io.ReadCloser, error)) {
	defer l.cancel()
	body, err := open()
	if err != nil {
		l.deliver(ctx, delivery{from: l, err: err})
		return
	}
	for number := l.number; ; number++ {
		select {
		case <-ctx.Done():
			_ = body.Close() // it was only read from
			return
		case <-l.more:
		}
		d := l.read(body, number)
		last := d.err != nil || number == l.until-1
		if last {
			_ = body.Close()
		}
		if !l.deliver(ctx, d) && !last {
			_ = body.Close()
			return
		}
		if last {
			return
		}
	}
}

// read reads a unit. Behind the last it reads to the very end, so that whatever
// the body comes over can be used again.
func (l *lane) read(body io.Reader, number int64) delivery {
	d := delivery{from: l, unit: l.coder.take()}
	lo, hi := l.columns(number)
	if _, d.err = io.ReadFull(body, d.unit[:hi-lo]); d.err == nil && number == l.until-1 {
		_, _ = body.Read(make([]byte, 1))
	}
	return d
}

func (l *lane) deliver(ctx context.Context, d delivery) bool {
	select {
	case <-ctx.Done():
		l.coder.give(d.unit)
		return false
	case l.out <- d:
		return true
	}
}
