package volumehttp

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"tdkvs/volume"
)

// Damaged implements volume.Blobs. A long list takes several requests.
func (c *Client) Damaged(ctx context.Context, after uint64, limit int) ([]volume.Damage, error) {
	var found []volume.Damage
	for {
		r := &request{method: http.MethodGet, target: "/v1/damaged?after=" + strconv.FormatUint(after, 10) + "&limit=" + strconv.Itoa(limit-len(found))}
		var page damagedJSON
		if err := c.exchange(ctx, r, nil, &page); err != nil {
			return nil, err
		}
		for _, answer := range page.Damaged {
			d, err := answer.decode()
			if err != nil || d.Seq <= after {
				return nil, c.wrap(fmt.Errorf("damage %d of %q after %d: %w", d.Seq, answer.Blob, after, volume.ErrUnavailable))
			}
			found = append(found, d)
			after = d.Seq
		}
		if !page.More || len(page.Damaged) == 0 || len(found) >= limit {
			return found, nil
		}
	}
}
