package backup

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// Pruned is what Prune has removed.
type Pruned struct {
	Kept, Removed []string // ids of backups
	Packs         int      // that nothing refers to any more
	Bytes         int64    // of these
}

// Prune keeps the newest backups of each store, and removes the others, what
// nothing refers to any more, and what backups have left that were cut short.
func Prune(ctx context.Context, p Place, keep int) (Pruned, error) {
	var done Pruned
	keeper, ok := p.(Keeper)
	if !ok {
		return done, fmt.Errorf("%s holds one backup: remove the file itself", p)
	}
	if err := openPlace(ctx, p); err != nil {
		return done, err
	}
	unlock, err := lock(ctx, p, lockPrune, newBackupID(time.Now()))
	if err != nil {
		return done, err
	}
	err = prune(ctx, keeper, keep, &done)
	if unlocking := unlock(); err == nil {
		err = unlocking
	}
	return done, err
}

func prune(ctx context.Context, p Keeper, keep int, done *Pruned) error {
	all, bad, err := List(ctx, p)
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("nothing is removed: it could be what this one needs: %w", bad[0])
	}
	if err != nil {
		return err
	}
	used := make(map[[sha256.Size]byte]bool)
	kept := make(map[string]int) // by store
	for i := len(all) - 1; i >= 0; i-- {
		m := &all[i]
		if kept[m.Cluster]++; kept[m.Cluster] > keep {
			done.Removed = append(done.Removed, m.ID)
			continue
		}
		done.Kept = append(done.Kept, m.ID)
		table, err := readTable(ctx, p, m)
		if err != nil {
			return err
		}
		for _, pack := range table {
			used[pack.sum] = true
		}
	}
	for _, id := range done.Removed { // without its manifest it does not count any more
		if err := p.Delete(ctx, backupFile(id, manifestFile)); err != nil {
			return err
		}
	}
	_, rest, err := scanBackups(ctx, p)
	if err != nil {
		return err
	}
	for _, name := range rest {
		if err := p.Delete(ctx, name); err != nil {
			return err
		}
	}
	return prunePacks(ctx, p, used, done)
}

// prunePacks removes the packs that nothing refers to.
func prunePacks(ctx context.Context, p Keeper, used map[[sha256.Size]byte]bool, done *Pruned) error {
	var unused []Entry
	err := p.List(ctx, "packs/", func(e Entry) error {
		if sum, ok := parsePackName(e.Name); ok && !used[sum] {
			unused = append(unused, e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range unused {
		if err := p.Delete(ctx, e.Name); err != nil {
			return err
		}
		done.Packs++
		done.Bytes += e.Size
	}
	return nil
}
