package metrics

import (
	"strconv"

	"tdkvs/master"
	"tdkvs/master/metadb"
)

// The states of the metadata, as label values.
const (
	stateOK     = "ok"
	stateFull   = "full"
	stateFailed = "failed"
)

func metadataState(s *Snapshot) string {
	switch {
	case s.Cluster.Metadata != "":
		return stateFailed
	case s.Cluster.Disk.State >= metadb.DiskFull:
		return stateFull
	}
	return stateOK
}

func metadataFamilies() []family[Snapshot] {
	return []family[Snapshot]{
		{name: "tdkvs_ready", kind: gauge, help: "Whether the store is ready as /-/readyz says it: it serves, and enough volumes take data.",
			values: single(func(s *Snapshot) float64 { return is(s.Cluster.Ready) })},
		{name: "tdkvs_metadata_state", kind: gauge, labels: "state", help: "1 for the state that the metadata is in: ok, full (only deletions are written) or failed (it does not serve, or takes no writes).",
			values: func(s *Snapshot, put putter) {
				now := metadataState(s)
				for _, state := range []string{stateOK, stateFull, stateFailed} {
					put(is(state == now), state)
				}
			}},
		{name: "tdkvs_metadata_commits_total", kind: counter, help: "Durable commits of the metadata.",
			values: single(func(s *Snapshot) float64 { return float64(s.Engine.Metadata.Commits) })},
		{name: "tdkvs_metadata_updates_total", kind: counter, help: "Transactions acknowledged; those that come together share a commit.",
			values: single(func(s *Snapshot) float64 { return float64(s.Engine.Metadata.Updates) })},
		{name: "tdkvs_metadata_commit_duration_seconds", kind: histogram, help: "How long commits of the metadata take.",
			histograms: func(s *Snapshot, put func(Latency, ...string)) {
				put(Latency{s.Engine.Metadata.CommitLatency, s.Engine.Metadata.CommitTime})
			}},
		{name: "tdkvs_metadata_bytes", kind: gauge, help: "Disk space that the metadata takes, with what it keeps for a start on a full disk.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Disk.Bytes) })},
		{name: "tdkvs_metadata_capacity_bytes", kind: gauge, help: "Size of the file system of the metadata.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Disk.Total) })},
		{name: "tdkvs_metadata_free_bytes", kind: gauge, help: "Free space on it.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Disk.Free) })},
		{name: "tdkvs_metadata_reserve_bytes", kind: gauge, help: "Space that is kept free on it: with less, writes are refused, and with less than half of it most deletions.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Disk.Reserve) })},
	}
}

// workFamilies are those of the work in the background.
func workFamilies() []family[Snapshot] {
	return []family[Snapshot]{
		{name: "tdkvs_rebalance_active", kind: gauge, help: "Whether the rebalance has something to do.",
			values: single(func(s *Snapshot) float64 { return is(s.Cluster.Rebalance.Active) })},
		{name: "tdkvs_rebalance_paused", kind: gauge, help: "Whether it was told to pause.",
			values: single(func(s *Snapshot) float64 { return is(s.Cluster.Rebalance.Paused) })},
		{name: "tdkvs_rebalance_scanned_rows", kind: gauge, help: "Objects, versions and parts that the pass under way has looked at.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Rebalance.Scanned) })},
		{name: "tdkvs_rebalance_expected_rows", kind: gauge, help: "Objects and versions that it has to look at; 0 where there is nothing to do.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Rebalance.Expected) })},
		{name: "tdkvs_rebalance_moved_pieces_total", kind: counter, help: "Pieces moved by the last rebalance, or the one under way.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Rebalance.Moved) })},
		{name: "tdkvs_rebalance_moved_bytes_total", kind: counter, help: "Bytes of these pieces.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Rebalance.MovedBytes) })},
		{name: "tdkvs_rebalance_failures_total", kind: counter, help: "Attempts of it that have failed.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Rebalance.Failed) })},
		{name: "tdkvs_rebalance_short_extents", kind: gauge, help: "Extents (objects, or parts of them) that there are too few volumes for, as the pass has seen.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Rebalance.Short) })},
		{name: "tdkvs_rebalance_stuck_volumes", kind: gauge, help: "Volumes that are being deleted and can not be emptied.",
			values: single(func(s *Snapshot) float64 { return float64(len(s.Cluster.Rebalance.Stuck)) })},
		{name: "tdkvs_repair_queue_extents", kind: gauge, help: "Extents that wait to be compared with what there should be; 10000 stands for that and more.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Rebalance.Repairs) })},
		{name: "tdkvs_repaired_pieces_total", kind: counter, help: "Pieces made in place of ones that were not there, ever.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Rebalance.Repaired) })},
		{name: "tdkvs_damaged_extents", kind: gauge, help: "Extents that can not be read and can not be restored; 10000 stands for that and more.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Rebalance.Damaged) })},
		{name: "tdkvs_findings_queued_total", kind: counter, help: "Pieces that volumes have found bad as they read themselves, of which the repair was queued.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Findings.Queued) })},
		{name: "tdkvs_findings_searching", kind: gauge, help: "Whether all records are being looked at for what volumes have lost.",
			values: single(func(s *Snapshot) float64 { return is(s.Cluster.Findings.Searching) })},
		{name: "tdkvs_garbage_entries_total", kind: counter, help: "Entries of the garbage queue that were done.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Garbage.Entries) })},
		{name: "tdkvs_garbage_blobs_total", kind: counter, help: "Blobs that were removed as garbage.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Garbage.Blobs) })},
		{name: "tdkvs_garbage_postponed_total", kind: counter, help: "Entries that were put off, for a reader or a volume that failed.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Garbage.Postponed) })},
		{name: "tdkvs_garbage_failures_total", kind: counter, help: "Calls of the garbage worker to volumes that have failed.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Garbage.Failures) })},
		{name: "tdkvs_leftovers_pending_volumes", kind: gauge, help: "Volumes that are yet to be looked over for what a crash has left.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Leftovers.Left) })},
		{name: "tdkvs_leftovers_blobs", kind: gauge, help: "Blobs that the last look has found, which are garbage now.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Leftovers.Found) })},
		{name: "tdkvs_leftovers_bytes", kind: gauge, help: "Bytes of these blobs.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Leftovers.Bytes) })},
		{name: "tdkvs_leftovers_excess_blobs", kind: gauge, help: "Blobs that nothing names and that stay, as they are more than a crash leaves.",
			values: single(func(s *Snapshot) float64 { return float64(s.Cluster.Leftovers.Excess) })},
	}
}

func checkFamilies() []family[Snapshot] {
	return []family[Snapshot]{
		{name: "tdkvs_fsck_running", kind: gauge, help: "Whether a check (tdkvs admin fsck) is under way.",
			values: single(func(s *Snapshot) float64 { return is(s.Check.State == master.CheckRunning) })},
		{name: "tdkvs_fsck_finished_timestamp_seconds", kind: gauge, help: "When the last check since the start came to its end; 0: none has.",
			values: single(func(s *Snapshot) float64 {
				if s.Check.State != master.CheckDone {
					return 0
				}
				return moment(s.Check.Finished)
			})},
		{name: "tdkvs_fsck_clean", kind: gauge, help: "Whether the last check has looked at everything and found all as it should be; not there before one has ended.",
			values: func(s *Snapshot, put putter) {
				if s.Check.State == master.CheckDone {
					put(is(s.Check.Report.Clean()))
				}
			}},
		{name: "tdkvs_fsck_findings", kind: gauge, labels: "kind", help: "What the last check has found, by kind.",
			values: func(s *Snapshot, put putter) {
				if s.Check.State != master.CheckDone {
					return
				}
				for kind, tally := range s.Check.Report.Findings {
					put(float64(tally.Count), string(kind))
				}
			}},
	}
}

// number is a volume as a label value.
func number[N ~uint32](n N) string { return strconv.FormatUint(uint64(n), 10) }
