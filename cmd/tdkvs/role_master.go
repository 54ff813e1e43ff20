package main

import (
	"context"
	"flag"
	"log/slog"

	"tdkvs/master"
)

func masterCommand(flags *flag.FlagSet) func(context.Context, invocation) error {
	config := configFlag(flags)
	return func(ctx context.Context, inv invocation) error {
		if *config == "" {
			return misusef("master: which configuration? give -config=<file>")
		}
		cfg, err := loadMaster(*config)
		if err != nil {
			return err
		}
		keys, err := givenCredentials(inv.env, cfg.Credentials, *config)
		if err != nil {
			return err
		}
		return runMaster(ctx, cfg, keys, inv)
	}
}

func configFlag(flags *flag.FlagSet) *string {
	return flags.String("config", "", "read settings from a YAML `file` (required)")
}

// runMaster serves the volumes of a configuration until ctx is done.
func runMaster(ctx context.Context, cfg masterConfig, keys credentials, inv invocation) error {
	tuneMemory(inv.env)
	log := newLogger(inv.stderr, cfg.Log)
	log.Info("starting", "role", "master", "version", versionText(), "data", cfg.Data, "volumes", cfg.Volumes)
	var opened closers
	return opened.close(serveCluster(ctx, cfg, keys, inv, log, &opened))
}

func serveCluster(ctx context.Context, cfg masterConfig, keys credentials, inv invocation, log *slog.Logger, opened *closers) error {
	db, err := openMetadata(cfg.Data, cfg.diskConfig, log)
	if err != nil {
		return err
	}
	opened.add("metadata", db.Close)
	volumes := make([]master.Volume, len(cfg.Volumes))
	memory := newBudgets()
	for i, url := range cfg.Volumes {
		remote, client, err := remoteVolume(url, cfg.ClusterSecret, memory)
		if err != nil {
			return err
		}
		opened.add("connections to "+url, client.Close)
		volumes[i] = remote
	}
	engine, err := openEngine(ctx, master.Config{
		DB: db, Volumes: volumes, Logger: log, GarbageGrace: cfg.engineGrace(),
	}, cfg.VolumeWait)
	if err != nil {
		return err
	}
	if err := checkAnswers(engine.Health(ctx), log); err != nil {
		return err
	}
	joins := &joining{engine: engine, secret: cfg.ClusterSecret, memory: memory, opened: opened}
	err = front{
		engine: engine, keys: keys, join: joins.add,
		address: cfg.addressConfig, settings: cfg.frontConfig, log: log, stdout: inv.stdout,
	}.run(ctx, engine.Run)
	logMetadata(log, engine)
	return err
}
