package metadb

import (
	"bytes"
	"encoding/binary"
	"time"
)

// Every key of the schema, by its first byte. Names in angle brackets are raw
// bytes; esc(x) writes each 0x00 of x as 0x00 0xFF; a middle component that may
// hold any byte is escaped and ended with 0x00 0x01, which keeps the order of
// the raw bytes. Bucket names, upload ids and manifest names hold no 0x00.
//
//	b <bucket>                                     meta.Bucket
//	o <bucket> 00 <key>                            ObjectRow, the current version
//	v <bucket> 00 esc(<key>) 00 01 ^seq:u64        ObjectRow, noncurrent, newest first
//	u <bucket> 00 esc(<key>) 00 01 <upload>        meta.Upload
//	p <upload> 00 number:u16                       meta.Part
//	m <upload> 00 <manifest> 00 chunk:u32          ManifestIndex (chunk 0), ManifestChunk
//	d <upload>                                     Completed
//	g due:u64 random:8                             Garbage
//	q due:u64 random:8                             Repair
//	x <bucket> 00 esc(<key>) 00 01 seq:u64 part:u16  Damage
//	n <bucket>                                     meta.Usage
//	c <bucket> 00 <kind>                           a bucket's configuration document
//	t                                              Topology
//	r                                              Rebalance
//	l                                              Leftovers
//	s                                              Restore
//	i                                              Identity
//
// Integers are big-endian. Garbage is due at a time in Unix milliseconds.
const (
	tagBucket    = 'b'
	tagObject    = 'o'
	tagVersion   = 'v'
	tagUpload    = 'u'
	tagPart      = 'p'
	tagManifest  = 'm'
	tagCompleted = 'd'
	tagGarbage   = 'g'
	tagUsage     = 'n'
	tagConfig    = 'c'
	tagTopology  = 't'
	tagIdentity  = 'i'
	tagRebalance = 'r'
	tagRepair    = 'q'
	tagDamage    = 'x'
	tagLeftovers = 'l'
	tagRestore   = 's'
)

const (
	separator  = 0x00 // ends a component that holds no 0x00
	escaped    = 0xFF // follows a 0x00 inside an escaped component
	terminator = 0x01 // follows the 0x00 that ends an escaped component
)

// Range is a run of keys, Start inclusive, End exclusive. A nil End is the end
// of the key space.
type Range struct{ Start, End []byte }

// Empty reports that no key can lie in the range.
func (r Range) Empty() bool { return r.End != nil && bytes.Compare(r.Start, r.End) >= 0 }

// Under returns the range of all keys that begin with prefix.
func Under(prefix []byte) Range { return Range{prefix, PrefixEnd(prefix)} }

// PrefixEnd returns the first key above all keys that begin with prefix; nil
// when there is none (an empty prefix, or one of 0xFF only).
func PrefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xFF {
			end := bytes.Clone(prefix[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

// After returns the first key above key.
func After(key []byte) []byte {
	return append(append(make([]byte, 0, len(key)+1), key...), 0)
}

// BucketKey returns the key of a bucket's record.
func BucketKey(bucket string) []byte { return tagged(tagBucket, bucket) }

// AppendBucketKey appends BucketKey to b.
func AppendBucketKey(b []byte, bucket string) []byte { return append(append(b, tagBucket), bucket...) }

// BucketRange covers the records of the buckets whose names begin with prefix.
func BucketRange(prefix string) Range { return Under(tagged(tagBucket, prefix)) }

// ParseBucketKey inverts BucketKey.
func ParseBucketKey(k []byte) (bucket string, ok bool) { return untagged(tagBucket, k) }

// ObjectKey returns the key of an object's current version. It is also the
// prefix of all objects whose keys begin with key.
func ObjectKey(bucket, key string) []byte {
	return AppendObjectKey(make([]byte, 0, 2+len(bucket)+len(key)), bucket, key)
}

// AppendObjectKey appends ObjectKey to b.
func AppendObjectKey(b []byte, bucket, key string) []byte {
	b = append(append(b, tagObject), bucket...)
	return append(append(b, separator), key...)
}

// ObjectRange covers the current versions in bucket whose keys begin with
// prefix.
func ObjectRange(bucket, prefix string) Range { return Under(ObjectKey(bucket, prefix)) }

// AllObjects covers the current versions of all buckets.
func AllObjects() Range { return Under([]byte{tagObject}) }

// AllVersions covers the noncurrent versions of all buckets.
func AllVersions() Range { return Under([]byte{tagVersion}) }

// AllUploads covers the uploads in progress of all buckets.
func AllUploads() Range { return Under([]byte{tagUpload}) }

// ParseObjectKey inverts ObjectKey.
func ParseObjectKey(k []byte) (bucket, key string, ok bool) {
	b, rest, ok := cutTagged(tagObject, k)
	return string(b), string(rest), ok
}

// VersionKey returns the key of a noncurrent version. seq rises with every
// version of a key; the newest comes first.
func VersionKey(bucket, key string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(escapedKey(tagVersion, bucket, key), ^seq)
}

// VersionRange covers the noncurrent versions of one key, newest first.
func VersionRange(bucket, key string) Range { return Under(escapedKey(tagVersion, bucket, key)) }

// VersionsRange covers the noncurrent versions in bucket whose keys begin with
// prefix, in order of key.
func VersionsRange(bucket, prefix string) Range {
	return Under(escapedPrefix(tagVersion, bucket, prefix))
}

// ParseVersionKey inverts VersionKey.
func ParseVersionKey(k []byte) (bucket, key string, seq uint64, ok bool) {
	bucket, key, rest, ok := cutEscaped(tagVersion, k)
	if !ok || len(rest) != 8 {
		return "", "", 0, false
	}
	return bucket, key, ^binary.BigEndian.Uint64(rest), true
}

// UploadKey returns the key of a multipart upload. Upload ids begin with a
// fixed-width time, so the uploads of a key lie in order of initiation.
func UploadKey(bucket, key, uploadID string) []byte {
	return append(escapedKey(tagUpload, bucket, key), uploadID...)
}

// UploadRange covers the uploads of one key.
func UploadRange(bucket, key string) Range { return Under(escapedKey(tagUpload, bucket, key)) }

// UploadsRange covers the uploads in bucket whose keys begin with prefix.
func UploadsRange(bucket, prefix string) Range {
	return Under(escapedPrefix(tagUpload, bucket, prefix))
}

// ParseUploadKey inverts UploadKey.
func ParseUploadKey(k []byte) (bucket, key, uploadID string, ok bool) {
	bucket, key, rest, ok := cutEscaped(tagUpload, k)
	return bucket, key, string(rest), ok
}

// PartKey returns the key of one part of an upload; number is 0 to 65535.
func PartKey(uploadID string, number int) []byte {
	return binary.BigEndian.AppendUint16(component(tagPart, uploadID), uint16(number))
}

// PartRange covers the parts of an upload with numbers above after.
func PartRange(uploadID string, after int) Range {
	r := Under(component(tagPart, uploadID))
	if after >= 0 {
		r.Start = After(PartKey(uploadID, after))
	}
	return r
}

// AllParts covers the parts of all uploads, those that have ended and are not yet
// removed included.
func AllParts() Range { return Under([]byte{tagPart}) }

// ParsePartKey inverts PartKey.
func ParsePartKey(k []byte) (uploadID string, number int, ok bool) {
	id, rest, ok := cutTagged(tagPart, k)
	if !ok || len(rest) != 2 {
		return "", 0, false
	}
	return string(id), int(binary.BigEndian.Uint16(rest)), true
}

// ManifestKey returns the key of one row of a manifest. Chunk 0 is its index.
func ManifestKey(uploadID, manifest string, chunk uint32) []byte {
	return binary.BigEndian.AppendUint32(manifestPrefix(uploadID, manifest), chunk)
}

// ManifestRange covers the rows of one manifest.
func ManifestRange(uploadID, manifest string) Range { return Under(manifestPrefix(uploadID, manifest)) }

// ManifestsRange covers the rows of all manifests of an upload.
func ManifestsRange(uploadID string) Range { return Under(component(tagManifest, uploadID)) }

// AllCompleted covers the markers of all completed uploads.
func AllCompleted() Range { return Under([]byte{tagCompleted}) }

// AllConfigs covers the configuration documents of all buckets.
func AllConfigs() Range { return Under([]byte{tagConfig}) }

// AllManifests covers the rows of all manifests.
func AllManifests() Range { return Under([]byte{tagManifest}) }

// ParseManifestKey inverts ManifestKey.
func ParseManifestKey(k []byte) (uploadID, manifest string, chunk uint32, ok bool) {
	id, rest, ok := cutTagged(tagManifest, k)
	if !ok {
		return "", "", 0, false
	}
	name, rest, ok := bytes.Cut(rest, []byte{separator})
	if !ok || len(rest) != 4 {
		return "", "", 0, false
	}
	return string(id), string(name), binary.BigEndian.Uint32(rest), true
}

// CompletedKey returns the key of the marker of a completed upload.
func CompletedKey(uploadID string) []byte { return tagged(tagCompleted, uploadID) }

// ParseCompletedKey inverts CompletedKey.
func ParseCompletedKey(k []byte) (uploadID string, ok bool) { return untagged(tagCompleted, k) }

// GarbageKey returns the key of a garbage entry that is due at a time; random
// keeps entries of one millisecond apart.
func GarbageKey(due time.Time, random [8]byte) []byte { return queueKey(tagGarbage, due, random) }

// GarbageDue covers the garbage entries due at or before a time.
func GarbageDue(at time.Time) Range { return queueDue(tagGarbage, at) }

func queueKey(tag byte, due time.Time, random [8]byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{tag}, dueMillis(due))
	return append(b, random[:]...)
}

func queueDue(tag byte, at time.Time) Range {
	return Range{[]byte{tag}, PrefixEnd(binary.BigEndian.AppendUint64([]byte{tag}, dueMillis(at)))}
}

// GarbageRange covers the whole garbage queue.
func GarbageRange() Range { return Under([]byte{tagGarbage}) }

// ParseGarbageKey inverts GarbageKey.
func ParseGarbageKey(k []byte) (due time.Time, random [8]byte, ok bool) {
	return parseQueueKey(tagGarbage, k)
}

func parseQueueKey(tag byte, k []byte) (due time.Time, random [8]byte, ok bool) {
	if len(k) != 17 || k[0] != tag {
		return time.Time{}, random, false
	}
	copy(random[:], k[9:])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(k[1:9]))).UTC(), random, true
}

// RepairKey returns the key of a repair that is due at a time; random keeps those
// of one millisecond apart.
func RepairKey(due time.Time, random [8]byte) []byte { return queueKey(tagRepair, due, random) }

// RepairDue covers the repairs due at or before a time.
func RepairDue(at time.Time) Range { return queueDue(tagRepair, at) }

// RepairRange covers the whole repair queue.
func RepairRange() Range { return Under([]byte{tagRepair}) }

// ParseRepairKey inverts RepairKey.
func ParseRepairKey(k []byte) (due time.Time, random [8]byte, ok bool) {
	return parseQueueKey(tagRepair, k)
}

// DamageKey returns the key of the record of damage to one extent: that of a
// version, or of one of its parts (0: it was written in one piece).
func DamageKey(bucket, key string, seq uint64, part int) []byte {
	b := binary.BigEndian.AppendUint64(escapedKey(tagDamage, bucket, key), seq)
	return binary.BigEndian.AppendUint16(b, uint16(part))
}

// DamageRange covers what is damaged of one key.
func DamageRange(bucket, key string) Range { return Under(escapedKey(tagDamage, bucket, key)) }

// AllDamage covers all damage.
func AllDamage() Range { return Under([]byte{tagDamage}) }

// ParseDamageKey inverts DamageKey.
func ParseDamageKey(k []byte) (bucket, key string, seq uint64, part int, ok bool) {
	bucket, key, rest, ok := cutEscaped(tagDamage, k)
	if !ok || len(rest) != 10 {
		return "", "", 0, 0, false
	}
	return bucket, key, binary.BigEndian.Uint64(rest), int(binary.BigEndian.Uint16(rest[8:])), true
}

// dueMillis clamps times before 1970 to it, so that keys stay in order.
func dueMillis(t time.Time) uint64 { return uint64(max(0, t.UnixMilli())) }

// UsageKey returns the key of a bucket's counters.
func UsageKey(bucket string) []byte { return tagged(tagUsage, bucket) }

// AllUsage covers the counters of all buckets.
func AllUsage() Range { return Under([]byte{tagUsage}) }

// ParseUsageKey inverts UsageKey.
func ParseUsageKey(k []byte) (bucket string, ok bool) { return untagged(tagUsage, k) }

// ConfigKey returns the key of a bucket's configuration document of one kind,
// such as "cors" or "lifecycle".
func ConfigKey(bucket, kind string) []byte { return append(component(tagConfig, bucket), kind...) }

// ConfigRange covers all configuration documents of a bucket.
func ConfigRange(bucket string) Range { return Under(component(tagConfig, bucket)) }

// ParseConfigKey inverts ConfigKey.
func ParseConfigKey(k []byte) (bucket, kind string, ok bool) {
	b, rest, ok := cutTagged(tagConfig, k)
	return string(b), string(rest), ok
}

// TopologyKey returns the key of the topology.
func TopologyKey() []byte { return []byte{tagTopology} }

// RebalanceKey returns the key of the state of the rebalance.
func RebalanceKey() []byte { return []byte{tagRebalance} }

// LeftoversKey returns the key of what is known of blobs that a crash has left.
func LeftoversKey() []byte { return []byte{tagLeftovers} }

// RestoreKey returns the key of how far the restore of a backup is.
func RestoreKey() []byte { return []byte{tagRestore} }

// IdentityKey returns the key of the cluster's identity and schema version.
func IdentityKey() []byte { return []byte{tagIdentity} }

func tagged(tag byte, rest string) []byte {
	return append(append(make([]byte, 0, 1+len(rest)), tag), rest...)
}

func untagged(tag byte, k []byte) (string, bool) {
	if len(k) == 0 || k[0] != tag {
		return "", false
	}
	return string(k[1:]), true
}

// component returns tag, a component without 0x00, and its separator, with
// room for a short rest.
func component(tag byte, c string) []byte {
	b := append(append(make([]byte, 0, 32+len(c)), tag), c...)
	return append(b, separator)
}

func manifestPrefix(uploadID, manifest string) []byte {
	return append(append(component(tagManifest, uploadID), manifest...), separator)
}

// cutTagged splits a key behind its tag at the first separator.
func cutTagged(tag byte, k []byte) (before, after []byte, ok bool) {
	if len(k) == 0 || k[0] != tag {
		return nil, nil, false
	}
	return bytes.Cut(k[1:], []byte{separator})
}

func escapedKey(tag byte, bucket, key string) []byte {
	return append(escapedPrefix(tag, bucket, key), separator, terminator)
}

// escapedPrefix returns what the keys of all objects whose names begin with
// prefix have in common.
func escapedPrefix(tag byte, bucket, prefix string) []byte {
	b := append(append(make([]byte, 0, 48+len(bucket)+len(prefix)), tag), bucket...)
	b = append(b, separator)
	for i := range len(prefix) {
		b = append(b, prefix[i])
		if prefix[i] == separator {
			b = append(b, escaped)
		}
	}
	return b
}

// cutEscaped inverts escapedKey and returns what follows the terminator.
func cutEscaped(tag byte, k []byte) (bucket, key string, rest []byte, ok bool) {
	b, k, ok := cutTagged(tag, k)
	if !ok {
		return "", "", nil, false
	}
	raw := make([]byte, 0, len(k))
	for i := 0; i+1 < len(k); i++ {
		switch {
		case k[i] != separator:
			raw = append(raw, k[i])
		case k[i+1] == escaped:
			raw = append(raw, separator)
			i++
		case k[i+1] == terminator:
			return string(b), string(raw), k[i+2:], true
		default:
			return "", "", nil, false
		}
	}
	return "", "", nil, false
}
