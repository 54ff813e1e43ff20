package volume

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"tdkvs/volume/vfs"
)

// A segment file is a header, records back to back, and, once it is sealed, a
// footer (see footer.go). The header is for people and for recognizing a
// foreign file; reading the records does not depend on it.
//
//	 0 magic "tdkvsSEG"   8 version   12 segment   16 volume UUID (16)
//	32 created, ns since 1970   40 zero (20)   60 CRC32C of bytes 0 to 60
const (
	segmentHeaderLen = 64
	segmentMagic     = "tdkvsSEG"
	segmentVersion   = 1
	segmentSuffix    = ".seg"
)

func segmentName(num uint32) string { return fmt.Sprintf("%08x%s", num, segmentSuffix) }

func parseSegmentName(name string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 8 {
		return 0, false
	}
	num, err := strconv.ParseUint(digits, 16, 32)
	return uint32(num), err == nil && segmentName(uint32(num)) == name && num != largeSegment && num != pendingSegment
}

func encodeSegmentHeader(num uint32, volume [16]byte, created int64) []byte {
	b := make([]byte, segmentHeaderLen)
	copy(b, segmentMagic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], segmentVersion)
	le.PutUint32(b[12:], num)
	copy(b[16:], volume[:])
	le.PutUint64(b[32:], uint64(created))
	le.PutUint32(b[60:], seed(0).sum(b[:60]))
	return b
}

// segmentHeader is what a segment file says of itself.
type segmentHeader struct {
	version uint32
	num     uint32
	volume  [16]byte
}

// parseSegmentHeader reports false unless magic and sum are right.
func parseSegmentHeader(b []byte) (segmentHeader, bool) {
	le := binary.LittleEndian
	if len(b) < segmentHeaderLen || string(b[:8]) != segmentMagic || le.Uint32(b[60:]) != seed(0).sum(b[:60]) {
		return segmentHeader{}, false
	}
	return segmentHeader{version: le.Uint32(b[8:]), num: le.Uint32(b[12:]), volume: [16]byte(b[16:32])}, true
}

// segment is one file of the log.
type segment struct {
	num  uint32
	file vfs.File

	refs atomic.Int64  // the table and each reader hold one
	gone chan struct{} // closed when refs has reached 0

	mu      sync.Mutex // guards the fields below
	size    int64      // where the records end
	live    int64      // bytes of the records of live blobs
	tombs   map[uint32]int64
	sealed  bool
	damaged bool // holds bytes that can not be read: never compacted, never deleted
}

func newSegment(num uint32, file vfs.File) *segment {
	g := &segment{num: num, file: file, gone: make(chan struct{}), tombs: map[uint32]int64{}, size: segmentHeaderLen}
	g.refs.Store(1)
	return g
}

// retain takes a reference, unless the segment is on its way out.
func (g *segment) retain() bool {
	for {
		n := g.refs.Load()
		if n == 0 {
			return false
		}
		if g.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (g *segment) release() {
	if g.refs.Add(-1) == 0 {
		close(g.gone)
	}
}

// grew counts records that were added: their bytes, and those of them that are live.
func (g *segment) grew(size, live int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size += size
	g.live += live
}

// addLive counts bytes of records that came to life, or (negative) died.
func (g *segment) addLive(n int64) {
	g.mu.Lock()
	g.live += n
	g.mu.Unlock()
}

func (g *segment) setDamaged() {
	g.mu.Lock()
	g.damaged = true
	g.mu.Unlock()
}

// segments is the table of the segments that exist.
type segments struct {
	dir string

	mu   sync.RWMutex
	open map[uint32]*segment
	// superseded holds the segments that still exist although a record of
	// theirs has a copy in a later one. While one does, a tombstone of that
	// copy also has to keep the old record dead.
	superseded map[uint32]bool
}

func (t *segments) path(num uint32) string { return filepath.Join(t.dir, segmentName(num)) }

func (t *segments) add(g *segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[g.num] = g
}

// forget takes a segment out of the table; readers that hold it go on.
func (t *segments) forget(g *segment) {
	t.mu.Lock()
	delete(t.open, g.num)
	delete(t.superseded, g.num)
	t.mu.Unlock()
	g.release()
}

// get returns a segment without a reference to it, for counting; or nil.
func (t *segments) get(num uint32) *segment {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.open[num]
}

// acquire returns a segment that stays open until it is released, or nil.
func (t *segments) acquire(num uint32) *segment {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if g := t.open[num]; g != nil && g.retain() {
		return g
	}
	return nil
}

// acquireFrom returns the first segment from a number on, as acquire does.
func (t *segments) acquireFrom(num uint32) *segment {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var first *segment
	for n, g := range t.open {
		if n >= num && (first == nil || n < first.num) {
			first = g
		}
	}
	if first != nil {
		first.refs.Add(1) // the table holds one
	}
	return first
}

func (t *segments) supersede(num uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.superseded[num] = true
}

// all returns the segments of the moment, in no order.
func (t *segments) all() []*segment {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]*segment, 0, len(t.open))
	for _, g := range t.open {
		list = append(list, g)
	}
	return list
}

// needed reports whether a tombstone in segment holder, for a record of segment
// target, still keeps something dead once holder itself is gone: that record,
// or an older copy of it.
func (t *segments) needed(holder, target uint32) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.open[target] != nil && target != holder {
		return true
	}
	for num := range t.superseded {
		if num <= target && num != holder {
			return true
		}
	}
	return false
}

// dead returns how many bytes of a segment compaction would win back, and how
// many its records take.
func (t *segments) dead(g *segment) (dead, size int64) {
	g.mu.Lock()
	size = g.size - segmentHeaderLen
	dead = size - g.live
	targets := make(map[uint32]int64, len(g.tombs))
	for target, count := range g.tombs {
		targets[target] = count
	}
	g.mu.Unlock()
	for target, count := range targets {
		if t.needed(g.num, target) {
			dead -= count * headerLen
		}
	}
	return max(dead, 0), size
}
