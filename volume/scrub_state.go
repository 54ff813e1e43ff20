package volume

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"tdkvs/failpoint"
	"tdkvs/volume/vfs"
)

// Where the scrub stands lies in a file of its own, so that it goes on there after
// a start. Without the file, or with one that can not be read, it begins anew.
const (
	scrubFile      = "scrub.json"
	scrubFormat    = 1
	scrubSaveEvery = time.Minute
)

// Scrub is where the background verification of a volume stands.
type Scrub struct {
	Rate     int64     // bytes per second; below zero: without a bound; 0: it does not run
	Running  bool      // a round is under way; otherwise the next one is waited for
	Began    time.Time // of the last round; zero: there was none
	Finished time.Time // of the last round that came to its end; zero: none did
	Read     int64     // bytes of the last round
	Total    int64     // about how many a round reads
	Bad      int64     // blobs that the last round found bad
}

// scrubRecord is the content of the file.
type scrubRecord struct {
	Format   int           `json:"format"`
	Running  bool          `json:"running"`
	Began    time.Time     `json:"began"`
	Finished time.Time     `json:"finished"`
	Read     int64         `json:"read"`
	Bad      int64         `json:"bad"`
	Position scrubPosition `json:"position"`
}

// scrubPosition is what a round looks at next: the records of a segment from an
// offset on or, with Large, the large blobs above an id.
type scrubPosition struct {
	Large   bool   `json:"large"`
	Segment uint32 `json:"segment"`
	Offset  uint32 `json:"offset"`
	After   BlobID `json:"after"`
}

// MarshalText writes the id as String does.
func (id BlobID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is ParseBlobID.
func (id *BlobID) UnmarshalText(text []byte) error {
	parsed, err := ParseBlobID(string(text))
	*id = parsed
	return err
}

// scrubber is where the scrub stands.
type scrubber struct {
	mu     sync.Mutex // guards what follows
	at     scrubRecord
	active bool // Run is under way, and does it
	dirty  bool // since saved
	saved  time.Time
	failed bool // the last attempt to save it
}

// begin reports whether there is a round to be done: the one under way or, once a
// pause since the beginning of the last is over, another.
func (x *scrubber) begin(now time.Time, pause time.Duration, empty bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.at.Running {
		return true
	}
	if since := now.Sub(x.at.Began); empty || since >= 0 && since < pause {
		return false
	}
	x.at = scrubRecord{Running: true, Began: now, Finished: x.at.Finished}
	x.dirty = true
	return true
}

func (x *scrubber) end(now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at.Running, x.at.Finished, x.at.Position, x.dirty = false, now, scrubPosition{}, true
}

func (x *scrubber) position() scrubPosition {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.at.Position
}

func (x *scrubber) moveTo(p scrubPosition) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at.Position, x.dirty = p, true
}

func (x *scrubber) hasRead(n int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at.Read += n
}

func (x *scrubber) foundBad() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at.Bad++
}

// scrubStatus returns where the scrub stands.
func (s *Store) scrubStatus() Scrub {
	x := &s.scrubber
	x.mu.Lock()
	defer x.mu.Unlock()
	st := Scrub{
		Running: x.at.Running, Began: x.at.Began, Finished: x.at.Finished, Read: x.at.Read, Bad: x.at.Bad,
		Total: max(s.scrubTotal(), x.at.Read),
	}
	if x.active {
		st.Rate = s.scrubRate()
	}
	return st
}

// loadScrub takes up what was saved.
func (s *Store) loadScrub() {
	at, err := s.readScrub()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("where the scrub stood can not be read: it begins anew", "file", s.path(scrubFile), "error", err)
	}
	x := &s.scrubber
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at, x.active, x.saved = at, true, s.cfg.Clock()
}

// leaveScrub saves where the scrub stands, which nobody goes on with.
func (s *Store) leaveScrub() {
	s.saveScrub(0)
	s.scrubber.mu.Lock()
	defer s.scrubber.mu.Unlock()
	s.scrubber.active = false
}

func (s *Store) readScrub() (scrubRecord, error) {
	b, err := vfs.ReadFile(s.fs, s.path(scrubFile))
	if err != nil {
		return scrubRecord{}, err
	}
	var at scrubRecord
	if err := json.Unmarshal(b, &at); err != nil {
		return scrubRecord{}, err
	}
	if at.Format != scrubFormat {
		return scrubRecord{}, fmt.Errorf("format %d, this program knows format %d", at.Format, scrubFormat)
	}
	return at, nil
}

// saveScrub saves where the scrub stands, unless it was saved of late. That it can
// not costs some reading after the next start. One goroutine calls it at a time.
func (s *Store) saveScrub(atLeast time.Duration) {
	at, ok := s.scrubber.unsaved(s.cfg.Clock(), atLeast)
	if !ok || s.failure() != nil {
		return
	}
	b, err := json.Marshal(at)
	if err == nil {
		s.syncs.Add(2)
		failpoint.At("scrub/saving")
		err = vfs.WriteFileAtomic(s.fs, s.path(scrubFile), append(b, '\n'))
		failpoint.At("scrub/saved")
	}
	if s.scrubber.wasSaved(err) {
		s.log.Warn("where the scrub stands can not be saved", "file", s.path(scrubFile), "error", err)
	}
}

// unsaved returns what is to be saved; false where nothing is, or it was of late.
func (x *scrubber) unsaved(now time.Time, atLeast time.Duration) (scrubRecord, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if since := now.Sub(x.saved); !x.dirty || since >= 0 && since < atLeast {
		return scrubRecord{}, false
	}
	x.saved, x.dirty = now, false
	at := x.at
	at.Format = scrubFormat
	return at, true
}

// wasSaved notes how an attempt to save ended, and reports whether it is the first
// that failed.
func (x *scrubber) wasSaved(err error) (first bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	first = err != nil && !x.failed
	x.failed, x.dirty = err != nil, x.dirty || err != nil
	return first
}
