package adminapi

import "time"

// BackupStart asks for a backup to begin.
type BackupStart struct {
	Seconds int64 `json:"seconds,omitempty"` // that it may take at most; 0: a day
}

// Backup is a backup under way.
type Backup struct {
	ID      string    `json:"id"`
	Cluster string    `json:"cluster"`
	Began   time.Time `json:"began"`
	Until   time.Time `json:"until"` // when it ends, however busy it is
	Used    time.Time `json:"used"`  // of its last request
	Rows    uint64    `json:"rows"`  // that were read
	Bytes   uint64    `json:"bytes"` // of bodies that were read
}

// Backups are those under way.
type Backups struct {
	Backups []Backup `json:"backups"`
}

// BackupWants asks for bodies, or runs of them.
type BackupWants struct {
	Bodies []BackupWant `json:"bodies"`
}

// BackupWant is a run of a body.
type BackupWant struct {
	Handle []byte `json:"handle"` // as the row has it, in base64
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
}
