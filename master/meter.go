package master

import (
	"sync/atomic"
	"time"

	"tdkvs/master/latency"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

// VolumeStats is what one volume was asked by this process since it began.
type VolumeStats struct {
	Number       meta.VolumeID
	Reads        uint64 // of blobs, begun
	Writes       uint64 // of blobs
	Deletes      uint64 // calls
	Failed       uint64 // calls that the volume did not answer, or not as it should
	BytesRead    uint64
	BytesWritten uint64
	ReadLatency  []uint64      // as latency.Histogram has it: reads, to the first byte
	WriteLatency []uint64      // writes, to their acknowledgement
	ReadTime     time.Duration // the sum of the latencies
	WriteTime    time.Duration
}

// VolumeStats returns what was counted of each volume of the cluster, in order of
// number.
func (e *Engine) VolumeStats() []VolumeStats {
	l := e.layouts.now()
	stats := make([]VolumeStats, 0, len(l.volumes))
	for _, v := range l.topology.Volumes {
		if !v.State.Member() {
			continue
		}
		m := &l.volumes[v.Number].meter
		stats = append(stats, VolumeStats{
			Number: v.Number, Reads: m.reads.Load(), Writes: m.writes.Load(), Deletes: m.deletes.Load(), Failed: m.failed.Load(),
			BytesRead: m.bytesRead.Load(), BytesWritten: m.bytesWritten.Load(),
			ReadLatency: m.readLatency.Counts(), WriteLatency: m.writeLatency.Counts(),
			ReadTime: m.readLatency.Sum(), WriteTime: m.writeLatency.Sum(),
		})
	}
	return stats
}

// meter counts what a volume is asked.
type meter struct {
	reads, writes, deletes, failed atomic.Uint64
	bytesRead, bytesWritten        atomic.Uint64
	readLatency, writeLatency      latency.Histogram
}

// fault counts an error that says that the volume, rather than the request or
// whoever made it, failed.
func (m *meter) fault(err error) {
	if isAny(err, volume.ErrUnavailable, volume.ErrCorrupt, volume.ErrReadOnly, volume.ErrWrongVolume) {
		m.failed.Add(1)
	}
}
