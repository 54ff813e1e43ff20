package backup

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// Source is a store that is being backed up: its rows as of one moment, and the
// bodies that they name.
type Source interface {
	// Cluster is the id of the store.
	Cluster() string
	// Rows gives all rows. fn does not keep them.
	Rows(ctx context.Context, fn func(*Row) error) error
	// Bodies returns runs of bodies, in their order. It is called by many goroutines.
	Bodies(ctx context.Context, wants []Want) ([][]byte, error)
	// Held fails where the store may have removed something since Rows has begun.
	Held(ctx context.Context) error
}

// Want is a run of a body.
type Want struct {
	Handle         []byte
	Offset, Length int64
}

// Options of Create.
type Options struct {
	// Base is a place with an earlier backup: what is in that is not written again.
	// For a place that holds one backup only. Nil: none.
	Base        Place
	Program     string // and its version, for the manifest
	Concurrency int    // of reads from the store; zero: 4
	SpoolDir    string // where the rows are while their bodies are read; empty: os.TempDir()
	Tell        func(Progress)
	Clock       func() time.Time
}

// Progress is how far a backup is.
type Progress struct {
	Rows, Bodies uint64
	Bytes        int64 // of bodies
	Runs         uint64
	Missing      int64   // bytes of bodies that are not there yet, as far as is known
	Sent         int64   // bytes of bodies that were written
	Resumed      int     // packs that a backup that was cut short has left
	Lost         int     // packs that earlier backups need and that are not there: see Verify
	Damaged      []error // of earlier backups
	Phase        string  // what it is at
}

// Phases of a backup.
const (
	PhaseKnown  = "looking at what is there"
	PhaseRows   = "reading rows"
	PhaseBodies = "reading bodies"
	PhaseFinish = "writing rows"
)

// creation is a backup that is being made.
type creation struct {
	Options
	place    Place
	source   Source
	known    *known
	manifest Manifest
	progress Progress
	spool    *spool
}

// Create makes a backup. What was written of one that was cut short is used.
func Create(ctx context.Context, p Place, source Source, opts Options) (Manifest, Progress, error) {
	if opts.Concurrency == 0 {
		opts.Concurrency = 4
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	now := opts.Clock()
	c := &creation{Options: opts, place: p, source: source, known: newKnown(), manifest: Manifest{
		Format: Format, ID: newBackupID(now), Cluster: source.Cluster(), Created: now.UTC(), Program: opts.Program,
	}}
	if err := beginPlace(ctx, p, now); err != nil {
		return c.manifest, c.progress, err
	}
	unlock, err := lock(ctx, p, lockBackup, c.manifest.ID)
	if err != nil {
		return c.manifest, c.progress, err
	}
	err = c.run(ctx)
	if unlockErr := unlock(); err == nil {
		err = unlockErr
	}
	return c.manifest, c.progress, err
}

func (c *creation) run(ctx context.Context) error {
	if err := c.lookAtPlace(ctx); err != nil {
		return fmt.Errorf("%s: %w", c.place, err)
	}
	if err := c.lookAtBase(ctx); err != nil {
		return err
	}
	var err error
	if c.spool, err = newSpool(c.SpoolDir); err != nil {
		return err
	}
	defer c.spool.close()
	c.tell(PhaseRows)
	if err := c.source.Rows(ctx, c.spoolRow); err != nil {
		return err
	}
	c.tell(PhaseBodies)
	if err := c.fetch(ctx); err != nil {
		return err
	}
	if err := c.source.Held(ctx); err != nil {
		return err
	}
	c.tell(PhaseFinish)
	return c.finish(ctx)
}

func (c *creation) tell(phase string) {
	c.progress.Phase = phase
	if c.Tell != nil {
		c.Tell(c.progress)
	}
}

// lookAtPlace finds out what is there already: that of the last backup of this
// store, and of those that were cut short.
func (c *creation) lookAtPlace(ctx context.Context) error {
	c.tell(PhaseKnown)
	keeper, ok := c.place.(Keeper)
	if !ok {
		return nil
	}
	if err := c.known.list(ctx, keeper); err != nil {
		return err
	}
	all, bad, err := List(ctx, keeper)
	if err != nil {
		return err
	}
	c.progress.Damaged = bad
	listed := make(map[[sha256.Size]byte]bool)
	var last *Manifest
	for i := range all {
		table, err := readTable(ctx, keeper, &all[i])
		if err := c.tolerate(err); err != nil {
			return err
		}
		for _, p := range table {
			listed[p.sum] = true
		}
		if all[i].Cluster == c.manifest.Cluster {
			last = &all[i]
		}
	}
	for sum := range listed {
		if _, ok := c.known.present[sum]; !ok {
			c.progress.Lost++
		}
	}
	if last != nil {
		if err := c.tolerate(c.known.learn(ctx, keeper, last, c.known.whole)); err != nil {
			return err
		}
	}
	c.progress.Resumed, err = c.known.adopt(ctx, keeper, listed)
	return err
}

// tolerate notes that an earlier backup is damaged: the new one does not rely on
// what it could not read of it, and writes it anew.
func (c *creation) tolerate(err error) error {
	if IsBad(err) {
		c.progress.Damaged = append(c.progress.Damaged, err)
		return nil
	}
	return err
}

// lookAtBase finds out what the base has.
func (c *creation) lookAtBase(ctx context.Context) error {
	if c.Base == nil {
		return nil
	}
	base, err := pick(ctx, c.Base, "")
	if err != nil {
		return fmt.Errorf("base: %w", err)
	}
	if base.Cluster != c.manifest.Cluster {
		return fmt.Errorf("base: %s is a backup of another store: of cluster %s, not %s", c.Base, base.Cluster, c.manifest.Cluster)
	}
	c.manifest.Base = base.ID
	if err := c.known.learn(ctx, c.Base, &base, func(packRef) bool { return true }); err != nil {
		return fmt.Errorf("base: %w", err)
	}
	return nil
}

// spoolRow keeps a row until its bodies were read, and counts.
func (c *creation) spoolRow(r *Row) error {
	c.manifest.Rows++
	for i := range r.Bodies {
		body := &r.Bodies[i]
		c.manifest.Bodies++
		c.manifest.Bytes += body.Size
		for n := range runs(body.Size) {
			if _, ok := c.known.runs[runID{body.ID, uint32(n)}]; !ok {
				c.progress.Missing += runSize(body.Size, n)
			}
		}
	}
	c.progress.Rows, c.progress.Bodies, c.progress.Bytes = c.manifest.Rows, c.manifest.Bodies, c.manifest.Bytes
	if c.manifest.Rows%10_000 == 0 {
		c.tell(PhaseRows)
	}
	return c.spool.add(r)
}

// finish writes the rows, with the places of their bodies, and what closes the
// backup.
func (c *creation) finish(ctx context.Context) error {
	codec, err := newRowsCodec()
	if err != nil {
		return err
	}
	table := newTableBuilder(c.known)
	var rows []byte
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		n := len(c.manifest.RowFiles) + 1
		b := codec.seal(rows, n)
		c.manifest.RowFiles = append(c.manifest.RowFiles, sumOf(b))
		rows = rows[:0]
		return c.place.Put(ctx, rowsFile(c.manifest.ID, n), b)
	}
	err = c.spool.each(func(r *Row) error {
		if err := table.locate(r); err != nil {
			return err
		}
		if rows = appendRow(rows, r); len(rows) < rowsLen {
			return ctx.Err()
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return err
	}
	b := sealTable(table.packs)
	c.manifest.Packs, c.manifest.Finished = sumOf(b), c.Clock().UTC()
	if err := c.place.Put(ctx, backupFile(c.manifest.ID, tableFile), b); err != nil {
		return err
	}
	if b, err = sealDocument(c.manifest); err != nil {
		return err
	}
	return c.place.Put(ctx, backupFile(c.manifest.ID, manifestFile), b)
}

// tableBuilder numbers the packs that a backup refers to, in the order in which it
// does.
type tableBuilder struct {
	known   *known
	packs   []packRef
	numbers map[uint32]uint32 // by that in known
}

func newTableBuilder(k *known) *tableBuilder {
	return &tableBuilder{known: k, numbers: make(map[uint32]uint32)}
}

// locate says where the bodies of a row are.
func (t *tableBuilder) locate(r *Row) error {
	for i := range r.Bodies {
		body := &r.Bodies[i]
		body.runs = make([]run, runs(body.Size))
		for n := range body.runs {
			at, ok := t.known.runs[runID{body.ID, uint32(n)}]
			if !ok || at.pack == pending || int64(at.length) != runSize(body.Size, n) {
				return fmt.Errorf("run %d of body %x was not written", n, body.ID)
			}
			number, ok := t.numbers[at.pack]
			if !ok {
				number = uint32(len(t.packs))
				t.numbers[at.pack] = number
				t.packs = append(t.packs, t.known.packs[at.pack])
			}
			t.packs[number].used += uint64(at.length)
			body.runs[n] = run{number, at.offset, at.crc}
		}
	}
	return nil
}
