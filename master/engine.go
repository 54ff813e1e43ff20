package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tdkvs/master/journal"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// Blobs is what the engine needs of a volume; *volume.Store and the volume
// client have it. The contract of each method is that of volume.Blobs.
type Blobs interface {
	Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error
	Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error)
	Open(ctx context.Context, id volume.BlobID, offset, length int64) (volume.Info, io.ReadCloser, error)
	Stat(ctx context.Context, id volume.BlobID) (volume.Info, error)
	Delete(ctx context.Context, ids []volume.BlobID) error
	List(ctx context.Context, after volume.BlobID, limit int) ([]volume.Info, error)
	Verify(ctx context.Context, id volume.BlobID) error
	Damaged(ctx context.Context, after uint64, limit int) ([]volume.Damage, error)
	Status(ctx context.Context) (volume.Status, error)
	Claim(ctx context.Context, cluster string) error
}

// Volume is one volume given to the engine.
type Volume struct {
	// Name says where it is, its URL or directory: for messages, and to know a
	// volume again that can not be asked who it is.
	Name  string
	Blobs Blobs
	// ForVolume, where set, returns the way to the volume of this UUID at the
	// same place, such that another volume that answers there is refused with
	// volume.ErrWrongVolume. The engine uses nothing but Status without it.
	ForVolume func(uuid string) Blobs
	// Settings is what a start says of the volume's part in the store: applied when
	// it joins, and where it is not what is recorded.
	Settings VolumeSettings
}

// expecting returns the way to the volume of this UUID.
func (v Volume) expecting(uuid string) Blobs {
	if v.ForVolume == nil {
		return v.Blobs
	}
	return v.ForVolume(uuid)
}

// Defaults of Config.
const (
	DefaultGarbageGrace  = 10 * time.Minute
	DefaultCompletedTTL  = 24 * time.Hour
	DefaultLeftoverGrace = 24 * time.Hour
)

// Config is what an engine is made of. DB and Volumes are required; both stay
// the caller's to close, after Run has returned and no request is left.
type Config struct {
	DB      metadb.DB
	Volumes []Volume // in any order: a volume is known by its identity

	Logger *slog.Logger     // nil: slog.Default()
	Clock  func() time.Time // nil: time.Now

	// GarbageGrace is how long the blobs of a replaced or deleted object stay.
	// Zero means DefaultGarbageGrace; below zero means none.
	GarbageGrace time.Duration
	// LeftoverGrace is how long blobs stay that nothing named when they were looked
	// for after a crash. Zero means DefaultLeftoverGrace; below zero means none.
	LeftoverGrace time.Duration
	// CompletedTTL is how long a completed upload is remembered. Zero means
	// DefaultCompletedTTL.
	CompletedTTL time.Duration
	// MoveRate is how many bytes per second the rebalance moves where its limits
	// do not say. Zero means DefaultMoveRate; below zero means no limit.
	MoveRate int64
	// Replicas is how many copies of each extent are kept where a bucket does not
	// say; 0 leaves what is recorded, which is 1 in a new store.
	Replicas int
	// Classes are the storage classes that mean something to the store, by name.
	Classes map[string]Class
	// MetadataCopies is how many volumes hold a journal of the metadata, from which it
	// can be rebuilt: 0 is none, UsualCopies as many as MetadataCopies says. DB must be
	// metadb.Followed then.
	MetadataCopies int
	// WriteMemory and ReadMemory are what the bodies of all writes may take, and
	// those of all reads, in bytes: requests that find it used up wait. Zero means
	// DefaultMemory.
	WriteMemory, ReadMemory int64
	// Restore opens the store for Engine.Restore: only so a start succeeds while a
	// restore is not finished.
	Restore bool
}

// Engine is the store. All methods are safe for concurrent use. Its fields are
// set by Open and not changed afterwards.
type Engine struct {
	db           metadb.DB
	log          *slog.Logger
	clock        func() time.Time
	grace        time.Duration
	completedTTL time.Duration
	classes      map[string]Class
	coders       *coders
	writes       *writes
	writeShares  *shares
	readShares   *shares
	layouts      *layouts
	pins         *pins
	lookups      sync.Pool // of *versionLookup
	garbage      *collector
	rebalance    *rebalancer
	prober       *prober
	completing   *uploadSet
	suspects     *suspects
	findings     *findings
	leftovers    *leftovers
	patience     patience
	checks       *checker
	backups      *backups
	followed     metadb.Followed // db, where a journal is kept of it; else nil
	journal      *journal.Writer // nil where none is kept
	foreground   atomic.Int64    // requests of clients that move bytes at the moment

	changing sync.Mutex                     // held while the topology is being changed
	lost     map[meta.VolumeID]*boundVolume // given up since the start; owned by changing
}

// Open binds the metadata store to its volumes and returns the engine. The first
// start claims the given volumes and records them as the topology; every later
// start compares, and adds those that are new. Where a volume of the topology is
// missing, or another can not join, the error is a *TopologyError and nothing has
// been changed. Background work begins with Run.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.DB == nil {
		return nil, errors.New("master: no metadata store given")
	}
	if err := checkClasses(cfg.Classes); err != nil {
		return nil, err
	}
	ctx = metadb.Upkeep(ctx) // a store on a full disk starts, so that space can be won back
	e := &Engine{
		db: cfg.DB, log: cfg.Logger, clock: cfg.Clock,
		grace: cfg.GarbageGrace, completedTTL: cfg.CompletedTTL, classes: cfg.Classes,
		pins: newPins(), coders: newCoders(), lost: make(map[meta.VolumeID]*boundVolume), writes: newWrites(),
		writeShares: newShares(cfg.WriteMemory), readShares: newShares(cfg.ReadMemory),
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	if e.clock == nil {
		e.clock = time.Now
	}
	e.grace = graceOr(DefaultGarbageGrace, cfg.GarbageGrace)
	if e.completedTTL == 0 {
		e.completedTTL = DefaultCompletedTTL
	}
	e.garbage = newCollector(e)
	e.rebalance = newRebalancer(e, cfg.MoveRate)
	e.prober = newProber(e)
	e.completing = newUploadSet()
	e.suspects, e.patience = newSuspects(e), defaultPatience
	e.findings = newFindings(e)
	e.leftovers = newLeftovers(e, graceOr(DefaultLeftoverGrace, cfg.LeftoverGrace))
	e.checks = newChecker(e)
	e.backups = newBackups()
	if err := e.refuseUnfinished(ctx, cfg.Restore); err != nil {
		return nil, err
	}
	var err error
	if e.followed, err = cfg.journalled(); err != nil {
		return nil, err
	}
	est, err := e.establish(ctx, cfg.Volumes)
	if err != nil {
		return nil, err
	}
	l, joining := est.layout, est.joining
	if err := enoughVolumes(cfg.Classes, l.topology, len(joining)); err != nil {
		return nil, err
	}
	e.layouts = newLayouts(l, e.leftovers.wake)
	if err := e.startJournal(ctx, cfg, l, est.journal); err != nil {
		return nil, err
	}
	if est.renamed {
		if err := e.saveTopology(ctx, nil, l.topology); err != nil {
			return nil, err
		}
	}
	for _, p := range joining {
		v, err := e.AddVolume(ctx, NewVolume{Volume: p.Volume, Weight: p.Settings.Weight, Zone: p.Settings.zone()})
		if err != nil {
			return nil, err
		}
		e.log.InfoContext(ctx, "volume has been added", "volume", v.Number, "uuid", v.UUID, "at", v.Name)
	}
	if err := e.configureReplicas(ctx, cfg.Replicas); err != nil {
		return nil, fmt.Errorf("configured replicas: %w", err)
	}
	if err := e.configureGiven(ctx, cfg.Volumes); err != nil {
		return nil, err
	}
	if err := e.firstSnapshot(ctx); err != nil {
		return nil, err
	}
	e.leftovers.start(ctx)
	return e, ctx.Err()
}

// graceOr is a setting of Config: zero is what is usual, below zero is none.
func graceOr(usual, given time.Duration) time.Duration {
	if given == 0 {
		return usual
	}
	return max(0, given)
}

// now is the engine's time, in UTC and whole milliseconds as records keep it.
func (e *Engine) now() time.Time { return e.clock().UTC().Truncate(time.Millisecond) }

// view runs fn over a snapshot of the metadata.
func (e *Engine) view(ctx context.Context, fn func(metadb.Tx) error) error {
	return e.db.View(ctx, fn)
}

// update commits what fn writes. A request that gives up while its commit is
// under way would not learn whether it took place, so a commit once begun is
// seen through. unknown reports that the commit failed in a way that leaves
// open whether it will be found after a restart; whatever fn itself returns is
// never that.
func (e *Engine) update(ctx context.Context, fn func(metadb.Tx) error) (unknown bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	var refused error
	err = e.db.Update(context.WithoutCancel(ctx), func(tx metadb.Tx) error {
		refused = fn(tx)
		return refused
	})
	switch {
	case err == nil, refused != nil:
		return false, err
	case errors.Is(err, metadb.ErrUncertain):
		return true, err
	case errors.Is(err, metadb.ErrNoSpace), errors.Is(err, metadb.ErrTooLarge), errors.Is(err, metadb.ErrClosed),
		errors.Is(err, metadb.ErrNotFollowed):
		return false, err // refused before anything was written
	}
	return true, err
}

// Stats is a snapshot of the engine's counters since its start.
type Stats struct {
	Metadata metadb.Stats
	Garbage  GarbageStats
	Readers  int // objects open for reading
	// WriteMemory and ReadMemory are those for the bodies of requests.
	WriteMemory, ReadMemory ShareStats
}

// Stats returns the engine's counters.
func (e *Engine) Stats() Stats {
	return Stats{
		Metadata: e.db.Stats(), Garbage: e.garbage.snapshot(), Readers: e.pins.readers(),
		WriteMemory: e.writeShares.stats(), ReadMemory: e.readShares.stats(),
	}
}
