package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"tdkvs/gateway/adminapi"
)

// adminVolumeLost gives a volume up, after somebody has said that it is meant.
func adminVolumeLost(ctx context.Context, a *adminSession) error {
	var c adminapi.Cluster
	if err := a.client.call(ctx, http.MethodGet, "/cluster", nil, nil, &c); err != nil {
		return err
	}
	var meant adminapi.Volume // none: the store says why
	for _, v := range c.Volumes {
		if name := a.volumeName(); name == strconv.FormatUint(uint64(v.Number), 10) || name == v.UUID || name == v.URL {
			meant = v
		}
	}
	if meant.UUID != "" && !a.yes {
		if err := a.confirm(stakeText(meant, c), fmt.Sprint(meant.Number)); err != nil {
			return err
		}
	}
	var lost adminapi.LostVolume
	if err := a.client.call(ctx, http.MethodPost, a.volumePath("/lost"), nil, adminapi.Loss{Confirm: meant.UUID}, &lost); err != nil {
		return err
	}
	err := a.print(lost, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "volume %d is given up; what it held is made anew from what is elsewhere\n"+
			"\"tdkvs admin damage\" lists what can not be. Take the volume off the list before the next start.\n", lost.Volume.Number)
	})
	return a.thenWatch(ctx, err)
}

// stakeText says what is at stake when a volume is given up.
func stakeText(v adminapi.Volume, c adminapi.Cluster) string {
	held := "holds"
	if v.Health == adminapi.Unreachable {
		held = "does not answer; when it last did it held"
	}
	rest := "What has no copy elsewhere is lost for good"
	if c.Replicas > 1 {
		rest = "What has no other copy elsewhere is lost for good"
	}
	return fmt.Sprintf("volume %d at %s %s %s, %s; the store keeps %s. %s", v.Number, v.URL, held,
		counted(int(v.Blobs), "blob"), humanInt(v.Bytes), counted(c.Replicas, "copy"), rest)
}

// confirm asks the person at the terminal. Without one, the flag must say it.
func (a *adminSession) confirm(stake, word string) error {
	if !isTerminalInput(a.stdin) {
		return misusef("admin volume lost: %s.\nThere is no terminal to ask at: add -yes if that is meant", stake)
	}
	_, _ = fmt.Fprintf(a.stderr, "%s.\nIts number gives it up; anything else does not: ", stake)
	return readConfirmation(a.stdin, word)
}

func readConfirmation(r io.Reader, word string) error {
	line, err := bufio.NewReader(io.LimitReader(r, 1<<10)).ReadString('\n')
	if strings.TrimSpace(line) == word {
		return nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("nothing was done: %w", err)
	}
	return errors.New("nothing was done")
}

// isTerminalInput reports whether somebody may be there to answer.
func isTerminalInput(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// volumeName is the volume that the first argument names.
func (a *adminSession) volumeName() string {
	if strings.Contains(a.argument, "://") {
		return strings.TrimRight(a.argument, "/")
	}
	return a.argument
}

func (a *adminSession) volumePath(action string) string {
	return "/volumes/" + url.PathEscape(a.volumeName()) + action
}

// thenWatch shows the rebalance that has begun, where that was asked for.
func (a *adminSession) thenWatch(ctx context.Context, err error) error {
	if err != nil || !a.watch {
		return err
	}
	return a.watchRebalance(ctx)
}

func adminVolumeWeight(ctx context.Context, a *adminSession) error {
	n, err := strconv.Atoi(a.second)
	if err != nil {
		return misusef("admin volume weight: want a number of slots, not %q", a.second)
	}
	return a.configureVolume(ctx, adminapi.VolumeChange{Weight: &n})
}

func adminVolumeZone(ctx context.Context, a *adminSession) error {
	zone := a.second
	if zone == "none" {
		zone = ""
	}
	return a.configureVolume(ctx, adminapi.VolumeChange{Zone: &zone})
}

func (a *adminSession) configureVolume(ctx context.Context, c adminapi.VolumeChange) error {
	var v adminapi.Volume
	if err := a.client.call(ctx, http.MethodPatch, a.volumePath(""), nil, c, &v); err != nil {
		return err
	}
	err := a.print(v, func(w io.Writer) {
		zone := "no zone"
		if v.Zone != "" {
			zone = "zone " + printable(v.Zone)
		}
		_, _ = fmt.Fprintf(w, "volume %d at %s has %s and is in %s; the data follows\n", v.Number, v.URL, counted(v.Slots, "slot"), zone)
	})
	return a.thenWatch(ctx, err)
}

// adminReplicas shows or sets how many copies the store keeps.
func adminReplicas(ctx context.Context, a *adminSession) error {
	var r adminapi.Replicas
	if a.argument == "" {
		if a.watch {
			return misusef("admin replicas: flag -watch is for a change: give a number")
		}
		if err := a.client.call(ctx, http.MethodGet, "/replicas", nil, nil, &r); err != nil {
			return err
		}
		return a.print(r, func(w io.Writer) { _, _ = fmt.Fprintln(w, counted(r.Replicas, "copy")) })
	}
	n, err := strconv.Atoi(a.argument)
	if err != nil {
		return misusef("admin replicas: want a number of copies, not %q", a.argument)
	}
	if err := a.client.call(ctx, http.MethodPut, "/replicas", nil, adminapi.Replicas{Replicas: n}, &r); err != nil {
		return err
	}
	err = a.print(r, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s of everything where a bucket does not say; the data follows\n", counted(r.Replicas, "copy"))
	})
	return a.thenWatch(ctx, err)
}

func adminBucketReplicas(ctx context.Context, a *adminSession) error {
	n, err := strconv.Atoi(a.second)
	switch {
	case a.second == "default":
		n = 0
	case err != nil || n < 1:
		return misusef("admin bucket replicas: want a number of copies, or default, not %q", a.second)
	}
	var b adminapi.Bucket
	if err := a.client.call(ctx, http.MethodPatch, "/buckets/"+url.PathEscape(a.argument), nil, adminapi.BucketChange{Replicas: &n}, &b); err != nil {
		return err
	}
	err = a.print(b, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "bucket %s: %s; the data follows\n", b.Name, copiesText(b.Replicas))
	})
	return a.thenWatch(ctx, err)
}

// copiesText is how many copies are kept of what is in a bucket.
func copiesText(n int) string {
	if n == 0 {
		return "as many copies as the store keeps"
	}
	return counted(n, "copy")
}

// counted writes a number with its noun.
func counted[T int | uint64](n T, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ie"
	}
	return grouped(n) + " " + noun + "s"
}

func adminRebalanceStart(ctx context.Context, a *adminSession) error {
	var r adminapi.Rebalance
	if err := a.client.call(ctx, http.MethodPost, "/rebalance", nil, nil, &r); err != nil {
		return err
	}
	return a.thenWatch(ctx, a.printRebalance(r))
}

// adminDamage lists what can not be read and can not be restored, all pages.
func adminDamage(ctx context.Context, a *adminSession) error {
	all := adminapi.Damages{Damage: []adminapi.Damage{}}
	q := url.Values{"limit": {"1000"}}
	for {
		var page adminapi.Damages
		if err := a.client.call(ctx, http.MethodGet, "/damage", q, nil, &page); err != nil {
			return err
		}
		all.Damage = append(all.Damage, page.Damage...)
		if page.Next == "" {
			break
		}
		q.Set("after", page.Next)
	}
	return a.print(all, func(w io.Writer) {
		if len(all.Damage) == 0 {
			_, _ = fmt.Fprintln(w, "no damage is known")
			return
		}
		rows := []string{row("OBJECT", "VERSION", "PART", "LOST", "FOUND", "CAUSE")}
		for _, d := range all.Damage {
			part := ""
			if d.Part > 0 {
				part = fmt.Sprint(d.Part)
			}
			rows = append(rows, row(d.Bucket+"/"+d.Key, d.VersionID, part, humanInt(d.Size), moment(d.Found), d.Cause))
		}
		columns(w, rows...)
	})
}
