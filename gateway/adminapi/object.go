package adminapi

import "time"

// Location is where a version of an object lies and where it should.
type Location struct {
	Bucket    string   `json:"bucket"`
	Key       string   `json:"key"`
	VersionID string   `json:"version_id,omitempty"`
	Size      int64    `json:"size"`
	Hash      string   `json:"hash"`    // of the key, 16 hexadecimal digits
	Slots     []int    `json:"slots"`   // that the hash picks, best first
	Volumes   []uint32 `json:"volumes"` // of these slots
	InPlace   bool     `json:"in_place"`
	Extents   []Extent `json:"extents"`
}

// Extent is a run of an object's bytes: a whole body or one part.
type Extent struct {
	Part    int      `json:"part,omitempty"` // its number, where the object was made of parts
	Offset  int64    `json:"offset"`
	Size    int64    `json:"size"`
	Hash    string   `json:"hash"`
	Slots   []int    `json:"slots"`
	Volumes []uint32 `json:"volumes"` // that should have a piece
	InPlace bool     `json:"in_place"`
	Code    *Code    `json:"code,omitempty"` // where the pieces are shards: shard i is pieces[i]
	Pieces  []Piece  `json:"pieces"`
}

// Code is an erasure code.
type Code struct {
	Data   int `json:"data"`   // shards
	Parity int `json:"parity"` // shards
}

// Piece is one stored copy of an extent, or one shard of it.
type Piece struct {
	Volume  uint32 `json:"volume"` // 0: the shard is missing
	Blob    string `json:"blob"`   // 32 hexadecimal digits; empty: the shard is missing
	InPlace bool   `json:"in_place"`
}

// Bucket is a bucket and what is in it.
type Bucket struct {
	Name            string    `json:"name"`
	Created         time.Time `json:"created"`
	Owner           string    `json:"owner"`
	Region          string    `json:"region"`
	Versioning      string    `json:"versioning"` // Enabled, Suspended, or empty: never enabled
	Lock            Lock      `json:"lock"`
	Replicas        int       `json:"replicas"` // copies of what is in it; 0: as many as the store keeps
	Objects         int64     `json:"objects"`
	Bytes           int64     `json:"bytes"`
	Noncurrent      int64     `json:"noncurrent"` // versions
	NoncurrentBytes int64     `json:"noncurrent_bytes"`
	DeleteMarkers   int64     `json:"delete_markers"`
}

// Lock is a bucket's object lock. Mode is empty where new versions get no
// retention by default.
type Lock struct {
	Enabled bool   `json:"enabled"`
	Mode    string `json:"mode,omitempty"`
	Days    int    `json:"days,omitempty"`
	Years   int    `json:"years,omitempty"`
}

// Buckets is a page of buckets, in order of name.
type Buckets struct {
	Buckets []Bucket `json:"buckets"`
	// Next, where it is given, is what "after" must be for the next page.
	Next string `json:"next,omitempty"`
}

// Object is the record of a version of an object, without its bytes.
type Object struct {
	Bucket       string            `json:"bucket"`
	Key          string            `json:"key"`
	VersionID    string            `json:"version_id,omitempty"`
	Modified     time.Time         `json:"modified"`
	Size         int64             `json:"size"`
	ETag         string            `json:"etag"`
	Checksum     *Checksum         `json:"checksum,omitempty"`
	Headers      map[string]string `json:"headers"` // by their names in HTTP
	UserMetadata map[string]string `json:"user_metadata"`
	Tags         map[string]string `json:"tags"`
	Retention    *Retention        `json:"retention,omitempty"`
	LegalHold    string            `json:"legal_hold,omitempty"` // ON or OFF
	Owner        string            `json:"owner"`
	UploadID     string            `json:"upload_id,omitempty"` // of the upload that made it
	Parts        int               `json:"parts,omitempty"`
}

// Checksum is an additional checksum, as S3 has them.
type Checksum struct {
	Algorithm string `json:"algorithm"`
	Type      string `json:"type"`
	Value     string `json:"value"`
}

// Retention keeps a version from being deleted.
type Retention struct {
	Mode  string    `json:"mode"`
	Until time.Time `json:"until"`
}
