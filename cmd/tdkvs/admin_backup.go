package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tdkvs/backup"
)

func (f *adminFlags) addBase(place string) error {
	f.base = append(f.base, place)
	return nil
}

// backupDone is the report of a backup.
type backupDone struct {
	backup.Manifest
	Place   string   `json:"place"`
	Seconds float64  `json:"seconds"`
	Resumed int      `json:"resumed_packs,omitempty"` // of a backup that was cut short
	Lost    int      `json:"lost_packs,omitempty"`    // that earlier backups need
	Damaged []string `json:"damaged,omitempty"`       // of earlier backups
}

// adminBackup makes a backup. What the place has of it already is not sent again.
func adminBackup(ctx context.Context, a *adminSession) error {
	opts := backup.Options{Program: versionText(), Concurrency: a.concurrency}
	switch {
	case a.concurrency < 0 || a.concurrency > 64:
		return misusef("admin backup: flag -concurrency: want 0 (the default) to 64, not %d", a.concurrency)
	case len(a.base) > 1:
		return misusef("admin backup: one -base is enough: the backup that this one adds to")
	case a.within < 0 || a.within > 7*24*time.Hour || a.within%time.Second != 0:
		return misusef("admin backup: flag -within: want whole seconds up to 168h, not %v", a.within)
	case a.argument == "-" && a.output == "json":
		return misusef("admin backup: the output is the backup: it can not be json, too")
	}
	bases, endBases, err := a.bucketAt.readPlaces(a.base, a.env)
	if err != nil {
		return err
	}
	defer endBases()
	p, end, err := a.bucketAt.writePlace(a.argument, a.env, a.stdout)
	if err != nil {
		return err
	}
	if _, many := p.(backup.Keeper); many && len(bases) > 0 {
		return misusef("admin backup: -base is for a file: a directory or a bucket knows what it has")
	}
	if len(bases) > 0 {
		opts.Base = bases[0]
	}
	began := time.Now()
	meter := &backupMeter{out: a.stderr, every: a.interval, quiet: a.output == "json"}
	opts.Tell = meter.tell
	m, progress, err := a.makeBackup(ctx, p, opts)
	if err = end(err); err != nil {
		return fmt.Errorf("the backup was not finished: %w", err)
	}
	done := backupDone{Manifest: m, Place: p.String(), Seconds: time.Since(began).Seconds(), Resumed: progress.Resumed, Lost: progress.Lost}
	for _, bad := range progress.Damaged {
		done.Damaged = append(done.Damaged, bad.Error())
	}
	if a.argument == "-" {
		backupTable(a.stderr, done)
		return nil
	}
	return a.print(done, func(w io.Writer) { backupTable(w, done) })
}

// makeBackup makes a backup of the store over its admin API.
func (a *adminSession) makeBackup(ctx context.Context, p backup.Place, opts backup.Options) (backup.Manifest, backup.Progress, error) {
	store, err := beginBackup(ctx, a.client, a.within)
	if err != nil {
		return backup.Manifest{}, backup.Progress{}, err
	}
	m, progress, err := backup.Create(ctx, p, store, opts)
	if ending := store.end(ctx); err != nil && ending != nil && !final(ending) {
		err = errors.Join(err, ending)
	}
	return m, progress, err
}

// backupMeter shows how far a backup is, now and then.
type backupMeter struct {
	out   io.Writer
	every time.Duration
	quiet bool
	last  time.Time
	phase string
}

func (m *backupMeter) tell(p backup.Progress) {
	if m.quiet || p.Phase == m.phase && time.Since(m.last) < max(m.every, time.Second) {
		return
	}
	m.last, m.phase = time.Now(), p.Phase
	text := p.Phase
	switch p.Phase {
	case backup.PhaseRows:
		text += ": " + grouped(p.Rows)
	case backup.PhaseBodies:
		text += fmt.Sprintf(": %s of %s", humanInt(p.Sent), humanInt(p.Missing))
	}
	printLine(m.out, text)
}

func backupTable(w io.Writer, d backupDone) {
	rows := []string{
		row("backup", d.ID), row("in", d.Place), row("of", moment(d.Created)),
		row("rows", grouped(d.Rows)), row("bodies", fmt.Sprintf("%s (%s)", grouped(d.Bodies), humanInt(d.Bytes))),
		row("new", humanInt(d.NewBytes)), row("took", fmt.Sprintf("%.1f s", d.Seconds)),
	}
	if d.Base != "" {
		rows = append(rows, row("over", d.Base))
	}
	if d.Resumed > 0 {
		rows = append(rows, row("resumed", fmt.Sprintf("%d packs were there from a backup that was cut short", d.Resumed)))
	}
	columns(w, rows...)
	if d.Lost > 0 {
		printLine(w, fmt.Sprintf("earlier backups here need %d packs that are missing: see \"tdkvs admin backup verify\". This one does not", d.Lost))
	}
	for _, text := range d.Damaged {
		printLine(w, "an earlier backup here: "+printable(text))
	}
}

// adminBackupList lists the backups in a place.
func adminBackupList(ctx context.Context, a *adminSession) error {
	p, err := a.bucketAt.readPlace(a.argument, a.env)
	if err != nil {
		return err
	}
	defer func() { _ = p.close() }() // it was only read
	all, bad, err := backup.List(ctx, p)
	if err != nil {
		return err
	}
	if all == nil {
		all = []backup.Manifest{}
	}
	err = a.print(map[string]any{"backups": all}, func(w io.Writer) {
		rows := []string{row("BACKUP", "OF", "TOOK", "ROWS", "BODIES", "BYTES", "NEW", "STORE", "OVER")}
		for _, m := range all {
			rows = append(rows, row(m.ID, moment(m.Created), m.Finished.Sub(m.Created).Round(time.Second), grouped(m.Rows), grouped(m.Bodies),
				humanInt(m.Bytes), humanInt(m.NewBytes), m.Cluster, m.Base))
		}
		columns(w, rows...)
	})
	return errors.Join(append(bad, err)...)
}

// adminBackupVerify reads backups whole.
func adminBackupVerify(ctx context.Context, a *adminSession) error {
	places, end, err := a.bucketAt.readPlaces(append([]string{a.argument}, a.base...), a.env)
	if err != nil {
		return err
	}
	defer end()
	meter := &verifyMeter{out: a.stderr, every: max(a.interval, time.Second), quiet: a.output == "json", last: time.Now()}
	v, err := backup.Verify(ctx, places[0], places[1:], a.id, meter.tell)
	if err != nil {
		return err
	}
	document := map[string]any{"backups": v.Backups, "rows": v.Rows, "packs": v.Packs, "bytes": v.Bytes, "problems": append([]string{}, v.Problems...)}
	err = a.print(document, func(w io.Writer) {
		columns(w, row("backups", v.Backups), row("rows", grouped(v.Rows)), row("packs", fmt.Sprintf("%s (%s)", grouped(v.Packs), humanInt(v.Bytes))))
		for _, problem := range v.Problems {
			printLine(w, printable(problem))
		}
	})
	if err == nil && len(v.Problems) > 0 {
		err = fmt.Errorf("%d problems: what they touch can not be restored. A new backup to the same place writes anew what the store still has", len(v.Problems))
	}
	return err
}

// verifyMeter shows how far a verification is, now and then.
type verifyMeter struct {
	out   io.Writer
	every time.Duration
	quiet bool
	last  time.Time
}

func (m *verifyMeter) tell(v backup.Verified) {
	if m.quiet || time.Since(m.last) < m.every {
		return
	}
	m.last = time.Now()
	printLine(m.out, fmt.Sprintf("verified: %s packs (%s), %s rows", grouped(v.Packs), humanInt(v.Bytes), grouped(v.Rows)))
}

// adminBackupPrune removes old backups.
func adminBackupPrune(ctx context.Context, a *adminSession) error {
	if a.keep < 1 {
		return misusef("admin backup prune: how many are to stay? give -keep with a number from 1 on")
	}
	p, err := a.bucketAt.readPlace(a.argument, a.env)
	if err != nil {
		return err
	}
	defer func() { _ = p.close() }() // nothing is written by it
	done, err := backup.Prune(ctx, p.Place, a.keep)
	if err != nil {
		return err
	}
	document := map[string]any{"kept": append([]string{}, done.Kept...), "removed": append([]string{}, done.Removed...), "packs": done.Packs, "bytes": done.Bytes}
	return a.print(document, func(w io.Writer) {
		columns(w, row("kept", fmt.Sprintf("%d backups", len(done.Kept))), row("removed", fmt.Sprintf("%d backups, %s packs (%s)", len(done.Removed), grouped(done.Packs), humanInt(done.Bytes))))
	})
}
