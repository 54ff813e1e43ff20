package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Reader reads one backup.
type Reader struct {
	manifest Manifest
	scan     *rowScan
	table    []packRef
	where    []Place // of each pack of table
	blocks   *blocks
}

// Open opens a backup of a place; the newest one where id is empty. Packs that
// are not in the place are looked for in those of the bases. Nothing is missing when
// it succeeds, though what is there may be damaged.
func Open(ctx context.Context, p Place, bases []Place, id string) (*Reader, error) {
	m, err := pick(ctx, p, id)
	if err != nil {
		return nil, err
	}
	for _, base := range bases {
		if err := openPlace(ctx, base); err != nil {
			return nil, fmt.Errorf("base: %w", err)
		}
	}
	r := &Reader{manifest: m, blocks: newBlocks()}
	if r.table, err = readTable(ctx, p, &m); err != nil {
		return nil, err
	}
	if err := r.find(ctx, append([]Place{p}, bases...)); err != nil {
		return nil, err
	}
	r.scan, err = newRowScan(p, &m)
	return r, err
}

// find finds each pack.
func (r *Reader) find(ctx context.Context, places []Place) error {
	r.where = make([]Place, len(r.table))
	wanted := make(map[[sha256.Size]byte]int, len(r.table))
	for i, p := range r.table {
		wanted[p.sum] = i
	}
	for _, p := range places {
		err := p.List(ctx, "packs/", func(e Entry) error {
			sum, ok := parsePackName(e.Name)
			if i, is := wanted[sum]; ok && is && e.Size == int64(r.table[i].size) {
				r.where[i] = p
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	var missing []string
	for i, p := range r.where {
		if p == nil {
			missing = append(missing, packName(r.table[i].sum))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	hint := ""
	if r.manifest.Base != "" {
		hint = fmt.Sprintf(". It is an increment over backup %s: name all files back to the full one as bases", r.manifest.Base)
	}
	return fmt.Errorf("%w: %d of the %d packs of backup %s, such as %s%s", ErrMissing, len(missing), len(r.table), r.manifest.ID, missing[0], hint)
}

// Manifest is what the backup says of itself.
func (r *Reader) Manifest() Manifest { return r.manifest }

// Next returns the next row, which is the caller's; io.EOF behind the last.
func (r *Reader) Next(ctx context.Context) (Row, error) {
	row, more, err := r.scan.next(ctx)
	if err != nil {
		return row, err
	}
	if !more {
		return row, io.EOF
	}
	for i := range row.Bodies {
		for _, x := range row.Bodies[i].runs {
			if int64(x.pack) >= int64(len(r.table)) {
				return row, damaged("backup %s refers to a pack that it does not list", r.manifest.ID)
			}
		}
	}
	return row, nil
}

// Body reads a body of a row. It gives right bytes or an error.
func (r *Reader) Body(ctx context.Context, b Body) io.ReadCloser {
	return &bodyReader{ctx: ctx, of: r, body: b}
}

// bodyReader reads a body run by run.
type bodyReader struct {
	ctx  context.Context
	of   *Reader
	body Body
	next int
	left []byte
	err  error
}

func (b *bodyReader) Read(p []byte) (int, error) {
	for len(b.left) == 0 && b.err == nil {
		if b.next == len(b.body.runs) {
			return 0, io.EOF
		}
		b.left, b.err = b.of.run(b.ctx, b.body, b.next)
		b.next++
	}
	if b.err != nil {
		return 0, b.err
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

func (b *bodyReader) Close() error {
	b.err = io.ErrClosedPipe
	return nil
}

// run reads a run.
func (r *Reader) run(ctx context.Context, b Body, n int) ([]byte, error) {
	x, length := b.runs[n], runSize(b.Size, n)
	pack := r.table[x.pack]
	if int64(x.offset)+length > int64(pack.size) {
		return nil, damaged("a run is outside of pack %x", pack.sum[:8])
	}
	content, err := r.blocks.read(ctx, blockSource{r.where[x.pack], pack}, int64(x.offset), length)
	if err != nil {
		return nil, fmt.Errorf("pack %x in %s: %w", pack.sum[:8], r.where[x.pack], err)
	}
	if castagnoli(content) != x.crc {
		return nil, damaged("bytes %d to %d of %s in %s are not those that were written", x.offset, int64(x.offset)+length, packName(pack.sum), r.where[x.pack])
	}
	return content, nil
}

// blocks reads packs in blocks of 4 MiB, and keeps the last 12 of them: the bodies
// of neighbouring rows are neighbours in a pack.
type blocks struct {
	mu     sync.Mutex
	recent []*block // the last used last
}

const (
	blockLen    = 4 << 20
	blocksKept  = 12
	blockBypass = 1 << 20 // runs from this length on are read by themselves
)

// blockSource is a pack in its place.
type blockSource struct {
	place Place
	packRef
}

type block struct {
	sum  [sha256.Size]byte
	at   int64
	once sync.Once
	b    []byte
	err  error
}

func newBlocks() *blocks { return &blocks{} }

// read returns bytes of a pack. They must not be changed.
func (k *blocks) read(ctx context.Context, from blockSource, offset, length int64) ([]byte, error) {
	if length >= blockBypass {
		return from.place.GetRange(ctx, packName(from.sum), offset, length)
	}
	first := offset / blockLen * blockLen
	b, err := k.block(ctx, from, first)
	if err != nil {
		return nil, err
	}
	if end := offset + length - first; end <= int64(len(b)) {
		return b[offset-first : end], nil
	}
	next, err := k.block(ctx, from, first+blockLen)
	if err != nil {
		return nil, err
	}
	both := bytes.Join([][]byte{b[offset-first:], next[:offset+length-first-blockLen]}, nil)
	return both, nil
}

// block returns a block, or what there is of it at the end of the pack.
func (k *blocks) block(ctx context.Context, from blockSource, at int64) ([]byte, error) {
	x := k.take(from.sum, at)
	x.once.Do(func() {
		x.b, x.err = from.place.GetRange(ctx, packName(from.sum), at, min(blockLen, int64(from.size)-at))
	})
	if x.err != nil {
		k.forget(x)
	}
	return x.b, x.err
}

// take returns the entry of a block and makes it the last used.
func (k *blocks) take(sum [sha256.Size]byte, at int64) *block {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, x := range k.recent {
		if x.sum == sum && x.at == at {
			k.recent = append(append(k.recent[:i:i], k.recent[i+1:]...), x)
			return x
		}
	}
	x := &block{sum: sum, at: at}
	if len(k.recent) == blocksKept {
		k.recent = k.recent[1:]
	}
	k.recent = append(k.recent, x)
	return x
}

// forget drops a block that could not be read, so that it can be tried again.
func (k *blocks) forget(x *block) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.recent {
		if k.recent[i] == x {
			k.recent = append(k.recent[:i:i], k.recent[i+1:]...)
			return
		}
	}
}

// IsBad reports that an error is one of the backup itself, not of reaching it.
func IsBad(err error) bool {
	for _, kind := range []error{ErrDamaged, ErrMissing, ErrNewer, ErrNoBackup, ErrNotBackup} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
