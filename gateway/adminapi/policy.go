package adminapi

import "time"

// Class is a storage class that means something to the store.
type Class struct {
	Name    string `json:"name"`
	Data    int    `json:"data"`     // shards
	Parity  int    `json:"parity"`   // shards
	MinSize int64  `json:"min_size"` // of what is coded, bytes; what is smaller is kept as copies
}

// Zone is what fails together. Volumes without a zone are one each, and not
// listed.
type Zone struct {
	Name     string `json:"name"`
	Volumes  int    `json:"volumes"`
	Slots    int    `json:"slots"`
	Down     int    `json:"down"` // volumes that do not answer
	Capacity uint64 `json:"capacity"`
	Free     uint64 `json:"free"`
	Bytes    int64  `json:"bytes"`
}

// Replicas is how many copies the store keeps where a bucket does not say.
type Replicas struct {
	Replicas int `json:"replicas"`
}

// VolumeChange changes the part of a volume; what is not given stays.
type VolumeChange struct {
	Weight *int    `json:"weight,omitempty"` // slots
	Zone   *string `json:"zone,omitempty"`
}

// BucketChange changes a bucket; what is not given stays.
type BucketChange struct {
	Replicas *int `json:"replicas,omitempty"` // 0: as many as the store keeps
}

// Loss gives a volume up.
type Loss struct {
	Confirm string `json:"confirm"` // UUID of the volume
}

// LostVolume is a volume that was given up.
type LostVolume struct {
	Volume   Volume `json:"volume"`
	Replicas int    `json:"replicas"`
	AtStake  string `json:"at_stake"` // for people
}

// Damage is what can not be read and can not be restored.
type Damage struct {
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	VersionID string    `json:"version_id,omitempty"`
	Part      int       `json:"part,omitempty"` // of an assembled object
	Size      int64     `json:"size"`           // bytes that are lost
	Cause     string    `json:"cause"`
	Found     time.Time `json:"found"`
}

// Damages is a page of damage, in order of bucket and key.
type Damages struct {
	Damage []Damage `json:"damage"`
	// Next, where it is given, is what "after" must be for the next page.
	Next string `json:"next,omitempty"`
}
