package volume

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// CorruptError says which stored bytes failed verification. errors.Is matches
// it with ErrCorrupt.
type CorruptError struct {
	Volume string // UUID
	File   string // path of the file
	Offset int64  // where in it the bad bytes begin
	Blob   BlobID // zero where it is not known
	Part   string // "block 3", "header", "descriptor", "file" ...
	Err    error  // what reading said; nil: the bytes were read, and are wrong
}

// Error names everything that is known.
func (e *CorruptError) Error() string {
	text := fmt.Sprintf("%v: volume %s, file %s, offset %d, blob %s, %s", ErrCorrupt, e.Volume, e.File, e.Offset, e.Blob, e.Part)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Is matches ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// Unwrap returns the error of the read, if it was one.
func (e *CorruptError) Unwrap() error { return e.Err }

// maxDamageLogged bounds the memory of what was logged; beyond it, damage that
// is met again is logged again.
const maxDamageLogged = 10_000

// damageLog remembers which damage was logged.
type damageLog struct {
	mu   sync.Mutex
	seen map[damagePlace]struct{}
}

type damagePlace struct {
	file   string
	offset int64
}

// first reports whether the damage was not seen before.
func (d *damageLog) first(e *CorruptError) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := damagePlace{e.File, e.Offset}
	if _, ok := d.seen[at]; ok {
		return false
	}
	if d.seen == nil || len(d.seen) >= maxDamageLogged {
		d.seen = make(map[damagePlace]struct{})
	}
	d.seen[at] = struct{}{}
	return true
}

// corrupt describes damage and logs it, once.
func (s *Store) corrupt(file string, offset int64, id BlobID, part string, cause error) *CorruptError {
	if errors.Is(cause, io.EOF) { // which a reader of the blob must not take for its end
		cause = io.ErrUnexpectedEOF
	}
	e := &CorruptError{Volume: s.uuid, File: file, Offset: offset, Blob: id, Part: part, Err: cause}
	if s.damage.first(e) {
		s.log.Error("stored bytes are corrupt", "file", file, "offset", offset, "blob", id, "part", part, "error", cause)
	}
	return e
}

// corruptRead counts a read that failed verification; other errors pass.
func (s *Store) corruptRead(err error) error {
	if errors.Is(err, ErrCorrupt) {
		s.corruptReads.Add(1)
	}
	return err
}

// quarantine sets a record aside: it is counted and its segment is kept.
func (s *Store) quarantine(g *segment, offset int64, id BlobID, part string, cause error) *CorruptError {
	e := s.corrupt(g.file.Name(), offset, id, part, cause)
	s.quarantined.Add(1)
	g.setDamaged()
	return e
}
