package main

import (
	"context"
	"flag"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"tdkvs/master"
	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

func serverCommand(flags *flag.FlagSet) func(context.Context, invocation) error {
	listen := flags.String("listen", "", "listen on `host:port` (default "+defaultServerListen+")")
	config := flags.String("config", "", "read settings from a YAML `file`")
	return func(ctx context.Context, inv invocation) error {
		cfg, err := serverSettings(*listen, *config, inv.args)
		if err != nil {
			return err
		}
		given, err := givenCredentials(inv.env, cfg.Credentials, *config)
		if err != nil {
			return err
		}
		if err := checkDirs(cfg.Dirs); err != nil {
			return err
		}
		return runServer(ctx, cfg, given, inv)
	}
}

// serverSettings joins the configuration file and the command line, which wins.
func serverSettings(listen, config string, dirs []string) (serverConfig, error) {
	if listen != "" {
		if err := checkListen(listen); err != nil {
			return serverConfig{}, misusef("server: flag -listen: %v", err)
		}
	}
	cfg, err := loadServer(config)
	if err != nil {
		return serverConfig{}, err
	}
	if listen != "" {
		cfg.Listen, cfg.Port = listen, 0
	}
	if len(dirs) > 0 {
		cfg.Dirs = dirs
	}
	return cfg, nil
}

// runServer serves a whole store until ctx is done.
func runServer(ctx context.Context, cfg serverConfig, given credentials, inv invocation) error {
	tuneMemory(inv.env)
	log := newLogger(inv.stderr, cfg.Log)
	log.Info("starting", "role", "server", "version", versionText(), "directories", cfg.Dirs)
	var opened closers
	return opened.close(serveStore(ctx, cfg, given, inv, log, &opened))
}

func serveStore(ctx context.Context, cfg serverConfig, given credentials, inv invocation, log *slog.Logger, opened *closers) error {
	first := cfg.Dirs[0]
	db, err := openMetadata(filepath.Join(first, metadataDir), cfg.diskConfig, log)
	if err != nil {
		return err
	}
	opened.add("metadata", db.Close)
	stores, volumes, err := openVolumes(cfg, log, opened)
	if err != nil {
		return err
	}
	engine, err := master.Open(ctx, master.Config{DB: db, Volumes: volumes, Logger: log, GarbageGrace: cfg.engineGrace()})
	if err != nil {
		return err
	}
	keys := given
	if keys.source == fromNowhere {
		// The lock of the metadata is held, so no other process is at this.
		if keys, err = storedCredentials(vfs.OS(), first, log); err != nil {
			return err
		}
	}
	workers := []component{engine.Run}
	for _, store := range stores {
		workers = append(workers, store.Run)
	}
	err = front{
		engine: engine, keys: keys, address: cfg.addressConfig, settings: cfg.frontConfig, log: log, stdout: inv.stdout,
	}.run(ctx, workers...)
	logMetadata(log, engine)
	for _, store := range stores {
		logVolume(ctx, log, store)
	}
	return err
}

// openVolumes opens the volume of each directory, all at once: each reads its
// own disk.
func openVolumes(cfg serverConfig, log *slog.Logger, opened *closers) ([]*volume.Store, []master.Volume, error) {
	stores := make([]*volume.Store, len(cfg.Dirs))
	volumes := make([]master.Volume, len(cfg.Dirs))
	var group errgroup.Group
	for i, dir := range cfg.Dirs {
		group.Go(func() error {
			path, err := filepath.Abs(filepath.Join(dir, volumeDir))
			if err != nil {
				return err
			}
			stores[i], err = openVolume(path, cfg.diskConfig, cfg.blobConfig, log)
			volumes[i] = master.Volume{Name: path, Blobs: stores[i]}
			return err
		})
	}
	err := group.Wait()
	for i, store := range stores {
		if store != nil {
			opened.add("volume "+volumes[i].Name, store.Close)
		}
	}
	return stores, volumes, err
}

// engineGrace is the setting as master.Config takes it: below zero is none.
func (s storeConfig) engineGrace() time.Duration {
	if s.GarbageGrace == 0 {
		return -1
	}
	return s.GarbageGrace
}
