package master

import (
	"context"
	"encoding/binary"
	"slices"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
)

// phase is one of the ranges that a pass goes over. Their numbers are on disk.
type phase uint8

const (
	currentVersions    phase = 0
	noncurrentVersions phase = 1
	openUploads        phase = 2
	phases             phase = 3
)

// position is where a pass stands: at a row, and within what belongs to it. sub
// counts the chunks of an object's manifest, or is the number of the last part of
// an upload, that was looked at.
type position struct {
	phase phase
	sub   uint32
	row   []byte // empty: the first of the phase
}

// A position on disk is the phase in a byte, sub in four, big-endian, and the
// key of the row.
func (p position) marshal() []byte {
	b := binary.BigEndian.AppendUint32([]byte{byte(p.phase)}, p.sub)
	return append(b, p.row...)
}

func parsePosition(b []byte) position {
	if len(b) < 5 {
		return position{}
	}
	return position{phase: phase(b[0]), sub: binary.BigEndian.Uint32(b[1:5]), row: slices.Clone(b[5:])}
}

// rowKind says in which kind of row an extent is recorded.
type rowKind uint8

const (
	objectRow rowKind = iota
	partRow
	manifestRow
)

// location is where an extent is recorded.
type location struct {
	kind        rowKind
	row         []byte
	bucket, key string
	upload      string // of a part
	part        int    // number, but for objectRow
	index       int    // among the extents of the object or part
}

// hash is the placement hash of what lies there.
func (l location) hash() uint64 {
	if l.kind == objectRow {
		return placement.KeyHash(l.bucket, l.key)
	}
	return placement.PartHash(l.bucket, l.key, l.part)
}

// finding is what one scan brings.
type finding struct {
	moves   []*move
	next    position
	end     bool // of the pass
	again   bool // something was left out that another pass must look at
	scanned uint64
}

// scanner looks for extents that lie elsewhere than the layout wants them.
type scanner struct {
	ctx    context.Context
	e      *Engine
	layout *layout
	finding
	bytes int64 // of the bodies to be moved
	rows  int   // bytes of the rows to be written
}

// scan looks at the rows from the cursor on, until there is enough to do for one
// step.
func (r *rebalancer) scan(ctx context.Context, st *metadb.Rebalance) (finding, error) {
	var s *scanner
	err := r.e.view(ctx, func(tx metadb.Tx) error {
		s = &scanner{ctx: ctx, e: r.e, layout: r.e.layouts.now()}
		s.next = parsePosition(st.Cursor)
		return s.run(tx)
	})
	if err != nil {
		return finding{}, err
	}
	return s.finding, nil
}

func (s *scanner) full() bool {
	return len(s.moves) >= moveBatch || s.scanned >= scanBatch || s.bytes >= moveBatchBytes || s.rows >= moveBatchRows
}

func (s *scanner) run(tx metadb.Tx) error {
	for s.next.phase < phases {
		stopped, err := s.runPhase(tx)
		if err != nil || stopped {
			return err
		}
		s.next = position{phase: s.next.phase + 1}
	}
	s.end = true
	return nil
}

// runPhase goes over the rest of a phase, until the scan is full.
func (s *scanner) runPhase(tx metadb.Tx) (stopped bool, err error) {
	r := s.next.phase.rows()
	if len(s.next.row) > 0 {
		r.Start = s.next.row
	}
	cur := tx.Seek(r.Start, r.End)
	defer closeCursor(cur, &err)
	for cur.Valid() {
		if err := s.ctx.Err(); err != nil {
			return true, err
		}
		if s.full() {
			return true, nil
		}
		value, err := cur.Value()
		if err != nil {
			return true, err
		}
		key := slices.Clone(cur.Key())
		s.next.row = key
		done, err := s.look(tx, key, value)
		if err != nil || !done {
			return true, err
		}
		s.next = position{phase: s.next.phase, row: metadb.After(key)}
		s.scanned++
		cur.Next()
	}
	return false, nil
}

func (p phase) rows() metadb.Range {
	switch p {
	case currentVersions:
		return metadb.AllObjects()
	case noncurrentVersions:
		return metadb.AllVersions()
	default:
		return metadb.AllUploads()
	}
}

// look looks at all that belongs to one row; not done when the scan is full
// before.
func (s *scanner) look(tx metadb.Tx, key, value []byte) (done bool, err error) {
	if s.next.phase == openUploads {
		return s.lookAtUpload(tx, key)
	}
	bucket, name, ok := metadb.ParseObjectKey(key)
	if s.next.phase == noncurrentVersions {
		bucket, name, _, ok = metadb.ParseVersionKey(key)
	}
	if !ok {
		return true, metadb.ErrBadRecord
	}
	o, err := unmarshalVersion(value, bucket, name)
	if err != nil {
		return true, err
	}
	if o.Manifest != "" {
		return s.lookAtManifest(tx, o)
	}
	at := location{kind: objectRow, row: key, bucket: bucket, key: name}
	s.consider(at, o.Extents, len(value))
	return true, nil
}

// lookAtManifest looks at the parts of an assembled object, chunk by chunk.
func (s *scanner) lookAtManifest(tx metadb.Tx, o *metadb.ObjectRow) (done bool, err error) {
	index, err := manifestIndex(tx, o.UploadID, o.Manifest)
	if err != nil {
		return true, err
	}
	for s.next.sub < uint32(len(index.Chunks)) {
		if s.full() {
			return false, nil
		}
		chunk := s.next.sub + 1
		parts, err := manifestChunk(tx, o.UploadID, o.Manifest, chunk)
		if err != nil {
			return true, err
		}
		row := metadb.ManifestKey(o.UploadID, o.Manifest, chunk)
		s.rows += meta.MaxRecordPayload // at most, and once for all its parts
		before := len(s.moves)
		for _, p := range parts {
			at := location{kind: manifestRow, row: row, bucket: o.Bucket, key: o.Key, upload: o.UploadID, part: p.Number}
			s.consider(at, p.Extents, 0)
			s.scanned++
		}
		if len(s.moves) == before {
			s.rows -= meta.MaxRecordPayload
		}
		s.next.sub = chunk
	}
	return true, nil
}

// lookAtUpload looks at the parts of an upload in progress. One that is being
// completed is left for the next pass.
func (s *scanner) lookAtUpload(tx metadb.Tx, key []byte) (done bool, err error) {
	bucket, name, id, ok := metadb.ParseUploadKey(key)
	if !ok {
		return true, metadb.ErrBadRecord
	}
	if s.e.completing.has(id) {
		s.again = true
		return true, nil
	}
	r := metadb.PartRange(id, int(s.next.sub))
	done = true
	err = tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
		if s.full() {
			done = false
			return false, nil
		}
		p, err := metadb.UnmarshalPart(row)
		if err != nil {
			return false, err
		}
		at := location{kind: partRow, row: slices.Clone(k), bucket: bucket, key: name, upload: id, part: p.Number}
		s.consider(at, p.Extents, len(row))
		s.next.sub = uint32(p.Number)
		s.scanned++
		return true, nil
	})
	return done, err
}

// consider notes the extents of a row that are to be moved.
func (s *scanner) consider(at location, extents []meta.Extent, rowSize int) {
	for i := range extents {
		at.index = i
		m, err := s.e.plan(s.layout, at, extents[i])
		if err != nil {
			s.again = true // there are too few volumes: nothing to be done now
			continue
		}
		if m == nil {
			continue
		}
		s.moves = append(s.moves, m)
		s.bytes += extents[i].Size * int64(len(m.add))
		s.rows += rowSize
	}
}
