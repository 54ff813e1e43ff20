package backup

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
)

// place of a run, in a pack of known.packs.
type spot struct {
	pack   uint32
	offset uint32
	length uint32
	crc    uint32
}

// pending is the pack of a run that is being fetched.
const pending = 1<<32 - 1

// known is what a place has already. It takes about 60 bytes of memory for each
// run, and so for each small body.
type known struct {
	packs   []packRef
	byName  map[[sha256.Size]byte]uint32
	mu      sync.Mutex // guards runs while bodies are fetched
	runs    map[runID]spot
	present map[[sha256.Size]byte]int64 // sizes of the packs that are there
}

func newKnown() *known {
	return &known{byName: make(map[[sha256.Size]byte]uint32), runs: make(map[runID]spot), present: make(map[[sha256.Size]byte]int64)}
}

// pack returns the number of a pack.
func (k *known) pack(sum [sha256.Size]byte, size uint32) uint32 {
	n, ok := k.byName[sum]
	if !ok {
		n = uint32(len(k.packs))
		k.byName[sum] = n
		k.packs = append(k.packs, packRef{sum: sum, size: size})
	}
	return n
}

// claim marks a run as one that is being fetched; false where it is there, or is
// marked already.
func (k *known) claim(id runID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.runs[id]
	if !ok {
		k.runs[id] = spot{pack: pending}
	}
	return !ok
}

func (k *known) put(id runID, at spot) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.runs[id] = at
}

// list notes the packs that are there.
func (k *known) list(ctx context.Context, p Place) error {
	err := p.List(ctx, "packs/", func(e Entry) error {
		if sum, ok := parsePackName(e.Name); ok {
			k.present[sum] = e.Size
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	return nil
}

// learn takes in where a backup has its runs. Of packs that are not there any
// more, or not whole, nothing is known: what was in them is written anew.
func (k *known) learn(ctx context.Context, p Place, m *Manifest, usable func(packRef) bool) error {
	table, err := readTable(ctx, p, m)
	if err != nil {
		return err
	}
	return eachRow(ctx, p, m, func(r *Row) error {
		for i := range r.Bodies {
			body := &r.Bodies[i]
			for n, x := range body.runs {
				if int64(x.pack) >= int64(len(table)) {
					return damaged("backup %s refers to a pack that it does not list", m.ID)
				}
				if pack := table[x.pack]; usable(pack) {
					k.runs[runID{body.ID, uint32(n)}] = spot{k.pack(pack.sum, pack.size), x.offset, uint32(runSize(body.Size, n)), x.crc}
				}
			}
		}
		return nil
	})
}

// whole reports whether a pack is there, with the size that it should have.
func (k *known) whole(p packRef) bool { return k.present[p.sum] == int64(p.size) }

// adopt takes in the packs that no backup refers to: those of a backup that was
// cut short.
func (k *known) adopt(ctx context.Context, p Place, listed map[[sha256.Size]byte]bool) (packs int, err error) {
	for sum, size := range k.present {
		if listed[sum] {
			continue
		}
		index, err := readPackIndex(ctx, p, packName(sum), size)
		if err != nil {
			if ctx.Err() != nil {
				return packs, err
			}
			continue // it is no whole pack: nobody relies on it
		}
		packs++
		n := k.pack(sum, uint32(size))
		for _, x := range index {
			if _, ok := k.runs[x.runID]; !ok {
				k.runs[x.runID] = spot{n, x.offset, x.length, x.crc}
			}
		}
	}
	return packs, nil
}

// readPackIndex reads the index of a pack, without the rest.
func readPackIndex(ctx context.Context, p Place, name string, size int64) ([]indexed, error) {
	if size < packHeader+trailerLen || size > maxPack {
		return nil, damaged("a pack of %d bytes", size)
	}
	end, err := p.GetRange(ctx, name, size-trailerLen, trailerLen)
	if err != nil {
		return nil, err
	}
	t, err := readTrailer(end, size)
	if err != nil {
		return nil, err
	}
	b, err := p.GetRange(ctx, name, int64(t.index), int64(t.runs)*indexRowLen)
	if err != nil {
		return nil, err
	}
	return readIndex(b, t)
}
