package volume

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	maxFindings  = 8192      // that are remembered; beyond, the oldest go
	findingHolds = time.Hour // found again later than that, damage is reported anew
)

// findings is what verification has found bad since the store was opened: one
// entry for each blob, and for each place where it is not known which blob lies
// there.
type findings struct {
	run uint64 // random; fixed once Open has returned

	mu   sync.Mutex // guards what follows
	seq  uint64     // of the newest
	list []finding  // in order of Seq
	at   map[damagePlace]uint64
}

type finding struct {
	Damage
	place damagePlace
}

// damagePlace is what a finding is about: a blob or, where that is not known, a
// place in a file.
type damagePlace struct {
	blob   BlobID
	file   string
	offset int64
}

func placeOf(e *CorruptError) damagePlace {
	if e.Blob != (BlobID{}) {
		return damagePlace{blob: e.Blob}
	}
	return damagePlace{file: e.File, offset: e.Offset}
}

// newRun names a start of a store. Zero stands for none.
func newRun() uint64 { return max(rand.Uint64(), 1) }

// add notes damage, and reports whether it was not noted of late.
func (f *findings) add(e *CorruptError, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	place := placeOf(e)
	if seq, ok := f.at[place]; ok {
		i, _ := slices.BinarySearchFunc(f.list, seq, compareSeq)
		if age := now.Sub(f.list[i].Found); age >= 0 && age < findingHolds {
			return false
		}
		f.remove(i)
	}
	if len(f.list) == maxFindings {
		f.remove(0)
	}
	if f.at == nil {
		f.at = make(map[damagePlace]uint64)
	}
	f.seq++
	f.at[place] = f.seq
	f.list = append(f.list, finding{Damage{Seq: f.seq, Blob: e.Blob, Part: e.Part, Found: now}, place})
	return true
}

func compareSeq(f finding, seq uint64) int { return cmp.Compare(f.Seq, seq) }

// remove forgets an entry of the list.
func (f *findings) remove(i int) {
	delete(f.at, f.list[i].place)
	f.list = slices.Delete(f.list, i, i+1)
}

// page returns the oldest entries above a number, and forgets those on its way
// whose blob is gone.
func (f *findings) page(after uint64, limit int, there func(BlobID) bool) []Damage {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, found := slices.BinarySearchFunc(f.list, after, compareSeq)
	if found {
		i++
	}
	var page []Damage
	for i < len(f.list) && len(page) < limit {
		x := &f.list[i]
		if x.Blob != (BlobID{}) && !there(x.Blob) {
			f.remove(i)
			continue
		}
		page = append(page, x.Damage)
		i++
	}
	return page
}

// newest returns the number of the newest entry; 0 where there never was one.
func (f *findings) newest() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seq
}

// Damaged implements Blobs.
func (s *Store) Damaged(ctx context.Context, after uint64, limit int) ([]Damage, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list damage: %w", err)
	}
	if limit <= 0 {
		return nil, fmt.Errorf("list damage: %w: limit %d", ErrInvalid, limit)
	}
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf("list damage: %w", err)
	}
	defer s.leave()
	return s.findings.page(after, limit, func(id BlobID) bool {
		_, ok := s.index.get(id)
		return ok
	}), nil
}
