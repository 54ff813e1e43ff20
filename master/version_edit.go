package master

import (
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// put makes next the current version of its key in the place of was (nil: there
// is none), as the bucket's versioning has it, and gives it its version id as
// records have it. seq is its place among the versions of the key. Source: AWS "How S3 Versioning works".
func (x *edit) put(was *metadb.ObjectRow, next *meta.Object) (seq uint64, err error) {
	row := metadb.ObjectRow{Object: *next}
	if x.bucket.Versioning != meta.Unversioned {
		row.Seq = x.seqAfter(was)
	}
	if x.bucket.Versioning == meta.VersioningEnabled {
		row.VersionID = newID(row.Seq)
		row.HasNull, row.NullSeq = nullBehind(was)
	} else if err := x.dropNull(was); err != nil {
		return 0, err
	}
	if was != nil && (row.VersionID != "" || was.VersionID != "") {
		if err := x.keep(*was); err != nil {
			return 0, err
		}
	}
	x.count(&row, isCurrent, 1)
	next.VersionID = row.VersionID
	return row.Seq, x.setCurrent(&row)
}

// seqAfter is the Seq of a version that comes after was.
func (x *edit) seqAfter(was *metadb.ObjectRow) uint64 {
	seq := rankOf(x.clock)
	if was != nil {
		seq = max(seq, was.Seq+1)
	}
	return seq
}

// nullBehind says where the null version stands once was is noncurrent.
func nullBehind(was *metadb.ObjectRow) (has bool, seq uint64) {
	switch {
	case was == nil:
		return false, 0
	case was.VersionID == "":
		return true, was.Seq
	}
	return was.HasNull, was.NullSeq
}

// keep moves the current version behind the one that is about to be written.
func (x *edit) keep(was metadb.ObjectRow) error {
	x.count(&was, isCurrent, -1)
	x.count(&was, isNoncurrent, 1)
	was.HasNull, was.NullSeq = false, 0
	return x.setNoncurrent(&was)
}

// dropNull gives up the null version, wherever it stands, for another that is
// about to be written as the current one. KindObjectLocked where it is
// protected.
func (x *edit) dropNull(was *metadb.ObjectRow) error {
	null, err := findVersion(x.tx, was, meta.NullVersion)
	if err != nil || null == nil {
		return err
	}
	if err := protects(&null.Object, x.now, noBypass); err != nil {
		return err
	}
	at := isCurrent
	if null != was {
		at = isNoncurrent
		if err := x.deleteNoncurrent(null); err != nil {
			return err
		}
	}
	x.count(null, at, -1)
	return x.retire(null)
}

// remove takes one version away for good and gives up what it holds. was is the
// key's current version. Where it is that one which goes, the newest of the
// others takes its place. KindObjectLocked where the version is protected.
func (x *edit) remove(was, gone *metadb.ObjectRow, by bypass) error {
	if err := protects(&gone.Object, x.now, by); err != nil {
		return err
	}
	if gone == was {
		x.count(gone, isCurrent, -1)
		if err := x.promote(was); err != nil {
			return err
		}
		return x.retire(gone)
	}
	x.count(gone, isNoncurrent, -1)
	if err := x.deleteNoncurrent(gone); err != nil {
		return err
	}
	if gone.VersionID == "" {
		without := *was
		without.HasNull, without.NullSeq = false, 0
		if err := x.setCurrent(&without); err != nil {
			return err
		}
	}
	return x.retire(gone)
}

// promote puts the newest noncurrent version into the place of the current one,
// or nothing where there is none. The search begins where the current version
// would stand, behind whatever newer ones were deleted before.
func (x *edit) promote(was *metadb.ObjectRow) error {
	if x.bucket.Versioning == meta.Unversioned {
		return x.delete(metadb.ObjectKey(x.bucket.Name, was.Key)) // there are no others
	}
	var next *metadb.ObjectRow
	r := metadb.VersionRange(x.bucket.Name, was.Key)
	r.Start = metadb.VersionKey(x.bucket.Name, was.Key, was.Seq)
	err := x.tx.Scan(r.Start, r.End, func(_, row []byte) (bool, error) {
		o, err := unmarshalVersion(row, x.bucket.Name, was.Key)
		next = o
		return false, err
	})
	if err != nil {
		return err
	}
	if next == nil {
		return x.delete(metadb.ObjectKey(x.bucket.Name, was.Key))
	}
	if next.VersionID != "" {
		next.HasNull, next.NullSeq = was.HasNull, was.NullSeq
	}
	x.count(next, isNoncurrent, -1)
	x.count(next, isCurrent, 1)
	if err := x.deleteNoncurrent(next); err != nil {
		return err
	}
	return x.setCurrent(next)
}
