package master

import (
	"errors"
	"fmt"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// extentRow is a row that records extents, open for a change of where they lie.
type extentRow struct {
	extents func(part int) []meta.Extent // nil where there is no such part
	save    func() error
}

// extent returns what is recorded at a place; nil where there is nothing.
func (r extentRow) extent(at location) *meta.Extent {
	if r.extents == nil {
		return nil
	}
	extents := r.extents(at.part)
	if at.index >= len(extents) {
		return nil
	}
	return &extents[at.index]
}

// open reads the row of a location. One that is gone has no extents.
func (rec *recorder) open(at location) (extentRow, error) {
	b, err := rec.tx.Get(at.row)
	if errors.Is(err, metadb.ErrNotFound) {
		return extentRow{}, nil
	}
	if err != nil {
		return extentRow{}, err
	}
	switch at.kind {
	case objectRow:
		return rec.openObject(at, b)
	case partRow:
		return rec.openPart(at, b)
	default:
		return rec.openManifest(at, b)
	}
}

func (rec *recorder) openObject(at location, b []byte) (extentRow, error) {
	o, err := unmarshalVersion(b, at.bucket, at.key)
	if err != nil {
		return extentRow{}, err
	}
	return extentRow{
		extents: func(int) []meta.Extent { return o.Extents },
		save: func() error {
			row, err := metadb.MarshalObject(o)
			return rec.set(at.row, row, err)
		},
	}, nil
}

// openPart opens a part of an upload in progress. A change raises the upload's
// revision, so that no completion takes the parts for what it has read before.
func (rec *recorder) openPart(at location, b []byte) (extentRow, error) {
	up, err := getUpload(rec.tx, at.bucket, at.key, at.upload)
	if kind := meta.KindOf(err); kind == meta.KindNoSuchUpload || kind == meta.KindNoSuchBucket {
		return extentRow{}, nil
	}
	if err != nil {
		return extentRow{}, err
	}
	p, err := metadb.UnmarshalPart(b)
	if err != nil {
		return extentRow{}, fmt.Errorf("part record: %w", err)
	}
	return extentRow{
		extents: func(int) []meta.Extent { return p.Extents },
		save: func() error {
			up.Revision++
			if err := setUpload(rec.tx, &up); err != nil {
				return err
			}
			row, err := metadb.MarshalPart(&p)
			return rec.set(at.row, row, err)
		},
	}, nil
}

func (rec *recorder) openManifest(at location, b []byte) (extentRow, error) {
	parts, err := metadb.UnmarshalManifestChunk(b)
	if err != nil {
		return extentRow{}, fmt.Errorf("manifest record: %w", err)
	}
	return extentRow{
		extents: func(number int) []meta.Extent {
			for i := range parts {
				if parts[i].Number == number {
					return parts[i].Extents
				}
			}
			return nil
		},
		save: func() error {
			row, err := metadb.MarshalManifestRow(parts)
			return rec.set(at.row, row, err)
		},
	}, nil
}

func (rec *recorder) set(key, row []byte, err error) error {
	if err != nil {
		return err
	}
	return rec.tx.Set(key, row)
}
