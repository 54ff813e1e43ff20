package bench

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Report is what a run has measured.
type Report struct {
	Rounds   int           `json:"rounds"`
	Duration time.Duration `json:"duration_ns"` // of a round
	Loads    []LoadReport  `json:"loads"`
	Disk     *DiskReport   `json:"disk,omitempty"`

	disk diskSamples
}

// LoadReport is one load at all endpoints.
type LoadReport struct {
	Title     string           `json:"title"`
	Load      string           `json:"load"`
	Clients   int              `json:"clients"`
	Size      string           `json:"size"`
	Endpoints []EndpointReport `json:"endpoints"`
}

// EndpointReport is one load at one endpoint. Rates are medians of the rounds;
// latencies are of all requests of all rounds.
type EndpointReport struct {
	Endpoint string  `json:"endpoint"`
	Requests int64   `json:"requests"`   // answered as they should be
	Rate     float64 `json:"requests/s"` // of those
	Objects  float64 `json:"objects/s"`
	Bytes    float64 `json:"bytes/s"`
	Latency  Latency `json:"latency"`
	// Operations are the parts of a mixed load.
	Operations []OperationReport `json:"operations,omitempty"`
	// Ratio is the rate of the first endpoint by that of this one: the median of
	// the ratios of the rounds. Of bytes where there are any, else of objects.
	Ratio  float64          `json:"first_by_this,omitempty"`
	Failed int64            `json:"failed"`
	Errors map[string]int64 `json:"errors,omitempty"` // how many failed with what
	// ClientTime and ServerTime are processor time for a request: of this process,
	// and of those of the endpoint that were named.
	ClientTime time.Duration `json:"client_cpu_ns_per_request"`
	ServerTime time.Duration `json:"server_cpu_ns_per_request,omitempty"`
	PeakMemory int64         `json:"server_peak_bytes,omitempty"` // since it started
}

// OperationReport is one operation of a mixed load.
type OperationReport struct {
	Operation string  `json:"operation"`
	Requests  int64   `json:"requests"`
	Rate      float64 `json:"requests/s"`
	Latency   Latency `json:"latency"`
}

// DiskReport is what the disk can do by itself: medians of samples, one
// after each load.
type DiskReport struct {
	Directory string        `json:"directory"`
	Rate      float64       `json:"sequential_write_bytes/s"`
	Sync      time.Duration `json:"sync_4KiB_ns"`
}

type diskSamples struct {
	rates []float64
	syncs []time.Duration
}

func (d *diskSamples) add(s diskSample) {
	d.rates, d.syncs = append(d.rates, s.rate), append(d.syncs, s.sync)
}

func newReport(cfg Config) *Report {
	r := &Report{Rounds: cfg.Rounds, Duration: cfg.Duration}
	if cfg.Disk != "" {
		r.Disk = &DiskReport{Directory: cfg.Disk}
	}
	return r
}

// result gathers the rounds of one load at one endpoint.
type result struct {
	endpoint Endpoint
	all      tallies
	rounds   []roundRates
	took     time.Duration
	own      time.Duration
	used     usage
}

type roundRates struct{ requests, objects, bytes float64 }

func newResult(e Endpoint) *result { return &result{endpoint: e} }

func (r *result) add(done *tallies, took, own time.Duration, used usage) {
	r.all.add(done)
	r.took += took
	r.own += own
	r.used.processor += used.processor
	r.used.peak = used.peak
	sum := done.total()
	seconds := took.Seconds()
	r.rounds = append(r.rounds, roundRates{
		requests: float64(sum.requests()) / seconds, objects: float64(sum.objects) / seconds, bytes: float64(sum.bytes) / seconds,
	})
}

// total adds up all operations.
func (t *tallies) total() *tally {
	sum := new(tally)
	for i := range t {
		sum.add(&t[i])
	}
	return sum
}

// last says in a few words what the last round has brought.
func (r *result) last() string {
	last := r.rounds[len(r.rounds)-1]
	return fmt.Sprintf("%9.0f requests/s %9.0f objects/s %8.1f MiB/s", last.requests, last.objects, last.bytes/(1<<20))
}

// measure is what endpoints are compared by.
func (r roundRates) measure() float64 {
	if r.bytes > 0 {
		return r.bytes
	}
	return r.objects
}

func (r *Report) add(l Load, results []*result) {
	load := LoadReport{Title: l.Title(), Load: l.Kind, Clients: l.Clients, Size: l.Sizes.String()}
	for i, res := range results {
		e := res.report()
		if i > 0 {
			e.Ratio = ratio(results[0].rounds, res.rounds)
		}
		load.Endpoints = append(load.Endpoints, e)
	}
	r.Loads = append(r.Loads, load)
	if r.Disk != nil && len(r.disk.rates) > 0 {
		r.Disk.Rate, r.Disk.Sync = median(r.disk.rates), median(r.disk.syncs)
	}
}

// ratio is the median of what the rounds of one were by those of the other.
func ratio(first, other []roundRates) float64 {
	var ratios []float64
	for i := range min(len(first), len(other)) {
		if m := other[i].measure(); m > 0 {
			ratios = append(ratios, first[i].measure()/m)
		}
	}
	return median(ratios)
}

func (r *result) report() EndpointReport {
	sum := r.all.total()
	e := EndpointReport{Endpoint: r.endpoint.Name, Requests: sum.requests(), Errors: sum.errors, PeakMemory: r.used.peak}
	e.Rate = median(collect(r.rounds, func(x roundRates) float64 { return x.requests }))
	e.Objects = median(collect(r.rounds, func(x roundRates) float64 { return x.objects }))
	e.Bytes = median(collect(r.rounds, func(x roundRates) float64 { return x.bytes }))
	for _, n := range sum.errors {
		e.Failed += n
	}
	if sum.latency != nil {
		e.Latency = sum.latency.latency()
	}
	if all := e.Requests + e.Failed; all > 0 {
		e.ClientTime = r.own / time.Duration(all)
		e.ServerTime = r.used.processor / time.Duration(all)
	}
	e.Operations = r.operations()
	return e
}

// operations lists what a load was made of, where it is more than one.
func (r *result) operations() []OperationReport {
	var all []OperationReport
	for op := range operations {
		if t := &r.all[op]; t.requests() > 0 {
			rate := float64(t.requests()) / r.took.Seconds()
			all = append(all, OperationReport{op.String(), t.requests(), rate, t.latency.latency()})
		}
	}
	if len(all) < 2 {
		return nil
	}
	return all
}

func collect(rounds []roundRates, of func(roundRates) float64) []float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, of(r))
	}
	return all
}

// median of nothing is 0; of an even number it is the mean of the two in the
// middle.
func median[T float64 | time.Duration](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Failed counts the requests of all loads that were not answered as they should
// be.
func (r *Report) Failed() (failed int64) {
	for _, l := range r.Loads {
		for _, e := range l.Endpoints {
			failed += e.Failed
		}
	}
	return failed
}

// errorLines lists how many requests failed with what, the most first.
func (e EndpointReport) errorLines() []string {
	kinds := slices.SortedFunc(maps.Keys(e.Errors), func(a, b string) int {
		if e.Errors[a] != e.Errors[b] {
			return int(e.Errors[b] - e.Errors[a])
		}
		return len(a) - len(b)
	})
	var lines []string
	for _, kind := range kinds {
		lines = append(lines, fmt.Sprintf("%d x %s", e.Errors[kind], kind))
	}
	return lines
}
