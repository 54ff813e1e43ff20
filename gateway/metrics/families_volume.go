package metrics

import "tdkvs/volume"

// volumeFamilies are those of a volume process: how the volume sees itself.
func volumeFamilies() []family[VolumeSnapshot] {
	one := func(value func(volume.Status) float64) func(*VolumeSnapshot, func(float64, ...string)) {
		return func(s *VolumeSnapshot, put func(float64, ...string)) { put(value(s.Status)) }
	}
	return []family[VolumeSnapshot]{
		{name: "tdkvs_disk_info", kind: gauge, labels: "uuid cluster", help: "1, with the identity of the volume and that of the cluster it belongs to.",
			values: func(s *VolumeSnapshot, put func(float64, ...string)) { put(1, s.Status.Volume, s.Status.Cluster) }},
		{name: "tdkvs_disk_capacity_bytes", kind: gauge, help: "Size of the file system of the volume.",
			values: one(func(s volume.Status) float64 { return float64(s.Capacity) })},
		{name: "tdkvs_disk_free_bytes", kind: gauge, help: "Free space on it.",
			values: one(func(s volume.Status) float64 { return float64(s.Free) })},
		{name: "tdkvs_disk_reserve_bytes", kind: gauge, help: "Space that is kept free: with less, writes are refused.",
			values: one(func(s volume.Status) float64 { return float64(s.Reserve) })},
		{name: "tdkvs_disk_full", kind: gauge, help: "Whether the reserve is reached, so that writes are refused.",
			values: one(func(s volume.Status) float64 { return is(s.Full) })},
		{name: "tdkvs_disk_read_only", kind: gauge, help: "Whether a failed write or sync has made the volume refuse writes until it is started again.",
			values: one(func(s volume.Status) float64 { return is(s.ReadOnly != "") })},
		{name: "tdkvs_disk_blobs", kind: gauge, help: "Blobs that the volume holds.",
			values: one(func(s volume.Status) float64 { return float64(s.Blobs) })},
		{name: "tdkvs_disk_blob_bytes", kind: gauge, help: "Bytes of these blobs.",
			values: one(func(s volume.Status) float64 { return float64(s.Bytes) })},
		{name: "tdkvs_disk_dead_bytes", kind: gauge, help: "Bytes of deleted blobs that compaction can win back.",
			values: one(func(s volume.Status) float64 { return float64(s.DeadBytes) })},
		{name: "tdkvs_disk_syncs_total", kind: counter, help: "Calls that make files or directories durable.",
			values: one(func(s volume.Status) float64 { return float64(s.Syncs) })},
		{name: "tdkvs_disk_writes_total", kind: counter, help: "Blobs and deletions acknowledged.",
			values: one(func(s volume.Status) float64 { return float64(s.Writes) })},
		{name: "tdkvs_disk_corrupt_reads_total", kind: counter, help: "Reads that failed verification.",
			values: one(func(s volume.Status) float64 { return float64(s.CorruptReads) })},
		{name: "tdkvs_disk_quarantined_records_total", kind: counter, help: "Records found corrupt and set aside.",
			values: one(func(s volume.Status) float64 { return float64(s.Quarantined) })},
		{name: "tdkvs_disk_scrub_running", kind: gauge, help: "Whether a round of re-reading everything is under way.",
			values: one(func(s volume.Status) float64 { return is(s.Scrub.Running) })},
		{name: "tdkvs_disk_scrub_read_bytes", kind: gauge, help: "Bytes verified in the last round.",
			values: one(func(s volume.Status) float64 { return float64(s.Scrub.Read) })},
		{name: "tdkvs_disk_scrub_round_bytes", kind: gauge, help: "Bytes that a round reads, about.",
			values: one(func(s volume.Status) float64 { return float64(s.Scrub.Total) })},
		{name: "tdkvs_disk_scrub_bad_blobs", kind: gauge, help: "Blobs that the last round has found bad.",
			values: one(func(s volume.Status) float64 { return float64(s.Scrub.Bad) })},
		{name: "tdkvs_disk_scrub_began_timestamp_seconds", kind: gauge, help: "When the last round began; 0: none has.",
			values: one(func(s volume.Status) float64 { return moment(s.Scrub.Began) })},
		{name: "tdkvs_disk_scrub_finished_timestamp_seconds", kind: gauge, help: "When a round last came to its end; 0: none has.",
			values: one(func(s volume.Status) float64 { return moment(s.Scrub.Finished) })},
	}
}
