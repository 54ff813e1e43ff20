package volume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tdkvs/failpoint"
)

const (
	defaultScrubPeriod = 14 * 24 * time.Hour
	minScrubRate       = 1 << 20 // bytes per second, where none is set
	scrubPage          = 1000    // large blobs listed at a time
	recordOverhead     = 256     // bytes of a blob's record beside its payload, about
)

// scrub verifies every blob once, in rounds: the segments in order of number, each
// from its beginning to its end as it lies on the disk, then the large blobs in
// order of id. What is written, or moved by compaction, during a round lies behind
// it or is left to the next. What it finds is in Damaged, and counted as a corrupt
// read. It returns early where ctx or the store ends, and goes on there when it is
// called again.
func (s *Store) scrub(ctx context.Context) {
	if !s.scrubber.begin(s.cfg.Clock(), s.scrubPause(), s.index.held().Blobs == 0) {
		s.saveScrub(scrubSaveEvery)
		return
	}
	r := &scrubRound{s: s, ctx: ctx, rate: s.scrubRate}
	if err := r.run(); err != nil {
		return
	}
	s.scrubber.end(s.cfg.Clock())
	s.saveScrub(scrubSaveEvery)
}

// scrubs reports whether there is a scrub at all.
func (s *Store) scrubs() bool { return s.cfg.ScrubBytesPerSecond != 0 || s.cfg.ScrubPeriod > 0 }

// scrubPause is how long after the beginning of a round the next one begins, at the
// least.
func (s *Store) scrubPause() time.Duration {
	if s.cfg.ScrubBytesPerSecond != 0 {
		return 0
	}
	return s.cfg.ScrubPeriod
}

// scrubRate is the pace in bytes per second, below zero without a bound: what is
// set, or what reads all of it in good time before the next round is due.
func (s *Store) scrubRate() int64 {
	if s.cfg.ScrubBytesPerSecond != 0 {
		return s.cfg.ScrubBytesPerSecond
	}
	inTime := float64(s.scrubTotal()) / (s.cfg.ScrubPeriod.Seconds() * 7 / 8)
	return max(minScrubRate, int64(inTime))
}

// scrubTotal is about how many bytes a round reads.
func (s *Store) scrubTotal() int64 {
	held := s.index.held()
	return held.Bytes + recordOverhead*held.Blobs
}

// scrubRound is a round, or what is left of one, under way.
type scrubRound struct {
	s    *Store
	ctx  context.Context
	rate func() int64 // bytes per second, by now
	pace pace
}

func (r *scrubRound) run() error {
	for at := r.s.scrubber.position(); !at.Large; at = r.s.scrubber.position() {
		g := r.s.segs.acquireFrom(at.Segment)
		if g == nil {
			r.s.scrubber.moveTo(scrubPosition{Large: true})
			break
		}
		if g.num > at.Segment {
			at = scrubPosition{Segment: g.num}
		}
		if err := r.segment(g, at.Offset); err != nil {
			return err
		}
		r.s.scrubber.moveTo(scrubPosition{Segment: g.num + 1})
	}
	return r.large()
}

// segment verifies the live records of a segment from an offset on, and releases it.
// It holds it only while it reads what is in it: compaction must not wait.
func (r *scrubRound) segment(g *segment, from uint32) error {
	records := r.s.liveRecords(g)
	g.release()
	start, _ := slices.BinarySearchFunc(records, from, func(x placed, off uint32) int { return cmp.Compare(x.off, off) })
	for _, x := range records[start:] {
		if e, ok := r.s.index.get(x.id); !ok || e.seg != g.num || e.off != x.off {
			continue // deleted, or moved to where it is met later
		}
		if err := r.blob(x.id, scrubPosition{Segment: g.num, Offset: x.off + 1}); err != nil {
			return err
		}
	}
	return nil
}

func (r *scrubRound) large() error {
	for {
		page := r.s.index.listWhere(r.s.scrubber.position().After, scrubPage, func(s *slot) bool { return s.large() })
		if len(page) == 0 {
			return r.ctx.Err()
		}
		for _, info := range page {
			if err := r.blob(info.ID, scrubPosition{Large: true, After: info.ID}); err != nil {
				return err
			}
		}
	}
}

// blob verifies one blob, takes the time for it that it should, and moves on.
func (r *scrubRound) blob(id BlobID, next scrubPosition) error {
	err := r.s.verify(r.ctx, id, func(n int64) error {
		r.s.scrubber.hasRead(n)
		r.pace.rate = r.rate()
		return r.pace.wait(r.ctx, r.s.closing, n)
	})
	switch {
	case errors.Is(err, ErrCorrupt):
		r.s.scrubber.foundBad()
	case err != nil && !errors.Is(err, ErrNotFound):
		return fmt.Errorf("scrub: %w", err) // the store or ctx has ended, or no file can be opened at the moment
	}
	r.s.scrubber.moveTo(next)
	r.s.saveScrub(failpoint.Or(scrubSaveEvery, scrubSaveEvery/100))
	return nil
}

// liveRecords returns the blobs of a segment in the order in which they lie: by its
// footer or, where it has none that can be used, by the index.
func (s *Store) liveRecords(g *segment) []placed {
	g.mu.Lock()
	sealed := g.sealed
	g.mu.Unlock()
	rows, ok := []byte(nil), false
	if sealed {
		rows, ok = s.footerRows(g)
	}
	if !ok {
		return s.index.inSegment(g.num)
	}
	var live []placed
	for ; len(rows) > 0; rows = rows[rowLen:] {
		h := parseRow(rows, g.num)
		if e, ok := s.index.get(h.id); ok && h.kind == kindBlob && e.seg == g.num && e.off == h.off {
			live = append(live, placed{h.id, h.off})
		}
	}
	return live
}

// footerRows returns the footer of a sealed segment, if it can be used: it serves a
// start, and costs nothing but time there where it is damaged.
func (s *Store) footerRows(g *segment) ([]byte, bool) {
	size, err := g.file.Size()
	if err != nil {
		return nil, false
	}
	rows, _, err := readFooter(g.file, s.seed, g.num, size)
	return rows, err == nil
}
