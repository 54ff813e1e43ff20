package main

import (
	"context"
	"fmt"
	"strings"

	"tdkvs/gateway/adminapi"
)

// stuckText says why a volume can not be emptied, and what to do.
func stuckText(s adminapi.Stuck) string {
	var why []string
	if s.Damaged > 0 {
		why = append(why, counted(s.Damaged, "extent")+" on it can not be read and can not be restored: delete what \"tdkvs admin damage\" lists, or put it back from a backup")
	}
	if s.Parts > 0 {
		why = append(why, counted(s.Parts, "part")+" of uploads in progress on it can not be read: abort these uploads")
	}
	if s.Short > 0 {
		why = append(why, counted(s.Short, "extent")+" would have too few volumes without it: add a volume, or keep fewer copies")
	}
	return fmt.Sprintf("volume %d can not be emptied: %s", s.Volume, strings.Join(why, "; "))
}

// stuck returns why a volume that is being deleted has not left; nil where the
// store does not say.
func (a *adminSession) stuck(ctx context.Context, number uint32) error {
	r, err := a.rebalance(ctx)
	if err != nil {
		return err
	}
	for _, s := range r.Stuck {
		if s.Volume == number {
			return fmt.Errorf("%s. It is tried again every 10 minutes, and at once by another \"volume delete\"; \"volume cancel\" lets it stay", stuckText(s))
		}
	}
	return nil
}
