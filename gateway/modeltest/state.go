package modeltest

import (
	"maps"
	"slices"
	"time"
)

// model is all that a store should hold.
type model struct {
	now     time.Time
	buckets map[string]*bucket
	order   []string // ids of versions that ever were, in the order of their making
}

// The states of versioning.
const (
	enabled   = "Enabled"
	suspended = "Suspended"
)

// null names the version that was written without versioning.
const null = "null"

// bucket is one bucket: each key with its versions, newest first.
type bucket struct {
	name       string
	created    time.Time
	versioning string // empty: it never was
	locked     bool   // it has object lock
	mode       string // of its default retention; empty: none
	days       int
	keys       map[string][]*version
	uploads    []*upload // in progress, in the order of their beginning
	finished   []*upload // completed
	docs       map[string][]byte
}

// version is one version of a key, or a delete marker.
type version struct {
	id       string // empty: the null version
	marker   bool
	modified time.Time
	body     []byte
	etag     string
	header   map[string]string // as they come back, by name in lower case
	user     map[string]string // metadata
	tags     map[string]string
	class    string // as it was asked for
	sum      sum
	parts    []part // of one that was assembled

	mode   string // of its retention; empty: none
	until  time.Time
	hold   string // ON, OFF, or empty where it never was set
	native bool   // written by the native API without a type
}

// upload is a multipart upload.
type upload struct {
	id    string
	key   string
	began time.Time
	as    version // what its object will be like
	parts map[int]part
	// done is when it was completed, and made what it was completed to.
	done time.Time
	made *version
}

type part struct {
	number   int
	body     []byte
	etag     string
	sum      string // as it is kept
	modified time.Time
}

func (m *model) names() []string { return slices.Sorted(maps.Keys(m.buckets)) }

func (b *bucket) sorted() []string { return slices.Sorted(maps.Keys(b.keys)) }

// shown is the id that callers see; empty in a bucket that never was versioned.
func (b *bucket) shown(v *version) string {
	if v.id == "" && b.versioning != "" {
		return null
	}
	return v.id
}

// find returns a version; the current one without an id. Nil: there is none.
func (b *bucket) find(key, id string) *version {
	for _, v := range b.keys[key] {
		if id == "" || v.id == id || id == null && v.id == "" {
			return v
		}
	}
	return nil
}

// live returns what a key holds; nil where that is nothing, or a delete marker.
func (b *bucket) live(key string) *version {
	if v := b.find(key, ""); v != nil && !v.marker {
		return v
	}
	return nil
}

// put makes a version the current one. Without versioning it takes the place of
// the null version.
func (b *bucket) put(key string, v *version) {
	if b.versioning != enabled {
		if was := b.find(key, null); was != nil {
			b.take(key, was)
		}
	}
	b.keys[key] = slices.Insert(b.keys[key], 0, v)
}

// take removes a version.
func (b *bucket) take(key string, gone *version) {
	b.keys[key] = slices.DeleteFunc(b.keys[key], func(v *version) bool { return v == gone })
	if len(b.keys[key]) == 0 {
		delete(b.keys, key)
	}
}

// drop forgets an upload.
func (b *bucket) drop(up *upload) {
	b.uploads = slices.DeleteFunc(b.uploads, func(u *upload) bool { return u == up })
}

// protected reports whether a version must not be deleted.
func (v *version) protected(now time.Time, bypass bool) bool {
	return v.hold == "ON" || v.retained(now) && (v.mode == "COMPLIANCE" || !bypass)
}

func (v *version) retained(now time.Time) bool { return v.mode != "" && v.until.After(now) }

// copyOf is a version like v, without what belongs to one version alone.
func (v *version) copyOf() *version {
	return &version{body: v.body, header: maps.Clone(v.header), user: maps.Clone(v.user), tags: maps.Clone(v.tags), sum: v.sum, native: v.native}
}
