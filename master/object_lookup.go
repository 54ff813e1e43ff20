package master

import (
	"context"
	"errors"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// versionLookup is the search for one version. It is used by one goroutine, which has it
// from the engine's pool and gives it back: what it has found is nobody else's before.
type versionLookup struct {
	bucket, key, versionID string

	o *metadb.ObjectRow // nil: there is none
	b meta.Bucket       // no more of it than how it is versioned, where o has no id

	room []byte                // for the keys of rows
	run  func(metadb.Tx) error // find
}

// lookup finds a version as callers see it: with one read where it is the
// current one, with two where it is not, and with one more for the bucket where
// it has no id of its own. The record may be shared with others, who see it
// change if the caller does that.
func (e *Engine) lookup(ctx context.Context, bucket, key, versionID string) (*metadb.ObjectRow, error) {
	if err := checkName(bucket, key); err != nil {
		return nil, err
	}
	s, ok := e.lookups.Get().(*versionLookup)
	if !ok {
		s = new(versionLookup)
		s.run = s.find
	}
	s.bucket, s.key, s.versionID = bucket, key, versionID
	err := e.view(ctx, s.run)
	o, b := s.o, s.b
	*s = versionLookup{room: s.room, run: s.run}
	e.lookups.Put(s)
	if err == nil {
		err = readable(b, o, versionID)
	}
	if err != nil {
		return nil, err
	}
	return shown(b, o), nil
}

// find fills o and b in.
func (s *versionLookup) find(tx metadb.Tx) (err error) {
	s.b = meta.Bucket{}
	s.room = metadb.AppendObjectKey(s.room[:0], s.bucket, s.key)
	if s.o, err = known(tx, s.room); err != nil {
		return err
	}
	if s.versionID != "" {
		if s.o, err = findVersion(tx, s.o, s.versionID); err != nil {
			return err
		}
	}
	if s.o == nil || s.o.VersionID == "" {
		s.room = metadb.AppendBucketKey(s.room[:0], s.bucket)
		s.b.Versioning, err = versioning(tx, s.room)
	}
	return err
}

// known is current for those who change nothing of the record: they may have it in
// common with others. key is that of its row.
func known(tx metadb.Tx, key []byte) (*metadb.ObjectRow, error) {
	o, err := metadb.Decoded(tx, key, decodeCurrent)
	if errors.Is(err, metadb.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return o.(*metadb.ObjectRow), nil
}

// decodeCurrent makes a *metadb.ObjectRow of the row of a current version.
func decodeCurrent(key, value []byte) (any, error) {
	bucket, name, ok := metadb.ParseObjectKey(key)
	if !ok {
		return nil, metadb.ErrBadRecord
	}
	return unmarshalVersion(value, bucket, name)
}

// versioning returns how the bucket whose row is at key is versioned;
// KindNoSuchBucket when there is none.
func versioning(tx metadb.Tx, key []byte) (meta.Versioning, error) {
	row, err := bucketRow(tx, key)
	if err != nil {
		return meta.Unversioned, err
	}
	return metadb.UnmarshalVersioning(row)
}

// shown is a version with its id as callers see it.
func shown(b meta.Bucket, o *metadb.ObjectRow) *metadb.ObjectRow {
	id := shownID(b, o.VersionID)
	if id == o.VersionID {
		return o
	}
	as := *o
	as.VersionID = id
	return &as
}
