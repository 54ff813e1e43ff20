package master

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

var (
	errUnreadableRows = errors.New("a row can not be read, and may name any blob: nothing is taken for a leftover")
	errNamedAgain     = errors.New("a row names it that did not before")
)

// unnamed returns those of the candidates that nothing names, as of one moment:
// no row, in use or waiting to be removed, and no entry of the garbage queue.
// Where a row can not be read it fails: that one could name any.
func (w *leftovers) unnamed(ctx context.Context, k *look) (left []sized, err error) {
	if k.n == 0 {
		return nil, nil
	}
	err = w.e.view(ctx, func(tx metadb.Tx) error {
		for _, l := range k.found {
			clear(l.marks)
		}
		return eachNamed(ctx, tx, func(p meta.Piece) {
			if l := k.found[p.Volume]; l != nil {
				if i := l.find(p.Blob); i >= 0 {
					l.marks[i] |= markLive
				}
			}
		})
	})
	if err != nil {
		return nil, err
	}
	for number, l := range k.found {
		for i, mark := range l.marks {
			if mark == 0 {
				left = append(left, sized{meta.Piece{Volume: number, Blob: l.ids[i]}, l.sizes[i]})
			}
		}
	}
	return left, nil
}

// sized is a blob and its length in bytes.
type sized struct {
	meta.Piece
	size int64
}

// naming is a kind of row that names blobs by extents.
type naming struct {
	metadb.Range
	extents func(k, row []byte) ([]meta.Extent, error)
}

// versionRows are the versions of all keys.
func versionRows() []naming {
	extents := func(_, row []byte) ([]meta.Extent, error) {
		o, err := metadb.UnmarshalObject(row)
		return o.Extents, err
	}
	return []naming{{metadb.AllObjects(), extents}, {metadb.AllVersions(), extents}}
}

// uploadRows are parts, those of uploads that have ended included, and manifests,
// whether an object refers to them or not.
func uploadRows() []naming {
	return []naming{
		{metadb.AllParts(), func(_, row []byte) ([]meta.Extent, error) {
			p, err := metadb.UnmarshalPart(row)
			return p.Extents, err
		}},
		{metadb.AllManifests(), func(k, row []byte) (all []meta.Extent, err error) {
			switch _, _, chunk, ok := metadb.ParseManifestKey(k); {
			case !ok:
				return nil, metadb.ErrBadRecord
			case chunk == 0:
				return nil, nil // the index
			}
			parts, err := metadb.UnmarshalManifestChunk(row)
			for i := range parts {
				all = append(all, parts[i].Extents...)
			}
			return all, err
		}},
	}
}

// eachNamed goes over all that names blobs: versions, parts, manifests and the
// garbage queue. A kind of row that comes to name blobs must be added here.
func eachNamed(ctx context.Context, tx metadb.Tx, visit func(meta.Piece)) error {
	all := func(named []meta.Piece) {
		for _, p := range named {
			visit(p)
		}
	}
	for _, rows := range slices.Concat(versionRows(), uploadRows()) {
		err := eachRow(ctx, tx, rows.Range, func(k, row []byte) error {
			extents, err := rows.extents(k, row)
			all(pieces(extents))
			return err
		})
		if err != nil {
			return err
		}
	}
	return eachRow(ctx, tx, metadb.GarbageRange(), func(_, row []byte) error {
		g, err := metadb.UnmarshalGarbage(row)
		all(g.Pieces)
		return err
	})
}

// eachRow reads rows, and lets others have a processor for as long as it took.
func eachRow(ctx context.Context, tx metadb.Tx, r metadb.Range, read func(k, row []byte) error) error {
	n, began := 0, time.Now()
	return tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
		if err := read(k, row); err != nil {
			return false, fmt.Errorf("row %q: %w: %w", bytes.Clone(k), errUnreadableRows, err)
		}
		if n++; n%checkPage == 0 {
			if err := rest(ctx, began); err != nil {
				return false, err
			}
			began = time.Now()
		}
		return true, ctx.Err()
	})
}

// namedNow reports whether the current version of a blob's key names it, or the
// part that it says it is. It costs a few reads.
func namedNow(tx metadb.Tx, b leftover) (bool, error) {
	var rows []meta.Extent
	o, err := current(tx, b.Bucket, b.Key)
	if err != nil {
		return false, err
	}
	if o != nil {
		rows = o.Extents
	}
	if b.UploadID != "" {
		part, err := record(tx, metadb.PartKey(b.UploadID, b.PartNumber), metadb.UnmarshalPart)
		if err != nil {
			return false, err
		}
		rows = append(rows, part.Extents...)
	}
	for _, p := range pieces(rows) {
		if p == b.Piece {
			return true, nil
		}
	}
	return false, nil
}
