package master

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestVisitEnds has each of the three that end a visit do so: before anybody waits
// for it, meanwhile, and while a context that is derived from it does.
func TestVisitEnds(t *testing.T) {
	t.Parallel()
	type key struct{}
	gone := errors.New("down")
	for name, tt := range map[string]struct {
		end  func(x *visit, caller context.CancelFunc, down context.CancelCauseFunc)
		want error
	}{
		"the caller gives up":   {func(_ *visit, caller context.CancelFunc, _ context.CancelCauseFunc) { caller() }, context.Canceled},
		"the volume goes down":  {func(_ *visit, _ context.CancelFunc, down context.CancelCauseFunc) { down(gone) }, context.Canceled},
		"the call is over":      {func(x *visit, _ context.CancelFunc, _ context.CancelCauseFunc) { x.close() }, context.Canceled},
		"it is over, and again": {func(x *visit, _ context.CancelFunc, _ context.CancelCauseFunc) { x.close(); x.close() }, context.Canceled},
	} {
		for _, waits := range []string{"nobody", "one", "derived"} {
			t.Run(name+", "+waits+" waits", func(t *testing.T) {
				t.Parallel()
				caller, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
				defer cancel()
				serving, down := context.WithCancelCause(t.Context())
				defer down(nil)
				v := new(boundVolume)
				v.condition.Store(&condition{serving: serving})
				x := new(visit)
				x.begin(v, caller)
				var waited context.Context = x
				switch waits {
				case "one":
					_ = x.Done()
				case "derived":
					derived, stop := context.WithTimeout(x, time.Hour)
					defer stop()
					waited = derived
				}
				if x.Err() != nil || waited.Value(key{}) != "value" {
					t.Fatalf("it begins with %v and value %v", x.Err(), waited.Value(key{}))
				}
				tt.end(x, cancel, down)
				if waits == "nobody" && !errors.Is(x.Err(), tt.want) {
					t.Errorf("it ends with %v", x.Err())
				}
				select {
				case <-waited.Done():
				case <-time.After(10 * time.Second):
					t.Fatal("who waits for its end waits for ever")
				}
				if !errors.Is(waited.Err(), tt.want) || !errors.Is(x.Err(), tt.want) {
					t.Errorf("ended with %v and %v, want %v", waited.Err(), x.Err(), tt.want)
				}
				x.close()
			})
		}
	}
}

// TestVisitKeepsTheCallersDeadline: a client of a volume takes it for its own.
func TestVisitKeepsTheCallersDeadline(t *testing.T) {
	t.Parallel()
	v := new(boundVolume)
	v.condition.Store(&condition{serving: t.Context()})
	caller, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	x := new(visit)
	x.begin(v, caller)
	defer x.close()
	want, _ := caller.Deadline()
	if at, ok := x.Deadline(); !ok || !at.Equal(want) {
		t.Errorf("deadline %v, %v; want %v", at, ok, want)
	}
	<-x.Done()
	if !errors.Is(x.Err(), context.DeadlineExceeded) {
		t.Errorf("ended with %v", x.Err())
	}
}
