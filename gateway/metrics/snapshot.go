package metrics

import (
	"time"

	"tdkvs/master"
	"tdkvs/volume"
)

// Snapshot is what a store has counted so far, and how it is.
type Snapshot struct {
	Version    string
	InFlight   int64 // requests
	Operations []Operation
	Cluster    master.ClusterStatus
	Volumes    []master.VolumeStats
	Engine     master.Stats
	Check      master.CheckStatus
}

// Operation counts the requests of one operation since the start.
type Operation struct {
	API      string // s3, native, admin or own
	Name     string
	Statuses map[string]uint64 // by class, such as 2xx
	Errors   map[string]uint64 // by code
	BytesIn  int64             // of bodies
	BytesOut int64
	// FirstByte is the time from the headers of a request to the first byte of its
	// answer, Total that to the last.
	FirstByte, Total Latency
}

// Latency counts durations in the buckets of latency.Histogram.
type Latency struct {
	Counts []uint64
	Sum    time.Duration
}

// VolumeSnapshot is how a volume is, as its own process sees it.
type VolumeSnapshot struct {
	Version string
	Status  volume.Status
}
