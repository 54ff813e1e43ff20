package master

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// suspect is a blob about which rows, queue and volumes seem to disagree. Each
// was looked at in a moment of its own, so they may not.
type suspect struct {
	live    int        // times that rows name it
	named   []badPlace // where, for the first of them
	garbage [][]byte   // the entries of the queue that name it
	other   bool       // it belongs to an upload that has ended, or to a manifest given up
	corrupt bool       // it was read, and is not whole
}

// sharers bounds the extents that name one blob and are remembered.
const sharers = 16

// unsettled is an extent that is not kept as it should be.
type unsettled struct {
	location
	extent meta.Extent
}

func (c *check) suspect(p meta.Piece) {
	if c.suspects[p] == nil {
		c.suspects[p] = new(suspect)
	}
}

// judge holds an extent against how it should be kept.
func (c *check) judge(l *layout, at location, x meta.Extent) {
	if wrong, _ := c.judgement(l, at, x); len(wrong) > 0 {
		c.unsettled = append(c.unsettled, unsettled{at, x})
	}
}

// judgement returns what is to be said of how an extent is kept, and whether there
// are too few volumes to keep it as it should be: what lies on a lost one stays on
// record then, in case it comes back.
func (c *check) judgement(l *layout, at location, x meta.Extent) (wrong []Finding, short bool) {
	keep := c.e.redundancyOf(l, at.holder, at.class, x)
	want, _ := l.place(at.hash(), keep.pieces()) // none: there is no volume, and nothing to be wanted
	var on []meta.VolumeID
	say := func(kind FindingKind, p meta.Piece, format string, args ...any) {
		f := at.finding(kind, p, pieceSize(x))
		f.Detail = fmt.Sprintf(format, args...)
		wrong = append(wrong, f)
	}
	for _, p := range x.Pieces {
		_, member := l.volumes[p.Volume]
		switch {
		case p.Missing():
			continue
		case !member:
			say(FindingStranded, p, "volume %d is not in the cluster", p.Volume)
			continue
		case slices.Contains(on, p.Volume):
			say(FindingDuplicate, p, "volume %d has two pieces", p.Volume)
		case !slices.Contains(want, p.Volume):
			say(FindingMisplaced, p, "volume %d has it, want one of %v", p.Volume, want)
		}
		on = append(on, p.Volume)
	}
	switch {
	case len(on) < keep.pieces():
		say(FindingFew, meta.Piece{}, "%d pieces, want %d", len(on), keep.pieces())
	case len(on) > keep.pieces():
		say(FindingMany, meta.Piece{}, "%d pieces, want %d", len(on), keep.pieces())
	}
	return wrong, len(want) < keep.pieces()
}

// confirmSome looks again at what is suspected once that is much.
func (c *check) confirmSome(ctx context.Context) error {
	if err := c.flushRemedies(ctx); err != nil {
		return err
	}
	switch {
	case len(c.suspects) >= checkSuspects:
		return c.confirm(ctx)
	case len(c.unsettled) >= checkUnsettled:
		return c.confirmUnsettled(ctx)
	}
	return nil
}

// confirm looks again at everything that is suspected, and forgets it.
func (c *check) confirm(ctx context.Context) error {
	if err := c.confirmUnsettled(ctx); err != nil {
		return err
	}
	if len(c.suspects) == 0 {
		return nil
	}
	settled, err := c.fence(ctx)
	if err != nil {
		return err
	}
	all, err := c.nameSuspects(ctx)
	if err != nil {
		return err
	}
	for p, s := range c.suspects {
		if err := c.decide(ctx, p, s, settled && all); err != nil {
			return err
		}
	}
	clear(c.suspects)
	return nil
}

// fence waits until every write that may have made a blob that was listed is
// recorded or given up; it reports false where one takes too long. What the
// rebalance and the repair make is in the garbage queue before it is written.
func (c *check) fence(ctx context.Context) (settled bool, err error) {
	since := c.e.layouts.turnOver()
	for end := time.Now().Add(checkFence); time.Now().Before(end); {
		if c.e.layouts.over(since) {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(settlePoll):
		}
	}
	return false, nil
}

// nameSuspects finds out, as of one moment, who names the suspects; not all is
// known where a row can not be read, which may name any.
func (c *check) nameSuspects(ctx context.Context) (all bool, err error) {
	err = c.e.view(ctx, func(tx metadb.Tx) error {
		all = true
		for _, s := range c.suspects {
			*s = suspect{corrupt: s.corrupt}
		}
		s := &scanner{ctx: ctx, e: c.e, full: func() bool { return false }, broken: func([]byte, error) { all = false }}
		s.visit = func(at location, extents []meta.Extent, _ int) {
			for i, extent := range extents {
				at.index = i
				for _, p := range pieces(extents[i : i+1]) {
					if x := c.suspects[p]; x != nil {
						x.names(badPlace{location: at, extent: extent, piece: p, kind: FindingShared})
					}
				}
			}
		}
		if err := s.run(tx); err != nil {
			return err
		}
		c.progress.Rows += s.scanned
		c.tell()
		r := metadb.GarbageRange()
		err := tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
			g, err := metadb.UnmarshalGarbage(row)
			all = all && err == nil
			for _, p := range g.Pieces {
				if x := c.suspects[p]; x != nil && err == nil {
					x.garbage = append(x.garbage, bytes.Clone(k))
				}
			}
			return true, ctx.Err()
		})
		if err != nil {
			return err
		}
		readable, err := c.nameOthers(ctx, tx)
		all = all && readable
		return err
	})
	return all, err
}

// names notes that a row names the blob.
func (s *suspect) names(b badPlace) {
	if s.live++; len(s.named) < sharers {
		s.named = append(s.named, b)
	}
}

// nameOthers finds suspects in the rows of uploads that have ended and of
// manifests that were given up, which the garbage queue stands for as a whole; not
// all of them are readable where it says so.
func (c *check) nameOthers(ctx context.Context, tx metadb.Tx) (all bool, err error) {
	all = true
	for _, rows := range uploadRows() {
		err := tx.Scan(rows.Start, rows.End, func(k, row []byte) (bool, error) {
			extents, err := rows.extents(k, row)
			all = all && err == nil
			for _, p := range pieces(extents) {
				if x := c.suspects[p]; x != nil && err == nil {
					x.other = true
				}
			}
			return true, ctx.Err()
		})
		if err != nil {
			return false, err
		}
	}
	return all, nil
}

// decide says what a suspect is.
func (c *check) decide(ctx context.Context, p meta.Piece, s *suspect, certain bool) error {
	switch {
	case s.live > 0 && len(s.garbage) > 0:
		at := s.named[0].location
		c.found(at.finding(FindingDoomed, p, pieceSize(s.named[0].extent)))
		if c.repairs(FindingDoomed) {
			c.remedies.doomed = append(c.remedies.doomed, doomed{p, at, s.garbage, pieceSize(s.named[0].extent)})
		}
	case s.live > 1:
		c.found(s.named[0].finding(FindingShared, p, pieceSize(s.named[0].extent)))
		return c.shareOf(ctx, p, s.named)
	case s.live == 1 && s.corrupt: // it was in another row when it was looked for
		c.foundBad(s.named[0].finding(FindingCorrupt, p, pieceSize(s.named[0].extent)), s.named[0])
	case s.live == 0 && len(s.garbage) == 0 && !s.other:
		return c.decideOrphan(ctx, p, certain)
	}
	return nil
}

// decideOrphan looks whether a blob that nothing names is still there: what was
// garbage when it was listed is removed before the queue forgets it.
func (c *check) decideOrphan(ctx context.Context, p meta.Piece, certain bool) error {
	if c.skipped(p.Volume) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, checkStatTimeout)
	defer cancel()
	blobs, err := c.e.volume(limited, p.Volume)
	var info volume.Info
	if err == nil {
		info, err = blobs.Stat(limited, volume.BlobID(p.Blob))
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, volume.ErrNotFound):
		return nil
	case err != nil && !errors.Is(err, volume.ErrCorrupt):
		c.giveUpOn(p.Volume, c.nameOf(p.Volume), err)
		return nil
	case !certain:
		c.report.Undecided++
		return nil
	}
	f := Finding{Kind: FindingOrphan, Volume: p.Volume, Blob: p.Blob, Bytes: info.Size}
	if d, err := metadb.UnmarshalDescriptor(info.Descriptor); err == nil {
		f.Bucket, f.Key, f.UploadID, f.Part = d.Bucket, d.Key, d.UploadID, d.PartNumber
		f.Detail = "written " + info.Created.UTC().Format(time.RFC3339)
	}
	c.foundOrphan(f, info)
	return nil
}

// confirmUnsettled looks again at the extents that are not kept as they should
// be. What the rebalance has yet to come to, or the repair queue has, is pending.
func (c *check) confirmUnsettled(ctx context.Context) error {
	found := c.unsettled
	c.unsettled = nil
	for len(found) > 0 {
		n := min(len(found), checkPage)
		if err := c.confirmExtents(ctx, found[:n]); err != nil {
			return err
		}
		found = found[n:]
	}
	return nil
}

// repairOf names what an entry of the repair queue is about.
type repairOf struct {
	bucket, key string
	part        int
}

func (c *check) confirmExtents(ctx context.Context, found []unsettled) error {
	var wrong, awaited []Finding
	var waiting bool
	var queued map[repairOf]bool
	err := c.e.view(ctx, func(tx metadb.Tx) error {
		wrong, awaited = nil, nil
		l := c.e.layouts.now()
		st, err := record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
		if err != nil {
			return err
		}
		waiting = st.Active || st.Epoch != 0 && st.Epoch != l.topology.Epoch
		if !waiting {
			if queued, err = c.queued(tx, found); err != nil {
				return err
			}
		}
		for _, u := range found {
			x, err := c.recorded(tx, u.location)
			if err != nil {
				return err
			}
			if x != nil && slices.Equal(x.Pieces, u.extent.Pieces) {
				said, short := c.judgement(l, u.location, *x)
				for _, f := range said {
					if short && (f.Kind == FindingFew || f.Kind == FindingStranded) {
						awaited = append(awaited, f)
					} else {
						wrong = append(wrong, f)
					}
				}
			}
		}
		return ctx.Err()
	})
	for _, f := range awaited {
		c.pending(f)
	}
	for _, f := range wrong {
		if waiting || queued[repairOf{f.Bucket, f.Key, f.Part}] {
			c.pending(f)
		} else {
			c.foundAtOnce(f, RemedyRebalance)
		}
	}
	return err
}

// queued returns which of the extents the repair queue names.
func (c *check) queued(tx metadb.Tx, found []unsettled) (map[repairOf]bool, error) {
	about := make(map[repairOf]bool, len(found))
	for _, u := range found {
		about[repairOf{u.bucket, u.key, u.part}] = false
	}
	r := metadb.RepairRange()
	err := tx.Scan(r.Start, r.End, func(_, row []byte) (bool, error) {
		q, err := metadb.UnmarshalRepair(row)
		of := repairOf{q.Bucket, q.Key, q.Part}
		if _, ok := about[of]; ok && err == nil {
			about[of] = true
		}
		return true, nil
	})
	return about, err
}
