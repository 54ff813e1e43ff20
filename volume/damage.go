package volume

import (
	"errors"
	"fmt"
	"io"
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

// corrupt describes damage, notes it for those who ask for it, and logs it, once.
func (s *Store) corrupt(file string, offset int64, id BlobID, part string, cause error) *CorruptError {
	e := s.describe(file, offset, id, part, cause)
	if s.findings.add(e, s.cfg.Clock()) {
		s.logDamage(e)
	}
	return e
}

func (s *Store) describe(file string, offset int64, id BlobID, part string, cause error) *CorruptError {
	if errors.Is(cause, io.EOF) { // which a reader of the blob must not take for its end
		cause = io.ErrUnexpectedEOF
	}
	return &CorruptError{Volume: s.uuid, File: file, Offset: offset, Blob: id, Part: part, Err: cause}
}

func (s *Store) logDamage(e *CorruptError) {
	s.log.Error("stored bytes are corrupt", "file", e.File, "offset", e.Offset, "blob", e.Blob, "part", e.Part, "error", e.Err)
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
