package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"tdkvs/gateway/adminapi"
)

// topSample is what happened between two samples of the counters, per second.
type topSample struct {
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"` // between the two
	// All are all operations together.
	All        topOperation   `json:"all"`
	Operations []topOperation `json:"operations"` // that were asked for, the busiest first
	Volumes    []topVolume    `json:"volumes"`
}

// topOperation is one operation. Latencies are in seconds; 0 where nothing was
// asked.
type topOperation struct {
	Name     string  `json:"name"`
	Requests float64 `json:"requests_per_second"`
	Failed   float64 `json:"failed_per_second"`
	BytesIn  float64 `json:"bytes_in_per_second"`
	BytesOut float64 `json:"bytes_out_per_second"`
	P50      float64 `json:"p50_seconds"`
	P99      float64 `json:"p99_seconds"`
}

// topVolume is one volume.
type topVolume struct {
	adminapi.Volume
	Requests     float64 `json:"requests_per_second"`
	Failed       float64 `json:"failed_per_second"`
	BytesRead    float64 `json:"bytes_read_per_second"`
	BytesWritten float64 `json:"bytes_written_per_second"`
	ReadP50      float64 `json:"read_p50_seconds"`
	ReadP99      float64 `json:"read_p99_seconds"`
	WriteP50     float64 `json:"write_p50_seconds"`
	WriteP99     float64 `json:"write_p99_seconds"`
}

// adminTop shows what the store is at, over and over on a terminal.
func adminTop(ctx context.Context, a *adminSession) error {
	once := a.once || a.output == "json"
	screen := !once && isTerminal(a.stdout)
	before, err := a.stats(ctx)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil // that is how it is ended
		case <-time.After(a.interval):
		}
		after, err := a.stats(ctx)
		var c adminapi.Cluster
		if err == nil {
			err = a.client.call(ctx, http.MethodGet, "/cluster", nil, nil, &c)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		top := compare(before, after, c)
		if screen {
			_, _ = fmt.Fprint(a.stdout, "\x1b[H\x1b[J") // whoever looks is gone when this fails
		}
		if err := a.print(top, func(w io.Writer) { topTables(w, top, c) }); err != nil || once {
			return err
		}
		before = after
	}
}

func (a *adminSession) stats(ctx context.Context) (adminapi.Stats, error) {
	var s adminapi.Stats
	err := a.client.call(ctx, http.MethodGet, "/stats", nil, nil, &s)
	return s, err
}

// compare makes rates of two samples. Where the process has started in between,
// what came before the first is nothing.
func compare(before, after adminapi.Stats, c adminapi.Cluster) topSample {
	if !before.Started.Equal(after.Started) {
		before = adminapi.Stats{At: after.Started}
	}
	top := topSample{At: after.At, Seconds: after.At.Sub(before.At).Seconds(), Operations: []topOperation{}, Volumes: []topVolume{}}
	seconds := max(top.Seconds, 1e-3)
	total, was := adminapi.OperationStats{Name: "all"}, adminapi.OperationStats{}
	for _, o := range after.Operations {
		old := adminapi.OperationStats{}
		if i := slices.IndexFunc(before.Operations, func(b adminapi.OperationStats) bool { return b.Name == o.Name }); i >= 0 {
			old = before.Operations[i]
		}
		total, was = sum(total, o), sum(was, old)
		if o.Requests > old.Requests {
			top.Operations = append(top.Operations, operationRates(old, o, seconds, after.LatencyBounds))
		}
	}
	top.All = operationRates(was, total, seconds, after.LatencyBounds)
	slices.SortStableFunc(top.Operations, func(x, y topOperation) int { return cmp.Compare(y.Requests, x.Requests) })
	for _, v := range c.Volumes {
		top.Volumes = append(top.Volumes, volumeRates(v, volumeStats(before, v.Number), volumeStats(after, v.Number), seconds, after.LatencyBounds))
	}
	return top
}

func sum(a, b adminapi.OperationStats) adminapi.OperationStats {
	a.Requests += b.Requests
	a.Failed += b.Failed
	a.BytesIn += b.BytesIn
	a.BytesOut += b.BytesOut
	latency := slices.Clone(a.Latency)
	latency = append(latency, make([]uint64, max(0, len(b.Latency)-len(latency)))...)
	for i, n := range b.Latency {
		latency[i] += n
	}
	a.Latency = latency
	return a
}

func operationRates(before, after adminapi.OperationStats, seconds float64, bounds []float64) topOperation {
	passed := since(before.Latency, after.Latency)
	return topOperation{
		Name:     after.Name,
		Requests: float64(after.Requests-before.Requests) / seconds,
		Failed:   float64(after.Failed-before.Failed) / seconds,
		BytesIn:  float64(after.BytesIn-before.BytesIn) / seconds,
		BytesOut: float64(after.BytesOut-before.BytesOut) / seconds,
		P50:      percentile(passed, bounds, 0.5), P99: percentile(passed, bounds, 0.99),
	}
}

func volumeStats(s adminapi.Stats, number uint32) adminapi.VolumeStats {
	for _, v := range s.Volumes {
		if v.Number == number {
			return v
		}
	}
	return adminapi.VolumeStats{}
}

func volumeRates(v adminapi.Volume, before, after adminapi.VolumeStats, seconds float64, bounds []float64) topVolume {
	calls := func(s adminapi.VolumeStats) uint64 { return s.Reads + s.Writes + s.Deletes }
	read, written := since(before.ReadLatency, after.ReadLatency), since(before.WriteLatency, after.WriteLatency)
	return topVolume{
		Volume:       v,
		Requests:     float64(calls(after)-min(calls(before), calls(after))) / seconds,
		Failed:       float64(after.Failed-min(before.Failed, after.Failed)) / seconds,
		BytesRead:    float64(after.BytesRead-min(before.BytesRead, after.BytesRead)) / seconds,
		BytesWritten: float64(after.BytesWritten-min(before.BytesWritten, after.BytesWritten)) / seconds,
		ReadP50:      percentile(read, bounds, 0.5), ReadP99: percentile(read, bounds, 0.99),
		WriteP50: percentile(written, bounds, 0.5), WriteP99: percentile(written, bounds, 0.99),
	}
}

// since is what was counted between two samples.
func since(before, after []uint64) []uint64 {
	passed := slices.Clone(after)
	for i := range passed {
		if i < len(before) {
			passed[i] -= min(before[i], passed[i])
		}
	}
	return passed
}

// percentile is the bound below which a share of what was counted lies, with the
// place within its bucket taken for even; in seconds. What lies beyond the last
// bound counts as it.
func percentile(counts []uint64, bounds []float64, share float64) float64 {
	total := uint64(0)
	for _, n := range counts {
		total += n
	}
	if total == 0 || len(bounds) == 0 {
		return 0
	}
	want, below := share*float64(total), 0.0
	for i, n := range counts {
		if i >= len(bounds) {
			break
		}
		if below+float64(n) >= want {
			low := 0.0
			if i > 0 {
				low = bounds[i-1]
			}
			return low + (bounds[i]-low)*(want-below)/float64(n)
		}
		below += float64(n)
	}
	return bounds[len(bounds)-1]
}

// topTables writes a sample for people.
func topTables(w io.Writer, top topSample, c adminapi.Cluster) {
	_, _ = fmt.Fprintf(w, "%s  %s requests/s, %s failed/s, in %s/s, out %s/s, p50 %s, p99 %s\n", moment(top.At), perSecond(top.All.Requests),
		perSecond(top.All.Failed), human(top.All.BytesIn), human(top.All.BytesOut), lasted(top.All.P50), lasted(top.All.P99))
	_, _ = fmt.Fprintf(w, "rebalance: %s\n", rebalanceText(c.Rebalance))
	_, _ = fmt.Fprintf(w, "repair: %s\n\n", repairText(c))
	rows := []string{row("VOLUME", "HEALTH", "DISK", "CALLS/S", "FAILED/S", "READ/S", "WRITTEN/S", "READ P50", "P99", "WRITE P50", "P99", "URL")}
	for _, v := range top.Volumes {
		rows = append(rows, row(v.Number, v.Health, diskText(v.Volume), perSecond(v.Requests), perSecond(v.Failed), human(v.BytesRead), human(v.BytesWritten),
			lasted(v.ReadP50), lasted(v.ReadP99), lasted(v.WriteP50), lasted(v.WriteP99), v.URL))
	}
	columns(w, rows...)
	_, _ = fmt.Fprintln(w)
	rows = []string{row("OPERATION", "REQUESTS/S", "FAILED/S", "IN/S", "OUT/S", "P50", "P99")}
	for _, o := range top.Operations {
		rows = append(rows, row(o.Name, perSecond(o.Requests), perSecond(o.Failed), human(o.BytesIn), human(o.BytesOut), lasted(o.P50), lasted(o.P99)))
	}
	columns(w, rows...)
}

// perSecond writes a rate with a digit behind the point where it is small.
func perSecond(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return grouped(int64(rate + 0.5))
}

// lasted writes a duration in seconds; nothing where nothing was measured.
func lasted(seconds float64) string {
	switch {
	case seconds <= 0:
		return ""
	case seconds < 0.01:
		return fmt.Sprintf("%.2f ms", seconds*1e3)
	case seconds < 1:
		return fmt.Sprintf("%.0f ms", seconds*1e3)
	}
	return fmt.Sprintf("%.1f s", seconds)
}

// diskText is how full the file system of a volume is.
func diskText(v adminapi.Volume) string {
	if v.Capacity == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100*float64(v.Capacity-min(v.Free, v.Capacity))/float64(v.Capacity))
}
