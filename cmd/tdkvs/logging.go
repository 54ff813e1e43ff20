package main

import (
	"context"
	"io"
	"log/slog"

	"tdkvs/gateway/accesslog"
	"tdkvs/master"
	"tdkvs/volume"
)

func logLevels() map[string]slog.Level {
	return map[string]slog.Level{
		"debug": slog.LevelDebug,
		"info":  slog.LevelInfo,
		"warn":  slog.LevelWarn,
		"error": slog.LevelError,
	}
}

// newLogger makes the process's logger from checked settings. Whoever serves
// requests ends with flushLog.
func newLogger(w io.Writer, settings logSettings) *slog.Logger {
	format := accesslog.Text
	if settings.Format == "json" {
		format = accesslog.JSON
	}
	return slog.New(accesslog.NewHandler(w, format, logLevels()[settings.Level]))
}

// flushLog writes the lines of requests that are still gathered.
func flushLog(log *slog.Logger) {
	if h, ok := log.Handler().(*accesslog.Handler); ok {
		h.Flush()
	}
}

// logMetadata logs, at the end of a process, how many updates shared how many
// durable commits.
func logMetadata(log *slog.Logger, engine *master.Engine) {
	stats := engine.Stats().Metadata
	log.Info("metadata at the end", "updates", stats.Updates, "commits", stats.Commits)
}

// logVolume logs, at the end of a process, what a volume holds and how many
// writes shared how many syncs.
func logVolume(ctx context.Context, log *slog.Logger, store *volume.Store) {
	status, err := store.Status(context.WithoutCancel(ctx))
	if err != nil {
		log.Warn("volume does not say how it is", "error", err)
		return
	}
	log.Info("volume at the end", "volume", status.Volume, "writes", status.Writes, "syncs", status.Syncs,
		"blobs", status.Blobs, "bytes", status.Bytes, "dead_bytes", status.DeadBytes,
		"quarantined", status.Quarantined, "corrupt_reads", status.CorruptReads)
}
