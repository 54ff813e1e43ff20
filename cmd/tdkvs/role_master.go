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
	remotes := make([]*remoteVolume, len(cfg.Volumes))
	volumes := make([]master.Volume, len(cfg.Volumes))
	for i, url := range cfg.Volumes {
		if remotes[i], err = newRemoteVolume(url, cfg.ClusterSecret); err != nil {
			return err
		}
		opened.add("connections to "+url, remotes[i].client.Close)
		volumes[i] = master.Volume{Name: url, Blobs: remotes[i]}
	}
	engine, err := openEngine(ctx, master.Config{
		DB: db, Volumes: volumes, Logger: log, GarbageGrace: cfg.engineGrace(),
	}, cfg.VolumeWait)
	if err != nil {
		return err
	}
	if err := checkAnswers(remotes, log); err != nil {
		return err
	}
	if err := expectTopology(remotes, engine.Topology()); err != nil {
		return err
	}
	err = front{
		engine: engine, keys: keys, address: cfg.addressConfig, settings: cfg.frontConfig, log: log, stdout: inv.stdout,
	}.run(ctx, engine.Run)
	logMetadata(log, engine)
	return err
}
