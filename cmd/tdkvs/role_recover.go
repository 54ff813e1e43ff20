package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"tdkvs/master/metadb"
	"tdkvs/master/metadb/badgerdb"
	"tdkvs/master/recovery"
	"tdkvs/volume/vfs"
)

// recoverFlags is what the command line says of lost metadata.
type recoverFlags struct {
	wanted bool
	accept string
}

func addRecoverFlags(flags *flag.FlagSet) *recoverFlags {
	f := new(recoverFlags)
	flags.BoolVar(&f.wanted, "recover", false, "make the metadata anew, which was lost, from its copies on the volumes, and then serve")
	flags.StringVar(&f.accept, "accept-loss", "", "with -recover: do without what is missing for good; the refusal that lists it gives the `code`")
	return f
}

func (f *recoverFlags) check(role string) error {
	if f.accept != "" && !f.wanted {
		return misusef("%s: -accept-loss goes with -recover", role)
	}
	return nil
}

// lostMetadata is what is made anew, and how.
type lostMetadata struct {
	dir      string
	disk     diskConfig
	volumes  []recovery.Volume
	patience time.Duration // with volumes that do not answer
	copies   *int          // of the metadata, as configured; nil: as usual
	accept   string
	log      *slog.Logger
}

// recover makes the metadata anew in its directory, where there is none.
func (l lostMetadata) recover(ctx context.Context) error {
	began := time.Now()
	options, err := metadataOptions(l.dir, l.disk, l.log)
	if err != nil {
		return err
	}
	if err := l.setUnusedAside(ctx, options); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	restore, err := badgerdb.NewRestore(l.dir, options, endpointFile)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	l.log.Info("recovering the metadata from the volumes", "into", l.dir, "volumes", len(l.volumes))
	how := recovery.Options{Logger: l.log, Patience: l.patience, Accept: l.accept}
	if l.copies != nil {
		how.Copies = *l.copies
	}
	found, err := recovery.Run(ctx, l.volumes, restore, how)
	if err != nil {
		return fmt.Errorf("recover: %w", errors.Join(err, restore.Abandon()))
	}
	for _, v := range found.Away {
		l.log.Warn("the metadata could be recovered without a volume of the store, unless it alone took the last commits", "missing", v.Text)
	}
	for _, loss := range found.Losses {
		l.log.Warn("a loss was accepted", "loss", loss.Text)
	}
	restore.Mark(found.Mark)
	if err := restore.Commit(); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	l.log.Info("the metadata was recovered", "cluster", found.Cluster, "snapshot_at", found.Snapshot.Seq, "rows", found.Snapshot.Rows,
		"commits", found.Commits, "newest", found.Last, "made", found.Made, "losses", len(found.Losses), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// setUnusedAside renames a store without a single row: a start without -recover, which
// the volumes have refused as they belong to a store already, leaves that where the lost
// metadata was. Whatever else is there stays, and is refused.
func (l lostMetadata) setUnusedAside(ctx context.Context, options badgerdb.Options) error {
	db, err := badgerdb.OpenReadOnly(l.dir, options)
	if err != nil {
		return nil // it is not known to be unused, and the restore refuses what is there
	}
	unused := true
	err = db.View(ctx, func(tx metadb.Tx) error {
		return tx.Scan(nil, nil, func(_, _ []byte) (bool, error) {
			unused = false
			return false, nil
		})
	})
	if err = errors.Join(err, db.Close()); err != nil || !unused {
		return err
	}
	aside := fmt.Sprintf("%s.unused-%d", l.dir, time.Now().UnixNano())
	if err := os.Rename(l.dir, aside); err != nil {
		return err
	}
	l.log.Info("a start without -recover has left a store in which there is nothing: set aside", "dir", aside)
	return nil
}

// metadataOptions is how the metadata in dir is opened, which is made where it is
// missing.
func metadataOptions(dir string, disk diskConfig, log *slog.Logger) (badgerdb.Options, error) {
	fsys := vfs.OS()
	if err := fsys.MkdirAll(dir); err != nil { // its own name durable, too
		return badgerdb.Options{}, fmt.Errorf("metadata directory: %w", err)
	}
	space, err := fsys.Space(dir)
	if err != nil {
		return badgerdb.Options{}, fmt.Errorf("metadata directory: %w", err)
	}
	return badgerdb.Options{Logger: log, Reserve: disk.metadataReserve(space.Total)}, nil
}
