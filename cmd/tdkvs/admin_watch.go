package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"tdkvs/gateway/adminapi"
)

// rebalanceText is where the rebalance stands, in a line.
func rebalanceText(r adminapi.Rebalance) string {
	done := fmt.Sprintf("%s pieces (%s) moved", grouped(r.Moved), humanInt(r.MovedBytes))
	if r.Failed > 0 {
		done += fmt.Sprintf(", %s attempts failed", grouped(r.Failed))
	}
	if r.Short > 0 {
		done += ", too few volumes for " + counted(r.Short, "extent")
	}
	for _, s := range r.Stuck {
		done += fmt.Sprintf(", volume %d can not be emptied", s.Volume)
	}
	switch {
	case !r.Active && r.Epoch == 0:
		return "nothing to do"
	case !r.Active:
		return "done: " + done
	case r.Paused:
		return "paused: " + done
	case r.Retry != nil:
		return fmt.Sprintf("pass %d begins at %s, after failures: %s", r.Pass, moment(*r.Retry), done)
	case r.Pass > 1:
		return fmt.Sprintf("pass %d, looking for what is left: %s of about %s scanned, %s", r.Pass, grouped(r.Scanned), grouped(max(r.Expected, r.Scanned)), done)
	}
	return fmt.Sprintf("%s of about %s scanned, %s", grouped(r.Scanned), grouped(max(r.Expected, r.Scanned)), done)
}

// progress turns what the store says, time after time, into pace and time left.
type progress struct {
	at      time.Time
	changed time.Time // when something was done the last time
	last    adminapi.Rebalance
	bytes   float64 // per second, smoothed
	scanned float64 // per second, smoothed
}

// smoothing is the weight of the newest measurement.
const smoothing = 0.3

// observe takes the next state.
func (p *progress) observe(r adminapi.Rebalance, now time.Time) {
	took := now.Sub(p.at).Seconds()
	same := !p.at.IsZero() && r.Pass == p.last.Pass && r.Epoch == p.last.Epoch && r.Scanned >= p.last.Scanned
	if same && took > 0 {
		p.bytes = blend(p.bytes, float64(r.MovedBytes-min(p.last.MovedBytes, r.MovedBytes))/took)
		p.scanned = blend(p.scanned, float64(r.Scanned-p.last.Scanned)/took)
	}
	if p.at.IsZero() || r.Active || r.Repairs != p.last.Repairs || r.Repaired != p.last.Repaired || r.Moved != p.last.Moved {
		p.changed = now
	}
	p.at, p.last = now, r
}

// ended reports that everything is done.
func (p *progress) ended() bool { return !p.last.Active && p.last.Repairs == 0 }

// repairPatience is how long repairs alone may be left without one of them being
// made: longer than the store leaves one that has failed.
const repairPatience = 6 * time.Minute

// stalled reports that only repairs are left, and none could be made for long.
func (p *progress) stalled() error {
	if p.last.Active || p.at.Sub(p.changed) < repairPatience {
		return nil
	}
	return fmt.Errorf("%s wait for their repair, and none could be made in %v; they are tried again by themselves, and \"tdkvs admin status\" shows what is down",
		most(p.last.Repairs, "extent"), repairPatience)
}

func blend(old, newest float64) float64 {
	if old == 0 {
		return newest
	}
	return (1-smoothing)*old + smoothing*newest
}

// left estimates the time to the end of the first pass, in which nearly all is
// moved; 0 where that can not be told.
func (p *progress) left() time.Duration {
	r := p.last
	if !r.Active || r.Paused || r.Pass != 1 || p.scanned <= 0 || r.Expected <= r.Scanned {
		return 0
	}
	seconds := float64(r.Expected-r.Scanned) / p.scanned
	return time.Duration(min(seconds, 1e7) * float64(time.Second)).Round(time.Second)
}

func (p *progress) String() string {
	text := rebalanceText(p.last)
	if p.last.Repairs > 0 {
		text += ", " + most(p.last.Repairs, "extent") + " to be repaired"
	}
	if p.last.Active && p.last.LastError != "" {
		text += ", the last failure: " + printable(p.last.LastError)
	}
	if !p.last.Active || p.last.Paused || p.last.Retry != nil {
		return text
	}
	text += ", " + human(p.bytes) + "/s"
	if left := p.left(); left > 0 {
		text += ", about " + left.String() + " left"
	}
	return text
}

// part is how much of the rebalance is done, from 0 to 1. In the first pass nearly
// all is moved; those behind look for what is left.
func (p *progress) part() float64 {
	switch r := p.last; {
	case p.ended():
		return 1
	case !r.Active, r.Pass > 1:
		return 0.99
	default:
		return min(0.99, float64(r.Scanned)/float64(max(1, r.Expected)))
	}
}

// watchRebalance shows how far the rebalance is until it has ended, and nothing is
// left to be repaired: to people a
// bar on a terminal and a line elsewhere, to programs a document in a line, for
// each look that finds something new.
func (a *adminSession) watchRebalance(ctx context.Context) error {
	var p progress
	shown := ""
	if a.drawsBar() {
		defer func() { printLine(a.stdout, "") }() // leave the line of the bar
	}
	var answered time.Time // the last time; one that never has is not waited for
	for {
		r, err := a.rebalance(ctx)
		switch {
		case err == nil:
			answered = time.Now()
			p.observe(r, answered)
			if shown, err = a.showProgress(&p, shown); err != nil || p.ended() {
				return err
			}
			if err := p.stalled(); err != nil {
				return err
			}
		case ctx.Err() == nil && (final(err) || time.Since(answered) > watchPatience):
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("no longer watching: the rebalance goes on")
		case <-time.After(a.interval):
		}
	}
}

// watchPatience is how long a store that is watched may not answer: it may be
// starting again, and what is watched goes on then.
const watchPatience = 30 * time.Second

// final reports that asking again would bring the same answer.
func final(err error) bool {
	var answered *answeredError
	return errors.As(err, &answered) && answered.status < http.StatusInternalServerError
}

func (a *adminSession) rebalance(ctx context.Context) (adminapi.Rebalance, error) {
	var r adminapi.Rebalance
	err := a.client.call(ctx, http.MethodGet, "/rebalance", nil, nil, &r)
	return r, err
}

// showProgress prints a line that says something new, and returns it.
func (a *adminSession) showProgress(p *progress, shown string) (string, error) {
	line := p.String()
	if a.output == "json" {
		b, err := json.Marshal(p.last)
		if err != nil {
			return shown, err
		}
		line = string(b)
	}
	if line == shown {
		return shown, nil
	}
	if a.drawsBar() {
		_, err := io.WriteString(a.stdout, barLine(p.part(), line))
		return line, err
	}
	_, err := fmt.Fprintln(a.stdout, line)
	return line, err
}

// drawsBar reports whether a bar can be drawn over and over.
func (a *adminSession) drawsBar() bool { return a.output == "table" && isTerminal(a.stdout) }
