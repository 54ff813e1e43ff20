package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tdkvs/gateway"
	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/metadb"
)

// fsckSession is one call of the fsck command.
type fsckSession struct {
	config, output, rate string
	deep, watch          bool
	repair               repairFlags
	inv                  invocation
	store                stoppedStore
	opts                 master.CheckOptions
}

func fsckCommand(flags *flag.FlagSet) func(context.Context, invocation) error {
	s := new(fsckSession)
	flags.StringVar(&s.config, "config", "", "the configuration `file` of a server or a master")
	flags.StringVar(&s.output, "o", "table", "print a `table` or json")
	flags.BoolVar(&s.deep, "deep", false, "read every byte that is stored")
	flags.StringVar(&s.rate, "rate", "none", "read at most this many `bytes` a second, such as 20MiB; none: no limit (-deep)")
	flags.BoolVar(&s.watch, "watch", false, "show how far the check is")
	s.repair.declare(flags)
	return func(ctx context.Context, inv invocation) error {
		s.inv = inv
		if err := s.settings(inv.args); err != nil {
			return err
		}
		tuneMemory(inv.env)
		if s.opts.Repair == master.RepairApply {
			return running(s.applyRepair(ctx))
		}
		return running(s.look(ctx))
	}
}

// running says of an error that somebody has the store open what to do.
func running(err error) error {
	if errors.Is(err, metadb.ErrLocked) || isVolumeLocked(err) {
		return fmt.Errorf("the store is running: \"tdkvs admin fsck\" checks it while it does (%w)", err)
	}
	return err
}

// settings reads the flags and the arguments.
func (s *fsckSession) settings(dirs []string) (err error) {
	if s.output != "table" && s.output != "json" {
		return misusef("fsck: flag -o: want table or json, not %q", s.output)
	}
	s.opts = master.CheckOptions{Deep: s.deep}
	if s.opts.Rate, err = parseRate(s.rate); err != nil {
		return misusef("fsck: flag -rate: %v", err)
	}
	var start adminapi.CheckStart
	if err := s.repair.fill(&start, "fsck"); err != nil {
		return err
	}
	switch start.Repair {
	case adminapi.CheckPlan:
		s.opts.Repair = master.RepairPlan
	case adminapi.CheckApply:
		s.opts.Repair = master.RepairApply
	}
	for _, kind := range start.Only {
		if !slices.Contains(master.FindingKinds(), master.FindingKind(kind)) {
			return misusef("fsck: flag -only: there is no kind %q of findings: they are %q", kind, master.FindingKinds())
		}
		s.opts.Only = append(s.opts.Only, master.FindingKind(kind))
	}
	if s.watch && s.output == "table" {
		s.opts.Progress = s.progress()
	}
	s.store, err = findStopped(s.config, dirs)
	return err
}

// progress prints a line from time to time.
func (s *fsckSession) progress() func(master.CheckProgress) {
	var told time.Time
	return func(p master.CheckProgress) {
		if time.Since(told) < time.Second {
			return
		}
		told = time.Now()
		printLine(s.inv.stdout, checkProgressText(adminapi.Check{Progress: gateway.CheckProgress(p)}))
	}
}

// look checks a store of which nothing is changed.
func (s *fsckSession) look(ctx context.Context) error {
	var opened closers
	return opened.close(s.lookAt(ctx, &opened))
}

func (s *fsckSession) lookAt(ctx context.Context, opened *closers) error {
	engine, odd, err := s.store.openReadOnly(ctx, opened)
	if err != nil {
		return err
	}
	began := time.Now()
	report, err := engine.Check(ctx, s.opts)
	if ctx.Err() != nil {
		return errors.New("the check was cut short")
	}
	odd.addTo(&report, engine.Topology())
	return s.print(checkDocument(began, &report, err), "")
}

// checkDocument is a check that has ended.
func checkDocument(began time.Time, report *master.CheckReport, failure error) adminapi.Check {
	ended := time.Now()
	c := adminapi.Check{ID: 1, State: adminapi.CheckDone, Started: &began, Finished: &ended, Report: gateway.CheckReport(report, failure == nil)}
	if failure != nil {
		c.State, c.Error = adminapi.CheckFailed, failure.Error()
	}
	return c
}

// print prints a check; one that is not clean is an error.
func (s *fsckSession) print(c adminapi.Check, begun string) error {
	err := (&adminSession{adminFlags: adminFlags{output: s.output}, stdout: s.inv.stdout}).print(c, func(w io.Writer) {
		checkTable(w, c)
		repairHint(w, c.Report, strings.TrimSpace("tdkvs fsck "+s.store.named()), begun)
	})
	if err != nil {
		return err
	}
	return checkResult(c)
}

// applyRepair opens the store as its next start would, repairs it, works until what
// can be repaired is, and looks what is left.
func (s *fsckSession) applyRepair(ctx context.Context) error {
	var opened closers
	return opened.close(s.repairStore(ctx, &opened))
}

func (s *fsckSession) repairStore(ctx context.Context, opened *closers) error {
	engine, err := s.store.open(ctx, s.inv, opened)
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(working) }()
	err = s.repairWith(ctx, engine)
	stop()
	return errors.Join(err, <-ended)
}

func (s *fsckSession) repairWith(ctx context.Context, engine *master.Engine) error {
	began := time.Now()
	report, err := engine.Check(ctx, s.opts)
	err = s.print(checkDocument(began, &report, err), "What can be repaired now is being repaired. Then the store is checked again.")
	var found *notClean
	if !errors.As(err, &found) {
		return err
	}
	if err := engine.Settle(ctx); err != nil {
		return err
	}
	began = time.Now()
	report, err = engine.Check(ctx, master.CheckOptions{Deep: s.opts.Deep, Rate: s.opts.Rate, Progress: s.opts.Progress})
	return s.print(checkDocument(began, &report, err), "")
}
