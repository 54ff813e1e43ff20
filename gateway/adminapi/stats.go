package adminapi

import "time"

// Stats is what was counted since the start of the process. Two samples give
// rates.
type Stats struct {
	Started time.Time `json:"started"` // the process
	At      time.Time `json:"at"`      // this sample
	// LatencyBounds are those of the buckets, in seconds: latency[i] counts what
	// took at most bounds[i], and more than bounds[i-1]; the last has no bound.
	LatencyBounds []float64        `json:"latency_bounds"`
	Operations    []OperationStats `json:"operations"`
	Volumes       []VolumeStats    `json:"volumes"`
}

// OperationStats counts the requests of one operation.
type OperationStats struct {
	Name     string   `json:"name"` // such as GetObject or NativeSet; empty: of none
	Requests uint64   `json:"requests"`
	Failed   uint64   `json:"failed"`    // answered 5xx
	BytesIn  int64    `json:"bytes_in"`  // of bodies
	BytesOut int64    `json:"bytes_out"` // of bodies
	Latency  []uint64 `json:"latency"`
}

// VolumeStats counts what one volume was asked.
type VolumeStats struct {
	Number       uint32   `json:"number"`
	Reads        uint64   `json:"reads"`
	Writes       uint64   `json:"writes"`
	Deletes      uint64   `json:"deletes"` // calls
	Failed       uint64   `json:"failed"`  // calls that the volume did not answer, or not as it should
	BytesRead    uint64   `json:"bytes_read"`
	BytesWritten uint64   `json:"bytes_written"`
	ReadLatency  []uint64 `json:"read_latency"`  // to the first byte
	WriteLatency []uint64 `json:"write_latency"` // to the acknowledgement
}
