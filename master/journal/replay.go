package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// Sink takes what a journal holds. Keys and values are valid until the call returns.
type Sink interface {
	// Row is one row of the snapshot; they come first, in the order of their keys.
	Row(key, value []byte) error
	// Entry is one commit after the snapshot, in order, none left out. mark is what it
	// is stored with.
	Entry(seq uint64, mark []byte, changes []metadb.Change) error
}

// readAhead is how many blobs are read at once.
const readAhead = 8

// Replay gives all that was found to a sink: the rows of the snapshot, and then the
// commits up to Last. Every byte is verified; where a copy is bad another is read. A
// *GapError says that commits are missing; those before were given, and make a state
// that was once the newest. Any other error means that what was given is of no use.
func (c *Contents) Replay(ctx context.Context, to Sink) error {
	if err := c.rows(ctx, to.Row); err != nil {
		return fmt.Errorf("snapshot of the metadata at commit %d: %w", c.Snapshot.Seq, err)
	}
	return c.Entries(ctx, c.mark, func(h Header, changes []metadb.Change) error {
		return to.Entry(h.Seq, h.Mark(), changes)
	})
}

// Mark is what belongs to the newest commit that Replay has given.
func (c *Contents) Mark() []byte { return c.mark.Mark() }

// rows gives the rows of the snapshot.
func (c *Contents) rows(ctx context.Context, row func(key, value []byte) error) error {
	chunks := c.found.chunks[c.Snapshot.Seq]
	id := func(i int) volume.BlobID {
		return volume.MetadataID(volume.MetadataChunk, c.Snapshot.Seq, uint32(i))
	}
	var last []byte
	var prev, rows, bytes uint64
	return c.inOrder(ctx, int(c.Snapshot.Chunks), func(i int) blob {
		return blob{id(i), chunks[uint32(i)]}
	}, func(i int, copies *copies) error {
		h, body, err := copies.pick(ctx, func(h Header) bool {
			return h.Line == c.Line && h.Cluster == c.Cluster && (i == 0 || h.Prev == prev)
		})
		if err != nil {
			return err
		}
		if i == 0 {
			c.mark = Header{
				Kind: volume.MetadataEntry, Cluster: h.Cluster, Line: h.Line, Run: h.Run, Time: h.Time, Seq: h.Seq, Sum: h.Prev,
			}
		}
		n, end, err := eachRow(body, last, func(r metadb.Change) error {
			if r.Deleted {
				return fmt.Errorf("%w: a deletion in a snapshot", ErrBad)
			}
			return row(r.Key, r.Value)
		})
		if err != nil {
			return err
		}
		rows, bytes, last, prev = rows+n, bytes+uint64(len(body)), append(last[:0], end...), h.Sum
		if final := i == int(c.Snapshot.Chunks)-1; h.Rows != rows || h.Bytes != bytes || h.Last != final {
			return fmt.Errorf("%w: chunk %d: %d rows of %d bytes up to it, it says %d of %d", ErrBad, i, rows, bytes, h.Rows, h.Bytes)
		}
		return nil
	})
}

// Entries gives the commits after one, which is known by its mark, up to Last. Where
// copies are of several histories it goes by the longest, and Forks tells the others.
func (c *Contents) Entries(ctx context.Context, after Header, fn func(Header, []metadb.Change) error) error {
	c.mark = after
	if _, err := c.trace(ctx, after); err != nil {
		return err
	}
	at := after
	id := func(i int) volume.BlobID {
		return volume.MetadataID(volume.MetadataEntry, after.Seq+1+uint64(i), 0)
	}
	err := c.inOrder(ctx, int(max(c.Last, after.Seq)-after.Seq), func(i int) blob {
		return blob{id(i), c.found.entries[after.Seq+1+uint64(i)]}
	}, func(i int, copies *copies) error {
		h, body, err := copies.pick(ctx, at.precedes)
		var all []metadb.Change
		if err == nil {
			all, err = changes(h, body)
		}
		if err != nil {
			return &GapError{Seq: at.Seq + 1, Last: max(c.Last, c.Beyond), Err: err}
		}
		if err := fn(h, all); err != nil {
			return err
		}
		at, c.mark = h, h
		return nil
	})
	if err == nil && c.Beyond > c.Last {
		return &GapError{Seq: c.Last + 1, Last: c.Beyond}
	}
	return err
}

// precedes reports that a commit is the next after this one in the same history.
func (h Header) precedes(next Header) bool {
	return next.Cluster == h.Cluster && next.Line == h.Line && next.Seq == h.Seq+1 && next.Prev == h.Sum
}

// blob is one that is to be read, and where it lies.
type blob struct {
	id volume.BlobID
	place
}

// copies are the copies of one blob. The first good one is read ahead.
type copies struct {
	c    *Contents
	blob blob
	head Header
	rows []byte
	next int // the source to read next
	err  error
}

// read reads the next copy that is good in itself.
func (x *copies) read(ctx context.Context) bool {
	for x.next < len(x.blob.sources) {
		var err error
		x.head, x.rows, err = fetch(ctx, x.c.sources[x.blob.sources[x.next]], x.blob.id)
		x.next++
		if err == nil {
			return true
		}
		x.err = errors.Join(x.err, err)
	}
	return false
}

// errStranger says that a copy is of another history than what comes before it.
var errStranger = fmt.Errorf("%w: it is of another history", ErrBad)

// pick returns a copy that is the one that is wanted.
func (x *copies) pick(ctx context.Context, wanted func(Header) bool) (Header, []byte, error) {
	for good := x.rows != nil; ; good = x.read(ctx) {
		switch {
		case good && wanted(x.head):
			return x.head, x.rows, nil
		case good:
			x.err = errors.Join(x.err, fmt.Errorf("%s: %w", x.c.sources[x.blob.sources[x.next-1]].Name, errStranger))
		case x.next >= len(x.blob.sources):
			if x.err == nil {
				x.err = fmt.Errorf("%s: %w", x.blob.id, volume.ErrNotFound)
			}
			return Header{}, nil, x.err
		}
	}
}

// inOrder reads n blobs, some at once, and gives each to use in order.
func (c *Contents) inOrder(ctx context.Context, n int, at func(int) blob, use func(int, *copies) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	reads := make(chan chan *copies, readAhead)
	wg.Go(func() {
		defer close(reads)
		for i := range n {
			done := make(chan *copies, 1)
			select {
			case reads <- done:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				x := &copies{c: c, blob: at(i)}
				x.read(ctx)
				done <- x
			})
		}
	})
	for i := range n {
		done, ok := <-reads
		if !ok {
			return ctx.Err()
		}
		if err := use(i, <-done); err != nil {
			return endedOr(ctx, err)
		}
	}
	return nil
}

// endedOr prefers the reason why everything ends to what came of it.
func endedOr(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return err
}
