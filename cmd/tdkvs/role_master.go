package main

import (
	"context"
	"flag"
	"log/slog"

	"tdkvs/master"
	"tdkvs/master/journal"
	"tdkvs/master/recovery"
)

func masterCommand(flags *flag.FlagSet) func(context.Context, invocation) error {
	config := configFlag(flags)
	remove := flags.String("delete", "", "move everything off the volume at this `index` of the list, from 0, and end")
	lost := addRecoverFlags(flags)
	return func(ctx context.Context, inv invocation) error {
		if *config == "" {
			return misusef("master: which configuration? give -config=<file>")
		}
		if err := lost.check("master"); err != nil {
			return err
		}
		if lost.wanted && *remove != "" {
			return misusef("master: -recover and -delete do not go together: recover first")
		}
		cfg, err := loadMaster(*config)
		if err != nil {
			return err
		}
		if *remove != "" {
			index, err := volumeIndex(*remove, cfg.urls())
			if err != nil {
				return err
			}
			return deleteVolume(ctx, cfg, *config, index, inv)
		}
		keys, err := givenCredentials(inv.env, cfg.Credentials, *config)
		if err != nil {
			return err
		}
		return runMaster(ctx, cfg, keys, *lost, inv)
	}
}

func configFlag(flags *flag.FlagSet) *string {
	return flags.String("config", "", "read settings from a YAML `file` (required)")
}

// runMaster serves the volumes of a configuration until ctx is done.
func runMaster(ctx context.Context, cfg masterConfig, keys credentials, lost recoverFlags, inv invocation) error {
	tuneMemory(inv.env)
	log := newLogger(inv.stderr, cfg.Log)
	defer flushLog(log)
	log.Info("starting", "role", "master", "version", versionText(), "data", cfg.Data, "volumes", cfg.urls())
	if lost.wanted {
		if err := recoverCluster(ctx, cfg, lost, log); err != nil {
			return err
		}
	}
	var opened closers
	return opened.close(serveCluster(ctx, cfg, keys, inv, log, &opened))
}

// recoverCluster makes the metadata anew from what the volume processes hold.
func recoverCluster(ctx context.Context, cfg masterConfig, lost recoverFlags, log *slog.Logger) error {
	var opened closers
	memory := newBudgets()
	volumes := make([]recovery.Volume, len(cfg.Volumes))
	for i, v := range cfg.Volumes {
		remote, client, err := remoteVolume(v.URL, cfg.ClusterSecret, memory)
		if err != nil {
			return opened.close(err)
		}
		opened.add("connections to "+v.URL, client.Close)
		volumes[i] = recovery.Volume{
			Name: v.URL, Blobs: remote.Blobs,
			ForVolume: func(uuid string) journal.Blobs { return remote.ForVolume(uuid) },
		}
	}
	return opened.close(lostMetadata{
		dir: cfg.Data, disk: cfg.diskConfig, volumes: volumes, patience: cfg.VolumeWait, copies: cfg.MetadataCopies, accept: lost.accept, log: log,
	}.recover(ctx))
}

func serveCluster(ctx context.Context, cfg masterConfig, keys credentials, inv invocation, log *slog.Logger, opened *closers) error {
	memory := newBudgets()
	engine, err := openCluster(ctx, cfg, opening{memory: memory, log: log, opened: opened})
	if err != nil {
		return err
	}
	joins := &joining{engine: engine, secret: cfg.ClusterSecret, memory: memory, opened: opened}
	err = front{
		engine: engine, keys: keys, join: joins.add,
		address: cfg.addressConfig, settings: cfg.frontConfig, metrics: cfg.metricsConfig, classes: cfg.classNames(), dir: cfg.Data, log: log, stdout: inv.stdout,
	}.run(ctx, engine.Run)
	logMetadata(log, engine)
	return err
}

// opening is what a cluster is opened with, beside its configuration.
type opening struct {
	memory   budgets
	moveRate int64 // of the rebalance, bytes per second; 0: the default, below zero: no limit
	restore  bool  // it is for the restore of a backup
	log      *slog.Logger
	opened   *closers
}

// openCluster opens the metadata, the ways to the volumes, and the engine over
// them.
func openCluster(ctx context.Context, cfg masterConfig, with opening) (*master.Engine, error) {
	db, err := openMetadata(cfg.Data, cfg.diskConfig, with.log)
	if err != nil {
		return nil, err
	}
	with.opened.add("metadata", db.Close)
	volumes := make([]master.Volume, len(cfg.Volumes))
	for i, v := range cfg.Volumes {
		remote, client, err := remoteVolume(v.URL, cfg.ClusterSecret, with.memory)
		if err != nil {
			return nil, err
		}
		with.opened.add("connections to "+v.URL, client.Close)
		remote.Settings = v.settings()
		volumes[i] = remote
	}
	engine, err := openEngine(ctx, cfg.engine(master.Config{DB: db, Volumes: volumes, Logger: with.log, MoveRate: with.moveRate, Restore: with.restore}), cfg.VolumeWait)
	if err != nil {
		return nil, err
	}
	return engine, checkAnswers(engine.Health(ctx), with.log)
}
