package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"tdkvs/backup"
	"tdkvs/master"
	"tdkvs/master/metadb"
)

// restoreDetail is the help text behind the summary.
const restoreDetail = `The place is a directory, s3://bucket/prefix, or a file, as "tdkvs admin backup"
has made it; the newest backup in it is taken, or that of -backup. An increment in
a file needs the files before it: -base names one, and may be given again.

The store is opened by this command itself, so no server or master of it may run.
It must be new and empty, and may have any shape: give -config of a master or a
server, or the dirs of a server (./data where none is given). Run it again when
it was cut short; the store does not start before it has ended.`

func restoreCommand(flags *flag.FlagSet) func(context.Context, invocation) error {
	r := &restoring{}
	flags.StringVar(&r.config, "config", "", "read the shape of the store from the YAML `file` of a master or a server")
	flags.StringVar(&r.id, "backup", "", "the `id` of the backup; the newest where it is not given")
	flags.Func("base", "a `place` with what the backup adds to; may be given again", func(name string) error {
		r.bases = append(r.bases, name)
		return nil
	})
	r.bucket.declare(flags)
	return func(ctx context.Context, inv invocation) error {
		if len(inv.args) == 0 {
			return misusef("restore: from where? name a directory, s3://bucket/prefix or a file\nusage: tdkvs restore [-config file] <place> [dir ...]")
		}
		return r.run(ctx, inv)
	}
}

// restoring is one call of the command.
type restoring struct {
	config, id string
	bases      []string
	bucket     bucketFlags
}

func (r *restoring) run(ctx context.Context, inv invocation) error {
	open, err := r.shape(inv.args[1:])
	if err != nil {
		return err
	}
	places, end, err := r.bucket.readPlaces(append([]string{inv.args[0]}, r.bases...), inv.env)
	if err != nil {
		return err
	}
	defer end()
	from, err := backup.Open(ctx, places[0], places[1:], r.id)
	if err != nil {
		return err
	}
	tuneMemory(inv.env)
	log := newLogger(inv.stderr, defaultServer().Log)
	var opened closers
	return opened.close(r.restore(ctx, from, open, inv, log, &opened))
}

// openStore opens an empty store, and returns what it needs to be at work.
type openStore func(ctx context.Context, log *slog.Logger, opened *closers) (*master.Engine, []component, error)

// shape is how the store is opened that is restored into.
func (r *restoring) shape(dirs []string) (openStore, error) {
	here, err := findBeside(r.config)
	if err != nil {
		return nil, err
	}
	if r.config != "" && here.dir == "" {
		if len(dirs) > 0 {
			return nil, misusef("restore: %s is that of a master, which takes no directories", r.config)
		}
		cfg, err := loadMaster(r.config)
		return func(ctx context.Context, log *slog.Logger, opened *closers) (*master.Engine, []component, error) {
			e, err := openCluster(ctx, cfg, opening{memory: newBudgets(), moveRate: unpaced, restore: true, log: log, opened: opened})
			return e, nil, err
		}, err
	}
	cfg, err := serverSettings("", r.config, dirs)
	if err == nil {
		err = checkDirs(cfg.paths())
	}
	return func(ctx context.Context, log *slog.Logger, opened *closers) (*master.Engine, []component, error) {
		db, stores, err := openDirs(cfg, log, opened)
		if err != nil {
			return nil, nil, err
		}
		return openOver(ctx, cfg, master.Config{DB: db, Logger: log, MoveRate: unpaced, Restore: true}, stores)
	}, err
}

func (r *restoring) restore(ctx context.Context, from *backup.Reader, open openStore, inv invocation, log *slog.Logger, opened *closers) error {
	engine, workers, err := open(ctx, log, opened)
	if errors.Is(err, metadb.ErrLocked) {
		return fmt.Errorf("the store is running: a backup is restored into a new one that nobody serves (%w)", err)
	}
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	for _, work := range append(workers, engine.Run) {
		group.Go(func() error { return work(working) })
	}
	began, m := time.Now(), from.Manifest()
	meter := &restoreMeter{out: inv.stderr, rows: m.Rows, last: began}
	p, err := engine.Restore(ctx, restoredBackup{from}, meter.tell)
	stop()
	if err := errors.Join(err, group.Wait()); err != nil {
		if p.Rows > 0 {
			return fmt.Errorf("%s of %s rows are restored; run this again to go on: %w", grouped(p.Rows), grouped(m.Rows), err)
		}
		return err
	}
	restoreTable(inv.stdout, m, p, time.Since(began))
	return nil
}

// restoreMeter shows how far a restore is, now and then.
type restoreMeter struct {
	out  io.Writer
	rows uint64
	last time.Time
}

func (m *restoreMeter) tell(p master.RestoreProgress) {
	if time.Since(m.last) < time.Second {
		return
	}
	m.last = time.Now()
	printLine(m.out, fmt.Sprintf("restored: %s of %s rows, %s", grouped(p.Rows), grouped(m.rows), humanInt(p.Bytes)))
}

func restoreTable(w io.Writer, m backup.Manifest, p master.RestoreProgress, took time.Duration) {
	rows := []string{
		row("restored", m.ID), row("of", moment(m.Created)), row("rows", grouped(p.Rows)),
		row("versions", grouped(p.Objects)), row("bytes", humanInt(p.Bytes)), row("took", fmt.Sprintf("%.1f s", took.Seconds())),
	}
	if p.Resumed {
		rows = append(rows, row("resumed", "an earlier call has restored the first of them"))
	}
	columns(w, rows...)
	for _, bucket := range p.Reduced {
		printLine(w, fmt.Sprintf("bucket %s wants more copies than there are volumes: it keeps as many as the store does", printable(bucket)))
	}
}

// restoredBackup is a backup as the engine reads it.
type restoredBackup struct{ from *backup.Reader }

// Backup implements master.RestoreSource.
func (b restoredBackup) Backup() string { return b.from.Manifest().ID }

// Next implements master.RestoreSource.
func (b restoredBackup) Next(ctx context.Context) (master.RestoreRow, error) {
	r, err := b.from.Next(ctx)
	if err != nil {
		return master.RestoreRow{}, err
	}
	row := master.RestoreRow{Key: r.Key, Value: r.Value, Bodies: make([]master.RestoreBody, len(r.Bodies))}
	for i, body := range r.Bodies {
		row.Bodies[i] = master.RestoreBody{Size: body.Size, Open: func(ctx context.Context) (io.ReadCloser, error) {
			return b.from.Body(ctx, body), nil
		}}
	}
	return row, nil
}
