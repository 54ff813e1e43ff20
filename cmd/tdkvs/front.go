package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"tdkvs/gateway"
	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/metadb"
	"tdkvs/s3api"
)

// front is what serves clients, in both roles that do.
type front struct {
	engine *master.Engine
	keys   credentials // none: protected mode
	// join takes a new volume into the cluster; nil where volumes are directories.
	join     func(context.Context, adminapi.NewVolume) (metadb.Volume, error)
	address  addressConfig
	settings frontConfig
	metrics  metricsConfig
	classes  []string // names of the storage classes that are configured
	dir      string   // where the way to it is left, for the admin command
	log      *slog.Logger
	stdout   io.Writer // for the banner
}

// run serves clients until ctx is done, with the workers behind.
func (f front) run(ctx context.Context, workers ...component) error {
	handler, err := f.handler()
	if err != nil {
		return err
	}
	listener, err := listen(ctx, f.address.address())
	if err != nil {
		return err
	}
	warnExposed(f.log, listener.Addr(), f.keys.source == fromNowhere, "give it credentials")
	endpoint := endpointOf(listener.Addr())
	f.log.Info("serving", "address", listener.Addr().String(), "endpoint", endpoint, "region", f.settings.Region)
	if err := leaveEndpoint(f.dir, listener.Addr().String()); err != nil {
		f.log.Warn("the admin command will not know by the data directory where the store is", "error", err)
	}
	server := gateway.NewServer(handler, f.log)
	serving := serveHTTP(server, gateway.Gather(listener), f.address.ShutdownTimeout, f.log)
	announced := func(ctx context.Context) error {
		// What connects from here on waits in the listener's queue at worst.
		hello := banner{endpoint: endpoint, credentials: f.keys, region: f.settings.Region, sample: sampleFile()}
		if _, err := io.WriteString(f.stdout, hello.String()); err != nil {
			f.log.Warn("the lines to paste could not be printed", "error", err)
		}
		return serving(ctx)
	}
	return serve(ctx, announced, workers...)
}

// handler joins the protocols over the engine.
func (f front) handler() (http.Handler, error) {
	var known gateway.Credentials // nil: protected mode
	if f.keys.source != fromNowhere {
		known = gateway.RootCredentials(f.keys.AccessKey, f.keys.SecretKey)
	}
	s3 := s3api.NewHandler(s3api.Config{
		Backend:        f.engine,
		Credentials:    known,
		Open:           known == nil,
		Region:         f.settings.Region,
		Domains:        f.settings.Domains,
		StorageClasses: f.classes,
		Logger:         f.log,
	})
	handler, err := gateway.New(gateway.Config{
		S3:          s3,
		Store:       f.engine,
		Health:      f.engine.Health,
		Admin:       gateway.Admin{Operator: f.engine, AddVolume: f.join, Version: versionText()},
		Credentials: known, MetricsToken: f.metrics.MetricsToken,
		Region:  f.settings.Region,
		Domains: f.settings.Domains,
		Timeout: f.settings.ClientTimeout,
		Logger:  f.log,
	})
	if err != nil {
		return nil, fmt.Errorf("front: %w", err)
	}
	return handler, nil
}

// sampleFile returns a file in the working directory for the examples to store.
func sampleFile() string {
	const name = "README.md"
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return name
}
