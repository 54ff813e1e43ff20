package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tdkvs/gateway/adminapi"
)

// adminFsck checks the store and waits for the end. A store that is not whole is
// a failure.
func adminFsck(ctx context.Context, a *adminSession) error {
	start := adminapi.CheckStart{Deep: a.deep}
	if err := a.repair.fill(&start, "admin fsck"); err != nil {
		return err
	}
	if a.given["rate"] {
		rate, err := parseRate(a.rate)
		if err != nil {
			return misusef("admin fsck: flag -rate: %v", err)
		}
		start.BytesPerSecond = &rate
	}
	var c adminapi.Check
	if err := a.client.call(ctx, http.MethodPost, "/check", nil, start, &c); err != nil {
		return err
	}
	err := a.awaitCheck(ctx, c)
	var found *notClean
	if start.Repair != adminapi.CheckApply || !a.watch || !errors.As(err, &found) {
		return err
	}
	return a.checkAgain(ctx, adminapi.CheckStart{Deep: start.Deep, BytesPerSecond: start.BytesPerSecond})
}

// checkAgain waits until what was begun to be repaired is, and looks what is left.
func (a *adminSession) checkAgain(ctx context.Context, start adminapi.CheckStart) error {
	if err := a.watchRebalance(ctx); err != nil {
		return err
	}
	var c adminapi.Check
	if err := a.client.call(ctx, http.MethodPost, "/check", nil, start, &c); err != nil {
		return err
	}
	return a.awaitCheck(ctx, c)
}

// adminFsckStatus shows the last check; with -watch, once it has ended.
func adminFsckStatus(ctx context.Context, a *adminSession) error {
	c, err := a.lastCheck(ctx, http.MethodGet)
	if err != nil {
		return err
	}
	if a.watch {
		return a.awaitCheck(ctx, c)
	}
	return a.printCheck(c)
}

func adminFsckCancel(ctx context.Context, a *adminSession) error {
	c, err := a.lastCheck(ctx, http.MethodDelete)
	if err != nil {
		return err
	}
	return a.print(c, func(w io.Writer) { checkTable(w, c) })
}

func (a *adminSession) lastCheck(ctx context.Context, method string) (c adminapi.Check, err error) {
	err = a.client.call(ctx, method, "/check", nil, nil, &c)
	return c, err
}

// awaitCheck waits for a check to end, and prints its report. The check does not
// survive the master: one of another start is not the one that was begun.
func (a *adminSession) awaitCheck(ctx context.Context, begun adminapi.Check) error {
	c, shown := begun, ""
	answered := time.Now()
	for c.State == adminapi.CheckRunning {
		if line := checkProgressText(c); a.watch && a.output != "json" && line != shown {
			if _, err := fmt.Fprintln(a.stdout, line); err != nil {
				return err
			}
			shown = line
		}
		select {
		case <-ctx.Done():
			return errors.New("no longer watching: the check goes on; \"tdkvs admin fsck status\" shows it, \"fsck cancel\" ends it")
		case <-time.After(a.interval):
		}
		next, err := a.lastCheck(ctx, http.MethodGet)
		switch {
		case err == nil:
			c, answered = next, time.Now()
		case ctx.Err() == nil && (final(err) || time.Since(answered) > watchPatience):
			return err
		}
		if c.ID != begun.ID || c.Started == nil || begun.Started != nil && !c.Started.Equal(*begun.Started) {
			return errors.New("the check was cut short: the master has started anew")
		}
	}
	return a.printCheck(c)
}

// printCheck prints a check; one that is not clean is an error.
func (a *adminSession) printCheck(c adminapi.Check) error {
	err := a.print(c, func(w io.Writer) {
		checkTable(w, c)
		repairHint(w, c.Report, "tdkvs admin fsck", "It goes on by itself: \"tdkvs admin rebalance status -watch\" shows how far it is. Then run fsck again.")
	})
	if err != nil {
		return err
	}
	return checkResult(c)
}

// notClean is the error of a check that has findings.
type notClean struct{ findings uint64 }

func (n *notClean) Error() string {
	return fmt.Sprintf("the store is not as it should be: %s findings", grouped(n.findings))
}

// checkResult is what a check that has ended comes to: nil where all was looked at
// and is as it should be.
func checkResult(c adminapi.Check) error {
	switch {
	case c.State == adminapi.CheckFailed:
		return errors.New("the check has failed: " + c.Error)
	case c.State == adminapi.CheckCancelled:
		return errors.New("the check was cancelled")
	case c.Report == nil || c.Report.Clean:
		return nil
	}
	var n uint64
	for _, t := range c.Report.Findings {
		n += t.Count
	}
	if n == 0 {
		return errors.New("the check is not complete: see what is unchecked")
	}
	return &notClean{n}
}

func checkProgressText(c adminapi.Check) string {
	p := c.Progress
	if p == nil {
		return "starting"
	}
	text := fmt.Sprintf("%s: %s of about %s rows, %s of about %s blobs", p.Part, grouped(p.Rows), grouped(max(p.ExpectedRows, p.Rows)),
		grouped(p.Blobs), grouped(max(p.ExpectedBlobs, p.Blobs)))
	if p.Verified > 0 {
		text += fmt.Sprintf(", %s read", humanInt(p.Verified))
	}
	return text + fmt.Sprintf(", %s findings", grouped(p.Findings))
}

// checkTable writes a check for people.
func checkTable(w io.Writer, c adminapi.Check) {
	rows := []string{row("check", c.State)}
	if c.Started != nil {
		rows = append(rows, row("started", moment(*c.Started)))
	}
	if c.Finished != nil {
		rows = append(rows, row("finished", moment(*c.Finished)))
	}
	r := c.Report
	if r == nil {
		if c.Progress != nil {
			rows = append(rows, row("progress", checkProgressText(c)))
		}
		columns(w, rows...)
		return
	}
	result := "clean"
	if !r.Clean {
		result = "not clean"
	}
	rows = append(rows,
		row("result", result),
		row("looked at", fmt.Sprintf("%s versions and parts, %s pieces; %s blobs (%s)", grouped(r.Rows), grouped(r.Pieces), grouped(r.Blobs), humanInt(r.Bytes))),
		row("waiting", fmt.Sprintf("%s entries of garbage, %s repairs", grouped(r.Garbage), grouped(r.Repairs))))
	if r.Deep {
		rows = append(rows, row("read", humanInt(r.Verified)))
	}
	if r.Undecided > 0 {
		rows = append(rows, row("undecided", fmt.Sprintf("%s blobs that may be orphans", grouped(r.Undecided))))
	}
	columns(w, rows...)
	for _, v := range r.Unchecked {
		_, _ = fmt.Fprintf(w, "volume %d at %s was not checked: %s\n", v.Volume, v.URL, printable(v.Cause))
	}
	tallyTable(w, "FINDING", r.Findings)
	tallyTable(w, "PENDING", r.Pending)
	exampleTable(w, r.Examples)
	remedyTable(w, r)
}

func tallyTable(w io.Writer, title string, of []adminapi.CheckTally) {
	if len(of) == 0 {
		return
	}
	rows := []string{row(title, "COUNT", "BYTES")}
	for _, t := range of {
		rows = append(rows, row(t.Kind, grouped(t.Count), humanInt(t.Bytes)))
	}
	_, _ = fmt.Fprintln(w)
	columns(w, rows...)
}

func exampleTable(w io.Writer, of []adminapi.CheckFinding) {
	if len(of) == 0 {
		return
	}
	rows := []string{row("FOR EXAMPLE", "OBJECT", "VERSION", "PART", "PIECE", "BYTES", "")}
	for _, f := range of {
		object := f.Bucket
		if f.Key != "" {
			object += "/" + f.Key
		}
		piece, part := "", ""
		if f.Volume > 0 {
			piece = strings.TrimRight(fmt.Sprintf("%d/%s", f.Volume, f.Blob), "/")
		}
		if f.Part > 0 {
			part = fmt.Sprint(f.Part)
		}
		rows = append(rows, row(f.Kind, object, f.VersionID, part, piece, f.Bytes, f.Detail))
	}
	_, _ = fmt.Fprintln(w)
	columns(w, rows...)
}
