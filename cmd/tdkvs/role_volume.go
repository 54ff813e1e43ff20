package main

import (
	"context"
	"flag"

	"tdkvs/volume"
	"tdkvs/volume/volumehttp"
)

func volumeCommand(flags *flag.FlagSet) func(context.Context, invocation) error {
	config := configFlag(flags)
	return func(ctx context.Context, inv invocation) error {
		if *config == "" {
			return misusef("volume: which configuration? give -config=<file>")
		}
		cfg, err := loadVolume(*config)
		if err != nil {
			return err
		}
		return runVolume(ctx, cfg, inv)
	}
}

// runVolume serves one volume until ctx is done.
func runVolume(ctx context.Context, cfg volumeConfig, inv invocation) error {
	tuneMemory(inv.env)
	log := newLogger(inv.stderr, cfg.Log)
	log.Info("starting", "role", "volume", "version", versionText(), "path", cfg.Path)
	store, err := openVolume(cfg.Path, cfg.diskConfig, cfg.blobConfig, newBudgets(), log)
	if err != nil {
		return err
	}
	var opened closers
	opened.add("volume "+cfg.Path, store.Close)
	return opened.close(serveVolume(ctx, cfg, inv, store))
}

func serveVolume(ctx context.Context, cfg volumeConfig, inv invocation, store *volume.Store) error {
	log := newLogger(inv.stderr, cfg.Log)
	handler, err := volumehttp.NewServer(ctx, store, volumehttp.ServerConfig{Secret: cfg.ClusterSecret, Logger: log})
	if err != nil {
		return err
	}
	listener, err := listen(ctx, cfg.address())
	if err != nil {
		return err
	}
	warnExposed(log, listener.Addr(), cfg.ClusterSecret == "",
		"set cluster_secret to the same value for the master and for every volume")
	log.Info("serving", "address", listener.Addr().String())
	server := volumehttp.NewHTTPServer(withMetrics(handler, store, cfg, log), log)
	err = serve(ctx, func(ctx context.Context) error {
		err := serveHTTP(server, listener, cfg.ShutdownTimeout, log)(ctx)
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownTimeout)
		defer cancel()
		handler.Shutdown(ending)
		return err
	}, store.Run)
	logVolume(ctx, log, store)
	return err
}
