package gateway

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tdkvs/gateway/adminapi"
	"tdkvs/master/latency"
)

// stats counts requests by operation. Operations are those of the tables, so
// there is a bounded number of them.
type stats struct {
	started  time.Time
	inFlight atomic.Int64

	mu         sync.RWMutex // guards the map, not what is in it
	operations map[string]*operation
}

// operation counts the requests of one operation.
type operation struct {
	requests, failed   atomic.Uint64
	statuses           [6]atomic.Uint64 // by their first digit
	bytesIn, bytesOut  atomic.Int64
	latency, firstByte latency.Histogram

	mu    sync.Mutex // guards codes
	codes map[string]uint64
}

// failedWith counts an error by its code, which is one of a table.
func (o *operation) failedWith(code string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.codes == nil {
		o.codes = map[string]uint64{}
	}
	if _, known := o.codes[code]; !known && len(o.codes) >= maxCodes {
		code = "Other"
	}
	o.codes[code]++
}

// maxCodes bounds what is counted apart of one operation, whatever codes may be.
const maxCodes = 100

// answered is one request that was answered.
type answered struct {
	operation, code string
	status          int
	in, out         int64
	firstByte, took time.Duration
}

func newStats(now time.Time) *stats {
	return &stats{started: now, operations: map[string]*operation{}}
}

// of returns the counters of an operation.
func (s *stats) of(name string) *operation {
	s.mu.RLock()
	o := s.operations[name]
	s.mu.RUnlock()
	if o != nil {
		return o
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[name] == nil {
		s.operations[name] = new(operation)
	}
	return s.operations[name]
}

// count counts one request.
func (s *stats) count(a answered) {
	o := s.of(a.operation)
	o.requests.Add(1)
	if a.status >= 500 {
		o.failed.Add(1)
	}
	if class := a.status / 100; 0 < class && class < len(o.statuses) {
		o.statuses[class].Add(1)
	}
	if a.code != "" {
		o.failedWith(a.code)
	}
	o.bytesIn.Add(a.in)
	o.bytesOut.Add(a.out)
	o.latency.Add(a.took)
	o.firstByte.Add(a.firstByte)
}

// documents are the counters in order of name.
func (s *stats) documents() []adminapi.OperationStats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]adminapi.OperationStats, 0, len(s.operations))
	for _, name := range slices.Sorted(maps.Keys(s.operations)) {
		o := s.operations[name]
		out = append(out, adminapi.OperationStats{
			Name: name, Requests: o.requests.Load(), Failed: o.failed.Load(),
			BytesIn: o.bytesIn.Load(), BytesOut: o.bytesOut.Load(), Latency: o.latency.Counts(),
		})
	}
	return out
}

func (g *gateway) adminStats(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	out := adminapi.Stats{
		Started: g.stats.started, At: g.cfg.Now().UTC(), LatencyBounds: latency.Bounds(),
		Operations: g.stats.documents(), Volumes: []adminapi.VolumeStats{},
	}
	for _, v := range g.cfg.Admin.Operator.VolumeStats() {
		out.Volumes = append(out.Volumes, adminapi.VolumeStats{
			Number: uint32(v.Number), Reads: v.Reads, Writes: v.Writes, Deletes: v.Deletes, Failed: v.Failed,
			BytesRead: v.BytesRead, BytesWritten: v.BytesWritten, ReadLatency: list(v.ReadLatency), WriteLatency: list(v.WriteLatency),
		})
	}
	return out, nil
}
