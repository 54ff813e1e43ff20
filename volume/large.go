package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"tdkvs/failpoint"
	"tdkvs/volume/vfs"
)

// A large blob is a file of its own: one record, without padding, that says
// segment 0, offset 0. It lies at blobs/<ab>/<id>-<size>-<created>, where ab is the first
// byte of the id, and size and time are in hex like the id: so a directory
// listing is all the index there is. The bytes are written to tmp/, synced, and
// renamed; the name is durable with the sync of its directory.
const (
	largeRun  = 8 // blocks per write, where there is memory for them
	dirDigits = 2
)

func (s *Store) largeDir(id BlobID) string { return s.path(blobsDir, id.String()[:dirDigits]) }

func (s *Store) largePath(id BlobID, e entry) string {
	return filepath.Join(s.largeDir(id), largeName(id, e))
}

func largeName(id BlobID, e entry) string {
	return fmt.Sprintf("%s-%x-%x", id, e.size(), e.created)
}

// parseLargeName reads what largeName writes, and nothing else.
func parseLargeName(name string) (BlobID, entry, bool) {
	parts := strings.Split(name, "-")
	if len(parts) != 3 {
		return BlobID{}, entry{}, false
	}
	id, err := ParseBlobID(parts[0])
	size, sizeErr := strconv.ParseInt(parts[1], 16, 64)
	created, createdErr := strconv.ParseInt(parts[2], 16, 64)
	if err := errors.Join(err, sizeErr, createdErr); err != nil || size > maxLargePayload {
		return BlobID{}, entry{}, false
	}
	e := largeEntry(size, created)
	return id, e, largeName(id, e) == name
}

// fanout remembers which directories of large blobs exist.
type fanout struct {
	mu   sync.Mutex
	made map[string]bool
	owed map[string]bool // to be synced before a deletion is acknowledged
}

func (s *Store) makeLargeDir(dir string) error {
	s.fanout.mu.Lock()
	defer s.fanout.mu.Unlock()
	if s.fanout.made[dir] {
		return nil
	}
	if err := s.fs.MkdirAll(dir); err != nil {
		return err
	}
	s.fanout.made[dir] = true
	return nil
}

// loadLarge finds the large blobs. It syncs the directories before it reads them:
// a process that was killed may have made or removed names without syncing
// that, and what is found here, or is found missing, is taken for durable.
func (s *Store) loadLarge() error {
	dirs, err := s.fs.ReadDir(s.path(blobsDir))
	if err != nil {
		return err
	}
	if len(dirs) > 0 {
		if err := s.syncDir(s.path(blobsDir)); err != nil {
			return err
		}
	}
	for _, dir := range dirs {
		name := s.path(blobsDir, dir.Name())
		if !dir.IsDir() || len(dir.Name()) != dirDigits {
			s.log.Warn("not a directory of blobs: left alone", "file", name)
			continue
		}
		if err := s.syncDir(name); err != nil {
			return err
		}
		s.fanout.made[name] = true
		files, err := s.fs.ReadDir(name)
		if err != nil {
			return err
		}
		for _, file := range files {
			id, e, ok := parseLargeName(file.Name())
			if !ok || s.largeDir(id) != name {
				s.log.Warn("not a blob: left alone", "file", filepath.Join(name, file.Name()))
				continue
			}
			if !s.index.reserve(id) {
				s.log.Warn("blob is there twice: left alone", "file", filepath.Join(name, file.Name()))
				continue
			}
			s.index.set(id, e)
		}
	}
	return nil
}

// largeWriter streams a payload to a file.
type largeWriter struct {
	s     *Store
	file  vfs.File
	begun *buffer // what was read before; nil once it is written
	buf   *buffer
	step  int   // bytes of buf to write at a time, but for the last
	used  int   // bytes of buf that wait
	at    int64 // where they belong
	sent  int64 // what is before was sent to the disk
}

// takeBuffer takes the memory for some blocks, or at least for one. size is the
// payload's, -1 where it is unknown.
func (w *largeWriter) takeBuffer(size int64) {
	w.step = largeRun * (BlockSize + sumLen)
	if size >= 0 {
		w.step = int(max(1, min(largeRun, blockCount(size)))) * (BlockSize + sumLen)
	}
	if w.buf = w.s.bufs.offer(w.step, w.s.cfg.WriteBudget); w.buf == nil {
		w.step = BlockSize + sumLen
		w.buf = w.s.bufs.get(w.step)
	}
}

func (w *largeWriter) giveBuffers() {
	w.s.bufs.put(w.begun)
	w.s.bufs.put(w.buf)
}

// putLarge streams a payload to a file, of which the first used bytes of begun
// were read already. It gives begun back.
func (s *Store) putLarge(b *body, begun *buffer, used int, desc Descriptor) error {
	tmp := s.path(tempDir, fmt.Sprintf("%s.%d", b.id, s.temps.Add(1)))
	file, err := s.fs.Create(tmp)
	if err != nil {
		s.bufs.put(begun)
		return s.createFailed("create blob", err)
	}
	w := &largeWriter{s: s, file: file, begun: begun, at: headerLen}
	w.takeBuffer(b.size)
	e, err := w.write(b, used, desc)
	w.giveBuffers()
	if closeErr := file.Close(); err == nil && closeErr != nil {
		err = s.writeFailed("close blob", closeErr)
	}
	if err == nil {
		failpoint.At("large/synced")
		err = s.finishLarge(tmp, b.id, e)
	} else if removeErr := s.fs.Remove(tmp); removeErr != nil {
		s.log.Warn("temporary file stays until the next start", "file", tmp, "error", removeErr)
	}
	return err
}

// write fills and syncs the temporary file.
func (w *largeWriter) write(b *body, used int, desc Descriptor) (entry, error) {
	if b.size >= 0 {
		if err := w.file.Allocate(0, fileLen(b.size, 0)); err != nil {
			return entry{}, w.s.writeFailed("allocate blob", err)
		}
		w.s.gauge.written.Add(b.size)
		b.room.settle()
	}
	if w.begun != nil {
		if err := w.put(w.begun.b[headerLen:used]); err != nil {
			return entry{}, err
		}
		w.s.bufs.put(w.begun)
		w.begun = nil
	}
	if err := w.stream(b); err != nil {
		return entry{}, err
	}
	d, err := b.describe(desc)
	if err != nil {
		return entry{}, err
	}
	if w.used+len(d)+sumLen > len(w.buf.b) {
		if err := w.flush(); err != nil {
			return entry{}, err
		}
	}
	end := w.used + copy(w.buf.b[w.used:], d)
	putSum(w.buf.b, end, b.id, descriptorBlock, d)
	w.used = end + sumLen
	if err := w.flush(); err != nil {
		return entry{}, err
	}
	created := max(w.s.cfg.Clock().UnixNano(), 0) // the name has no room for a sign
	h := header{kind: kindBlob, id: b.id, payload: uint64(b.n), created: created, desc: uint32(len(d))}
	var head [headerLen]byte
	h.encode(head[:], w.s.seed)
	if _, err := w.file.WriteAt(head[:], 0); err != nil {
		return entry{}, w.s.writeFailed("write blob", err)
	}
	if err := w.s.sync(w.file); err != nil { // ENOSPC too comes late where blocks are allocated late
		return entry{}, w.s.writeFailed("sync blob", err)
	}
	return largeEntry(b.n, h.created), nil
}

// stream copies the body block by block.
func (w *largeWriter) stream(b *body) error {
	sinceCheck := int64(0)
	for !b.done {
		n, err := b.next(w.buf.b[w.used:])
		if err != nil {
			return err
		}
		w.used += n
		if w.used < w.step {
			continue
		}
		sinceCheck += int64(w.used)
		if err := w.flush(); err != nil {
			return err
		}
		if err := w.send(); err != nil {
			return err
		}
		if b.size < 0 && sinceCheck > spaceMaxWritten/4 {
			sinceCheck = 0
			if _, err := w.s.admit(b.id, 0); err != nil {
				return err
			}
		}
		if err := w.s.failure(); err != nil {
			return err
		}
	}
	return nil
}

func (w *largeWriter) flush() error {
	err := w.put(w.buf.b[:w.used])
	w.used = 0
	return err
}

// send has the disk begin with what was written, so that it is at work while the body
// arrives and not only in the sync.
func (w *largeWriter) send() error {
	if w.at-w.sent < w.s.cfg.WriteOutStep {
		return nil
	}
	if err := w.file.WriteOut(w.sent, w.at-w.sent); err != nil {
		return w.s.writeFailed("write blob out", err)
	}
	w.sent = w.at
	return nil
}

func (w *largeWriter) put(p []byte) error {
	if _, err := w.file.WriteAt(p, w.at); err != nil {
		return w.s.writeFailed("write blob", err)
	}
	w.at += int64(len(p))
	w.s.gauge.written.Add(int64(len(p)))
	return nil
}

// finishLarge gives a synced file its name, durably, and shows it.
func (s *Store) finishLarge(tmp string, id BlobID, e entry) error {
	if err := s.enter(); err != nil {
		return err // the file is cleared away at the next start
	}
	defer s.leave()
	if err := s.failure(); err != nil {
		return errors.Join(err, s.fs.Remove(tmp))
	}
	dir := s.largeDir(id)
	if err := s.makeLargeDir(dir); err != nil {
		return errors.Join(s.nameFailed("make directory", err), s.fs.Remove(tmp))
	}
	name := s.largePath(id, e)
	if err := s.fs.Rename(tmp, name); err != nil {
		return errors.Join(s.writeFailed("rename blob", err), s.fs.Remove(tmp))
	}
	failpoint.At("large/renamed")
	if err := s.syncDir(dir); err != nil {
		return errors.Join(s.syncDirFailed("sync directory of blobs", err), s.fs.Remove(name))
	}
	failpoint.At("large/named")
	s.index.set(id, e)
	s.writes.Add(1)
	return nil
}

// removeLarge deletes the files of large blobs durably. A blob whose file is
// gone leaves the index also where the deletion could not be made durable.
func (s *Store) removeLarge(blobs map[BlobID]entry) error {
	s.removing.RLock()
	defer s.removing.RUnlock()
	removed := make(map[BlobID]entry, len(blobs))
	err := s.removeFiles(blobs, removed)
	failpoint.At("large/gone")
	for id, e := range removed {
		if s.index.remove(id, e) && err == nil {
			s.writes.Add(1)
		}
	}
	return err
}

// removeFiles removes the files of blobs and notes which are gone.
func (s *Store) removeFiles(blobs, removed map[BlobID]entry) error {
	dirs := make(map[string]bool)
	for id, e := range blobs {
		name := s.largePath(id, e)
		err := s.fs.Remove(name)
		if err == nil || s.isGone(name) {
			removed[id] = e
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s.fail("delete blob "+id.String(), err)
		}
		dirs[s.largeDir(id)] = true
		failpoint.At("large/removed")
	}
	for dir := range dirs {
		if err := s.syncDir(dir); err != nil {
			s.fanout.mu.Lock()
			maps.Copy(s.fanout.owed, dirs)
			s.fanout.mu.Unlock()
			return s.syncDirFailed("sync directory of blobs", err)
		}
	}
	return nil
}

// syncOwed syncs the directories that removeFiles could not sync for lack of a
// descriptor. Whoever deletes such a blob again finds no trace of it, and yet
// has to wait for the sync.
func (s *Store) syncOwed() error {
	s.fanout.mu.Lock()
	defer s.fanout.mu.Unlock()
	for dir := range s.fanout.owed {
		if err := s.syncDir(dir); err != nil {
			return s.syncDirFailed("sync directory of blobs", err)
		}
		delete(s.fanout.owed, dir)
	}
	return nil
}

func (s *Store) isGone(name string) bool {
	_, err := s.fs.Stat(name)
	return errors.Is(err, fs.ErrNotExist)
}
