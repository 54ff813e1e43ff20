package erasure

import "fmt"

// Restore computes the wanted shards of a body of size bytes from others, which
// it opens whole, and hands on their units stripe by stripe, in the order of
// wanted. The units are valid until put returns. It needs any Data shards that
// are not wanted.
func (c *Coder) Restore(size int64, wanted []int, open Open, put func(units [][]byte) error) error {
	r := c.NewReader(size, 0, size, open)
	defer func() { _ = r.Close() }() // all was read, or an error is on its way
	required := make([]bool, c.Shards())
	for _, i := range wanted {
		if i < 0 || i >= c.Shards() {
			return fmt.Errorf("%w %s: it has no shard %d", ErrScheme, c.Scheme, i)
		}
		required[i], r.shards[i].broken = true, true
	}
	buf := make([]byte, c.Shards()*Unit)
	for number := int64(0); number*c.stripe() < size; number++ {
		u := c.unit(min(c.stripe(), size-number*c.stripe()))
		units := make([][]byte, c.Shards())
		have := 0
		for i := range units {
			units[i] = buf[int64(i)*u : int64(i+1)*u : int64(i+1)*u]
			if have < c.Data && r.readUnit(i, number, units[i]) {
				have++
			} else {
				units[i] = units[i][:0]
			}
		}
		if have < c.Data {
			return fmt.Errorf("%w: %d of %d, %s needs %d: %w", ErrTooFewShards, have, len(units), c.Scheme, c.Data, r.failed)
		}
		if err := c.code.ReconstructSome(units, required); err != nil {
			return fmt.Errorf("erasure code %s: %w", c.Scheme, err)
		}
		out := make([][]byte, len(wanted))
		for j, i := range wanted {
			out[j] = units[i]
		}
		if err := put(out); err != nil {
			return err
		}
	}
	return nil
}
