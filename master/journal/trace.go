package journal

import (
	"context"
	"slices"
	"sync"

	"tdkvs/volume"
)

// Fork is a commit of which volumes hold another than the one that is used: it belongs
// to a history that was left. Where there is one of them, it is what a master wrote
// that ended in that moment, and acknowledged nothing. More in a row were written by
// another master, beside or after the one whose history is used.
type Fork struct {
	Seq  uint64
	Name string // of the source that holds it
}

// branch is one of the commits that copies of a number hold.
type branch struct {
	sum, prev uint64
	run       uint64
	sources   []int
	reached   bool // by a history from the beginning
}

// statsAtOnce is how many blobs are asked at once what they are.
const statsAtOnce = 16

// trace finds the history that goes on from a commit: the longest, and of those the
// one whose last commit was written by the master that was started last. Copies of
// others are left out from then on, and told in Forks.
// What is used is returned, in order.
func (c *Contents) trace(ctx context.Context, after Header) ([]branch, error) {
	first := after.Seq + 1
	if c.Last < first {
		return nil, nil
	}
	rows := make([][]branch, c.Last-after.Seq)
	if err := c.branches(ctx, after, rows); err != nil {
		return nil, err
	}
	reached := map[uint64]bool{after.Sum: true}
	n := 0
	for ; n < len(rows); n++ {
		next := make(map[uint64]bool, 1)
		for i := range rows[n] {
			if b := &rows[n][i]; reached[b.prev] {
				b.reached, next[b.sum] = true, true
			}
		}
		if len(next) == 0 {
			break
		}
		reached = next
	}
	if n < len(rows) {
		c.Beyond = max(c.Beyond, c.Last)
		c.Last = after.Seq + uint64(n)
	}
	return c.choose(first, rows[:n]), nil
}

// choose keeps of each number the copies of the history that is used.
func (c *Contents) choose(first uint64, rows [][]branch) []branch {
	used := make([]branch, len(rows))
	wanted := func(b branch) bool { return b.reached }
	for i := len(rows) - 1; i >= 0; i-- {
		var best *branch
		for j := range rows[i] {
			if b := &rows[i][j]; wanted(*b) && (best == nil || b.run > best.run) {
				best = b
			}
		}
		seq := first + uint64(i)
		for j := range rows[i] {
			if b := &rows[i][j]; b != best {
				for _, s := range b.sources {
					c.Forks = append(c.Forks, Fork{seq, c.sources[s].Name})
				}
			}
		}
		at := c.found.entries[seq]
		at.sources = best.sources
		c.found.entries[seq] = at
		prev := best.prev
		wanted = func(b branch) bool { return b.reached && b.sum == prev }
		used[i] = *best
	}
	slices.Reverse(c.Forks)
	return used
}

// branches asks all copies of the commits after one what they are.
func (c *Contents) branches(ctx context.Context, after Header, rows [][]branch) error {
	var wg sync.WaitGroup
	work := make(chan int)
	for range min(statsAtOnce, len(rows)) {
		wg.Go(func() {
			for i := range work {
				rows[i] = c.branchesOf(ctx, after, after.Seq+1+uint64(i))
			}
		})
	}
	for i := range rows {
		select {
		case work <- i:
		case <-ctx.Done():
		}
	}
	close(work)
	wg.Wait()
	return ctx.Err()
}

func (c *Contents) branchesOf(ctx context.Context, after Header, seq uint64) []branch {
	var all []branch
	id := volume.MetadataID(volume.MetadataEntry, seq, 0)
	for _, i := range c.found.entries[seq].sources {
		h, err := stat(ctx, c.sources[i], id)
		if err != nil { // perhaps only what it says of itself is damaged
			h, _, err = fetch(ctx, c.sources[i], id)
		}
		if err != nil || h.Line != after.Line || h.Cluster != after.Cluster {
			continue
		}
		at := slices.IndexFunc(all, func(b branch) bool { return b.sum == h.Sum })
		if at < 0 {
			at = len(all)
			all = append(all, branch{sum: h.Sum, prev: h.Prev, run: h.Run})
		}
		all[at].sources = append(all[at].sources, i)
	}
	return all
}
