package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// Format is the version of everything in a place.
const Format = 1

// The errors of reading a backup, tested with errors.Is.
var (
	ErrDamaged   = errors.New("the backup is damaged")
	ErrMissing   = errors.New("a part of the backup is missing")
	ErrNewer     = errors.New("the backup was made by a newer version of the program")
	ErrNoBackup  = errors.New("there is no such backup")
	ErrNotBackup = errors.New("this is no place of backups")
	ErrBusy      = errors.New("somebody else is at work on these backups")
)

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Sizes, in bytes.
const (
	runLen     = 8 << 20  // of a run, but for the last of a body
	packSealed = 24 << 20 // a pack takes no more runs from here on
	maxPack    = packSealed + runLen + 64<<10*indexRowLen
	rowsLen    = 8 << 20  // of a part of the rows before it is compressed
	maxRows    = 64 << 20 // of what is accepted as one
	maxName    = 64 << 10 // of a key or a value
	maxBodies  = 1 << 16  // of a row
	maxBody    = 5 << 30
)

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// mark says what a place is.
type mark struct {
	Format  int       `json:"format"`
	Kind    string    `json:"kind"`
	Created time.Time `json:"created"`
}

const (
	markName = "tdkvs-backup.json"
	markKind = "tdkvs backups"
)

// Sum says what a file holds.
type Sum struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Manifest is what a backup says of itself.
type Manifest struct {
	Format   int       `json:"format"`
	ID       string    `json:"id"`
	Cluster  string    `json:"cluster"` // whose store it is of
	Created  time.Time `json:"created"` // before the moment that it is of
	Finished time.Time `json:"finished"`
	Program  string    `json:"program"` // that made it
	Base     string    `json:"base,omitempty"`
	Rows     uint64    `json:"rows"`
	Bodies   uint64    `json:"bodies"`
	Bytes    int64     `json:"bytes"`     // of bodies
	NewBytes int64     `json:"new_bytes"` // of bodies that were not there before
	RowFiles []Sum     `json:"row_files"`
	Packs    Sum       `json:"packs"`
}

// sealDocument encodes a document: a line of JSON, and a line with its CRC32C.
func sealDocument(doc any) ([]byte, error) {
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	return fmt.Appendf(b, "crc32c %08x\n", castagnoli(b)), nil
}

// openDocument decodes a document. Its version comes first, as a newer one may
// look different.
func openDocument(b []byte, into any) error {
	line, rest, ok := bytes.Cut(b, []byte("\n"))
	if !ok {
		return damaged("a document without an end")
	}
	line = b[:len(line)+1]
	if want := fmt.Sprintf("crc32c %08x\n", castagnoli(line)); string(rest) != want {
		return damaged("the checksum of a document is wrong")
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(line, &version); err != nil || version.Format < 1 {
		return damaged("a document that is none")
	}
	if version.Format > Format {
		return fmt.Errorf("%w: format %d, this one knows formats up to %d", ErrNewer, version.Format, Format)
	}
	if err := json.Unmarshal(line, into); err != nil {
		return damaged("a document that is none: %v", err)
	}
	return nil
}
