package volume

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/google/uuid"

	"tdkvs/failpoint"
	"tdkvs/volume/vfs"
)

// What lies in a volume's directory beside the two identity files.
const (
	lockFile    = "LOCK"
	segmentsDir = "segments"
	blobsDir    = "blobs"
	tempDir     = "tmp"
)

// Store keeps the blobs of one volume directory. It implements Blobs. Make one
// with Open; run its background work with Run; end it with Close.
type Store struct {
	cfg  Config
	fs   vfs.FS
	log  *slog.Logger
	lock io.Closer

	// Of the volume; fixed once Open has returned.
	id   uuid.UUID
	uuid string // the same
	seed seed

	bufs     buffers
	requests requests

	identMu sync.RWMutex // guards ident once Open has returned
	ident   *identityRecord

	index    index
	segs     segments
	journal  journal
	fanout   fanout
	gauge    gauge
	findings findings
	scrubber scrubber

	// life is held for reading by what must end before the directory is
	// unlocked, and for writing to set closed.
	life       sync.RWMutex
	closed     bool
	closing    chan struct{} // closed with closed
	background sync.WaitGroup

	removing   sync.RWMutex // held for reading from the removal of large blobs' files to that of their entries
	compacting sync.Mutex   // one compaction at a time
	broken     atomic.Pointer[brokenError]

	syncs, writes, corruptReads atomic.Uint64
	temps                       atomic.Uint64 // numbers temporary files
	quarantined                 atomic.Int64
}

// brokenError is why a store became read-only.
type brokenError struct {
	op  string
	err error
}

func (e *brokenError) Error() string { return e.op + ": " + e.err.Error() }

var errReadingOnly = errors.New("it was opened for reading only")

var errClosed = fmt.Errorf("%w: the store is closed", ErrUnavailable)

// Open opens the volume in cfg.Dir and locks it; an empty or missing directory
// becomes a new volume. It recovers from a crash: what was acknowledged is
// there, what was not is cut off. Damage found is logged, counted in
// Status.Quarantined and never fails Open, as long as the files can be read at
// all. Fails with ErrLocked when another process has the directory, with
// ErrWrongVolume when a segment belongs to another volume.
func Open(cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, fs: cfg.FS, log: cfg.Logger, closing: make(chan struct{})}
	s.segs = segments{dir: s.path(segmentsDir), open: map[uint32]*segment{}, superseded: map[uint32]bool{}}
	s.fanout = fanout{made: map[string]bool{}, owed: map[string]bool{}}
	s.findings.run = newRun()
	s.journal.s = s
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open volume %s: %w", cfg.Dir, err), s.closeFiles())
	}
	if cfg.ReadOnly {
		s.broken.Store(&brokenError{"open", errReadingOnly})
	}
	return s, nil
}

func (s *Store) open() error {
	if err := s.fs.MkdirAll(s.cfg.Dir); err != nil {
		return err
	}
	lock, err := s.fs.Lock(s.path(lockFile))
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("%w: stop the other process or give this one a directory of its own", ErrLocked)
	}
	if err != nil {
		return err
	}
	s.lock = lock
	if err := s.loadIdentity(); err != nil {
		return err
	}
	s.seed = newSeed(s.ident.Volume)
	s.id, s.uuid = s.ident.Volume, s.ident.Volume.String()
	s.log = s.log.With("volume", s.uuid)
	for _, dir := range []string{segmentsDir, blobsDir, tempDir} {
		if err := s.fs.MkdirAll(s.path(dir)); err != nil {
			return err
		}
	}
	if err := s.removeTemps(); err != nil {
		return err
	}
	if err := s.loadSegments(); err != nil {
		return err
	}
	if err := s.loadLarge(); err != nil {
		return err
	}
	_, err = s.space()
	return err
}

// removeTemps clears what a crash left of writes that were not acknowledged.
func (s *Store) removeTemps() error {
	entries, err := s.fs.ReadDir(s.path(tempDir))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := s.fs.Remove(s.path(tempDir, entry.Name())); err != nil {
			return err
		}
		failpoint.At("recover/cleared")
	}
	return nil
}

// Close ends the background work, waits for writes that are being made durable,
// and unlocks the directory. Readers that are open go on.
func (s *Store) Close() error {
	s.life.Lock()
	if s.closed {
		s.life.Unlock()
		return nil
	}
	s.closed = true
	close(s.closing)
	s.life.Unlock()
	s.background.Wait()
	return errors.Join(s.journal.close(), s.closeFiles())
}

// closeFiles waits for reads in progress, closes the segments and lets go of
// the directory.
func (s *Store) closeFiles() error {
	var errs []error
	for _, g := range s.segs.all() {
		s.segs.forget(g)
		<-g.gone
		errs = append(errs, g.file.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// enter begins something that must end before Close does.
func (s *Store) enter() error {
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return errClosed
	}
	return nil
}

func (s *Store) leave() { s.life.RUnlock() }

// fail makes the store read-only for good, because after a failed write or sync
// nobody knows what the disk holds. It returns the error for those who wait.
func (s *Store) fail(op string, err error) error {
	if s.broken.CompareAndSwap(nil, &brokenError{op, err}) {
		s.log.Error("volume is read-only from now on: restart it once the disk is sound", "operation", op, "error", err)
	}
	return s.failure()
}

// failure returns why the store is read-only, or nil.
func (s *Store) failure() error {
	if broken := s.broken.Load(); broken != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, broken)
	}
	return nil
}

func (e *brokenError) Unwrap() error { return e.err }

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isExhausted reports whether the process or the system ran out of something
// else than disk: that says nothing about the disk, and passes.
func isExhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// neverBegun reports whether a call on a name failed because there was no file
// descriptor for it: the disk was asked for nothing, not even for a sync that
// has failed, so the call can be made again.
func neverBegun(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// nameFailed sorts a failed call that makes or syncs a name.
func (s *Store) nameFailed(op string, err error) error {
	if neverBegun(err) {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, op, err)
	}
	return s.writeFailed(op, err)
}

// syncDirFailed sorts a failed sync of a directory. Where it returns
// ErrUnavailable the directory is not synced, and can be.
func (s *Store) syncDirFailed(op string, err error) error {
	if neverBegun(err) {
		return s.nameFailed(op, err)
	}
	return s.fail(op, err)
}

// createFailed sorts a failed creation of a file, which leaves nothing behind.
func (s *Store) createFailed(op string, err error) error {
	if isExhausted(err) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return s.writeFailed(op, err)
}

// writeFailed sorts a failed write: a full disk is the caller's to hear about,
// anything else is final.
func (s *Store) writeFailed(op string, err error) error {
	if isNoSpace(err) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return s.fail(op, err)
}

// sync makes a file durable and counts that.
func (s *Store) sync(f vfs.File) error {
	s.syncs.Add(1)
	return f.Sync()
}

func (s *Store) syncDir(dir string) error {
	s.syncs.Add(1)
	return s.fs.SyncDir(dir)
}
