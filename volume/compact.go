package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"tdkvs/failpoint"
)

// CompactNext compacts the sealed segment with the greatest share of dead bytes,
// if that is above Config.CompactRatio, and reports whether there was one.
// Live records are verified, appended to the log and synced before the index
// turns to them; the old file is removed when no reader holds it. A tombstone
// moves along while an older segment may still hold what it deleted. Run calls
// CompactNext by itself.
func (s *Store) CompactNext(ctx context.Context) (bool, error) {
	s.compacting.Lock()
	defer s.compacting.Unlock()
	g := s.compactable()
	if g == nil {
		return false, nil
	}
	c := &compaction{s: s, ctx: ctx, from: g, pace: pace{rate: s.cfg.CompactBytesPerSecond}}
	defer c.drop()
	if err := c.run(); err != nil {
		return false, fmt.Errorf("compact %s: %w", g.file.Name(), err)
	}
	return true, nil
}

// compactable returns the segment that is most worth compacting, or nil.
func (s *Store) compactable() *segment {
	if s.failure() != nil {
		return nil
	}
	var best *segment
	bestShare := s.cfg.CompactRatio
	for _, g := range s.segs.all() {
		g.mu.Lock()
		usable := g.sealed && !g.damaged
		g.mu.Unlock()
		if !usable {
			continue
		}
		dead, size := s.segs.dead(g)
		if share := float64(dead) / float64(max(size, 1)); share > bestShare {
			best, bestShare = g, share
		}
	}
	return best
}

// compaction moves what is worth keeping out of one segment.
type compaction struct {
	s    *Store
	ctx  context.Context
	from *segment
	pace pace

	req   *request
	held  []*buffer // what req's records lie in
	bytes int64
	moved int64
}

func (c *compaction) run() error {
	rows, err := c.rows()
	if err != nil {
		return err
	}
	c.req = newRequest()
	for ; len(rows) > 0; rows = rows[rowLen:] {
		h := parseRow(rows, c.from.num)
		if err := c.keep(&h); err != nil {
			return err
		}
		if c.bytes >= c.s.journal.maxRequest()/2 {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	if err := c.flush(); err != nil {
		return err
	}
	return c.remove()
}

// rows returns what the segment holds: by its footer or, without one, by its
// records.
func (c *compaction) rows() ([]byte, error) {
	size, err := c.from.file.Size()
	if err != nil {
		return nil, err
	}
	rows, _, err := readFooter(c.from.file, c.s.seed, c.from.num, size)
	if !errors.Is(err, errNoFooter) {
		return rows, err
	}
	scan, err := scanRecords(c.from.file, c.s.seed, c.from.num, size)
	if err != nil {
		return nil, err
	}
	return scan.rows(), nil
}

// keep adds a record to the request if it is still of use.
func (c *compaction) keep(h *header) error {
	switch h.kind {
	case kindTombstone:
		if c.s.segs.needed(c.from.num, uint32(h.payload>>32)) {
			c.add(item{header: *h, copied: true})
		}
	case kindBlob:
		e, ok := c.s.index.get(h.id)
		if !ok || e.seg != c.from.num || e.off != h.off {
			return nil // deleted, or moved before
		}
		buf, err := c.s.readRecord(c.from, h.id, e)
		if err != nil {
			// The segment stays as it is: it holds the only copy.
			c.s.quarantined.Add(1)
			c.from.setDamaged()
			return err
		}
		c.held = append(c.held, buf)
		c.add(item{header: *h, buf: buf.b[:e.recordLen()], from: e, copied: true})
		return c.pace.wait(c.ctx, c.s.closing, e.recordLen())
	}
	return nil
}

func (c *compaction) add(it item) {
	c.req.items = append(c.req.items, it)
	c.bytes += it.length()
}

// flush appends the gathered records to the log.
func (c *compaction) flush() error {
	if len(c.req.items) == 0 {
		return nil
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.s.segs.supersede(c.from.num)
	failpoint.At("compact/gathered")
	err := c.s.commit(c.req)
	failpoint.At("compact/moved")
	c.moved += c.bytes
	c.drop()
	c.req.items, c.bytes = c.req.items[:0], 0
	return err
}

// drop gives the buffers of the request back.
func (c *compaction) drop() {
	for _, buf := range c.held {
		c.s.bufs.put(buf)
	}
	c.held = c.held[:0]
}

// remove deletes the segment, which nothing in the index points to any more.
func (c *compaction) remove() error {
	g, s := c.from, c.s
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	// A batch under way may have taken blobs out of the index without having
	// counted them as dead yet: a request for nothing waits for it.
	if err := s.journal.commit(newRequest()); err != nil {
		return err
	}
	g.mu.Lock()
	live, size := g.live, g.size
	g.mu.Unlock()
	if live != 0 {
		return fmt.Errorf("%d bytes are still in use", live)
	}
	// The table forgets the segment only once the file is durably gone: until
	// then a tombstone may still be needed against it.
	name := g.file.Name()
	if err := s.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.fail("remove segment", err)
	}
	failpoint.At("compact/removed")
	if err := s.syncDir(s.segs.dir); err != nil {
		return s.syncDirFailed("sync segment directory", err)
	}
	failpoint.At("compact/gone")
	s.segs.forget(g)
	<-g.gone
	s.log.Info("segment compacted", "file", name, "bytes", size, "moved", c.moved)
	return g.file.Close()
}
