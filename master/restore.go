package master

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// RestoreSource is a backup, read in its order.
type RestoreSource interface {
	// Backup is its id.
	Backup() string
	// Next returns the next row; io.EOF behind the last, where the backup has told
	// that it is whole. The row is the caller's. Its bodies may be opened at the same
	// time, and until the end.
	Next(ctx context.Context) (RestoreRow, error)
}

// RestoreRow is a row as BackupRows has given it, with its bodies.
type RestoreRow struct {
	Key, Value []byte
	Bodies     []RestoreBody
}

// RestoreBody is the body of an extent.
type RestoreBody struct {
	Size int64
	// Open reads the whole of it. It gives right bytes or an error.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// RestoreProgress is how far a restore is.
type RestoreProgress struct {
	Rows    uint64 // of the backup that are restored
	Objects uint64 // versions, by this call
	Bytes   int64  // of bodies, by this call
	Resumed bool   // an earlier call has restored the first of the rows
	// Reduced are the buckets that asked for more copies than there are volumes: they
	// get as many as the store keeps.
	Reduced []string
}

// ErrNotEmpty is the error of a restore into a store in which there is something.
var ErrNotEmpty = errors.New("the store is not empty: a backup is restored into a new one")

// RestoreUnfinished is the error of a start while a restore is not finished.
type RestoreUnfinished struct{ Backup string }

func (r *RestoreUnfinished) Error() string {
	return "the restore of backup " + r.Backup + " into this store was not finished: run it again to go on, or remove the store and begin anew"
}

// Restore brings back what a backup holds, into a store without anything in it
// that was opened for it (Config.Restore). The background work must run. A restore
// that was cut short goes on when it is called again with the same backup; until it
// has ended no other start of the store succeeds. tell is called from time to time.
func (e *Engine) Restore(ctx context.Context, src RestoreSource, tell func(RestoreProgress)) (RestoreProgress, error) {
	r := &restorer{e: e, src: src, tell: tell, buckets: make(map[string]meta.Bucket)}
	if err := r.begin(ctx); err != nil {
		return r.progress, err
	}
	if err := r.run(ctx); err != nil {
		return r.progress, err
	}
	_, err := e.update(ctx, func(tx metadb.Tx) error { return tx.Delete(metadb.RestoreKey()) })
	return r.progress, err
}

// refuseUnfinished refuses a start that is not for the restore that is under way.
func (e *Engine) refuseUnfinished(ctx context.Context, restoring bool) error {
	if restoring {
		return nil
	}
	return e.view(ctx, func(tx metadb.Tx) error {
		r, err := record(tx, metadb.RestoreKey(), metadb.UnmarshalRestore)
		if err == nil && r.Backup != "" {
			err = &RestoreUnfinished{Backup: r.Backup}
		}
		return err
	})
}

// restorer is one call of Restore.
type restorer struct {
	e        *Engine
	src      RestoreSource
	tell     func(RestoreProgress)
	state    metadb.Restore
	read     uint64 // rows of the backup
	progress RestoreProgress

	buckets map[string]meta.Bucket
	upload  meta.Upload // the last one: its parts follow
	batch   restoreBatch
}

// begin takes up a restore that was cut short, or marks the store for a new one.
func (r *restorer) begin(ctx context.Context) error {
	_, err := r.e.update(ctx, func(tx metadb.Tx) error {
		state, err := record(tx, metadb.RestoreKey(), metadb.UnmarshalRestore)
		if err != nil {
			return err
		}
		switch r.state = state; {
		case state.Backup == r.src.Backup():
			return nil
		case state.Backup != "":
			return &RestoreUnfinished{Backup: state.Backup}
		}
		if err := wantNothing(tx); err != nil {
			return err
		}
		r.state = metadb.Restore{Backup: r.src.Backup(), Started: r.e.now()}
		return r.save(tx, 0)
	})
	r.progress.Rows, r.progress.Resumed = r.state.Rows, r.state.Rows > 0
	return err
}

// wantNothing refuses a store with anything of a client's in it.
func wantNothing(tx metadb.Tx) error {
	for _, rows := range []metadb.Range{
		metadb.BucketRange(""), metadb.AllObjects(), metadb.AllVersions(), metadb.AllUploads(), metadb.AllParts(),
		metadb.AllManifests(), metadb.AllUsage(), metadb.AllConfigs(), metadb.AllCompleted(),
	} {
		keys, err := firstKeys(tx, rows, 1)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			return ErrNotEmpty
		}
	}
	return nil
}

// save records that the first n rows of the backup are restored.
func (r *restorer) save(tx metadb.Tx, n uint64) error {
	state := r.state
	state.Rows = n
	row, err := metadb.MarshalRestore(&state)
	if err != nil {
		return err
	}
	return tx.Set(metadb.RestoreKey(), row)
}

// badBackup is the error of a row that no store can have written.
func badBackup(row RestoreRow, format string, args ...any) error {
	return fmt.Errorf("%w: row %q of the backup: %s", metadb.ErrCorrupt, row.Key, fmt.Sprintf(format, args...))
}

// run restores what is left of the backup.
func (r *restorer) run(ctx context.Context) error {
	for {
		row, err := r.next(ctx)
		if errors.Is(err, io.EOF) {
			return r.flush(ctx)
		}
		if err == nil {
			err = r.take(ctx, row)
		}
		if err != nil {
			return err
		}
	}
}

func (r *restorer) next(ctx context.Context) (RestoreRow, error) {
	if err := ctx.Err(); err != nil {
		return RestoreRow{}, err
	}
	row, err := r.src.Next(ctx)
	if err == nil {
		r.read++
	}
	return row, err
}

// restored reports whether a row was restored by an earlier call. Those of an
// assembled version are restored together, so it asks for the first of them.
func (r *restorer) restored() bool { return r.read <= r.state.Rows }

// take restores a row, at once or with the next batch.
func (r *restorer) take(ctx context.Context, row RestoreRow) error {
	x, err := r.prepare(row)
	if err != nil {
		return err
	}
	switch {
	case x.assembled != nil:
		return r.assemble(ctx, x)
	case r.restored():
		return nil
	}
	if !r.batch.room(x) {
		if err := r.flushBefore(ctx); err != nil {
			return err
		}
	}
	r.batch.add(x)
	return nil
}

// flush restores the rows that wait.
func (r *restorer) flush(ctx context.Context) error { return r.flushTo(ctx, r.read) }

// flushBefore restores the rows that wait, before the one that was read last.
func (r *restorer) flushBefore(ctx context.Context) error { return r.flushTo(ctx, r.read-1) }

func (r *restorer) flushTo(ctx context.Context, read uint64) error {
	if len(r.batch.rows) == 0 {
		return nil
	}
	rows := r.batch.rows
	r.batch = restoreBatch{}
	return r.store(ctx, rows, func(tx metadb.Tx) error { return r.save(tx, read) }, read)
}

// count notes what has been committed.
func (r *restorer) count(rows []*restoringRow, read uint64) {
	for _, x := range rows {
		if x.version {
			r.progress.Objects++
		}
		for _, b := range x.bodies {
			r.progress.Bytes += b.Size
		}
	}
	r.progress.Rows = max(r.progress.Rows, read)
	if r.tell != nil {
		r.tell(r.progress)
	}
}
