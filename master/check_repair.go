package master

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// RepairMode says what a check does about what it finds.
type RepairMode uint8

// The modes of a repair.
const (
	RepairNone  RepairMode = iota // nothing
	RepairPlan                    // it works out what it would do, and changes nothing
	RepairApply                   // it does that
)

// Remedy is what a repair does about a finding. None of them removes anything that
// can be read: the repair queue and the rebalance give up a piece only for one that
// was verified, and what nothing names stays in the garbage queue for
// Config.LeftoverGrace and is looked at once more then.
type Remedy string

// The remedies.
const (
	// RemedyRestore: the repair queue verifies the piece, and makes it anew from the
	// others.
	RemedyRestore Remedy = "restore"
	// RemedyList: too few others are left. The repair queue verifies that, and puts
	// the extent on the list of damage; its record and all that is left of it stay.
	RemedyList Remedy = "list as damaged"
	// RemedyReread: what is on the list of damage is read again, and leaves it where
	// it can be.
	RemedyReread Remedy = "read again"
	// RemedyRebalance: a pass of the rebalance brings the pieces to where they should
	// be, each verified before another is given up for it.
	RemedyRebalance Remedy = "rebalance"
	// RemedyGarbage: the blob goes to the garbage queue, and is removed after
	// Config.LeftoverGrace, unless something names it by then.
	RemedyGarbage Remedy = "garbage"
	// RemedySpare: the blob is taken off the garbage queue.
	RemedySpare Remedy = "spare"
	// RemedyRecount: the counters are moved by what they are off.
	RemedyRecount Remedy = "recount"
	// RemedyNone: nothing can be done about it that might not lose something.
	RemedyNone Remedy = "none"
)

// Remedied are the findings of a kind about which the same is done.
type Remedied struct {
	Kind   FindingKind
	Remedy Remedy
	Tally
	Done uint64 // of Count: queued, or done; 0 where it was only planned
}

const (
	repairBadAtOnce = 32      // pieces that one transaction queues
	orphansAtOnce   = 1 << 10 // that are held, where all of them are given up
)

// badPlace is a piece that the repair queue is to verify.
type badPlace struct {
	location
	extent meta.Extent
	piece  meta.Piece
	kind   FindingKind
	bytes  int64
}

// remedies is what a check has yet to do about its findings, and what it has done.
type remedies struct {
	bad     []badPlace // guarded by the check's mu
	orphans []leftover
	excess  Tally // orphans that are more than a crash leaves: none is given up
	counts  []recount
	doomed  []doomed
	moves   bool // a pass of the rebalance is needed
	queued  bool // something for the rebalancer was
}

// repairs reports whether a check works out remedies for a kind of finding.
func (c *check) repairs(kind FindingKind) bool {
	return c.opts.Repair != RepairNone && (len(c.opts.Only) == 0 || slices.Contains(c.opts.Only, kind))
}

// remedied counts a finding, and that something was done about it.
func (c *check) remedied(kind FindingKind, r Remedy, t Tally, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.report.Remedies, func(x Remedied) bool { return x.Kind == kind && x.Remedy == r })
	if i < 0 {
		i = len(c.report.Remedies)
		c.report.Remedies = append(c.report.Remedies, Remedied{Kind: kind, Remedy: r})
	}
	x := &c.report.Remedies[i]
	x.Count += t.Count
	x.Bytes += t.Bytes
	if done {
		x.Done += t.Count
	}
}

func (c *check) applies() bool { return c.opts.Repair == RepairApply }

// one is the tally of a finding.
func one(bytes int64) Tally { return Tally{Count: 1, Bytes: uint64(max(0, bytes))} }

// foundBad notes a piece that is not as its row says, which the repair queue is to
// look at.
func (c *check) foundBad(f Finding, b badPlace) {
	c.found(f)
	if !c.repairs(f.Kind) {
		return
	}
	b.kind, b.bytes = f.Kind, f.Bytes
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remedies.bad = append(c.remedies.bad, b)
}

// foundAtOnce notes a finding about which there is nothing to be worked out.
func (c *check) foundAtOnce(f Finding, r Remedy) {
	c.found(f)
	if !c.repairs(f.Kind) {
		return
	}
	if r == RemedyRebalance {
		c.remedies.moves = true
	}
	c.remedied(f.Kind, r, one(f.Bytes), c.applies() && r != RemedyNone)
}

// queueBad has the pieces verified, and made anew, that are not as their rows say.
func (c *check) queueBad(ctx context.Context) error {
	c.mu.Lock()
	bad := c.remedies.bad
	c.remedies.bad = nil
	c.mu.Unlock()
	for len(bad) > 0 {
		n := min(len(bad), repairBadAtOnce)
		if err := c.queueSome(ctx, bad[:n]); err != nil {
			return err
		}
		bad = bad[n:]
	}
	return nil
}

func (c *check) queueSome(ctx context.Context, bad []badPlace) error {
	outcomes := make([]Remedy, len(bad))
	for i, b := range bad {
		outcomes[i] = RemedyList
		if c.othersSuffice(ctx, b) {
			outcomes[i] = RemedyRestore
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.applies() {
		_, err := c.e.update(ctx, func(tx metadb.Tx) error {
			now := c.e.now()
			for _, b := range bad {
				if err := queueRepair(tx, now, b.repair([]meta.Piece{b.piece}, now)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("queue repairs: %w", err)
		}
		c.remedies.queued = true
		c.e.rebalance.wake()
	}
	for i, b := range bad {
		c.remedied(b.kind, outcomes[i], one(b.bytes), c.applies())
	}
	return nil
}

// othersSuffice reports whether an extent can be read without a piece of it, as far
// as the check goes: a deep one reads the others. The repair reads them in any case.
func (c *check) othersSuffice(ctx context.Context, b badPlace) bool {
	good := 0
	for i, p := range b.extent.Pieces {
		if p.Missing() || p == b.piece {
			continue
		}
		w := b.owner(b.extent).piece(p, i)
		var err error
		if c.opts.Deep {
			if err = c.pace(ctx, w.size); err == nil {
				err = c.e.verifyPiece(ctx, w)
			}
		} else {
			_, _, err = c.e.statRecorded(ctx, w)
		}
		if err == nil {
			good++
		}
	}
	return good >= needed(b.extent)
}

// flushRemedies does what was put off while transactions were read.
func (c *check) flushRemedies(ctx context.Context) error {
	if c.opts.Repair == RepairNone {
		return nil
	}
	if err := c.queueBad(ctx); err != nil {
		return err
	}
	if err := c.spareDoomed(ctx); err != nil {
		return err
	}
	return c.giveUpOrphans(ctx, false)
}

// finishRemedies does what is done once, at the end.
func (c *check) finishRemedies(ctx context.Context) error {
	if c.opts.Repair == RepairNone {
		return nil
	}
	for _, step := range []func(context.Context) error{
		c.flushRemedies, c.recountAll, func(ctx context.Context) error { return c.giveUpOrphans(ctx, true) },
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if !c.applies() {
		return nil
	}
	if c.remedies.moves {
		if err := c.e.rebalance.lookAgain(ctx); err != nil {
			return fmt.Errorf("begin a pass of the rebalance: %w", err)
		}
	}
	if c.remedies.moves || c.remedies.queued {
		c.e.rebalance.volumeIsBack() // nothing waits that could be tried, and what is damaged is read again
	}
	return nil
}

// foundOrphan notes a blob that nothing names, and will: see leftovers, of which it
// is one that was found in another way.
func (c *check) foundOrphan(f Finding, info volume.Info) {
	c.found(f)
	if !c.repairs(FindingOrphan) {
		return
	}
	p := meta.Piece{Volume: f.Volume, Blob: f.Blob}
	d, err := metadb.UnmarshalDescriptor(info.Descriptor)
	if err != nil || d.Bucket == "" || c.e.leftovers.kept(p) {
		// It does not say what it is, so nobody could look at it again; or a commit
		// whose end is not known may have recorded it.
		c.remedied(FindingOrphan, RemedyNone, one(f.Bytes), false)
		return
	}
	r := &c.remedies
	if !c.allOrphans() && uint64(len(r.orphans)) >= c.e.leftovers.limit {
		for _, b := range r.orphans {
			r.excess.Count++
			r.excess.Bytes += uint64(b.size)
		}
		r.orphans = nil
	}
	if r.excess.Count > 0 {
		r.excess.Count++
		r.excess.Bytes += uint64(f.Bytes)
		return
	}
	r.orphans = append(r.orphans, leftover{sized{p, f.Bytes}, d})
}

// allOrphans reports that orphans are to be given up however many they are: who
// names them means it.
func (c *check) allOrphans() bool { return slices.Contains(c.opts.Only, FindingOrphan) }

// giveUpOrphans gives orphans up: those that are held where there may be any number
// of them, and otherwise at the end, when it is known that they are no more than a
// crash leaves.
func (c *check) giveUpOrphans(ctx context.Context, end bool) error {
	r := &c.remedies
	if !end && (!c.allOrphans() || len(r.orphans) < orphansAtOnce) {
		return nil
	}
	if end && r.excess.Count > 0 {
		c.remedied(FindingOrphan, RemedyNone, r.excess, false)
		c.report.Excess = r.excess.Count
	}
	for len(r.orphans) > 0 {
		n := min(len(r.orphans), leftoverBatch)
		for _, b := range r.orphans[:n] {
			c.remedied(FindingOrphan, RemedyGarbage, one(b.size), c.applies())
		}
		if c.applies() {
			if err := c.queueOrphans(ctx, r.orphans[:n]); err != nil {
				return fmt.Errorf("queue orphans: %w", err)
			}
		}
		r.orphans = r.orphans[n:]
	}
	return nil
}

// queueOrphans queues blobs as garbage, but for those that a row has come to name.
func (c *check) queueOrphans(ctx context.Context, orphans []leftover) error {
	_, err := c.e.update(ctx, func(tx metadb.Tx) error {
		now := c.e.now()
		entry := metadb.Garbage{Kind: metadb.GarbageLeftovers, Queued: now}
		for _, b := range orphans {
			named, err := namedNow(tx, b)
			if err != nil {
				return err
			}
			if !named {
				entry.Pieces = append(entry.Pieces, b.Piece)
			}
		}
		return queueUnlessEmpty(tx, now.Add(c.e.leftovers.grace), entry)
	})
	return err
}

// doomed is a blob that a row names and the garbage queue as well.
type doomed struct {
	piece   meta.Piece
	at      location
	entries [][]byte // of the queue
	bytes   int64
}

// spareDoomed takes blobs off the garbage queue that rows name.
func (c *check) spareDoomed(ctx context.Context) error {
	all := c.remedies.doomed
	c.remedies.doomed = nil
	for _, d := range all {
		if c.applies() {
			if err := c.spare(ctx, d); err != nil {
				return fmt.Errorf("take a blob off the garbage queue: %w", err)
			}
		}
		c.remedied(FindingDoomed, RemedySpare, one(d.bytes), c.applies())
	}
	return nil
}

func (c *check) spare(ctx context.Context, d doomed) error {
	c.e.garbage.mu.Lock() // the collector is not at it
	defer c.e.garbage.mu.Unlock()
	tooLate := false
	_, err := c.e.update(ctx, func(tx metadb.Tx) error {
		tooLate = false
		x, err := c.recorded(tx, d.at)
		if err != nil || x == nil || !slices.Contains(x.Pieces, d.piece) {
			return err
		}
		for _, k := range d.entries {
			err := spareFrom(tx, k, d.piece)
			if errors.Is(err, metadb.ErrNotFound) {
				tooLate = true // the blob may be gone with its entry
			} else if err != nil {
				return err
			}
		}
		if !tooLate {
			return nil
		}
		now := c.e.now()
		return queueRepair(tx, now, d.at.repair([]meta.Piece{d.piece}, now))
	})
	if err == nil && tooLate {
		c.remedies.queued = true
		c.e.rebalance.wake()
	}
	return err
}

// spareFrom takes a piece off an entry. metadb.ErrNotFound says that there is none.
func spareFrom(tx metadb.Tx, key []byte, p meta.Piece) error {
	row, err := tx.Get(key)
	if err != nil {
		return err
	}
	g, err := metadb.UnmarshalGarbage(row)
	if err != nil {
		return err
	}
	g.Pieces = slices.DeleteFunc(g.Pieces, func(x meta.Piece) bool { return x == p })
	if len(g.Pieces) == 0 && g.Kind.NamesBlobs() {
		return tx.Delete(key)
	}
	if row, err = metadb.MarshalGarbage(&g); err != nil {
		return err
	}
	return tx.Set(key, row)
}

// shareOf sorts out a blob that several extents name: it says itself of which it is,
// and the others are made anew from their other pieces.
func (c *check) shareOf(ctx context.Context, p meta.Piece, named []badPlace) error {
	if !c.repairs(FindingShared) {
		return nil
	}
	var strangers []badPlace
	for _, b := range named {
		b.bytes = pieceSize(b.extent)
		_, _, err := c.e.statRecorded(ctx, b.recorded(b.extent, p))
		var stranger *strangerError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &stranger):
			strangers = append(strangers, b)
		}
	}
	if len(strangers) < len(named)-1 { // it does not say of which
		c.remedied(FindingShared, RemedyNone, one(pieceSize(named[0].extent)), false)
		return nil
	}
	c.mu.Lock()
	c.remedies.bad = append(c.remedies.bad, strangers...)
	c.mu.Unlock()
	return c.queueBad(ctx)
}
