package backup

import (
	"cmp"
	"context"
	"crypto/sha256"

	"golang.org/x/sync/errgroup"
)

// Bounds of what is asked of the store at once.
const (
	maxWants   = 256
	wantBytes  = runLen
	wantHandle = 32 << 10 // bytes of handles
	uploads    = 2        // packs that are written at the same time
)

// fetched is a batch of runs: what was asked for, and what came.
type fetched struct {
	ids   []runID
	wants []Want
	bytes int64
	names int
	done  chan struct{}
	runs  [][]byte
	err   error
}

func (f *fetched) room(w Want) bool {
	return len(f.wants) == 0 || len(f.wants) < maxWants && f.bytes+w.Length <= wantBytes && f.names+len(w.Handle) <= wantHandle
}

// fetch reads the runs that are not there yet, many at the same time, and writes
// them in the order of the rows.
func (c *creation) fetch(ctx context.Context) error {
	if c.progress.Missing == 0 {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	reads, readCtx := errgroup.WithContext(ctx)
	reads.SetLimit(c.Concurrency)
	queue := make(chan *fetched, c.Concurrency)
	group.Go(func() error {
		defer close(queue)
		err := c.ask(readCtx, reads, queue)
		return cmp.Or(reads.Wait(), err)
	})
	group.Go(func() error { return c.pack(ctx, queue) })
	return group.Wait()
}

// ask goes over the rows and has what is missing read.
func (c *creation) ask(ctx context.Context, reads *errgroup.Group, queue chan<- *fetched) error {
	next := &fetched{}
	flush := func() error {
		f := next
		next = &fetched{}
		if len(f.wants) == 0 {
			return nil
		}
		f.done = make(chan struct{})
		reads.Go(func() error {
			defer close(f.done)
			f.runs, f.err = c.source.Bodies(ctx, f.wants)
			return f.err
		})
		select {
		case queue <- f:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := c.spool.each(func(r *Row) error {
		for i := range r.Bodies {
			body := &r.Bodies[i]
			for n := range runs(body.Size) {
				id := runID{body.ID, uint32(n)}
				if !c.known.claim(id) {
					continue
				}
				w := Want{Handle: body.Handle, Offset: int64(n) * runLen, Length: runSize(body.Size, n)}
				if !next.room(w) {
					if err := flush(); err != nil {
						return err
					}
				}
				next.ids, next.wants = append(next.ids, id), append(next.wants, w)
				next.bytes, next.names = next.bytes+w.Length, next.names+len(w.Handle)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// pack packs what was read, and writes the packs.
func (c *creation) pack(ctx context.Context, queue <-chan *fetched) error {
	puts, ctx := errgroup.WithContext(ctx)
	puts.SetLimit(uploads)
	var b *packBuilder
	flush := func() {
		if b == nil || len(b.runs) == 0 {
			return
		}
		index := b.runs
		content := b.seal()
		b = nil
		sum := sha256.Sum256(content)
		n := c.known.pack(sum, uint32(len(content)))
		for _, x := range index {
			c.known.put(x.runID, spot{n, x.offset, x.length, x.crc})
			c.progress.Sent += int64(x.length)
			c.progress.Runs++
		}
		c.tell(PhaseBodies)
		puts.Go(func() error { return c.place.Put(ctx, packName(sum), content) })
	}
	for f := range queue {
		select {
		case <-f.done:
		case <-ctx.Done():
			return cmp.Or(puts.Wait(), ctx.Err())
		}
		if f.err != nil {
			return cmp.Or(f.err, puts.Wait())
		}
		for i, content := range f.runs {
			if b == nil {
				b = newPackBuilder(make([]byte, 0, packSealed))
			}
			b.add(f.ids[i], content)
			if b.full() {
				flush()
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return cmp.Or(puts.Wait(), err)
	}
	flush()
	c.manifest.NewBytes = c.progress.Sent
	return puts.Wait()
}
