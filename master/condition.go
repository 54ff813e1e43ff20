package master

import (
	"context"
	"fmt"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// condition is how a volume was found, at the latest. It is immutable; the prober
// puts another in its place.
type condition struct {
	// down is why nothing is asked of the volume, ErrUnavailable and the reason; nil:
	// it is up, and has said that it is the volume expected.
	down  error
	since time.Time // when it came to be up, or down
	// status is what it said when it last answered.
	status volume.Status

	// serving ends when the volume goes down, and whatever is asked of it with it.
	serving context.Context
	ended   context.CancelCauseFunc
}

func newCondition(now time.Time, status volume.Status) *condition {
	c := &condition{since: now, status: status}
	c.serving, c.ended = context.WithCancelCause(context.Background())
	return c
}

// tookDown is the condition of a volume that was as c says, and went down.
func (c *condition) tookDown(now time.Time, why error) *condition {
	return &condition{down: why, since: now, status: c.status, serving: c.serving, ended: c.ended}
}

// saying is c with what the volume says by now.
func (c *condition) saying(status volume.Status) *condition {
	other := *c
	other.status = status
	return &other
}

// takesWrites reports whether the volume would take new blobs.
func (c *condition) takesWrites() bool {
	return c.down == nil && !c.status.Full && c.status.ReadOnly == ""
}

// downError says that a volume is not asked, and why.
func (v *boundVolume) downError(why error) error {
	return fmt.Errorf("%w: volume %d at %s is down: %w", volume.ErrUnavailable, v.Number, v.Name, why)
}

// usable reports whether new blobs should be written to a volume: it is up, not
// full and not read-only, and a member of the cluster. Volumes that are being
// drained are usable; placement leaves them out.
func (e *Engine) usable(number meta.VolumeID) bool {
	v, ok := e.layouts.now().volumes[number]
	return ok && v.condition.Load().takesWrites()
}

// readable reports whether a volume is up: asking for its blobs makes sense.
func (e *Engine) readable(number meta.VolumeID) bool {
	v, ok := e.layouts.now().volumes[number]
	return ok && v.condition.Load().down == nil
}

// latency is how long a volume takes of late until the first byte of a blob is
// there; 0 while nothing is known.
func (e *Engine) latency(number meta.VolumeID) time.Duration {
	v, ok := e.layouts.now().volumes[number]
	if !ok {
		return 0
	}
	return time.Duration(v.latency.Load())
}

// atLeast notes that a volume had not answered when it was no longer waited for: it
// takes that long, if not longer.
func (e *Engine) atLeast(number meta.VolumeID, d time.Duration) {
	if v, ok := e.layouts.now().volumes[number]; ok && int64(d) > v.latency.Load() {
		v.took(d)
	}
}
