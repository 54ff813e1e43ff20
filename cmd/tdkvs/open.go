package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master"
	"tdkvs/master/metadb/badgerdb"
	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// The directories inside one that was given to a server.
const (
	metadataDir = "meta"
	volumeDir   = "volume"
)

// openVolume opens the volume in dir, or makes a new one.
func openVolume(dir string, disk diskConfig, blob blobConfig, memory budgets, log *slog.Logger) (*volume.Store, error) {
	cfg := volume.Config{
		FS:                    vfs.OS(),
		Dir:                   dir,
		Logger:                log,
		WriteBudget:           memory.write,
		ReadBudget:            memory.read,
		Reserve:               disk.volumeReserve(),
		SegmentSize:           failpoint.Or[int64](0, 5<<20),
		CompactBytesPerSecond: orUnbounded(blob.CompactRate),
	}
	switch rate := blob.ScrubRate; {
	case rate == nil:
	case *rate == 0:
		cfg.ScrubPeriod = -1
	default:
		cfg.ScrubBytesPerSecond = int64(*rate)
	}
	return volume.Open(cfg)
}

// volumeReserve is the setting as volume.Config takes it: 0 is its default,
// below zero is none.
func (d diskConfig) volumeReserve() int64 {
	switch {
	case d.DiskReserve == nil:
		return 0
	case *d.DiskReserve == 0:
		return -1
	}
	return int64(*d.DiskReserve)
}

func orUnbounded(rate byteSize) int64 {
	if rate == 0 {
		return -1
	}
	return int64(rate)
}

// metadataReserve is the free space that the metadata leaves on its disk. It is
// half of what a volume there would leave, so that the bytes run out first and
// deleting, which needs the metadata, still works.
func (d diskConfig) metadataReserve(total uint64) uint64 {
	if d.DiskReserve != nil {
		return max(uint64(*d.DiskReserve)/2, 1) // 0 would be the store's default
	}
	return max(min(badgerdb.DefaultReserve, total/10)/2, 1)
}

// openMetadata opens the metadata in dir, or makes a new one.
func openMetadata(dir string, disk diskConfig, log *slog.Logger) (*badgerdb.DB, error) {
	options, err := metadataOptions(dir, disk, log)
	if err != nil {
		return nil, err
	}
	return badgerdb.Open(dir, options)
}

// checkDirs refuses lists of directories that can not be one store: it finds
// mistakes that would otherwise leave something behind, or say less.
func checkDirs(dirs []string) error {
	seen := map[string]string{}
	for _, dir := range dirs {
		full, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("directory %s: %w", dir, err)
		}
		if resolved, err := filepath.EvalSymlinks(full); err == nil {
			full = resolved
		}
		if other, twice := seen[full]; twice {
			return misusef("server: %s and %s are the same directory", other, dir)
		}
		seen[full] = dir
	}
	for _, dir := range dirs[1:] {
		if isDir(filepath.Join(dir, metadataDir)) && !isDir(filepath.Join(dirs[0], metadataDir)) {
			return fmt.Errorf("the metadata of this store lies in %s: name that directory first", dir)
		}
	}
	return nil
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// Pauses between two attempts to reach the volumes, and between two log lines
// that say so.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
	tellingEvery = 5 * time.Second
)

// openEngine opens the engine. Volumes that must be reached and can not be yet
// are waited for, so that a master and its volumes may be started in any order.
func openEngine(ctx context.Context, cfg master.Config, wait time.Duration) (*master.Engine, error) {
	began := time.Now()
	var told time.Time
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		engine, err := master.Open(ctx, cfg)
		absent := absentVolumes(err)
		if len(absent) == 0 || time.Since(began)+pause > wait {
			return engine, err
		}
		if time.Since(told) >= tellingEvery {
			told = time.Now()
			cfg.Logger.Info("waiting for volumes", "volumes", strings.Join(absent, " "), "for_at_most", wait)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// absentVolumes returns the volumes whose absence is the only reason that a
// start failed, and none where waiting would not help.
func absentVolumes(err error) []string {
	var topology *master.TopologyError
	if !errors.As(err, &topology) {
		return nil
	}
	var names []string
	missing := 0
	for _, d := range topology.Differences {
		switch {
		case d.Kind == master.Missing:
			missing++ // it may be one of those that do not answer, at an address that it did not have
		case d.Kind == master.Unreachable && errors.Is(d.Err, volume.ErrUnavailable):
			names = append(names, d.Name)
		default:
			return nil
		}
	}
	if missing > len(names) {
		return nil
	}
	return names
}
