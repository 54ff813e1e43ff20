package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Path is where metrics are found.
const Path = "/-/metrics"

// scrapesAtOnce bounds the scrapes that are answered at the same time: each asks
// the volumes how they are.
const scrapesAtOnce = 4

// ForStore answers scrapes of a master or server. snapshot is called for each; it
// should end soon after its context.
func ForStore(version string, snapshot func(context.Context) *Snapshot, log *slog.Logger) http.Handler {
	return handler(newTable(storeFamilies(), snapshot), version, log)
}

// ForVolume answers scrapes of a volume process.
func ForVolume(version string, snapshot func(context.Context) *VolumeSnapshot, log *slog.Logger) http.Handler {
	return handler(newTable(volumeFamilies(), snapshot), version, log)
}

// handler serves a table, beside what is known of the process. Who may ask is the
// caller's to find out.
func handler[S any](t *table[S], version string, log *slog.Logger) http.Handler {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(version))
	places := make(chan struct{}, scrapesAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(w, "too many scrapes at the same time", http.StatusServiceUnavailable)
			return
		}
		scrape := prometheus.NewRegistry()
		if err := scrape.Register(t.within(r.Context())); err != nil {
			log.Error("metrics", "error", err)
			http.Error(w, "metrics can not be collected", http.StatusInternalServerError)
			return
		}
		promhttp.HandlerFor(prometheus.Gatherers{process, scrape}, promhttp.HandlerOpts{
			ErrorLog: errorLog{log}, ErrorHandling: promhttp.HTTPErrorOnError, EnableOpenMetrics: true,
		}).ServeHTTP(w, r)
	})
}

// buildInfo is the one constant that says which program this is.
func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: buildInfoName, Help: buildInfoHelp, ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}

const (
	buildInfoName = "tdkvs_build_info"
	buildInfoHelp = "1, with the version of the program and of the Go that it was built by."
)

// errorLog takes what the library has to say.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Println(v ...any) { l.log.Error("metrics", "error", v) }
