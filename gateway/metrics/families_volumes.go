package metrics

import (
	"tdkvs/master"
	"tdkvs/master/metadb"
)

// The conditions of a volume, as label values.
const (
	conditionOK          = "ok"
	conditionFull        = "full"
	conditionReadOnly    = "read_only"
	conditionUnreachable = "unreachable"
)

func conditionOf(v master.VolumeStatus) string {
	switch {
	case v.Err != nil:
		return conditionUnreachable
	case v.Status.ReadOnly != "":
		return conditionReadOnly
	case v.Status.Full:
		return conditionFull
	}
	return conditionOK
}

// eachVolume makes a family of a value of each volume. The figures of one that does
// not answer are those of when it last did.
func eachVolume(value func(v master.VolumeStatus) float64) func(*Snapshot, putter) {
	return func(s *Snapshot, put putter) {
		for _, v := range s.Cluster.Volumes {
			put(value(v), number(v.Number))
		}
	}
}

func eachVolumeStats(value func(v master.VolumeStats) float64) func(*Snapshot, putter) {
	return func(s *Snapshot, put putter) {
		for _, v := range s.Volumes {
			put(value(v), number(v.Number))
		}
	}
}

// volumesFamilies are the volumes as the master sees them.
func volumesFamilies() []family[Snapshot] {
	return append(volumeStateFamilies(), volumeCallFamilies()...)
}

func volumeStateFamilies() []family[Snapshot] {
	return []family[Snapshot]{
		{name: "tdkvs_volume_info", kind: gauge, labels: "volume uuid zone", help: "1, with the identity of each volume and its zone.",
			values: func(s *Snapshot, put putter) {
				for _, v := range s.Cluster.Volumes {
					put(1, number(v.Number), v.UUID, v.Zone)
				}
			}},
		{name: "tdkvs_volume_up", kind: gauge, labels: "volume", help: "Whether a volume answers, and is the one expected.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return is(v.Err == nil) })},
		{name: "tdkvs_volume_condition", kind: gauge, labels: "volume condition", help: "1 for the condition that a volume is in: ok, full, read_only or unreachable.",
			values: func(s *Snapshot, put putter) {
				for _, v := range s.Cluster.Volumes {
					now := conditionOf(v)
					for _, c := range []string{conditionOK, conditionFull, conditionReadOnly, conditionUnreachable} {
						put(is(c == now), number(v.Number), c)
					}
				}
			}},
		{name: "tdkvs_volume_draining", kind: gauge, labels: "volume", help: "Whether a volume is being deleted, so that what it holds moves to others.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return is(v.State == metadb.VolumeDraining) })},
		{name: "tdkvs_volume_slots", kind: gauge, labels: "volume", help: "Slots of a volume: its share of the data beside the others'.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Slots) })},
		{name: "tdkvs_volume_capacity_bytes", kind: gauge, labels: "volume", help: "Size of the file system of a volume.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Status.Capacity) })},
		{name: "tdkvs_volume_free_bytes", kind: gauge, labels: "volume", help: "Free space on it.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Status.Free) })},
		{name: "tdkvs_volume_reserve_bytes", kind: gauge, labels: "volume", help: "Space that is kept free on it: with less, writes are refused.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Status.Reserve) })},
		{name: "tdkvs_volume_blobs", kind: gauge, labels: "volume", help: "Blobs that a volume holds.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Status.Blobs) })},
		{name: "tdkvs_volume_blob_bytes", kind: gauge, labels: "volume", help: "Bytes of these blobs.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Status.Bytes) })},
		{name: "tdkvs_volume_dead_bytes", kind: gauge, labels: "volume", help: "Bytes of deleted blobs that compaction can win back.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Status.DeadBytes) })},
		{name: "tdkvs_volume_corrupt_reads_total", kind: counter, labels: "volume", help: "Reads that failed verification since the start of the volume.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Status.CorruptReads) })},
		{name: "tdkvs_volume_quarantined_records_total", kind: counter, labels: "volume", help: "Records found corrupt and set aside since the start of the volume.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Status.Quarantined) })},
		{name: "tdkvs_volume_scrub_running", kind: gauge, labels: "volume", help: "Whether a volume is in a round of re-reading everything.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return is(v.Status.Scrub.Running) })},
		{name: "tdkvs_volume_scrub_read_bytes", kind: gauge, labels: "volume", help: "Bytes verified in its last round.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Status.Scrub.Read) })},
		{name: "tdkvs_volume_scrub_round_bytes", kind: gauge, labels: "volume", help: "Bytes that a round reads, about.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Status.Scrub.Total) })},
		{name: "tdkvs_volume_scrub_bad_blobs", kind: gauge, labels: "volume", help: "Blobs that its last round has found bad.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return float64(v.Status.Scrub.Bad) })},
		{name: "tdkvs_volume_scrub_began_timestamp_seconds", kind: gauge, labels: "volume", help: "When its last round began; 0: none has.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return moment(v.Status.Scrub.Began) })},
		{name: "tdkvs_volume_scrub_finished_timestamp_seconds", kind: gauge, labels: "volume", help: "When a round last came to its end; 0: none has. What is older than the round before that was verified.",
			values: eachVolume(func(v master.VolumeStatus) float64 { return moment(v.Status.Scrub.Finished) })},
	}
}

// volumeCallFamilies are what this process asks of the volumes.
func volumeCallFamilies() []family[Snapshot] {
	return []family[Snapshot]{
		{name: "tdkvs_volume_calls_total", kind: counter, labels: "volume call", help: "Calls to a volume, by kind: read, write or delete.",
			values: func(s *Snapshot, put putter) {
				for _, v := range s.Volumes {
					put(float64(v.Reads), number(v.Number), "read")
					put(float64(v.Writes), number(v.Number), "write")
					put(float64(v.Deletes), number(v.Number), "delete")
				}
			}},
		{name: "tdkvs_volume_call_failures_total", kind: counter, labels: "volume", help: "Calls that a volume did not answer, or not as it should.",
			values: eachVolumeStats(func(v master.VolumeStats) float64 { return float64(v.Failed) })},
		{name: "tdkvs_volume_read_bytes_total", kind: counter, labels: "volume", help: "Bytes read from a volume.",
			values: eachVolumeStats(func(v master.VolumeStats) float64 { return float64(v.BytesRead) })},
		{name: "tdkvs_volume_written_bytes_total", kind: counter, labels: "volume", help: "Bytes written to a volume.",
			values: eachVolumeStats(func(v master.VolumeStats) float64 { return float64(v.BytesWritten) })},
		{name: "tdkvs_volume_read_duration_seconds", kind: histogram, labels: "volume", help: "Time until the first byte of a blob is there.",
			histograms: func(s *Snapshot, put func(Latency, ...string)) {
				for _, v := range s.Volumes {
					put(Latency{v.ReadLatency, v.ReadTime}, number(v.Number))
				}
			}},
		{name: "tdkvs_volume_write_duration_seconds", kind: histogram, labels: "volume", help: "Time until a blob is acknowledged as durable.",
			histograms: func(s *Snapshot, put func(Latency, ...string)) {
				for _, v := range s.Volumes {
					put(Latency{v.WriteLatency, v.WriteTime}, number(v.Number))
				}
			}},
	}
}
