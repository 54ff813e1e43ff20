package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tdkvs/master/journal"
	"tdkvs/master/metadb"
)

// Target is the metadata store that is being made; *badgerdb.Restore is one.
type Target interface {
	// At begins the commit of a number above those before.
	At(seq uint64) error
	Set(key, value []byte) error
	Delete(key []byte) error
}

// Options say how to recover.
type Options struct {
	Logger *slog.Logger
	// Patience is how long volumes that do not answer are waited for.
	Patience time.Duration
	// Copies is how many volumes keep each commit, as configured; 0: as it is by itself.
	Copies int
	// Accept is the code of the loss that is accepted; empty: none is.
	Accept string
}

// Found is what was found, and given to the target.
type Found struct {
	Cluster  string // UUID
	Volumes  []Held
	Snapshot journal.Snapshot
	Commits  uint64    // that follow the snapshot
	Last     uint64    // number of the newest one
	Made     time.Time // when that was made
	Forks    []journal.Fork
	Topology metadb.Topology
	Losses   []Loss // what is missing
	Away     []Loss // members of the store that were not needed
	Mark     []byte // what belongs to the newest commit
}

// ErrStrange says that what was found is no metadata of this store.
var ErrStrange = errors.New("what was found is not the metadata of this store")

// Run recovers the metadata of the store that the volumes belong to. The target is of
// use only where there is no error, and then it is up to date. A *LossError says that
// something is missing that is not accepted.
func Run(ctx context.Context, given []Volume, target Target, o Options) (*Found, error) {
	f := &Found{Volumes: ask(ctx, given, o.Patience)}
	if err := ctx.Err(); err != nil {
		return f, err
	}
	var err error
	if f.Cluster, err = oneCluster(f.Volumes); err != nil {
		return f, err
	}
	contents, err := f.survey(ctx, given)
	if err != nil {
		return f, err
	}
	f.tell(ctx, o.Logger, contents)
	gap, err := f.replay(ctx, contents, target, o.Logger)
	if err != nil {
		return f, err
	}
	if err := f.belongs(contents); err != nil {
		return f, err
	}
	f.judge(gap, o.Copies)
	if len(f.Losses) > 0 {
		f.Mark = journal.NewLine() // what was given up must not be met again
	}
	return f, f.accepted(o)
}

// survey asks the volumes of the store for what they hold of the journal.
func (f *Found) survey(ctx context.Context, given []Volume) (*journal.Contents, error) {
	var sources []journal.Source
	var of []int // the volume of each source
	for i, h := range f.Volumes {
		if h.Err == nil {
			sources, of = append(sources, journal.Source{Name: given[i].Name, Blobs: given[i].expecting(h.Identity.Volume)}), append(of, i)
		}
	}
	contents, err := journal.Survey(ctx, sources)
	if contents == nil {
		return nil, err
	}
	for i, r := range contents.Sources {
		f.Volumes[of[i]].Journal, f.Volumes[of[i]].Err = r, r.Err
	}
	if errors.Is(err, journal.ErrNoSnapshot) {
		return nil, &NoSnapshotError{Volumes: f.Volumes, Err: err}
	}
	return contents, err
}

// NoSnapshotError says that the volumes that answer hold nothing that the metadata
// can be made of.
type NoSnapshotError struct {
	Volumes []Held
	Err     error
}

func (e *NoSnapshotError) Error() string {
	text := fmt.Sprintf("the metadata can not be made anew: %v.", e.Err)
	for _, v := range e.Volumes {
		if v.Err != nil {
			text += fmt.Sprintf("\n  - %s: %v", v.Name, v.Err)
		} else {
			text += fmt.Sprintf("\n  - %s: %d commits and %d chunks of snapshots", v.Name, v.Journal.Entries, v.Journal.Chunks)
		}
	}
	return text + "\nIf a volume is missing here, bring it back and run this again; if none is, restore a backup. The volumes of a store that was last served by a release without this flag hold no copies of the metadata."
}

func (e *NoSnapshotError) Unwrap() error { return e.Err }

// tell says what there is before it is read, which takes its time.
func (f *Found) tell(ctx context.Context, log *slog.Logger, c *journal.Contents) {
	for _, v := range f.Volumes {
		if v.Err != nil {
			log.WarnContext(ctx, "a volume is of no help", "volume", v.Name, "error", v.Err)
			continue
		}
		log.InfoContext(ctx, "a volume has answered", "volume", v.Name, "uuid", v.Identity.Volume,
			"commits", v.Journal.Entries, "chunks", v.Journal.Chunks, "bytes", v.Journal.Bytes)
	}
	log.InfoContext(ctx, "copies of the metadata found", "cluster", f.Cluster, "snapshot_at", c.Snapshot.Seq, "rows", c.Snapshot.Rows,
		"bytes", c.Snapshot.Bytes, "commits_up_to", c.Last)
}

// replay gives what there is to the target. A gap is no error here.
func (f *Found) replay(ctx context.Context, c *journal.Contents, target Target, log *slog.Logger) (*journal.GapError, error) {
	to := &sink{target: target, log: log, ctx: ctx, rows: c.Snapshot.Rows, first: c.Snapshot.Seq, last: c.Last, told: time.Now()}
	err := target.At(c.Snapshot.Seq)
	if err == nil {
		err = c.Replay(ctx, to)
	}
	f.Snapshot, f.Forks, f.Mark = c.Snapshot, c.Forks, c.Mark()
	var gap *journal.GapError
	if errors.As(err, &gap) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	head, err := journal.ParseHeader(f.Mark)
	if err != nil {
		return nil, err
	}
	f.Last, f.Made, f.Commits = head.Seq, head.Time, head.Seq-c.Snapshot.Seq
	f.Topology, err = to.topology()
	return gap, err
}

// belongs makes sure that the metadata is that of the volumes.
func (f *Found) belongs(c *journal.Contents) error {
	if id := c.Cluster.String(); id != f.Cluster {
		return fmt.Errorf("%w: it is of cluster %s, and the volumes are of cluster %s", ErrStrange, id, f.Cluster)
	}
	if id := f.Topology.Cluster; id != f.Cluster {
		return fmt.Errorf("%w: its topology is of cluster %q, and the volumes are of cluster %s", ErrStrange, id, f.Cluster)
	}
	return nil
}
