package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// deleteVolume moves everything off the volume at an index of the list, after
// which it is not part of the store any more. Nobody is served meanwhile. It may
// be ended at any moment: it goes on when it is called again, and so does a
// master that is started instead.
func deleteVolume(ctx context.Context, cfg masterConfig, file string, index int, inv invocation) error {
	tuneMemory(inv.env)
	log := newLogger(inv.stderr, cfg.Log)
	log.Info("starting", "role", "master", "version", versionText(), "data", cfg.Data, "delete", cfg.Volumes[index].URL)
	var opened closers
	return opened.close(drainVolume(ctx, cfg, file, index, inv, log, &opened))
}

// volumeIndex reads the value of -delete.
func volumeIndex(text string, volumes []string) (int, error) {
	index, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, misusef("master: flag -delete: want the index of a volume in the list, from 0, not %q", text)
	case index < 0 || index >= len(volumes):
		return 0, misusef("master: flag -delete: there is no volume %d: the list has %d, from 0 to %d", index, len(volumes), len(volumes)-1)
	}
	return index, nil
}

func drainVolume(ctx context.Context, cfg masterConfig, file string, index int, inv invocation, log *slog.Logger, opened *closers) error {
	name := cfg.Volumes[index].URL
	done := fmt.Sprintf("%s is not part of the store any more. Remove it from the volumes in %s; its process can be stopped.", name, file)
	engine, err := openCluster(ctx, cfg, opening{memory: newBudgets(), moveRate: unpaced, log: log, opened: opened})
	switch {
	case errors.Is(err, metadb.ErrLocked):
		return fmt.Errorf("the store is running: stop the master that uses %s first, and run this again (%w)", cfg.Data, err)
	case deletedBefore(err, name):
		printLine(inv.stdout, done)
		return nil
	case err != nil:
		return err
	}
	d := &deletion{engine: engine, name: name, patience: defaultPatience, out: newMeter(inv.stdout)}
	if err := d.begin(ctx); err != nil {
		return err
	}
	if err := d.run(ctx); err != nil {
		return err
	}
	printLine(inv.stdout, done)
	return nil
}

// unpaced is the rate of moves while no client is served.
const unpaced = -1

// deletedBefore reports that a start was refused only because this volume, which
// is in the list, was deleted.
func deletedBefore(err error, name string) bool {
	var refused *master.TopologyError
	if !errors.As(err, &refused) {
		return false
	}
	for _, d := range refused.Differences {
		if d.Kind != master.Removed || d.Name != name {
			return false
		}
	}
	return true
}

// deletion is the draining of one volume, watched.
type deletion struct {
	engine   *master.Engine
	name     string
	number   meta.VolumeID
	patience time.Duration // without anything moved, before it gives up
	out      *meter
}

const (
	defaultPatience = 5 * time.Minute
	watchEvery      = 200 * time.Millisecond
)

// begin finds the volume and has it drained, or finds that it is.
func (d *deletion) begin(ctx context.Context) error {
	var held master.VolumeHealth
	for _, v := range d.engine.Health(ctx).Volumes {
		if v.Name == d.name {
			d.number, held = v.Number, v
		}
	}
	if err := d.engine.DrainVolume(ctx, d.number); err != nil {
		return fmt.Errorf("%s can not be deleted: %w", d.name, err)
	}
	st, err := d.engine.RebalanceState(ctx)
	if err != nil {
		return err
	}
	if st.Paused {
		limits := master.RebalanceLimits{Concurrency: st.Concurrency, Rate: st.Rate}
		if err := d.engine.SetRebalanceLimits(ctx, limits); err != nil {
			return err
		}
	}
	d.out.begin(d.name, held.Status.Blobs, held.Status.Bytes, st)
	return nil
}

// run works until the volume has left the store.
func (d *deletion) run(ctx context.Context) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return d.engine.Run(working) })
	err := d.watch(ctx)
	stop()
	return errors.Join(err, group.Wait())
}

func (d *deletion) watch(ctx context.Context) error {
	var moved uint64
	since := time.Now()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			d.out.end()
			return fmt.Errorf("ended before everything was moved off %s: run this again, or start the master, to go on", d.name)
		case <-tick.C:
		}
		st, err := d.engine.RebalanceState(ctx)
		if err != nil {
			if ctx.Err() != nil {
				continue
			}
			d.out.end()
			return err
		}
		if d.removed() && !st.Active {
			d.out.finish(st)
			return nil
		}
		if err := d.stuck(st); err != nil {
			d.out.end()
			return err
		}
		d.out.show(st)
		if st.Moved != moved || st.LastError == "" {
			moved, since = st.Moved, time.Now()
		}
		if time.Since(since) > d.patience {
			d.out.end()
			return fmt.Errorf("nothing could be moved off %s for %v: %s; run this again to go on", d.name, d.patience, st.LastError)
		}
	}
}

// stuck says why the volume can not be emptied, once all has been tried.
func (d *deletion) stuck(st metadb.Rebalance) error {
	if st.Active {
		return nil
	}
	for _, s := range st.Stuck {
		if s.Volume == d.number {
			why := stuckText(adminapi.Stuck{Volume: uint32(s.Volume), Damaged: s.Damaged, Parts: s.Parts, Short: s.Short})
			return fmt.Errorf("%s can not be deleted: %s. Start the master to see to that; it tries again by itself, and so does this command", d.name, why)
		}
	}
	return nil
}

func (d *deletion) removed() bool {
	for _, v := range d.engine.Topology().Volumes {
		if v.Number == d.number {
			return v.State == metadb.VolumeRemoved
		}
	}
	return false
}
