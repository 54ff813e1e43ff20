package master

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tdkvs/master/journal"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// UsualCopies, as Config.MetadataCopies, keeps as many copies of the metadata on the
// volumes as MetadataCopies says.
const UsualCopies = -1

// MaxMetadataCopies bounds Config.MetadataCopies.
const MaxMetadataCopies = 4

// MetadataCopies is how many copies of the metadata are usually kept on the volumes of
// a store that keeps so many copies of each extent.
func MetadataCopies(replicas int) int {
	if replicas >= 3 {
		return 3
	}
	return 2
}

// journalled returns the metadata store as the journal needs it; nil where no journal
// is kept.
func (c Config) journalled() (metadb.Followed, error) {
	if c.MetadataCopies == 0 {
		return nil, nil
	}
	if c.MetadataCopies > MaxMetadataCopies {
		return nil, fmt.Errorf("%d copies of the metadata: want %d at most", c.MetadataCopies, MaxMetadataCopies)
	}
	db, ok := c.DB.(metadb.Followed)
	if !ok {
		return nil, errors.New("master: this metadata store can not be journalled")
	}
	return db, nil
}

// rollForward brings the metadata up to date with the journal on the volumes that were
// given, before anything of it is believed. It returns what they hold.
func (e *Engine) rollForward(ctx context.Context, cluster string, probes []probe) (*journal.Contents, error) {
	var sources []journal.Source
	for _, p := range probes {
		if p.err == nil && p.identity.Cluster == cluster {
			sources = append(sources, journal.Source{Name: p.Name, Blobs: p.expecting(p.identity.Volume)})
		}
	}
	found, err := journal.Survey(ctx, sources)
	if errors.Is(err, journal.ErrNoSnapshot) {
		err = nil
	}
	if err == nil {
		_, err = journal.RollForward(ctx, e.followed, found, e.log)
	}
	if err != nil {
		return nil, fmt.Errorf("journal of the metadata: %w", err)
	}
	return found, nil
}

// startJournal begins to journal what is committed from now on.
func (e *Engine) startJournal(ctx context.Context, cfg Config, l *layout, found *journal.Contents) error {
	if e.followed == nil {
		return nil
	}
	cluster, err := journal.ParseCluster(l.topology.Cluster)
	if err != nil {
		return err
	}
	if found != nil {
		found.Number(func(name string) meta.VolumeID { return l.named(name) })
	}
	e.journal, err = journal.Start(ctx, cluster, found, journal.Config{
		DB: e.followed, Log: e.log, Clock: e.clock, Places: e.journalPlaces,
		Copies: func() int {
			if cfg.MetadataCopies > 0 {
				return cfg.MetadataCopies
			}
			return MetadataCopies(e.layouts.now().topology.Replicas)
		},
	})
	if err != nil {
		return fmt.Errorf("journal of the metadata: %w", err)
	}
	return nil
}

// firstSnapshot makes the snapshot that a new store begins with; in one that holds
// something already it is left to the background.
func (e *Engine) firstSnapshot(ctx context.Context) error {
	const new = 100 // commits
	if e.journal == nil {
		return nil
	}
	if st := e.journal.Status(); !st.Snapshot.Taken.IsZero() || st.Seq > new {
		return nil
	}
	if err := e.journal.Snapshot(ctx); err != nil {
		e.log.WarnContext(ctx, "the first snapshot of the metadata has failed and will be retried", "error", err)
	}
	return ctx.Err()
}

// named returns the volume that is at a place; 0 where none is.
func (l *layout) named(name string) meta.VolumeID {
	for number, v := range l.volumes {
		if v.Name == name {
			return number
		}
	}
	return 0
}

// journalPlaces are the volumes as the journal sees them.
func (e *Engine) journalPlaces() []journal.Place {
	l := e.layouts.now()
	places := make([]journal.Place, 0, len(l.volumes))
	for _, v := range l.topology.Volumes {
		if bound := l.volumes[v.Number]; v.State.Member() && bound != nil {
			places = append(places, journal.Place{
				Number: v.Number, Name: bound.Name, Zone: v.Zone, Leaves: v.State != metadb.VolumeActive,
				Blobs: observed{bound}, Now: bound.forJournal, PutUnsynced: observed{bound}.putUnsynced(),
			})
		}
	}
	return places
}

// forJournal is how the volume is, as the journal sees it.
func (v *boundVolume) forJournal() journal.State {
	c := v.condition.Load()
	up := c.down == nil
	return journal.State{Up: up, Since: c.since, Takes: c.takesWrites(), Full: up && c.status.Full && c.status.ReadOnly == ""}
}

// journalUpkeep is the background work of the journal.
type journalUpkeep struct{ e *Engine }

// Name is the worker's name in the log.
func (journalUpkeep) Name() string { return "metadata journal" }

// Woken signals that there is something to do.
func (j journalUpkeep) Woken() <-chan struct{} {
	if j.e.journal == nil {
		return nil
	}
	return j.e.journal.Woken()
}

// Step does some of it.
func (j journalUpkeep) Step(ctx context.Context) (State, error) {
	if j.e.journal == nil {
		return State{Wait: time.Hour}, nil
	}
	more, wait, err := j.e.journal.Step(ctx)
	return State{More: more, Wait: wait}, err
}

// journalLate writes the commit that no volume has: nothing is acknowledged until one
// has it, so it waits for no other work.
type journalLate struct{ e *Engine }

// Name is the worker's name in the log.
func (journalLate) Name() string { return "late commit of the metadata" }

// Woken signals that there is such a commit.
func (j journalLate) Woken() <-chan struct{} {
	if j.e.journal == nil {
		return nil
	}
	return j.e.journal.Late()
}

// Step asks volumes to take it.
func (j journalLate) Step(context.Context) (State, error) {
	if j.e.journal != nil {
		if wait := j.e.journal.CatchUp(); wait > 0 {
			return State{Wait: wait}, nil
		}
	}
	return State{Wait: time.Hour}, nil
}

// journalChanged tells the journal that volumes have come, gone or are to go.
func (e *Engine) journalChanged() {
	if e.journal != nil {
		e.journal.PlacesChanged()
	}
}

// journalReturned tells the journal that a volume is back, with what it then had.
func (e *Engine) journalReturned(number meta.VolumeID) {
	if e.journal != nil {
		e.journal.Returned(number)
	}
}

// journalNeeds fails with errHeld while the journal relies on what a volume that is to
// leave holds of it.
func (e *Engine) journalNeeds(number meta.VolumeID) error {
	if e.journal != nil && e.journal.ReliesOn(number) {
		e.journal.PlacesChanged()
		return errHeld
	}
	return nil
}

// JournalStatus is how the journal of the metadata is; ok is false where none is kept.
func (e *Engine) JournalStatus() (st journal.Status, ok bool) {
	if e.journal == nil {
		return st, false
	}
	return e.journal.Status(), true
}

// deleteJournal removes what a volume holds of the journal.
func deleteJournal(ctx context.Context, from Blobs) error {
	for {
		infos, err := from.List(ctx, volume.MetadataStart(), listBatch)
		if err != nil || len(infos) == 0 {
			return err
		}
		ids := make([]volume.BlobID, len(infos))
		for i := range infos {
			ids[i] = infos[i].ID
		}
		if err := from.Delete(ctx, ids); err != nil {
			return err
		}
	}
}

// journalDamaged tells the journal that a volume can not read a part of it.
func (e *Engine) journalDamaged(number meta.VolumeID, id volume.BlobID) {
	if e.journal != nil {
		e.journal.Damaged(number, id)
	}
}
