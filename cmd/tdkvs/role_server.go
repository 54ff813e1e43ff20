package main

import (
	"context"
	"flag"
	"log/slog"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"tdkvs/master"
	"tdkvs/master/metadb"
	"tdkvs/master/metadb/badgerdb"
	"tdkvs/master/recovery"
	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

func serverCommand(flags *flag.FlagSet) func(context.Context, invocation) error {
	listen := flags.String("listen", "", "listen on `host:port` (default "+defaultServerListen+")")
	config := flags.String("config", "", "read settings from a YAML `file`")
	lost := addRecoverFlags(flags)
	return func(ctx context.Context, inv invocation) error {
		if err := lost.check("server"); err != nil {
			return err
		}
		cfg, err := serverSettings(*listen, *config, inv.args)
		if err != nil {
			return err
		}
		given, err := givenCredentials(inv.env, cfg.Credentials, *config)
		if err != nil {
			return err
		}
		if err := checkDirs(cfg.paths()); err != nil {
			return err
		}
		return runServer(ctx, cfg, given, *lost, inv)
	}
}

// serverSettings joins the configuration file and the command line, which wins.
func serverSettings(listen, config string, dirs []string) (serverConfig, error) {
	if listen != "" {
		if err := checkListen(listen); err != nil {
			return serverConfig{}, misusef("server: flag -listen: %v", err)
		}
	}
	cfg, err := loadServer(config, dirs)
	if err != nil {
		return serverConfig{}, err
	}
	if listen != "" {
		cfg.Listen, cfg.Port = listen, 0
	}
	return cfg, nil
}

// runServer serves a whole store until ctx is done.
func runServer(ctx context.Context, cfg serverConfig, given credentials, lost recoverFlags, inv invocation) error {
	tuneMemory(inv.env)
	log := newLogger(inv.stderr, cfg.Log)
	defer flushLog(log)
	log.Info("starting", "role", "server", "version", versionText(), "directories", cfg.paths())
	var opened closers
	return opened.close(serveStore(ctx, cfg, given, lost, inv, log, &opened))
}

func serveStore(ctx context.Context, cfg serverConfig, given credentials, lost recoverFlags, inv invocation, log *slog.Logger, opened *closers) error {
	db, stores, err := openOrRecover(ctx, cfg, lost, log, opened)
	if err != nil {
		return err
	}
	engine, workers, err := openOver(ctx, cfg, master.Config{DB: db, Logger: log}, stores)
	if err != nil {
		return err
	}
	keys := given
	if keys.source == fromNowhere {
		// The lock of the metadata is held, so no other process is at this.
		if keys, err = storedCredentials(vfs.OS(), cfg.Dirs[0].Path, log); err != nil {
			return err
		}
	}
	err = front{
		engine: engine, keys: keys, address: cfg.addressConfig, settings: cfg.frontConfig, metrics: cfg.metricsConfig, classes: cfg.classNames(),
		dir: cfg.Dirs[0].Path, log: log, stdout: inv.stdout,
	}.run(ctx, append(workers, engine.Run)...)
	logMetadata(log, engine)
	for _, store := range stores {
		logVolume(ctx, log, store.Store)
	}
	return err
}

// openOver opens the engine over the volumes of a server.
func openOver(ctx context.Context, cfg serverConfig, with master.Config, stores []localVolume) (*master.Engine, []component, error) {
	workers := make([]component, len(stores), len(stores)+1)
	for i, store := range stores {
		with.Volumes = append(with.Volumes, master.Volume{Name: store.path, Blobs: store.Store, Settings: cfg.Dirs[i].settings()})
		workers[i] = store.Run
	}
	engine, err := master.Open(ctx, cfg.engine(with))
	return engine, workers, err
}

// localVolume is a volume in a directory of this process.
type localVolume struct {
	*volume.Store
	path string // absolute
}

// openDirs opens the metadata and the volume of each directory.
func openDirs(cfg serverConfig, log *slog.Logger, opened *closers) (metadb.DB, []localVolume, error) {
	return openOrRecover(context.Background(), cfg, recoverFlags{}, log, opened)
}

// openOrRecover opens the metadata and the volume of each directory, all at once:
// each takes its time to read what is there. Metadata that was lost is made anew in
// between.
func openOrRecover(ctx context.Context, cfg serverConfig, lost recoverFlags, log *slog.Logger, opened *closers) (metadb.DB, []localVolume, error) {
	var group errgroup.Group
	var db *badgerdb.DB
	dir := filepath.Join(cfg.Dirs[0].Path, metadataDir)
	openDB := func() (err error) {
		db, err = openMetadata(dir, cfg.diskConfig, log)
		return err
	}
	if !lost.wanted {
		group.Go(openDB)
	}
	stores := make([]localVolume, len(cfg.Dirs))
	memory := newBudgets()
	for i, dir := range cfg.Dirs {
		group.Go(func() error {
			path, err := filepath.Abs(filepath.Join(dir.Path, volumeDir))
			if err != nil {
				return err
			}
			store, err := openVolume(path, cfg.diskConfig, cfg.blobConfig, memory, log)
			stores[i] = localVolume{store, path}
			return err
		})
	}
	err := group.Wait()
	if lost.wanted && err == nil {
		if err = recoverStore(ctx, cfg, lost, stores, log); err == nil {
			err = openDB()
		}
	}
	if db != nil {
		opened.add("metadata", db.Close) // first, so that it is closed last
	}
	for _, store := range stores {
		if store.Store != nil {
			opened.add("volume "+store.path, store.Close)
		}
	}
	return db, stores, err
}

// recoverStore makes the metadata anew from what the volumes hold.
func recoverStore(ctx context.Context, cfg serverConfig, lost recoverFlags, stores []localVolume, log *slog.Logger) error {
	volumes := make([]recovery.Volume, len(stores))
	for i, s := range stores {
		volumes[i] = recovery.Volume{Name: s.path, Blobs: s.Store}
	}
	return lostMetadata{
		dir: filepath.Join(cfg.Dirs[0].Path, metadataDir), disk: cfg.diskConfig, volumes: volumes, copies: cfg.MetadataCopies, accept: lost.accept, log: log,
	}.recover(ctx)
}
