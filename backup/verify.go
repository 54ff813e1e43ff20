package backup

import (
	"context"
	"crypto/sha256"
	"fmt"
)

// Verified is what Verify has read.
type Verified struct {
	Backups  int
	Rows     uint64
	Packs    int
	Bytes    int64 // of packs
	Problems []string
}

// maxProblems is how many problems Verify describes.
const maxProblems = 100

// Verify reads everything that backups need, and checks every sum: of one backup,
// or of all in a place where id is empty. What is wrong is in Problems; the error is
// of reaching the place.
func Verify(ctx context.Context, p Place, bases []Place, id string, tell func(Verified)) (Verified, error) {
	v := &verifier{place: p, places: append([]Place{p}, bases...), tell: tell, packs: make(map[[sha256.Size]byte]map[runID]indexed)}
	err := v.run(ctx, id)
	return v.Verified, err
}

// verifier is one call of Verify.
type verifier struct {
	Verified
	place  Place
	places []Place
	tell   func(Verified)
	packs  map[[sha256.Size]byte]map[runID]indexed // whole packs, and what is in them
	broken int
}

func (v *verifier) problem(err error) {
	if v.broken++; len(v.Problems) < maxProblems {
		v.Problems = append(v.Problems, err.Error())
	} else if len(v.Problems) == maxProblems {
		v.Problems = append(v.Problems, "and more")
	}
}

func (v *verifier) run(ctx context.Context, id string) error {
	if err := openPlace(ctx, v.place); err != nil {
		return err
	}
	ids := []string{id}
	if id == "" {
		var err error
		if ids, _, err = scanBackups(ctx, v.place); err != nil {
			return err
		}
		if len(ids) == 0 {
			return fmt.Errorf("%w: none in %s was finished", ErrNoBackup, v.place)
		}
	}
	for _, id := range ids {
		if err := v.judge(ctx, v.backup(ctx, id)); err != nil {
			return err
		}
		v.Backups++
	}
	return nil
}

// judge tells what is wrong with a backup from what keeps it from being read.
func (v *verifier) judge(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if IsBad(err) {
		v.problem(err)
		return nil
	}
	return err
}

// backup verifies a backup.
func (v *verifier) backup(ctx context.Context, id string) error {
	m, err := readManifest(ctx, v.place, id)
	if err != nil {
		return err
	}
	table, err := readTable(ctx, v.place, &m)
	if err != nil {
		return err
	}
	for _, p := range table {
		if err := v.judge(ctx, v.pack(ctx, p)); err != nil {
			return err
		}
	}
	return eachRow(ctx, v.place, &m, func(r *Row) error {
		v.Rows++
		if v.Rows%100_000 == 0 {
			v.told()
		}
		return v.judge(ctx, v.row(&m, table, r))
	})
}

func (v *verifier) told() {
	if v.tell != nil {
		v.tell(v.Verified)
	}
}

// pack reads a pack, unless it was read before.
func (v *verifier) pack(ctx context.Context, p packRef) error {
	if _, ok := v.packs[p.sum]; ok {
		return nil
	}
	v.packs[p.sum] = nil
	name := packName(p.sum)
	for _, at := range v.places {
		b, err := at.Get(ctx, name, maxPack)
		if absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		index, err := checkPack(b, p.sum)
		if err != nil {
			return fmt.Errorf("%s in %s: %w", name, at, err)
		}
		runs := make(map[runID]indexed, len(index))
		for _, x := range index {
			runs[x.runID] = x
		}
		v.packs[p.sum] = runs
		v.Packs++
		v.Bytes += int64(len(b))
		v.told()
		return nil
	}
	return fmt.Errorf("%w: %s", ErrMissing, name)
}

// row compares what a row says of its bodies with what is in the packs.
func (v *verifier) row(m *Manifest, table []packRef, r *Row) error {
	for i := range r.Bodies {
		body := &r.Bodies[i]
		for n, x := range body.runs {
			if int64(x.pack) >= int64(len(table)) {
				return damaged("backup %s refers to a pack that it does not list", m.ID)
			}
			runs := v.packs[table[x.pack].sum]
			if runs == nil {
				continue // that is told already
			}
			is, ok := runs[runID{body.ID, uint32(n)}]
			if !ok || is.offset != x.offset || is.crc != x.crc || int64(is.length) != runSize(body.Size, n) {
				return damaged("row %q of backup %s is not in the pack that it names", r.Key, m.ID)
			}
		}
	}
	return nil
}
