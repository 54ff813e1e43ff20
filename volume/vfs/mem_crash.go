package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// CrashClone returns the file system as the worst power cut at this moment
// would leave it: everything that was not synced is gone. The original is not
// touched; its open files and locks are unknown to the clone.
func (m *Mem) CrashClone() *Mem { return m.crash(nil, nil) }

// CrashCloneRand is CrashClone for the power cuts between the worst and none:
// the disk may have written more than it was asked to sync, in any order. rng
// decides, so a seed names one outcome.
//
//   - Of the unsynced changes of names any subset has happened; the two halves
//     of one rename happen together, or not at all.
//   - A 512-byte sector is written whole. Each one holds what it held at the
//     last sync, or after any of the changes made to it since: so a write can
//     be torn, and a later one be there without an earlier one.
//   - A file's length is what it was at the last sync, at any moment since, or
//     somewhere on the way of a write that extended it. Bytes that the length
//     covers and that did not reach the disk read as zero.
func (m *Mem) CrashCloneRand(rng *rand.Rand) *Mem { return m.crash(rng, nil) }

// CrashCloneTorn is CrashClone for the power cut that tears the last write:
// everything before and after it has reached the disk, and of the sectors that
// it touches, counted from 0, those for which keep reports true.
func (m *Mem) CrashCloneTorn(keep func(sector int64) bool) *Mem {
	return m.crash(rand.New(rand.NewPCG(0, 0)), keep)
}

func (m *Mem) crash(rng *rand.Rand, keep func(int64) bool) *Mem {
	m.mu.RLock()
	defer m.mu.RUnlock()
	clone := NewMem()
	clone.zero = m.zero
	c := crash{clone: clone, rng: rng, keep: keep, last: m.writes, files: map[*fileNode]*fileNode{}, renames: map[uint64]bool{}}
	clone.root = c.dir(m.root)
	clone.used = 0
	for _, file := range c.files {
		clone.used += int64(len(file.pages)) * pageSize
	}
	clone.capacity = m.capacity
	return clone
}

// crash is one power cut in the making.
type crash struct {
	clone   *Mem
	rng     *rand.Rand              // nil: nothing unsynced survives
	keep    func(sector int64) bool // set: everything survives but what this refuses of the last write
	last    uint64                  // number of that write
	files   map[*fileNode]*fileNode
	renames map[uint64]bool // decided directory operations, by number
}

func (c *crash) dir(d *dirNode) *dirNode {
	entries := maps.Clone(d.durable)
	if c.rng != nil && len(d.unsynced) > 0 {
		p := c.chance()
		for _, op := range d.unsynced {
			if c.happened(op.seq, p) {
				op.applyTo(entries)
			}
		}
	}
	clone := newDirNode()
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		switch n := entries[name].(type) {
		case *dirNode:
			clone.durable[name] = c.dir(n)
		case *fileNode:
			clone.durable[name] = c.file(n)
		}
	}
	clone.live = maps.Clone(clone.durable)
	return clone
}

func (c *crash) happened(seq uint64, p float64) bool {
	done, decided := c.renames[seq]
	if !decided {
		done = c.rng.Float64() < p
		c.renames[seq] = done
	}
	return done
}

// chance draws how likely it is that a change survives. All and nothing are as
// likely as everything between: they find most bugs.
func (c *crash) chance() float64 {
	if c.keep != nil {
		return 1
	}
	switch c.rng.IntN(4) {
	case 0:
		return 0
	case 1:
		return 1
	}
	return c.rng.Float64()
}

func (c *crash) file(f *fileNode) *fileNode {
	clone := c.files[f]
	if clone == nil {
		clone = newFileNode(c.clone)
		clone.mtime = f.mtime
		clone.size, clone.durableSize = f.durableSize, f.durableSize
		clone.pages, clone.durablePages = maps.Clone(f.durablePages), maps.Clone(f.durablePages)
		if c.rng != nil && len(f.unsynced) > 0 {
			c.replay(clone, f.unsynced)
		}
		c.files[f] = clone
	}
	clone.links++
	return clone
}

// replay brings into a clone what survived of the changes since the last sync.
func (c *crash) replay(clone *fileNode, ops []fileOp) {
	r := replay{file: clone, rng: c.rng, p: c.chance(), stopped: map[int64]bool{}}
	for _, op := range ops {
		switch op.kind {
		case opWrite:
			if op.seq == c.last {
				r.keep = c.keep
			}
			r.write(op.off, op.data)
			r.keep = nil
		case opTruncate:
			r.truncate(op.off)
		case opExtend: // its bytes are zero already
		}
	}
	size := c.length(clone.durableSize, ops)
	clone.size = max(clone.size, size)
	clone.truncate(size)
	clone.sync()
}

// length draws the length that the disk knew last.
func (c *crash) length(durable int64, ops []fileOp) int64 {
	if c.keep != nil || c.rng.IntN(3) == 0 {
		return ops[len(ops)-1].size
	}
	cut := c.rng.IntN(len(ops) + 1)
	size := durable
	if cut > 0 {
		size = ops[cut-1].size
	}
	if cut < len(ops) && ops[cut].kind == opWrite && ops[cut].size > size && c.rng.IntN(2) == 0 {
		size += c.rng.Int64N(ops[cut].size - size)
	}
	return size
}

// replay applies changes sector by sector. A sector that missed one change
// misses all later ones: it holds an older state, never a mixture.
type replay struct {
	file    *fileNode
	rng     *rand.Rand
	p       float64
	stopped map[int64]bool
	keep    func(sector int64) bool // of the write at hand; nil: chance decides
}

func (r *replay) survives(sector int64) bool {
	if !r.stopped[sector] && r.rng.Float64() >= r.p {
		r.stopped[sector] = true
	}
	return !r.stopped[sector]
}

func (r *replay) write(off int64, data []byte) {
	first := off / sectorSize
	for len(data) > 0 {
		n := min(int64(len(data)), sectorSize-off%sectorSize)
		if r.survives(off/sectorSize) && (r.keep == nil || r.keep(off/sectorSize-first)) {
			r.put(off, data[:n])
		}
		off, data = off+n, data[n:]
	}
}

// truncate zeroes what lies behind the new length. It keeps the pages: the
// final length decides which of them stay.
func (r *replay) truncate(size int64) {
	var zeros [sectorSize]byte
	for _, number := range slices.Sorted(maps.Keys(r.file.pages)) {
		for off := number * pageSize; off < (number+1)*pageSize; off += sectorSize {
			from := max(off, size)
			if from < off+sectorSize && r.survives(off/sectorSize) {
				r.put(from, zeros[:off+sectorSize-from])
			}
		}
	}
}

func (r *replay) put(off int64, data []byte) {
	pg, _ := r.file.writablePage(off / pageSize) // a clone in the making has no limit
	copy(pg[off%pageSize:], data)
}
