package backup

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// spool keeps rows in a temporary file, which has no name any more while it is
// used: each as its length and appendSpooled.
type spool struct {
	file *os.File
	w    *bufio.Writer
	buf  []byte
}

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "tdkvs-backup-")
	if err != nil {
		return nil, fmt.Errorf("a temporary file for the rows: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &spool{file: f, w: bufio.NewWriterSize(f, 1<<20)}, nil
}

func (s *spool) close() { _ = s.file.Close() } // nobody needs what is in it

func (s *spool) add(r *Row) error {
	s.buf = appendSpooled(s.buf[:0], r)
	var n [4]byte
	binary.LittleEndian.PutUint32(n[:], uint32(len(s.buf)))
	if _, err := s.w.Write(n[:]); err != nil {
		return err
	}
	_, err := s.w.Write(s.buf)
	return err
}

// each gives the rows again, from the first on. fn may keep them.
func (s *spool) each(fn func(*Row) error) error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := bufio.NewReaderSize(s.file, 1<<20)
	for {
		var n [4]byte
		if _, err := io.ReadFull(in, n[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		b := make([]byte, binary.LittleEndian.Uint32(n[:]))
		if _, err := io.ReadFull(in, b); err != nil {
			return err
		}
		r, err := (&rowReader{b: b}).spooled()
		if err != nil {
			return err
		}
		if err := fn(&r); err != nil {
			return err
		}
	}
}
