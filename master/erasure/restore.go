package erasure

import (
	"context"
	"fmt"
)

// Restore computes the wanted shards of a body of size bytes from others, which
// it opens whole, and hands on their units stripe by stripe, in the order of
// wanted. The units are valid until put returns. It needs any Data shards that
// are not wanted. An error of put is returned as it is.
func (c *Coder) Restore(ctx context.Context, size int64, wanted []int, open Open, put func(units [][]byte) error) error {
	r := c.NewReader(ctx, size, 0, size, open, Patience{})
	defer func() { _ = r.Close() }() // all was read, or an error is on its way
	r.shards.until = func(int, int64) int64 { return (size + c.stripe() - 1) / c.stripe() }
	for _, i := range wanted {
		if i < 0 || i >= c.Shards() {
			return fmt.Errorf("%w %s: it has no shard %d", ErrScheme, c.Scheme, i)
		}
		r.required[i], r.shards.shards[i].banned = true, true
	}
	out := make([][]byte, len(wanted))
	for number := int64(0); number*c.stripe() < size; number++ {
		if err := r.shards.gather(stripe{number: number, first: 0, last: -1}); err != nil {
			return err
		}
		units, err := r.shards.restore(number, r.required)
		if err != nil {
			return err
		}
		for j, i := range wanted {
			out[j] = units[i]
		}
		if err := put(out); err != nil {
			return err
		}
	}
	return nil
}
