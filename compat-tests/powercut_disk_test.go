package compattests

import (
	"context"
	"math/rand/v2"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	sector    = 512       // what a disk writes whole, or not at all
	diskBlock = 4 << 10   // what a disk is kept in here
	diskBytes = 4 << 30   // sparse: it takes what is written to it
	diskWrite = 128 << 10 // the largest write of the kernel
)

// disk is the content of a disk, in memory. It may lie on another, which it does not change.
type disk struct {
	under *disk // nil: zeros
	mu    sync.RWMutex
	own   map[int64]*[diskBlock]byte // by number
}

func newDisk(under *disk) *disk { return &disk{under: under, own: map[int64]*[diskBlock]byte{}} }

// block returns a block that is only read; nil: zeros.
func (d *disk) block(n int64) *[diskBlock]byte {
	for at := d; at != nil; at = at.under {
		at.mu.RLock()
		b := at.own[n]
		at.mu.RUnlock()
		if b != nil {
			return b
		}
	}
	return nil
}

func (d *disk) readAt(p []byte, offset int64) {
	for len(p) > 0 {
		from := offset % diskBlock
		n := min(int64(len(p)), diskBlock-from)
		if b := d.block(offset / diskBlock); b != nil {
			copy(p[:n], b[from:])
		} else {
			clear(p[:n])
		}
		p, offset = p[n:], offset+n
	}
}

func (d *disk) writeAt(p []byte, offset int64) {
	for len(p) > 0 {
		from := offset % diskBlock
		n := min(int64(len(p)), diskBlock-from)
		next := new([diskBlock]byte)
		if b := d.block(offset / diskBlock); b != nil && n < diskBlock {
			*next = *b
		}
		copy(next[from:], p[:n])
		d.mu.Lock()
		d.own[offset/diskBlock] = next
		d.mu.Unlock()
		p, offset = p[n:], offset+n
	}
}

// recording is what happened to a disk, in order.
type recording struct {
	mu     sync.Mutex
	events []diskEvent
	bytes  int64
}

// diskEvent is a write, or a flush: all writes before it are durable once it is answered.
type diskEvent struct {
	flush  bool
	offset int64
	data   []byte
}

func (r *recording) add(e diskEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	r.bytes += int64(len(e.data))
}

// now is the number of events so far.
func (r *recording) now() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

// stable returns the event before which everything is durable when the power goes just before event cut, on a disk that
// ignores the last flushes.
func (r *recording) stable(cut, ignored int) int {
	for i := cut - 1; i >= 0; i-- {
		if !r.events[i].flush {
			continue
		}
		if ignored == 0 {
			return i
		}
		ignored--
	}
	return 0
}

// replay does the writes among some events.
func (d *disk) replay(events []diskEvent) {
	for _, e := range events {
		d.writeAt(e.data, e.offset) // a flush has none
	}
}

// fate is what becomes of the writes that no flush has made durable when the power goes.
type fate string

const (
	noneSurvive fate = "none"
	allSurvive  fate = "all"
	someSurvive fate = "some"
	someTorn    fate = "some, torn"
)

// survive does those of the writes that a power cut leaves, in order. Each sector is written whole or not at all.
func (d *disk) survive(events []diskEvent, what fate, choices *rand.Rand) {
	keep := choices.Float64()
	for _, e := range events {
		switch {
		case what == allSurvive:
			d.writeAt(e.data, e.offset)
		case what == noneSurvive, choices.Float64() >= keep:
		case what == someSurvive || choices.IntN(2) == 0:
			d.writeAt(e.data, e.offset)
		default:
			d.tear(e, choices)
		}
	}
}

// tear does part of a write: its beginning, or any of its sectors.
func (d *disk) tear(e diskEvent, choices *rand.Rand) {
	if choices.IntN(2) == 0 {
		d.writeAt(e.data[:choices.IntN(len(e.data)/sector+1)*sector], e.offset)
		return
	}
	for at := 0; at < len(e.data); at += sector {
		if choices.IntN(2) == 0 {
			d.writeAt(e.data[at:min(at+sector, len(e.data))], e.offset+int64(at))
		}
	}
}

// diskFile is the one file of the file system through which the kernel has a disk. What is behind it may change while
// nobody has it open.
type diskFile struct {
	fs.Inode

	mu     sync.Mutex
	disk   *disk
	record *recording // nil: not recorded
}

var (
	_ fs.NodeOpener    = (*diskFile)(nil)
	_ fs.NodeReader    = (*diskFile)(nil)
	_ fs.NodeWriter    = (*diskFile)(nil)
	_ fs.NodeFsyncer   = (*diskFile)(nil)
	_ fs.NodeGetattrer = (*diskFile)(nil)
)

func (f *diskFile) insert(d *disk, r *recording) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.disk, f.record = d, r
}

func (f *diskFile) behind() (*disk, *recording) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.disk, f.record
}

// Open has every read and write of the kernel come here at once.
func (f *diskFile) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

func (f *diskFile) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size, out.Blksize = fuse.S_IFREG|0o600, diskBytes, diskBlock
	return 0
}

func (f *diskFile) Read(_ context.Context, _ fs.FileHandle, dest []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	d, _ := f.behind()
	dest = dest[:min(int64(len(dest)), max(0, diskBytes-offset))]
	d.readAt(dest, offset)
	return fuse.ReadResultData(dest), 0
}

func (f *diskFile) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	if offset+int64(len(data)) > diskBytes {
		return 0, syscall.ENOSPC
	}
	d, r := f.behind()
	d.writeAt(data, offset)
	if r != nil {
		r.add(diskEvent{offset: offset, data: append([]byte(nil), data...)})
	}
	return uint32(len(data)), 0
}

func (f *diskFile) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	if _, r := f.behind(); r != nil {
		r.add(diskEvent{flush: true})
	}
	return 0
}
