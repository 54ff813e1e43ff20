package volumehttp

import (
	"context"
	"errors"
	"time"
)

var errSilence = errors.New("no sign of life from the volume")

// watch cancels a call when the server, at its turn, is silent for too long.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func newWatch(parent context.Context) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(parent)
	w := &watch{ctx: ctx, cancel: cancel}
	w.timer = time.AfterFunc(time.Hour, func() { cancel(errSilence) })
	w.timer.Stop()
	return ctx, w
}

// arm starts to wait for the server, disarm stops.
func (w *watch) arm(limit time.Duration) { w.timer.Reset(limit) }
func (w *watch) disarm()                 { w.timer.Stop() }

func (w *watch) expired() bool { return errors.Is(context.Cause(w.ctx), errSilence) }

// stop ends the call, whatever it is doing.
func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
