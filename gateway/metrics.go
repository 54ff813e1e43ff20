package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"tdkvs/gateway/metrics"
	"tdkvs/s3api"
)

// metricsPage answers scrapes of those who may see how the store is: root, as in the
// admin API, and whoever has the token.
func (g *gateway) metricsPage() func(http.ResponseWriter, *http.Request, *s3api.RequestInfo) error {
	page := metrics.ForStore(g.cfg.Admin.Version, g.snapshot, g.cfg.Logger)
	return func(w http.ResponseWriter, r *http.Request, info *s3api.RequestInfo) error {
		if err := checkMethod(r, "GET, HEAD"); err != nil {
			return err
		}
		if err := g.maySeeMetrics(r, info); err != nil {
			return err
		}
		info.Status = http.StatusOK
		w.Header().Set("Cache-Control", "no-store")
		page.ServeHTTP(w, r)
		return nil
	}
}

func (g *gateway) maySeeMetrics(r *http.Request, info *s3api.RequestInfo) error {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case HasBearer(r, g.cfg.MetricsToken):
		return nil
	case strings.EqualFold(scheme, "Bearer"):
		return &failure{status: http.StatusUnauthorized, code: "Unauthorized", message: "this is not the metrics_token of the configuration",
			header: http.Header{"Www-Authenticate": {`Bearer realm="metrics"`}}}
	}
	_, err := g.authenticateAdmin(r, info)
	return err
}

// HasBearer reports whether a request shows a token, in constant time. Nothing is
// shown by a token of no length.
func HasBearer(r *http.Request, token string) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token == "" || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	a, b := sha256.Sum256([]byte(strings.TrimSpace(given))), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// snapshot gathers what there is to be shown.
func (g *gateway) snapshot(ctx context.Context) *metrics.Snapshot {
	op := g.cfg.Admin.Operator
	return &metrics.Snapshot{
		Version: g.cfg.Admin.Version, InFlight: g.stats.inFlight.Load(), Operations: g.stats.operationsNow(),
		Cluster: op.Cluster(ctx), Volumes: op.VolumeStats(), Engine: op.Stats(), Check: op.CheckStatus(),
	}
}

// operationsNow are the counters in order of name.
func (s *stats) operationsNow() []metrics.Operation {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]metrics.Operation, 0, len(s.operations))
	for _, name := range slices.Sorted(maps.Keys(s.operations)) {
		o := s.operations[name]
		m := metrics.Operation{
			API: apiOf(name), Name: name, Statuses: map[string]uint64{}, BytesIn: o.bytesIn.Load(), BytesOut: o.bytesOut.Load(),
			Total:     metrics.Latency{Counts: o.latency.Counts(), Sum: o.latency.Sum()},
			FirstByte: metrics.Latency{Counts: o.firstByte.Counts(), Sum: o.firstByte.Sum()},
		}
		if name == "" {
			m.Name = "none"
		}
		for class := range o.statuses {
			if n := o.statuses[class].Load(); n > 0 {
				m.Statuses[fmt.Sprintf("%dxx", class)] = n
			}
		}
		o.mu.Lock()
		m.Errors = maps.Clone(o.codes)
		o.mu.Unlock()
		out = append(out, m)
	}
	return out
}

// apiOf is the protocol that an operation is of.
func apiOf(operation string) string {
	switch {
	case strings.HasPrefix(operation, "Native"):
		return "native"
	case strings.HasPrefix(operation, "Admin"):
		return "admin"
	case operation == "Healthz" || operation == "Readyz" || operation == "Metrics":
		return "own"
	}
	return "s3"
}
