package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// StaleError refuses to go on with metadata that is not the newest, or not of the
// history that the volumes hold, and that can not be brought up to date: what was
// acknowledged since would be lost.
type StaleError struct {
	Seq  uint64 // the newest commit of the metadata
	Last uint64 // the newest that the volumes hold
	Why  string
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("the metadata here ends with commit %d, and the volumes hold its journal up to commit %d, with which it can not be brought up to date: %s. Put the newest metadata directory back; or move this one away and start with -recover, which rebuilds the metadata from the volumes; nothing was changed",
		e.Seq, e.Last, e.Why)
}

// NewLine is a mark for metadata that was made on purpose without what the volumes'
// journal holds, from a backup for example: the next start begins a new history.
func NewLine() []byte { return []byte{newLine} }

const newLine = 'N'

// position is what a metadata store says of itself.
func position(db metadb.Followed) (seq uint64, at Header, followed, anew bool) {
	seq, mark := db.Position()
	at, err := ParseHeader(mark)
	return seq, at, err == nil && at.Seq == seq, bytes.Equal(mark, NewLine())
}

// RollForward makes the commits that the volumes hold and the metadata lacks: those
// that a crash has cut off, or all since a copy of the metadata was made that was put
// back. It returns how many there were. found may be nil. A *StaleError refuses metadata
// that can not be brought up to date.
func RollForward(ctx context.Context, db metadb.Followed, found *Contents, log *slog.Logger) (n int, err error) {
	seq, at, followed, anew := position(db)
	if found == nil || anew {
		return 0, nil
	}
	if !followed {
		if found.Last > seq {
			return 0, &StaleError{seq, found.Last, "it was made before there was a journal, or without it"}
		}
		return 0, nil
	}
	if found.Line > at.Line {
		return 0, &StaleError{seq, found.Last, "its history was given up for a newer one"}
	}
	snapshotAt := found.Last
	found.follow(seq)
	err = found.Entries(ctx, at, func(h Header, changes []metadb.Change) error {
		n++
		err := db.Apply(ctx, h.Seq, h.Mark(), changes)
		failpoint.At("journal/rolled")
		return err
	})
	if gap := (*GapError)(nil); errors.As(err, &gap) {
		ahead, asked := found.ahead(ctx, at)
		switch {
		case asked != nil:
			return n, asked
		case ahead:
			return n, &StaleError{found.Last, gap.Last, err.Error()}
		}
		err = nil // they are of histories that were given up
	}
	if err == nil && found.Line == at.Line && found.Snapshot.Seq > found.Last {
		err = &StaleError{found.Last, max(snapshotAt, found.Snapshot.Seq), "the commits in between were removed when a snapshot had made them needless"}
	}
	if err == nil && n > 0 {
		log.WarnContext(ctx, "the metadata was behind its journal and has been brought up to date", "commits", n, "commit", found.Last)
	}
	return n, err
}

// ahead reports that a source holds a commit after Last of the history of a commit, or
// of a newer one.
func (c *Contents) ahead(ctx context.Context, of Header) (bool, error) {
	for seq, at := range c.found.entries {
		if seq <= c.Last {
			continue
		}
		for _, i := range at.sources {
			h, err := stat(ctx, c.sources[i], volume.MetadataID(volume.MetadataEntry, seq, 0))
			switch {
			case err == nil && h.Cluster == of.Cluster && h.Line >= of.Line:
				return true, nil
			case err != nil && !errors.Is(err, ErrBad) && !errors.Is(err, volume.ErrCorrupt) && !errors.Is(err, volume.ErrNotFound):
				return false, err
			}
		}
	}
	return false, nil
}

// Start begins to follow a metadata store that has been rolled forward. Where it was
// followed before, its history goes on; else a new one begins, which needs a snapshot.
// No commit may be under way.
func Start(ctx context.Context, cluster Cluster, found *Contents, cfg Config) (*Writer, error) {
	seq, at, followed, _ := position(cfg.DB)
	now := cfg.Clock()
	run := max(uint64(max(0, now.UnixNano())), at.Run+1)
	w := &Writer{
		cfg: cfg, woken: make(chan struct{}, 1), late: make(chan struct{}, 1), first: seq, began: now, base: seq,
		busy: make(map[meta.VolumeID]int), failing: make(map[meta.VolumeID]bool), keep: upkeep{swept: make(map[meta.VolumeID]bool)},
	}
	if found != nil {
		run = max(run, found.Line+1)
	}
	if !followed {
		return w, w.begin(ctx, Header{Kind: volume.MetadataEntry, Cluster: cluster, Line: run, Run: run, Time: now, Seq: seq + 1})
	}
	if at.Cluster != cluster {
		return nil, fmt.Errorf("the metadata of cluster %s was journalled as that of %s", cluster, at.Cluster)
	}
	w.head = at
	w.head.Run = run
	if found != nil && found.Line == at.Line && found.Snapshot.Seq <= seq && found.head.Last {
		if err := w.takeUp(ctx, found); err != nil {
			return nil, err
		}
	}
	cfg.DB.Follow(w)
	return w, w.remake(ctx, at, found)
}

// begin makes the first commit of a new history: it writes nothing but its mark, and goes
// to no volume. Without it a crash during the next commit could leave that one on the
// volumes, and metadata of which nobody could tell that it is of the same history.
func (w *Writer) begin(ctx context.Context, h Header) error {
	_, w.head = encodeEntry(nil, h, func(func(metadb.Change) bool) {})
	if err := w.cfg.DB.Apply(ctx, h.Seq, w.head.Mark(), nil); err != nil {
		return err
	}
	failpoint.At("journal/begun")
	w.first, w.base = h.Seq, h.Seq
	w.cfg.DB.Follow(w)
	return nil
}

// takeUp goes on with the journal that the volumes hold.
func (w *Writer) takeUp(ctx context.Context, found *Contents) error {
	w.base = found.Snapshot.Seq
	w.commits = make([]commit, w.head.Seq-w.base)
	for i := range w.commits {
		size := found.found.entries[w.base+uint64(i)+1].size
		w.commits[i].size = uint32(size)
		w.size += size + perEntry
	}
	if n := len(w.commits); n > 0 {
		w.commits[n-1].sum = w.head.Sum
	}
	w.snap = snapshot{whole: true, head: found.head, taken: found.head.Time, turn: found.Snapshot.Seq}
	whole, err := found.haveSnapshot(ctx)
	for _, i := range whole {
		w.snap.on.add(found.sources[i].Number)
	}
	for i := range found.Snapshot.Chunks {
		w.snap.size += found.found.chunks[found.Snapshot.Seq][i].size
	}
	w.keep.found = found
	return err
}

// haveSnapshot returns the sources that hold all of the snapshot.
func (c *Contents) haveSnapshot(ctx context.Context) (whole []int, err error) {
	chunks := c.found.chunks[c.Snapshot.Seq]
	for _, i := range chunks[c.Snapshot.Chunks-1].sources {
		h, err := stat(ctx, c.sources[i], c.head.ID())
		if err != nil || h != c.head {
			continue
		}
		has := true
		for _, at := range chunks {
			has = has && slices.Contains(at.sources, i)
		}
		if has {
			whole = append(whole, i)
		}
	}
	return whole, ctx.Err()
}

// sumAtSnapshot is the sum of the commit that the snapshot sees as the newest.
func (c *Contents) sumAtSnapshot(ctx context.Context) (uint64, error) {
	first := c.found.chunks[c.Snapshot.Seq][0]
	var failed error
	for _, i := range first.sources {
		h, err := stat(ctx, c.sources[i], volume.MetadataID(volume.MetadataChunk, c.Snapshot.Seq, 0))
		if err == nil && h.Line == c.Line {
			return h.Prev, nil
		}
		failed = errors.Join(failed, err)
	}
	return 0, fmt.Errorf("first chunk of the snapshot at commit %d: %w", c.Snapshot.Seq, errors.Join(failed, ErrBad))
}

// remake writes the newest commit where no volume has it: the process ended between the
// two. What it wrote is still to be seen in the metadata.
func (w *Writer) remake(ctx context.Context, at Header, found *Contents) error {
	if at.Seq == 0 || found == nil || found.Snapshot.Seq == at.Seq {
		return nil
	}
	copies := found.branchesOf(ctx, at, at.Seq)
	if slices.ContainsFunc(copies, func(b branch) bool { return b.sum == at.Sum }) {
		return nil
	}
	if i := slices.IndexFunc(copies, func(b branch) bool { return b.run >= at.Run }); i >= 0 {
		return &StaleError{at.Seq, found.Last, fmt.Sprintf("its newest commit is not the one that %s holds: two masters have gone on from the same metadata", found.sources[copies[i].sources[0]].Name)}
	}
	changes, err := w.cfg.DB.LastCommit(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	e := w.newEntry()
	e.buf, e.head = encodeEntry(e.buf, at, slices.Values(changes))
	if e.head.Sum != at.Sum {
		w.breaks(fmt.Sprintf("commit %d is on no volume, and can not be made again", at.Seq))
		w.mu.Unlock()
		return nil
	}
	w.pending = at.Seq
	w.send(e, w.cfg.Copies())
	w.mu.Unlock()
	if err := e.Wait(); err != nil {
		w.cfg.Log.WarnContext(ctx, "the newest commit is on no volume yet", "error", err)
	}
	return ctx.Err()
}
