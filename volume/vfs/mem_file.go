package vfs

import (
	"io"
	"io/fs"
	"maps"
	"slices"
	"syscall"
	"time"
)

const (
	sectorSize = 512 // what a disk writes whole or not at all
	pageSize   = 8 * sectorSize
)

// page is a run of a file's bytes. One that is also in the durable map may be
// shared with crash clones, and is never written again.
type page = *[pageSize]byte

// fileNode is a file: its bytes as calls see them, as the disk has them, and
// the log of changes that lies between the two. Bytes beyond size are zero.
type fileNode struct {
	mem     *Mem
	links   int // names
	handles int // open files
	mtime   time.Time

	size  int64
	pages map[int64]page // allocated pages by number; a hole has none

	durableSize  int64
	durablePages map[int64]page
	dirty        map[int64]struct{} // numbers of the pages that may differ
	unsynced     []fileOp
}

func newFileNode(m *Mem) *fileNode {
	return &fileNode{
		mem: m, mtime: time.Now(),
		pages: map[int64]page{}, durablePages: map[int64]page{}, dirty: map[int64]struct{}{},
	}
}

func (*fileNode) isNode() {}

// fileOp is one change of a file's bytes or length.
type fileOp struct {
	kind fileOpKind
	off  int64  // of a write; the new length of a truncation
	data []byte // of a write
	size int64  // the file's length after the change
	seq  uint64 // of a write: numbers those of the file system
}

type fileOpKind uint8

const (
	opWrite fileOpKind = iota
	opTruncate
	opExtend // by Allocate: a length, no bytes
)

func (f *fileNode) readAt(p []byte, off int64) int {
	p = p[:max(0, min(int64(len(p)), f.size-off))]
	for done := 0; done < len(p); {
		pos := off + int64(done)
		chunk := p[done:min(len(p), done+int(pageSize-pos%pageSize))]
		if pg := f.pages[pos/pageSize]; pg != nil {
			copy(chunk, pg[pos%pageSize:])
		} else {
			clear(chunk)
		}
		done += len(chunk)
	}
	return len(p)
}

// writeAt writes what there is space for. It returns how much that was.
func (f *fileNode) writeAt(p []byte, off int64) int {
	done := 0
	for done < len(p) {
		pos := off + int64(done)
		pg, ok := f.writablePage(pos / pageSize)
		if !ok {
			break
		}
		done += copy(pg[pos%pageSize:], p[done:])
	}
	if done > 0 {
		f.size = max(f.size, off+int64(done))
		f.mem.writes++
		f.change(fileOp{kind: opWrite, off: off, data: slices.Clone(p[:done]), seq: f.mem.writes})
	}
	return done
}

// writablePage returns the page of a number, allocated and not shared, or false
// when there is no space for it.
func (f *fileNode) writablePage(number int64) (page, bool) {
	old := f.pages[number]
	if old != nil && old != f.durablePages[number] && old != f.mem.zero {
		f.dirty[number] = struct{}{} // unless it is, a sync has failed to write it
		return old, true
	}
	fresh := new([pageSize]byte)
	if old != nil {
		*fresh = *old
	} else if !f.mem.take(pageSize) {
		return nil, false
	}
	f.setPage(number, fresh)
	return fresh, true
}

// setPage replaces a page, or drops it (nil).
func (f *fileNode) setPage(number int64, pg page) {
	f.dirty[number] = struct{}{}
	if pg == nil {
		delete(f.pages, number)
		return
	}
	f.pages[number] = pg
}

func (m *Mem) take(n int64) bool {
	if m.used > m.capacity-n {
		return false
	}
	m.used += n
	return true
}

func (f *fileNode) truncate(size int64) {
	if size < f.size {
		first := (size + pageSize - 1) / pageSize
		for number := range f.pages {
			if number >= first {
				f.setPage(number, nil)
				f.mem.used -= pageSize
			}
		}
		if rest := size % pageSize; rest > 0 && f.pages[size/pageSize] != nil {
			pg, _ := f.writablePage(size / pageSize) // allocated: takes no space
			clear(pg[rest:])
		}
	}
	f.size = size
	f.change(fileOp{kind: opTruncate, off: size})
}

// allocate is all or nothing, as fallocate nearly always is.
func (f *fileNode) allocate(off, n int64) error {
	first, last := off/pageSize, (off+n-1)/pageSize
	var missing []int64
	for number := first; number <= last; number++ {
		if f.pages[number] == nil {
			missing = append(missing, number)
		}
	}
	if !f.mem.take(int64(len(missing)) * pageSize) {
		return syscall.ENOSPC
	}
	for _, number := range missing {
		f.setPage(number, f.mem.zero)
	}
	f.size = max(f.size, off+n)
	f.change(fileOp{kind: opExtend, off: off + n})
	return nil
}

func (f *fileNode) change(op fileOp) {
	op.size = f.size
	f.unsynced = append(f.unsynced, op)
	f.mtime = time.Now()
}

func (f *fileNode) sync() {
	for number := range f.dirty {
		if pg := f.pages[number]; pg != nil {
			f.durablePages[number] = pg
		} else {
			delete(f.durablePages, number)
		}
	}
	clear(f.dirty)
	f.durableSize = f.size
	f.unsynced = nil
}

// syncSome is a sync that fails: sectors for which keep reports false stay as
// they are seen, and count as clean from now on. Once their page is written to
// again they have another chance.
func (f *fileNode) syncSome(keep func(sector int64) bool) {
	const sectors = pageSize / sectorSize
	for _, number := range slices.Sorted(maps.Keys(f.dirty)) {
		pg := f.pages[number]
		if pg == nil {
			pg = f.mem.zero
		}
		durable := new([pageSize]byte)
		if old := f.durablePages[number]; old != nil {
			*durable = *old
		}
		for i := range int64(sectors) {
			if keep(number*sectors + i) {
				at := i * sectorSize
				copy(durable[at:at+sectorSize], pg[at:])
				f.durableSize = max(f.durableSize, min(f.size, number*pageSize+at+sectorSize))
			}
		}
		f.durablePages[number] = durable
	}
	clear(f.dirty)
	f.unsynced = nil
}

// memFile is an open file.
type memFile struct {
	mem      *Mem
	name     string
	file     *fileNode // nil once closed
	writable bool
}

func (m *Mem) handle(name string, file *fileNode, writable bool) *memFile {
	file.handles++
	return &memFile{mem: m, name: name, file: file, writable: writable}
}

func (h *memFile) Name() string { return h.name }

// use checks that a call is possible. The caller holds the lock.
func (h *memFile) use(op string, write bool, off int64) error {
	switch {
	case h.file == nil:
		return pathError(op, h.name, fs.ErrClosed)
	case off < 0:
		return pathError(op, h.name, syscall.EINVAL)
	case write && !h.writable:
		return pathError(op, h.name, syscall.EBADF)
	}
	return nil
}

func (h *memFile) ReadAt(p []byte, off int64) (int, error) {
	h.mem.mu.RLock()
	defer h.mem.mu.RUnlock()
	if err := h.use("read", false, off); err != nil {
		return 0, err
	}
	n := h.file.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memFile) WriteAt(p []byte, off int64) (int, error) {
	h.mem.mu.Lock()
	defer h.mem.mu.Unlock()
	if err := h.use("write", true, off); err != nil {
		return 0, err
	}
	n := h.file.writeAt(p, off)
	if n < len(p) {
		return n, pathError("write", h.name, syscall.ENOSPC)
	}
	return n, nil
}

func (h *memFile) Size() (int64, error) {
	h.mem.mu.RLock()
	defer h.mem.mu.RUnlock()
	if err := h.use("stat", false, 0); err != nil {
		return 0, err
	}
	return h.file.size, nil
}

func (h *memFile) Truncate(size int64) error {
	h.mem.mu.Lock()
	defer h.mem.mu.Unlock()
	if err := h.use("truncate", true, size); err != nil {
		return err
	}
	h.file.truncate(size)
	return nil
}

func (h *memFile) Allocate(off, n int64) error {
	h.mem.mu.Lock()
	defer h.mem.mu.Unlock()
	if err := h.use("allocate", true, min(off, n)); err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	if err := h.file.allocate(off, n); err != nil {
		return pathError("allocate", h.name, err)
	}
	return nil
}

// WriteOut implements File: what was written may be on the disk after a crash anyway.
func (h *memFile) WriteOut(off, n int64) error {
	h.mem.mu.Lock()
	defer h.mem.mu.Unlock()
	return h.use("write out", true, min(off, n))
}

func (h *memFile) Sync() error {
	h.mem.mu.Lock()
	defer h.mem.mu.Unlock()
	if err := h.use("sync", false, 0); err != nil {
		return err
	}
	h.file.sync()
	return nil
}

func (h *memFile) syncSome(keep func(sector int64) bool) {
	h.mem.mu.Lock()
	defer h.mem.mu.Unlock()
	h.file.syncSome(keep)
}

func (h *memFile) Close() error {
	h.mem.mu.Lock()
	defer h.mem.mu.Unlock()
	if err := h.use("close", false, 0); err != nil {
		return err
	}
	h.file.handles--
	h.mem.release(h.file)
	h.file = nil
	return nil
}
