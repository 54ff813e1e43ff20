package adminapi

import "time"

// Cluster is the state of the store.
type Cluster struct {
	Cluster   string    `json:"cluster"` // UUID
	Version   string    `json:"version"` // of the program
	Ready     bool      `json:"ready"`
	Metadata  Metadata  `json:"metadata"`
	Replicas  int       `json:"replicas"` // copies that are kept where a bucket does not say
	Classes   []Class   `json:"classes"`
	Volumes   []Volume  `json:"volumes"`
	Zones     []Zone    `json:"zones"` // empty: no volume names one
	Totals    Totals    `json:"totals"`
	Skew      float64   `json:"skew"` // most bytes per slot, by the mean; 0: nothing is stored
	Rebalance Rebalance `json:"rebalance"`
	Repair    Repair    `json:"repair"`
	Garbage   Garbage   `json:"garbage"`
	Leftovers Leftovers `json:"leftovers"`
	Journal   *Journal  `json:"journal,omitempty"` // none: it is turned off
}

// The states of the metadata and of volumes.
const (
	OK          = "ok"
	Failed      = "failed"      // metadata: it does not serve, or takes no writes
	Full        = "full"        // volume: writes are refused until space is free
	ReadOnly    = "read-only"   // volume: writes are refused for good
	Unreachable = "unreachable" // volume: it does not answer, or is another one
)

// The parts that a volume may have in the cluster.
const (
	Active   = "active"
	Draining = "draining"
	Lost     = "lost"
)

// Metadata is the state of the metadata store.
type Metadata struct {
	State string `json:"state"` // ok, full or failed
	Error string `json:"error,omitempty"`
	// Of its disk, in bytes; 0 where that is not known.
	Capacity uint64 `json:"capacity"`
	Free     uint64 `json:"free"`
	Reserve  uint64 `json:"reserve"` // kept free: beyond it only deletions and upkeep are written
	Bytes    int64  `json:"bytes"`   // that the metadata takes
}

// Volume is one volume of the cluster. The figures of one that does not answer are
// those of when it last did, and 0 where it never has. Sizes are in bytes.
type Volume struct {
	Number    uint32 `json:"number"`
	UUID      string `json:"uuid"`
	URL       string `json:"url"`   // or the directory
	State     string `json:"state"` // active or draining; lost in the answer to the request that gave it up
	Zone      string `json:"zone"`
	Slots     int    `json:"slots"`
	Capacity  uint64 `json:"capacity"` // of its file system
	Free      uint64 `json:"free"`
	Reserve   uint64 `json:"reserve"` // kept free
	Blobs     int64  `json:"blobs"`
	Bytes     int64  `json:"bytes"`      // of live blobs
	DeadBytes int64  `json:"dead_bytes"` // that compaction can win back
	Health    string `json:"health"`     // ok, full, read-only or unreachable
	Error     string `json:"error,omitempty"`
	// Since is when it came to answer, or not to.
	Since   *time.Time `json:"since,omitempty"`
	Latency float64    `json:"latency"` // seconds to the first byte of a blob, of late; 0: not known
	// Quarantined and CorruptReads count what its scrub and its reads have found bad
	// since it was started.
	Quarantined  int64  `json:"quarantined"`
	CorruptReads uint64 `json:"corrupt_reads"`
	Scrub        Scrub  `json:"scrub"`
}

// Scrub is how far a volume is with re-reading all that it holds. Sizes are in bytes.
type Scrub struct {
	Running        bool       `json:"running"`          // a round is under way; otherwise the next one is waited for
	BytesPerSecond int64      `json:"bytes_per_second"` // 0: the volume does not; -1: no limit
	Read           int64      `json:"read"`             // in the last round
	Total          int64      `json:"total"`            // about what a round reads
	Bad            int64      `json:"bad"`              // blobs that the last round has found bad
	Began          *time.Time `json:"began,omitempty"`  // the last round
	Finished       *time.Time `json:"finished,omitempty"`
}

// Totals are the sums over the volumes that answered.
type Totals struct {
	Volumes   int    `json:"volumes"` // all
	Slots     int    `json:"slots"`
	Capacity  uint64 `json:"capacity"`
	Free      uint64 `json:"free"`
	Blobs     int64  `json:"blobs"`
	Bytes     int64  `json:"bytes"`
	DeadBytes int64  `json:"dead_bytes"`
}

// Rebalance is the work that brings everything to where it should be.
type Rebalance struct {
	Epoch          uint64     `json:"epoch"` // of the topology that it works towards
	Active         bool       `json:"active"`
	Paused         bool       `json:"paused"`   // repairs that are queued are made all the same
	Pass           int        `json:"pass"`     // from 1
	Scanned        uint64     `json:"scanned"`  // objects, versions and parts looked at in this pass
	Expected       uint64     `json:"expected"` // objects and versions to look at, parts left out; 0 while inactive
	Moved          uint64     `json:"moved"`    // pieces
	MovedBytes     uint64     `json:"moved_bytes"`
	Failed         uint64     `json:"failed"` // attempts
	Started        *time.Time `json:"started,omitempty"`
	Finished       *time.Time `json:"finished,omitempty"`
	Concurrency    int        `json:"concurrency"`      // pieces moved at the same time
	BytesPerSecond int64      `json:"bytes_per_second"` // -1: no limit
	LastError      string     `json:"last_error,omitempty"`
	Retry          *time.Time `json:"retry,omitempty"` // when it goes on, after a pass in which something has failed
	Short          uint64     `json:"short"`           // extents seen in this pass that there are too few volumes for
	Stuck          []Stuck    `json:"stuck"`           // volumes that can not be emptied, as the last pass has found
	Repaired       uint64     `json:"repaired"`        // pieces made in place of ones that were not there, ever
	Repairs        int        `json:"repairs"`         // extents in the repair queue, at most 10000
}

// Stuck counts the extents (objects, or parts of them) that have to stay on a
// volume that is to leave.
type Stuck struct {
	Volume  uint32 `json:"volume"`
	Damaged uint64 `json:"damaged"` // can not be read and can not be restored
	Parts   uint64 `json:"parts"`   // the same, of uploads in progress
	Short   uint64 `json:"short"`   // there are too few volumes to hold their pieces
}

// RepairMost is where the numbers of Repair stop: it may be more then.
const RepairMost = 10000

// Repair is what is not as it should be. The numbers stop at RepairMost.
type Repair struct {
	Queued  int `json:"queued"`  // extents to be compared with what there should be
	Damaged int `json:"damaged"` // extents that can not be read and can not be restored
	// Found is how many pieces volumes have found bad as they read themselves, that a
	// repair was queued for, since the start.
	Found uint64 `json:"found"`
	// Searching: all records are being looked at, for what is damaged and does not say
	// what it is part of.
	Searching bool `json:"searching"`
}

// Garbage counts what was removed since the start.
type Garbage struct {
	Entries   uint64 `json:"entries"` // of the queue, done
	Blobs     uint64 `json:"blobs"`   // deleted
	Postponed uint64 `json:"postponed"`
	Failures  uint64 `json:"failures"` // calls to volumes
	LastError string `json:"last_error,omitempty"`
}

// Leftovers is the look for blobs that nothing names, as a master that is killed
// leaves them.
type Leftovers struct {
	Left    int        `json:"left"`             // volumes that are yet to be looked over
	Looked  *time.Time `json:"looked,omitempty"` // when the last look ended
	Found   uint64     `json:"found"`            // blobs, by the last look or so far: they are garbage now
	Bytes   uint64     `json:"bytes"`            // of these
	Excess  uint64     `json:"excess"`           // more than a crash leaves, at least so many: they stay
	Trouble string     `json:"trouble,omitempty"`
}

// Journal is the journal of the metadata on the volumes.
type Journal struct {
	Copies   int              `json:"copies"`           // that there should be
	Commit   uint64           `json:"commit"`           // number of the newest
	Commits  int              `json:"commits"`          // since the snapshot
	Bytes    int64            `json:"bytes"`            // of these, about
	Lacking  int              `json:"lacking"`          // of these, with too few copies
	Behind   *time.Time       `json:"behind,omitempty"` // since when the newest is on no volume, and no more are taken; none: it is
	Trouble  string           `json:"trouble,omitempty"`
	Snapshot *JournalSnapshot `json:"snapshot,omitempty"` // none yet: the metadata can not be rebuilt
}

// JournalSnapshot is the newest snapshot of the metadata on the volumes.
type JournalSnapshot struct {
	Commit uint64    `json:"commit"` // the newest that it sees
	Taken  time.Time `json:"taken"`
	Rows   uint64    `json:"rows"`
	Bytes  int64     `json:"bytes"`
	Copies int       `json:"copies"` // on volumes that are there
}

// Volumes is the answer of GET /volumes.
type Volumes struct {
	Volumes []Volume `json:"volumes"`
}

// NewVolume asks for a volume to join.
type NewVolume struct {
	URL    string `json:"url"`
	Weight int    `json:"weight,omitempty"` // slots; 0: 1
	Zone   string `json:"zone,omitempty"`
}

// RebalanceChange changes limits; those that are not given stay.
type RebalanceChange struct {
	Paused         *bool  `json:"paused,omitempty"`
	Concurrency    *int   `json:"concurrency,omitempty"`      // 0: the default
	BytesPerSecond *int64 `json:"bytes_per_second,omitempty"` // 0: the default; -1: no limit
}

// Failure is the body of every answer that is not 2xx.
type Failure struct {
	Error FailureText `json:"error"`
}

// FailureText says what went wrong: to programs, and to people.
type FailureText struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}
