package adminapi

import "time"

// The states of a check.
const (
	CheckNone      = "none" // there was none since the start
	CheckRunning   = "running"
	CheckDone      = "done"
	CheckCancelled = "cancelled"
	CheckFailed    = "failed"
)

// CheckStart asks for a check of the store.
type CheckStart struct {
	Deep           bool   `json:"deep,omitempty"`             // read every byte
	BytesPerSecond *int64 `json:"bytes_per_second,omitempty"` // of a deep one; -1: no limit
	Examples       int    `json:"examples,omitempty"`         // of each kind of finding; 0: 20
	// Repair says what is to be done about the findings: nothing (empty), work out
	// what would be (CheckPlan), or that (CheckApply).
	Repair string   `json:"repair,omitempty"`
	Only   []string `json:"only,omitempty"` // kinds of findings that a repair cares about; none: all
}

// What a check does about its findings.
const (
	CheckPlan  = "plan"
	CheckApply = "apply"
)

// The remedies for findings.
const (
	RemedyRestore   = "restore"         // verified, and made anew from the other pieces, by the repair queue
	RemedyList      = "list as damaged" // verified, and put on the list of damage; what is left of it stays
	RemedyReread    = "read again"      // it leaves the list of damage where it can be read
	RemedyRebalance = "rebalance"       // a pass of the rebalance brings it to where it should be
	RemedyGarbage   = "garbage"         // removed after leftover_grace, unless something names it by then
	RemedySpare     = "spare"           // taken off the garbage queue
	RemedyRecount   = "recount"         // the counters are corrected
	RemedyNone      = "none"            // nothing that might not lose something
)

// Check is where the last check of the store stands. The report is that of as
// much as was looked at, once the check has ended.
type Check struct {
	ID       int            `json:"id"` // 1: the first since the start
	State    string         `json:"state"`
	Started  *time.Time     `json:"started,omitempty"`
	Finished *time.Time     `json:"finished,omitempty"`
	Error    string         `json:"error,omitempty"`
	Progress *CheckProgress `json:"progress,omitempty"`
	Report   *CheckReport   `json:"report,omitempty"`
}

// CheckProgress is how far a check is.
type CheckProgress struct {
	Part          string `json:"part"` // accounts, pieces, suspects
	Pass          int    `json:"pass"`
	Passes        int    `json:"passes"`
	Rows          uint64 `json:"rows"`
	ExpectedRows  uint64 `json:"expected_rows"` // about
	Blobs         uint64 `json:"blobs"`
	ExpectedBlobs uint64 `json:"expected_blobs"` // about
	Verified      uint64 `json:"verified"`       // bytes
	Findings      uint64 `json:"findings"`
}

// CheckReport is what a check has found.
type CheckReport struct {
	Clean     bool              `json:"clean"` // everything was looked at, and is as it should be
	Deep      bool              `json:"deep"`
	Rows      uint64            `json:"rows"`
	Extents   uint64            `json:"extents"`
	Pieces    uint64            `json:"pieces"`
	Blobs     uint64            `json:"blobs"`
	Bytes     uint64            `json:"bytes"`
	Verified  uint64            `json:"verified"` // bytes
	Findings  []CheckTally      `json:"findings"`
	Pending   []CheckTally      `json:"pending"` // about to be put right by the rebalance or a repair
	Examples  []CheckFinding    `json:"examples"`
	Undecided uint64            `json:"undecided"` // blobs that may be orphans
	Unchecked []UncheckedVolume `json:"unchecked"`
	Garbage   uint64            `json:"garbage"`          // entries that wait
	Repairs   uint64            `json:"repairs"`          // the same
	Repair    string            `json:"repair,omitempty"` // CheckPlan, CheckApply; empty: none was asked for
	Remedies  []CheckRemedy     `json:"remedies,omitempty"`
	// ExcessOrphans are orphans that a repair leaves alone, as they are more than a
	// crash leaves: only: ["orphan"] gives them up all the same.
	ExcessOrphans uint64 `json:"excess_orphans,omitempty"`
}

// CheckRemedy is what a repair would do, or has done, about findings of a kind.
type CheckRemedy struct {
	Kind   string `json:"kind"`
	Remedy string `json:"remedy"`
	Count  uint64 `json:"count"`
	Bytes  uint64 `json:"bytes"`
	Done   uint64 `json:"done"` // of count: begun, or done; 0 where it was only planned
}

// CheckTally counts the findings of a kind.
type CheckTally struct {
	Kind  string `json:"kind"`
	Count uint64 `json:"count"`
	Bytes uint64 `json:"bytes"`
}

// CheckFinding is one thing that is not as it should be. What does not apply is
// left out.
type CheckFinding struct {
	Kind      string `json:"kind"`
	Bucket    string `json:"bucket,omitempty"`
	Key       string `json:"key,omitempty"`
	VersionID string `json:"version_id,omitempty"`
	UploadID  string `json:"upload_id,omitempty"`
	Part      int    `json:"part,omitempty"`
	Volume    uint32 `json:"volume,omitempty"`
	Blob      string `json:"blob,omitempty"` // 32 hexadecimal digits
	Bytes     int64  `json:"bytes"`
	Detail    string `json:"detail,omitempty"`
}

// UncheckedVolume is a volume about which nothing can be said.
type UncheckedVolume struct {
	Volume uint32 `json:"volume"`
	URL    string `json:"url"`
	Cause  string `json:"cause"`
}
