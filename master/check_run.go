package master

import (
	"context"
	"sync"
	"time"
)

// CheckState says where the last check stands.
type CheckState string

// The states of a check.
const (
	CheckNone      CheckState = "none" // there was none since the start
	CheckRunning   CheckState = "running"
	CheckDone      CheckState = "done"
	CheckCancelled CheckState = "cancelled"
	CheckFailed    CheckState = "failed" // the metadata could not be read
)

// CheckStatus is where the last check stands. Report is that of as much as was
// looked at, once it has ended.
type CheckStatus struct {
	ID       int // 1: the first since the start
	State    CheckState
	Started  time.Time
	Finished time.Time
	Progress CheckProgress
	Report   CheckReport
	Err      string // of one that has failed
}

// checker runs one check at a time, beside the requests that ask for it: it may
// take hours.
type checker struct {
	e     *Engine
	asked chan CheckOptions

	mu     sync.Mutex // guards what follows
	status CheckStatus
	cancel bool // the one that runs is to end
	end    context.CancelFunc
}

func newChecker(e *Engine) *checker {
	return &checker{e: e, asked: make(chan CheckOptions, 1), status: CheckStatus{State: CheckNone}}
}

// StartCheck begins a check in the background, as Check makes it; a *ChangeError
// where one runs.
func (e *Engine) StartCheck(opts CheckOptions) (CheckStatus, error) {
	c := e.checks
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.State == CheckRunning {
		return c.status, refuseChange("a check runs since %s", c.status.Started.Format(time.RFC3339))
	}
	c.status = CheckStatus{ID: c.status.ID + 1, State: CheckRunning, Started: e.now()}
	c.cancel = false
	c.asked <- opts // there is room: none was asked for
	return c.status, nil
}

// CheckStatus returns where the last check stands.
func (e *Engine) CheckStatus() CheckStatus {
	e.checks.mu.Lock()
	defer e.checks.mu.Unlock()
	return e.checks.status
}

// CancelCheck ends the check that runs, if one does, and returns what was found
// so far once it has ended or ctx has.
func (e *Engine) CancelCheck(ctx context.Context) CheckStatus {
	c := e.checks
	c.mu.Lock()
	c.cancel = true
	if c.end != nil {
		c.end()
	}
	c.mu.Unlock()
	for {
		st := e.CheckStatus()
		if st.State != CheckRunning {
			return st
		}
		select {
		case <-ctx.Done():
			return st
		case <-time.After(settlePoll):
		}
	}
}

// run makes the checks that are asked for until ctx ends.
func (c *checker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case opts := <-c.asked:
			c.check(ctx, opts)
		}
	}
}

func (c *checker) check(ctx context.Context, opts CheckOptions) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	c.mu.Lock()
	c.end = end
	if c.cancel {
		end()
	}
	c.mu.Unlock()
	opts.Progress = func(p CheckProgress) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.status.Progress = p
	}
	report, err := c.e.Check(ctx, opts)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = nil
	c.status.Report, c.status.Finished, c.status.State = report, c.e.now(), CheckDone
	switch {
	case ctx.Err() != nil:
		c.status.State = CheckCancelled
	case err != nil:
		c.status.State, c.status.Err = CheckFailed, err.Error()
	}
	c.e.log.Info("check of the store", "state", string(c.status.State), "findings", report.Total(), "unchecked", len(report.Unchecked),
		"took", c.status.Finished.Sub(c.status.Started), "error", c.status.Err)
}
