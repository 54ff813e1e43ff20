package master

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

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
// is the number of the last part, of an assembled object or an upload, that was
// looked at.
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
	version     string // id of the object's; of a part of an upload in progress: none
	upload      string // of a part
	part        int    // number, but for objectRow
	index       int    // among the extents of the object or part
	seq         uint64 // of the version; not for partRow
	class       string // storage class of the object
	etag        string // of the version
	holder      meta.Bucket
}

// of notes the version that an extent is part of.
func (l *location) of(o *metadb.ObjectRow) {
	l.seq, l.version, l.class, l.etag = o.Seq, o.VersionID, o.Headers.StorageClass, o.ETag
}

// hash is the placement hash of what lies there.
func (l location) hash() uint64 {
	if l.kind == objectRow {
		return placement.KeyHash(l.bucket, l.key)
	}
	return placement.PartHash(l.bucket, l.key, l.part)
}

// repair is the entry of the queue that asks for what lies there, with pieces to be
// verified first.
func (l location) repair(suspects []meta.Piece, now time.Time) metadb.Repair {
	return metadb.Repair{
		Bucket: l.bucket, Key: l.key, Seq: l.seq, UploadID: l.upload, Part: l.part, Suspects: suspects, Queued: now,
	}
}

// finding is what one scan brings.
type finding struct {
	batches [][]*move
	next    position
	end     bool  // of the pass
	again   bool  // something was left out that another pass must look at
	avoided bool  // because a volume fails
	stuck   stuck // what has to stay on volumes that are to leave, whatever becomes of the batches
	short   uint64
	scanned uint64
}

// scanner goes over all rows that record extents, from a position on.
type scanner struct {
	ctx   context.Context
	e     *Engine
	visit func(at location, extents []meta.Extent, rowSize int)
	full  func() bool          // asked before each visit: true ends the scan
	skip  func(id string) bool // uploads that are left out; nil: none
	// each, where set, is told of every version before what it holds is visited.
	each func(o *metadb.ObjectRow, at place)
	// broken, where set, is told of rows that can not be read, and the scan goes on.
	broken func(row []byte, err error)
	last   meta.Bucket // the bucket looked at last
	finding
}

// bucket returns the record of a bucket; rows come in order of bucket.
func (s *scanner) bucket(tx metadb.Tx, name string) (meta.Bucket, error) {
	if s.last.Name == name {
		return s.last, nil
	}
	b, err := record(tx, metadb.BucketKey(name), metadb.UnmarshalBucket)
	b.Name = name
	s.last = b
	return b, err
}

// planner is a scan that plans what is to be moved.
type planner struct {
	scanner
	tx      metadb.Tx
	outlook outlook
	most    int    // batches
	bytes   int64  // of the bodies to be moved
	rows    int    // bytes of the rows that the last batch writes
	last    []byte // the last of these rows
}

// scan looks at the rows from the cursor on, until there is enough to do for one
// step.
func (r *rebalancer) scan(ctx context.Context, l *layout, st *metadb.Rebalance) (finding, error) {
	var p *planner
	err := r.e.view(ctx, func(tx metadb.Tx) error {
		p = &planner{tx: tx, outlook: r.outlook(l), most: r.batches, scanner: scanner{ctx: ctx, e: r.e}}
		p.visit, p.full, p.skip = p.consider, p.enough, p.completing
		p.next = parsePosition(st.Cursor)
		return p.run(tx)
	})
	if err != nil {
		return finding{}, err
	}
	return p.finding, nil
}

func (p *planner) enough() bool {
	return p.scanned >= scanBatch || p.bytes >= moveBatchBytes || len(p.batches) == p.most && p.batchFull()
}

// batchFull reports that the last batch takes no more.
func (p *planner) batchFull() bool {
	n := len(p.batches)
	return n == 0 || len(p.batches[n-1]) >= moveBatch || p.rows >= moveBatchRows
}

// take adds a move to the last batch, or to a new one where that is full.
func (p *planner) take(m *move, rowSize int) {
	if p.batchFull() {
		p.batches = append(p.batches, nil)
		p.rows, p.last = 0, nil
	}
	n := len(p.batches)
	p.batches[n-1] = append(p.batches[n-1], m)
	p.bytes += pieceSize(m.extent) * int64(len(m.add))
	if !bytes.Equal(p.last, m.row) { // a row is written once for all its extents in a batch
		p.rows += rowSize
		p.last = m.row
	}
}

// completing leaves an upload that is being completed to the next pass.
func (p *planner) completing(id string) bool {
	if !p.e.completing.has(id) {
		return false
	}
	p.again = true
	return true
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
		if !bytes.Equal(key, s.next.row) {
			s.next.row, s.next.sub = key, 0 // the row in which the last scan has ended is gone
		}
		done, err := s.look(tx, key, value)
		if err != nil && s.broken != nil && unreadable(err) {
			s.broken(key, err)
			done, err = true, nil
		}
		if err != nil {
			return true, fmt.Errorf("row %q: %w", key, err)
		}
		if !done {
			return true, nil
		}
		s.next = position{phase: s.next.phase, row: metadb.After(key)}
		s.scanned++
		cur.Next()
	}
	return false, nil
}

// unreadable reports that a row, or one that it leads to, is not as it should be.
func unreadable(err error) bool {
	for _, target := range []error{metadb.ErrBadRecord, metadb.ErrNewerRecord, metadb.ErrNotFound} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
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
	holder, err := s.bucket(tx, bucket)
	if err != nil {
		return true, err
	}
	if s.each != nil && s.next.sub == 0 {
		s.each(o, place(s.next.phase == currentVersions))
	}
	if o.Manifest != "" {
		return s.lookAtManifest(tx, o, holder)
	}
	at := location{kind: objectRow, row: key, bucket: bucket, key: name, holder: holder}
	at.of(o)
	s.visit(at, o.Extents, len(value))
	return true, nil
}

// lookAtManifest looks at the parts of an assembled object, chunk by chunk.
func (s *scanner) lookAtManifest(tx metadb.Tx, o *metadb.ObjectRow, holder meta.Bucket) (done bool, err error) {
	index, err := manifestIndex(tx, o.UploadID, o.Manifest)
	if err != nil {
		return true, err
	}
	first := max(1, index.ForPart(int(s.next.sub)+1))
	for chunk := first; int(chunk) <= len(index.Chunks); chunk++ {
		parts, err := manifestChunk(tx, o.UploadID, o.Manifest, chunk)
		if err != nil {
			return true, err
		}
		row := metadb.ManifestKey(o.UploadID, o.Manifest, chunk)
		for _, p := range parts {
			if p.Number <= int(s.next.sub) {
				continue
			}
			if s.full() {
				return false, nil
			}
			at := location{
				kind: manifestRow, row: row, bucket: o.Bucket, key: o.Key, upload: o.UploadID, part: p.Number, holder: holder,
			}
			at.of(o)
			s.seePart(at, p.Extents, meta.MaxRecordPayload)
		}
	}
	return true, nil
}

func (s *scanner) seePart(at location, extents []meta.Extent, rowSize int) {
	s.visit(at, extents, rowSize)
	s.next.sub = uint32(at.part)
	s.scanned++
}

// lookAtUpload looks at the parts of an upload in progress.
func (s *scanner) lookAtUpload(tx metadb.Tx, key []byte) (done bool, err error) {
	bucket, name, id, ok := metadb.ParseUploadKey(key)
	if !ok {
		return true, metadb.ErrBadRecord
	}
	if s.skip != nil && s.skip(id) {
		return true, nil
	}
	up, err := record(tx, key, metadb.UnmarshalUpload)
	if err != nil {
		return true, err
	}
	holder, err := s.bucket(tx, bucket)
	if err != nil {
		return true, err
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
		at := location{
			kind: partRow, row: slices.Clone(k), bucket: bucket, key: name, upload: id, part: p.Number,
			class: up.Headers.StorageClass, holder: holder,
		}
		s.seePart(at, p.Extents, len(row))
		return true, nil
	})
	return done, err
}

// consider notes the extents of a row that are to be moved.
func (p *planner) consider(at location, extents []meta.Extent, rowSize int) {
	for i := range extents {
		at.index = i
		m, err := p.e.plan(p.outlook, at, extents[i])
		if err != nil {
			p.again, p.avoided = true, true // there are too few volumes: nothing to be done now
			continue
		}
		if m.stuck && !m.waits {
			p.stuck.add(p.outlook.layout, m)
		}
		if m.short {
			p.short++
		}
		if m.waits {
			p.again, p.avoided = true, true
		}
		switch {
		case m.idle(), m.damage != "" && p.listed(at):
		case !m.reachable(p.outlook):
			p.again, p.avoided = true, true
		default:
			p.take(m, rowSize)
		}
	}
}

// listed reports whether an extent is known to be damaged. Where that can not be
// read, it is looked at again when it is recorded.
func (p *planner) listed(at location) bool {
	listed, err := listedAsDamaged(p.tx, at)
	return listed && err == nil
}
