package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"tdkvs/gateway/adminapi"
)

func adminStatus(ctx context.Context, a *adminSession) error {
	var c adminapi.Cluster
	if err := a.client.call(ctx, http.MethodGet, "/cluster", nil, nil, &c); err != nil {
		return err
	}
	return a.print(c, func(w io.Writer) {
		state := "ready"
		if !c.Ready {
			state = "not ready: writes are refused"
		}
		if n := unwell(c.Volumes); n > 0 {
			state += fmt.Sprintf("; %d of %s not ok", n, counted(len(c.Volumes), "volume"))
		}
		metadata := c.Metadata.State
		if c.Metadata.Error != "" {
			metadata += ": " + c.Metadata.Error
		}
		if c.Metadata.Capacity > 0 {
			metadata += fmt.Sprintf("; %s, %s free of %s", humanInt(c.Metadata.Bytes), humanInt(c.Metadata.Free), humanInt(c.Metadata.Capacity))
		}
		columns(w,
			row("cluster", c.Cluster),
			row("version", c.Version),
			row("state", state),
			row("metadata", metadata),
			row("journal", journalText(c.Journal)),
			row("redundancy", redundancyText(c)),
			row("stored", fmt.Sprintf("%s in %s blobs on %d volumes, %s free of %s", humanInt(c.Totals.Bytes), grouped(c.Totals.Blobs),
				c.Totals.Volumes, humanInt(c.Totals.Free), humanInt(c.Totals.Capacity))),
			row("skew", fmt.Sprintf("%.2f", c.Skew)),
			row("rebalance", rebalanceText(c.Rebalance)),
			row("repair", repairText(c)),
			row("scrub", scrubText(c.Volumes)),
			row("garbage", garbageText(c.Garbage)),
			row("leftovers", leftoversText(c.Leftovers)),
		)
		if c.Repair.Damaged > 0 {
			_, _ = fmt.Fprintf(w, "\nDAMAGE: %s can not be read and can not be restored; \"tdkvs admin damage\" lists them\n", most(c.Repair.Damaged, "extent"))
		}
		for _, s := range c.Rebalance.Stuck {
			_, _ = fmt.Fprintf(w, "\nSTUCK: %s\n", stuckText(s))
		}
		for _, s := range spaceTexts(c) {
			_, _ = fmt.Fprintf(w, "\n%s\n", s)
		}
		if len(c.Zones) > 0 {
			_, _ = fmt.Fprintln(w)
			zoneTable(w, c.Zones)
		}
		_, _ = fmt.Fprintln(w)
		volumeTable(w, c.Volumes)
	})
}

// spaceTexts warn of disks that are full, or soon will be.
func spaceTexts(c adminapi.Cluster) (texts []string) {
	warn := func(what string, free, reserve uint64) {
		switch {
		case free <= reserve:
			texts = append(texts, fmt.Sprintf("FULL: %s has %s free and keeps %s: writes are refused, deletions are not", what, humanInt(free), humanInt(reserve)))
		case free <= 2*reserve:
			texts = append(texts, fmt.Sprintf("LOW SPACE: %s has %s free; at %s writes are refused", what, humanInt(free), humanInt(reserve)))
		}
	}
	if m := c.Metadata; m.Capacity > 0 {
		warn("the disk of the metadata", m.Free, m.Reserve)
	}
	for _, v := range c.Volumes {
		if v.Capacity > 0 && v.Reserve > 0 && v.Health != adminapi.Unreachable {
			warn(fmt.Sprintf("volume %d", v.Number), v.Free, v.Reserve)
		}
	}
	return texts
}

// unwell counts the volumes that are not ok.
func unwell(volumes []adminapi.Volume) int {
	n := 0
	for _, v := range volumes {
		if v.Health != adminapi.OK {
			n++
		}
	}
	return n
}

func garbageText(g adminapi.Garbage) string {
	text := fmt.Sprintf("%s blobs removed, %s postponed, %s failures", grouped(g.Blobs), grouped(g.Postponed), grouped(g.Failures))
	if g.LastError != "" {
		text += ", the last: " + g.LastError
	}
	return text
}

// leftoversText is what a crash has left, and how far the look for it is.
func leftoversText(l adminapi.Leftovers) string {
	text := "none"
	if l.Found > 0 {
		text = fmt.Sprintf("%s (%s) found", counted(int(l.Found), "blob"), humanInt(l.Bytes))
	}
	if l.Excess > 0 {
		text = fmt.Sprintf("%d blobs and more that nothing names: a crash leaves fewer, so they stay", l.Excess)
	}
	if l.Left > 0 {
		text += fmt.Sprintf(", %s to be looked over", counted(l.Left, "volume"))
	}
	if l.Trouble != "" {
		text += ": " + l.Trouble
	}
	return text
}

// journalText is how well the metadata could be rebuilt from the volumes.
func journalText(j *adminapi.Journal) string {
	if j == nil {
		return "off: the metadata can not be rebuilt from the volumes"
	}
	text := fmt.Sprintf("%s, commit %s", counted(j.Copies, "copy"), grouped(int64(j.Commit)))
	if s := j.Snapshot; s == nil {
		text += "; no snapshot yet, so the metadata can not be rebuilt from the volumes"
	} else {
		text += fmt.Sprintf("; snapshot of %s rows (%s) on %s of %s, %s commits since", grouped(int64(s.Rows)), humanInt(s.Bytes),
			counted(s.Copies, "volume"), moment(s.Taken), grouped(int64(j.Commits)))
	}
	if j.Lacking > 0 {
		text += fmt.Sprintf("; %s of them to be copied", grouped(int64(j.Lacking)))
	}
	if j.Trouble != "" {
		text += ": " + j.Trouble
	}
	return text
}

// redundancyText is how much is kept beyond what is needed.
func redundancyText(c adminapi.Cluster) string {
	text := counted(c.Replicas, "copy")
	for _, class := range c.Classes {
		text += fmt.Sprintf("; %s %d+%d from %s on", class.Name, class.Data, class.Parity, humanInt(class.MinSize))
	}
	return text
}

// repairText is what is left to repair, and what was.
func repairText(c adminapi.Cluster) string {
	text := "nothing to do"
	if n := c.Repair.Queued; n > 0 {
		text = most(n, "extent") + " to be looked at"
	}
	if n := c.Rebalance.Repaired; n > 0 {
		text += "; " + counted(n, "piece") + " made anew so far"
	}
	if c.Repair.Searching {
		text += "; all records are being looked at for what volumes have lost"
	}
	return text
}

// most writes a number that stops somewhere with its noun.
func most(n int, noun string) string {
	if n >= adminapi.RepairMost {
		return "at least " + counted(n, noun)
	}
	return counted(n, noun)
}

func zoneTable(w io.Writer, zones []adminapi.Zone) {
	rows := []string{row("ZONE", "VOLUMES", "DOWN", "SLOTS", "BYTES", "FREE", "CAPACITY")}
	for _, z := range zones {
		rows = append(rows, row(z.Name, z.Volumes, z.Down, z.Slots, humanInt(z.Bytes), humanInt(z.Free), humanInt(z.Capacity)))
	}
	columns(w, rows...)
}

// healthText is the health of a volume, and for how long it has been so.
func healthText(v adminapi.Volume) string {
	if v.Since == nil || v.Health == adminapi.OK {
		return v.Health
	}
	return v.Health + " since " + moment(*v.Since)
}

func volumeTable(w io.Writer, volumes []adminapi.Volume) {
	rows := []string{row("VOLUME", "STATE", "HEALTH", "ZONE", "SLOTS", "BYTES", "BLOBS", "FREE", "CAPACITY", "URL")}
	var errs []string
	for _, v := range volumes {
		rows = append(rows, row(v.Number, v.State, healthText(v), v.Zone, v.Slots, humanInt(v.Bytes), grouped(v.Blobs), humanInt(v.Free), humanInt(v.Capacity), v.URL))
		if v.Error != "" {
			errs = append(errs, fmt.Sprintf("volume %d: %s", v.Number, v.Error))
		}
		if v.CorruptReads > 0 || v.Quarantined > 0 {
			errs = append(errs, fmt.Sprintf("volume %d: %s failed verification, %s set aside, since it was started", v.Number,
				counted(int(v.CorruptReads), "read"), counted(int(v.Quarantined), "record")))
		}
	}
	columns(w, rows...)
	for _, e := range errs {
		_, _ = fmt.Fprintln(w, e)
	}
}

func adminVolumeList(ctx context.Context, a *adminSession) error {
	var l adminapi.Volumes
	if err := a.client.call(ctx, http.MethodGet, "/volumes", nil, nil, &l); err != nil {
		return err
	}
	return a.print(l, func(w io.Writer) { volumeTable(w, l.Volumes) })
}

func adminVolumeAdd(ctx context.Context, a *adminSession) error {
	var v adminapi.Volume
	want := adminapi.NewVolume{URL: a.argument, Weight: a.weight, Zone: a.zone}
	if err := a.client.call(ctx, http.MethodPost, "/volumes", nil, want, &v); err != nil {
		return err
	}
	err := a.print(v, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "volume %d (%s) at %s has joined and is being filled\n"+
			"Add it to \"volumes\" in the master's configuration before its next start.\n", v.Number, v.UUID, v.URL)
	})
	if err != nil || !a.watch {
		return err
	}
	return a.watchRebalance(ctx)
}

func adminVolumeDelete(ctx context.Context, a *adminSession) error {
	v, err := a.changeVolume(ctx, http.MethodDelete, "")
	if err != nil {
		return err
	}
	err = a.print(v, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "volume %d at %s is being emptied; it leaves when it holds nothing any more\n", v.Number, v.URL)
	})
	if err != nil || !a.watch {
		return err
	}
	if err := a.watchRebalance(ctx); err != nil {
		return err
	}
	var l adminapi.Volumes
	if err := a.client.call(ctx, http.MethodGet, "/volumes", nil, nil, &l); err != nil {
		return err
	}
	for _, left := range l.Volumes {
		if left.Number == v.Number {
			if err := a.stuck(ctx, v.Number); err != nil {
				return err
			}
			return fmt.Errorf("volume %d has not left: it is %s (was the deletion cancelled?)", v.Number, left.State)
		}
	}
	if a.output == "json" {
		return nil
	}
	_, err = fmt.Fprintf(a.stdout, "volume %d has left the cluster\n"+
		"Take it off \"volumes\" in the master's configuration before its next start.\n", v.Number)
	return err
}

func adminVolumeCancel(ctx context.Context, a *adminSession) error {
	v, err := a.changeVolume(ctx, http.MethodPost, "/cancel")
	if err != nil {
		return err
	}
	err = a.print(v, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "volume %d at %s stays; what has moved comes back\n", v.Number, v.URL)
	})
	return a.thenWatch(ctx, err)
}

func (a *adminSession) changeVolume(ctx context.Context, method, action string) (adminapi.Volume, error) {
	var v adminapi.Volume
	err := a.client.call(ctx, method, a.volumePath(action), nil, nil, &v)
	return v, err
}

func adminRebalanceStatus(ctx context.Context, a *adminSession) error {
	if a.watch {
		return a.watchRebalance(ctx)
	}
	r, err := a.rebalance(ctx)
	if err != nil {
		return err
	}
	return a.printRebalance(r)
}

func (a *adminSession) printRebalance(r adminapi.Rebalance) error {
	return a.print(r, func(w io.Writer) {
		pace := "no limit"
		if r.BytesPerSecond >= 0 {
			pace = humanInt(r.BytesPerSecond) + "/s"
		}
		rows := []string{row("rebalance", rebalanceText(r)), row("limits", fmt.Sprintf("%s, %d pieces at the same time", pace, r.Concurrency))}
		if r.Started != nil {
			rows = append(rows, row("started", moment(*r.Started)))
		}
		if r.Finished != nil {
			rows = append(rows, row("finished", moment(*r.Finished)))
		}
		if r.LastError != "" {
			rows = append(rows, row("last error", r.LastError))
		}
		if r.Repairs > 0 {
			rows = append(rows, row("to repair", most(r.Repairs, "extent")))
		}
		if r.Repaired > 0 {
			rows = append(rows, row("repaired", counted(r.Repaired, "piece")+" made anew so far"))
		}
		columns(w, rows...)
		for _, s := range r.Stuck {
			_, _ = fmt.Fprintf(w, "\nSTUCK: %s\n", stuckText(s))
		}
		if r.Paused {
			_, _ = fmt.Fprint(w, "\nPAUSED: nothing moves, and nothing is made anew after the loss of a volume or a change of the copies, until \"rebalance resume\".\n"+
				"Single repairs, of what reads and writes have found missing or damaged, are made all the same.\n")
		}
	})
}

func adminRebalancePause(ctx context.Context, a *adminSession) error {
	yes := true
	return a.changeRebalance(ctx, adminapi.RebalanceChange{Paused: &yes})
}

func adminRebalanceResume(ctx context.Context, a *adminSession) error {
	no := false
	return a.changeRebalance(ctx, adminapi.RebalanceChange{Paused: &no})
}

func adminRebalanceLimit(ctx context.Context, a *adminSession) error {
	var c adminapi.RebalanceChange
	if a.given["concurrency"] {
		c.Concurrency = &a.concurrency
	}
	if a.given["rate"] {
		rate, err := parseRate(a.rate)
		if err != nil {
			return misusef("admin rebalance limit: flag -rate: %v", err)
		}
		c.BytesPerSecond = &rate
	}
	if c == (adminapi.RebalanceChange{}) {
		return misusef("admin rebalance limit: give -rate, -concurrency or both")
	}
	return a.changeRebalance(ctx, c)
}

// parseRate reads bytes per second; "none" is no limit, -1 to the API.
func parseRate(text string) (int64, error) {
	if text == "none" {
		return -1, nil
	}
	size, err := parseByteSize(text)
	if err != nil {
		return 0, fmt.Errorf("%w, nor is it none", err)
	}
	return int64(size), nil
}

func (a *adminSession) changeRebalance(ctx context.Context, c adminapi.RebalanceChange) error {
	var r adminapi.Rebalance
	if err := a.client.call(ctx, http.MethodPatch, "/rebalance", nil, c, &r); err != nil {
		return err
	}
	return a.printRebalance(r)
}
