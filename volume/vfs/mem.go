package vfs

import (
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Mem is a file system in memory that is as strict as the contract of FS
// allows: a name that was created, renamed or removed is durable only after
// SyncDir, and a file's bytes and length only after Sync. CrashClone and
// CrashCloneRand show what a power cut would leave.
//
// Paths are taken as absolute; the root directory exists. The zero value is not
// usable.
type Mem struct {
	mu       sync.RWMutex // owns everything below, and every node and handle
	root     *dirNode
	capacity int64
	used     int64 // bytes of all pages that some file holds
	locks    map[*fileNode]bool
	zero     page   // stands for every allocated page that was not written yet
	opSeq    uint64 // numbers directory operations across directories
	writes   uint64 // counts writes to files
}

// NewMem returns an empty file system without a limit on its space.
func NewMem() *Mem {
	return &Mem{
		root: newDirNode(), capacity: math.MaxInt64, locks: map[*fileNode]bool{},
		zero: new([pageSize]byte),
	}
}

// SetCapacity sets the size of the file system in bytes. Calls that need more
// fail with ENOSPC; a size below what is used leaves no space free.
func (m *Mem) SetCapacity(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = n
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err == nil && (base == "" || dir.live[base] != nil) {
		err = fs.ErrExist
	}
	if err != nil {
		return nil, pathError("create", name, err)
	}
	file := newFileNode(m)
	m.link(dir, base, file)
	return m.handle(name, file, true), nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) { return m.open(name, true) }

// OpenRead implements FS.
func (m *Mem) OpenRead(name string) (File, error) { return m.open(name, false) }

func (m *Mem) open(name string, writable bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	file, ok := n.(*fileNode)
	if !ok {
		return nil, pathError("open", name, syscall.EISDIR)
	}
	return m.handle(name, file, writable), nil
}

// Rename implements FS. Like rename(2) it replaces a file, never a directory
// that holds something.
func (m *Mem) Rename(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rename(oldName, newName); err != nil {
		return pathError("rename", oldName, err)
	}
	return nil
}

func (m *Mem) rename(oldName, newName string) error {
	from, oldBase, err := m.parent(oldName)
	if err != nil {
		return err
	}
	to, newBase, err := m.parent(newName)
	if err != nil {
		return err
	}
	moved := from.live[oldBase]
	if moved == nil {
		return fs.ErrNotExist
	}
	if newBase == "" {
		return fs.ErrExist
	}
	target := to.live[newBase]
	if target == moved {
		return nil
	}
	if dir, ok := moved.(*dirNode); ok && dir.contains(to) {
		return syscall.EINVAL
	}
	if err := replaceable(moved, target); err != nil {
		return err
	}
	op := m.nextOp()
	from.apply(dirOp{seq: op, name: oldBase})
	to.apply(dirOp{seq: op, name: newBase, node: moved})
	if file, ok := target.(*fileNode); ok {
		file.links--
		m.release(file)
	}
	return nil
}

func replaceable(moved, target node) error {
	targetDir, isDir := target.(*dirNode)
	_, movedDir := moved.(*dirNode)
	switch {
	case target == nil:
		return nil
	case isDir && !movedDir:
		return syscall.EISDIR
	case !isDir && movedDir:
		return syscall.ENOTDIR
	case isDir && len(targetDir.live) > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err != nil {
		return pathError("remove", name, err)
	}
	switch n := dir.live[base].(type) {
	case nil:
		return pathError("remove", name, fs.ErrNotExist)
	case *dirNode:
		if len(n.live) > 0 {
			return pathError("remove", name, syscall.ENOTEMPTY)
		}
		dir.apply(dirOp{seq: m.nextOp(), name: base})
	case *fileNode:
		dir.apply(dirOp{seq: m.nextOp(), name: base})
		n.links--
		m.release(n)
	}
	return nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(name string) error {
	return mkdirAll(absolute(name), m, m.mkdir)
}

func (m *Mem) mkdir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err == nil && (base == "" || dir.live[base] != nil) {
		err = fs.ErrExist
	}
	if err != nil {
		return pathError("mkdir", name, err)
	}
	dir.apply(dirOp{seq: m.nextOp(), name: base, node: newDirNode()})
	return nil
}

// ReadDir implements FS: entries in the order of their names.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	dir, err := m.lookupDir(name)
	if err != nil {
		return nil, pathError("readdir", name, err)
	}
	entries := make([]fs.DirEntry, 0, len(dir.live))
	for base, n := range dir.live {
		entries = append(entries, fs.FileInfoToDirEntry(infoOf(base, n)))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.lookup(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return infoOf(filepath.Base(absolute(name)), n), nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, err := m.lookupDir(name)
	if err != nil {
		return pathError("syncdir", name, err)
	}
	for _, op := range dir.unsynced {
		op.applyTo(dir.durable)
	}
	dir.unsynced = nil
	return nil
}

// Lock implements FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	if dir.live[base] == nil && base != "" {
		m.link(dir, base, newFileNode(m))
	}
	file, ok := dir.live[base].(*fileNode)
	if !ok {
		return nil, pathError("lock", name, syscall.EISDIR)
	}
	if m.locks[file] {
		return nil, pathError("lock", name, ErrLocked)
	}
	m.locks[file] = true
	return &memLock{mem: m, file: file}, nil
}

// Space implements FS.
func (m *Mem) Space(name string) (Space, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, err := m.lookup(name); err != nil {
		return Space{}, pathError("statfs", name, err)
	}
	return Space{Total: uint64(max(0, m.capacity)), Free: uint64(max(0, m.capacity-m.used))}, nil
}

func (m *Mem) nextOp() uint64 {
	m.opSeq++
	return m.opSeq
}

func (m *Mem) link(dir *dirNode, base string, file *fileNode) {
	dir.apply(dirOp{seq: m.nextOp(), name: base, node: file})
	file.links++
}

// release frees the space of a file that has neither a name nor a handle.
func (m *Mem) release(file *fileNode) {
	if file.links == 0 && file.handles == 0 {
		m.used -= int64(len(file.pages)) * pageSize
		file.pages = nil
	}
}

// lookup finds a node by its path.
func (m *Mem) lookup(name string) (node, error) {
	var n node = m.root
	for part := range strings.SplitSeq(strings.TrimPrefix(absolute(name), "/"), "/") {
		if part == "" {
			continue // the root itself
		}
		dir, ok := n.(*dirNode)
		if !ok {
			return nil, syscall.ENOTDIR
		}
		if n = dir.live[part]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

func (m *Mem) lookupDir(name string) (*dirNode, error) {
	n, err := m.lookup(name)
	if err != nil {
		return nil, err
	}
	dir, ok := n.(*dirNode)
	if !ok {
		return nil, syscall.ENOTDIR
	}
	return dir, nil
}

// parent finds the directory of a path and its last element, which is empty for
// the root.
func (m *Mem) parent(name string) (*dirNode, string, error) {
	name = absolute(name)
	dir, err := m.lookupDir(filepath.Dir(name))
	if name == "/" {
		return dir, "", err
	}
	return dir, filepath.Base(name), err
}

func absolute(name string) string { return filepath.Clean("/" + name) }

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// node is a *dirNode or a *fileNode.
type node interface{ isNode() }

// dirNode is a directory: its entries as calls see them, as the disk has them,
// and the operations that lie between the two.
type dirNode struct {
	live     map[string]node
	durable  map[string]node
	unsynced []dirOp
}

func newDirNode() *dirNode {
	return &dirNode{live: map[string]node{}, durable: map[string]node{}}
}

func (*dirNode) isNode() {}

func (d *dirNode) apply(op dirOp) {
	op.applyTo(d.live)
	d.unsynced = append(d.unsynced, op)
}

func (d *dirNode) contains(other *dirNode) bool {
	if d == other {
		return true
	}
	for _, n := range d.live {
		if sub, ok := n.(*dirNode); ok && sub.contains(other) {
			return true
		}
	}
	return false
}

// dirOp is one change of one name. The two halves of a rename carry the same
// sequence number.
type dirOp struct {
	seq  uint64
	name string
	node node // nil: removed
}

func (op dirOp) applyTo(entries map[string]node) {
	if op.node == nil {
		delete(entries, op.name)
		return
	}
	entries[op.name] = op.node
}

type memLock struct {
	mem  *Mem
	file *fileNode
}

func (l *memLock) Close() error {
	l.mem.mu.Lock()
	defer l.mem.mu.Unlock()
	if l.file == nil {
		return fs.ErrClosed
	}
	delete(l.mem.locks, l.file)
	l.file = nil
	return nil
}

// memInfo is a snapshot of a node's attributes.
type memInfo struct {
	name  string
	size  int64
	mtime time.Time
	dir   bool
}

func infoOf(name string, n node) memInfo {
	file, ok := n.(*fileNode)
	if !ok {
		return memInfo{name: name, dir: true}
	}
	return memInfo{name: name, size: file.size, mtime: file.mtime}
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) ModTime() time.Time { return i.mtime }
func (i memInfo) IsDir() bool        { return i.dir }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | dirMode
	}
	return fileMode
}
