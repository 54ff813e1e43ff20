package master

import (
	"context"
	"errors"
	"sync"
	"time"

	"tdkvs/volume"
)

// visit is one call to a volume, and the context of that call: it ends with the
// caller's, with the call, and when the volume goes down. A volume in the same
// process only looks whether it has ended; what it takes to wait for that is made
// for those who do.
type visit struct {
	v      *boundVolume
	caller context.Context // as it came
	at     *condition      // when it began

	mu     sync.Mutex // guards the fields below
	over   bool
	joined context.Context // ends when any of the three does; nil: nobody waits for that
	leave  func() bool
	cancel context.CancelFunc
}

var _ context.Context = (*visit)(nil)

// begin begins the call. It must be closed.
func (x *visit) begin(v *boundVolume, ctx context.Context) {
	x.v, x.caller, x.at = v, ctx, v.condition.Load()
}

// close ends the context of the call.
func (x *visit) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	if x.joined != nil {
		x.leave()
		x.cancel()
	}
}

// end ends the call, which err came of.
func (x *visit) end(err error) error {
	x.close()
	return x.outcome(err)
}

// Deadline implements context.Context.
func (x *visit) Deadline() (time.Time, bool) { return x.caller.Deadline() }

// Done implements context.Context.
func (x *visit) Done() <-chan struct{} { return x.join().Done() }

// join makes what there is to wait for.
func (x *visit) join() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.joined == nil {
		x.joined, x.cancel = context.WithCancel(x.caller)
		x.leave = context.AfterFunc(x.at.serving, x.cancel)
		if x.over {
			x.leave()
			x.cancel()
		}
	}
	return x.joined
}

// Err implements context.Context.
func (x *visit) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.joined != nil:
		return x.joined.Err()
	case x.caller.Err() != nil:
		return x.caller.Err()
	case x.over || x.at.serving.Err() != nil:
		return context.Canceled
	}
	return nil
}

// Value implements context.Context. What is derived from a visit finds what it
// waits for among its values.
func (x *visit) Value(key any) any {
	x.mu.Lock()
	from := x.joined
	x.mu.Unlock()
	if from == nil {
		from = x.caller
	}
	return from.Value(key)
}

// outcome notes what an error, or none, says of the volume, and returns it as the
// caller should see it.
func (x *visit) outcome(err error) error {
	if err == nil {
		x.v.served()
		return nil
	}
	x.v.meter.fault(err)
	switch {
	case x.at.serving.Err() != nil && x.caller.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, volume.ErrUnavailable)):
		return context.Cause(x.at.serving)
	case ofTheVolume(err):
		x.v.failed(err)
	case errors.Is(err, volume.ErrNoSpace), errors.Is(err, volume.ErrReadOnly):
		x.v.served()
		x.v.ask() // what it says of itself has changed
	case ofTheBlob(err) && !errors.Is(err, context.Canceled):
		x.v.served()
	}
	return err
}
