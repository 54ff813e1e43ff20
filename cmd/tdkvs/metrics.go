package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"tdkvs/gateway"
	"tdkvs/gateway/metrics"
	"tdkvs/volume"
)

// withMetrics serves the metrics of a volume process beside its protocol, to who
// shows the token; where there is neither token nor cluster secret, to clients on
// the same machine, as all else.
func withMetrics(protocol http.Handler, store *volume.Store, cfg volumeConfig, log *slog.Logger) http.Handler {
	page := metrics.ForVolume(versionText(), func(ctx context.Context) *metrics.VolumeSnapshot {
		status, err := store.Status(ctx)
		if err != nil {
			log.Error("metrics", "error", err)
		}
		return &metrics.VolumeSnapshot{Version: versionText(), Status: status}
	}, log)
	open := cfg.MetricsToken == "" && cfg.ClusterSecret == ""
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != metrics.Path:
			protocol.ServeHTTP(w, r)
		case !gateway.HasBearer(r, cfg.MetricsToken) && (!open || !fromHere(r)):
			w.Header().Set("Www-Authenticate", `Bearer realm="metrics"`)
			http.Error(w, "metrics are shown to who has the metrics_token of the configuration", http.StatusUnauthorized)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		default:
			page.ServeHTTP(w, r)
		}
	})
}

// fromHere reports whether a request comes from this machine.
func fromHere(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}
