package master

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync"
	"time"
)

// A backup reads all rows as of one moment, and then, for as long as it takes, the
// bodies that they name. What keeps these there is a hold: while there is one the
// garbage collector rests, as nothing else removes a blob that a row has named. A
// hold comes before the rows are read, so it covers all that they name.
//
// A hold lasts only while somebody is at work with it: it ends after BackupPatience
// without a request, at the time that it was given, or with the process, and never
// holds again after that. The garbage of that time then goes as usual.

// Bounds of a backup.
const (
	BackupPatience   = 10 * time.Minute   // between two requests of a backup
	DefaultBackupFor = 24 * time.Hour     // that a backup may take where it does not say
	MaxBackupFor     = 7 * 24 * time.Hour // that it may ask for
	maxBackups       = 8                  // at the same time
)

// BackupStatus is a backup under way.
type BackupStatus struct {
	ID      string
	Cluster string    // that is backed up
	Began   time.Time //
	Until   time.Time // when its hold ends, however busy it is
	Used    time.Time // of its last request
	Rows    uint64    // that were read for it
	Bytes   uint64    // of bodies that were read for it
}

// backups are those under way.
type backups struct {
	mu   sync.Mutex
	held map[string]*heldBackup
}

// heldBackup is one of them; owned by the mutex of backups.
type heldBackup struct {
	BackupStatus
	using int // requests under way
}

func newBackups() *backups { return &backups{held: make(map[string]*heldBackup)} }

// BeginBackup holds what is stored from now on, for a limited time (zero: the
// default). Every request that names the id keeps the hold up.
func (e *Engine) BeginBackup(limit time.Duration) (BackupStatus, error) {
	if limit == 0 {
		limit = DefaultBackupFor
	}
	if limit < 0 || limit > MaxBackupFor {
		return BackupStatus{}, refuseChange("a backup may take up to %v, not %v", MaxBackupFor, limit)
	}
	e.garbage.mu.Lock() // a step under way removes what was garbage before
	defer e.garbage.mu.Unlock()
	b := e.backups
	b.mu.Lock()
	defer b.mu.Unlock()
	now := e.clock()
	b.expireLocked(now)
	if len(b.held) >= maxBackups {
		return BackupStatus{}, refuseChange("%d backups are under way: that is as many as there may be", maxBackups)
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails, by its contract
	h := &heldBackup{BackupStatus: BackupStatus{
		ID: hex.EncodeToString(id[:]), Cluster: e.layouts.now().topology.Cluster, Began: now, Until: now.Add(limit), Used: now,
	}}
	b.held[h.ID] = h
	return h.BackupStatus, nil
}

// Backups lists the backups under way, the oldest first.
func (e *Engine) Backups() []BackupStatus {
	b := e.backups
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expireLocked(e.clock())
	all := make([]BackupStatus, 0, len(b.held))
	for _, h := range b.held {
		all = append(all, h.BackupStatus)
	}
	slices.SortFunc(all, func(x, y BackupStatus) int { return cmp.Or(x.Began.Compare(y.Began), cmp.Compare(x.ID, y.ID)) })
	return all
}

// Backup returns a backup under way, and keeps its hold up. The error says that
// it has ended.
func (e *Engine) Backup(id string) (BackupStatus, error) {
	done, err := e.backups.use(id, e.clock)
	if err != nil {
		return BackupStatus{}, err
	}
	done(0, 0)
	b := e.backups
	b.mu.Lock()
	defer b.mu.Unlock()
	h, ok := b.held[id]
	if !ok {
		return BackupStatus{}, noBackup(id)
	}
	return h.BackupStatus, nil
}

// EndBackup gives up a hold. The error says that it had ended before, so what was
// read last may have been missing something.
func (e *Engine) EndBackup(id string) (BackupStatus, error) {
	st, err := e.Backup(id)
	if err != nil {
		return BackupStatus{}, err
	}
	e.backups.mu.Lock()
	defer e.backups.mu.Unlock()
	delete(e.backups.held, id)
	e.garbage.wake()
	return st, nil
}

// BackupGone is the error of a backup that is not, or no longer, under way.
type BackupGone struct{ ID string }

func (b *BackupGone) Error() string {
	return "there is no backup " + b.ID + " under way: it has ended, was left alone for longer than " + BackupPatience.String() +
		", has used up its time, or the master has started anew. What was deleted meanwhile may be gone, so it can not go on"
}

func noBackup(id string) error { return &BackupGone{ID: id} }

// use keeps a hold up while a request is under way, which counts what it has read
// when it is done.
func (b *backups) use(id string, clock func() time.Time) (done func(rows, bytes uint64), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expireLocked(clock())
	h, ok := b.held[id]
	if !ok {
		return nil, noBackup(id)
	}
	h.using++
	h.Used = clock()
	return func(rows, bytes uint64) {
		b.mu.Lock()
		defer b.mu.Unlock()
		h.using--
		h.Used = clock()
		h.Rows += rows
		h.Bytes += bytes
	}, nil
}

// holding reports whether a backup holds what is garbage. Call it with the
// collector's steps excluded.
func (b *backups) holding(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expireLocked(now)
	return len(b.held) > 0
}

// expireLocked gives up the holds that have ended.
func (b *backups) expireLocked(now time.Time) {
	for id, h := range b.held {
		if now.After(h.Until) || h.using == 0 && now.Sub(h.Used) > BackupPatience {
			delete(b.held, id)
		}
	}
}

// stillHeld fails where a hold has ended.
func (e *Engine) stillHeld(ctx context.Context, id string) error {
	b := e.backups
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expireLocked(e.clock())
	if _, ok := b.held[id]; !ok {
		return noBackup(id)
	}
	return ctx.Err()
}
