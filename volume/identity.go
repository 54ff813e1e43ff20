package volume

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"tdkvs/failpoint"
	"tdkvs/volume/vfs"
)

// The identity lies in two files with the same content, so that damage to one
// does not lock the volume. The second is written after the first is durable.
const (
	identityFile   = "volume.json"
	identityCopy   = "volume.copy.json"
	identityFormat = 1
	maxClusterLen  = 128
)

// identityRecord is the first line of an identity file; the second is its
// CRC32C in hex.
type identityRecord struct {
	Format  int       `json:"format"`
	Volume  uuid.UUID `json:"volume"`
	Cluster string    `json:"cluster"`
	Created time.Time `json:"created"`
}

const identitySumPrefix = "crc32c "

func (r *identityRecord) encode() ([]byte, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode identity: %w", err)
	}
	line = append(line, '\n')
	return fmt.Appendf(line, "%s%08x\n", identitySumPrefix, crc32.Checksum(line, castagnoli)), nil
}

var errIdentityDamaged = errors.New("identity file is damaged")

func parseIdentity(b []byte) (*identityRecord, error) {
	end := bytes.IndexByte(b, '\n') + 1
	line, rest := b[:end], string(b[end:])
	digits, ok := strings.CutPrefix(rest, identitySumPrefix)
	sum, err := hex.DecodeString(strings.TrimSuffix(digits, "\n"))
	if !ok || err != nil || !bytes.Equal(sum, fmtSum(line)) || !strings.HasSuffix(digits, "\n") {
		return nil, errIdentityDamaged
	}
	var version struct{ Format int }
	if err := json.Unmarshal(line, &version); err != nil {
		return nil, errIdentityDamaged
	}
	if version.Format != identityFormat {
		return nil, fmt.Errorf("volume has format %d, this program reads format %d: use the release that wrote it or a later one", version.Format, identityFormat)
	}
	var r identityRecord
	if err := json.Unmarshal(line, &r); err != nil || r.Volume == uuid.Nil {
		return nil, errIdentityDamaged
	}
	return &r, nil
}

func fmtSum(line []byte) []byte {
	sum := crc32.Checksum(line, castagnoli)
	return []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}
}

// loadIdentity reads the identity of the volume, or makes one when the
// directory has never been a volume.
func (s *Store) loadIdentity() error {
	first, firstErr := s.readIdentity(identityFile)
	second, secondErr := s.readIdentity(identityCopy)
	missing := errors.Is(firstErr, fs.ErrNotExist)
	switch {
	case firstErr == nil:
		s.ident = first
		if secondErr == nil && *second == *first {
			return nil
		}
		// A missing or older copy is what a crash leaves between the two writes.
		if secondErr != nil && !errors.Is(secondErr, fs.ErrNotExist) {
			s.log.Warn("copy of the identity file is damaged: writing it anew", "file", s.path(identityCopy), "error", secondErr)
		}
		return s.writeIdentity(identityCopy)
	case !missing && !errors.Is(firstErr, errIdentityDamaged):
		return firstErr
	case secondErr == nil:
		s.log.Error("identity file is damaged or missing: restoring it from its copy", "file", s.path(identityFile), "error", firstErr)
		s.ident = second
		return s.writeIdentity(identityFile)
	case missing && errors.Is(secondErr, fs.ErrNotExist):
		return s.makeIdentity()
	}
	return errors.Join(firstErr, secondErr)
}

func (s *Store) readIdentity(name string) (*identityRecord, error) {
	b, err := vfs.ReadFile(s.fs, s.path(name))
	if err != nil {
		return nil, err
	}
	r, err := parseIdentity(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path(name), err)
	}
	return r, nil
}

// makeIdentity names a new volume. A directory that holds blobs but no identity
// is refused: with another UUID none of its records could be read.
func (s *Store) makeIdentity() error {
	if s.cfg.ReadOnly {
		return fmt.Errorf("there is no volume: %s: %w", s.path(identityFile), fs.ErrNotExist)
	}
	for _, name := range []string{segmentsDir, blobsDir} {
		entries, err := s.fs.ReadDir(s.path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(entries) > 0 {
			return fmt.Errorf("%s is missing although %s holds blobs: put the file back from a backup", s.path(identityFile), s.path(name))
		}
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("make volume UUID: %w", err)
	}
	s.ident = &identityRecord{Format: identityFormat, Volume: id, Created: s.cfg.Clock().UTC()}
	if err := s.writeIdentity(identityFile); err != nil {
		return err
	}
	failpoint.At("identity/made")
	return s.writeIdentity(identityCopy)
}

func (s *Store) writeIdentity(name string) error {
	b, err := s.ident.encode()
	if err != nil {
		return err
	}
	s.syncs.Add(2)
	return vfs.WriteFileAtomic(s.fs, s.path(name), b)
}

// claim binds the volume to a cluster. The caller holds identMu.
func (s *Store) claim(cluster string) error {
	claimed := *s.ident
	claimed.Cluster = cluster
	before := s.ident
	s.ident = &claimed
	err := s.writeIdentity(identityFile)
	failpoint.At("claim/written")
	if err == nil {
		err = s.writeIdentity(identityCopy)
	}
	if err != nil {
		s.ident = before
		return s.nameFailed("write identity", err)
	}
	failpoint.At("claim/copied")
	return nil
}

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.cfg.Dir}, elem...)...)
}
