package master

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// bodyHandle leads to the body of an extent, or to a run of a version's bytes: what
// a reader would know that had opened the version at the moment of the backup.
type bodyHandle struct {
	bucket, key string
	part        int   // of an upload in progress: the number of the part
	offset      int64 // of the body in the bytes of row
	size        int64
	row         metadb.ObjectRow // without what a reader does not need
}

// bodies are those of extents that follow each other from h.offset on; stripped
// are the extents without their places.
func (h bodyHandle) bodies(extents []meta.Extent, name bodyName) (bodies []BackupBody, stripped []meta.Extent, err error) {
	for i, x := range extents {
		h.size = x.Size
		handle, err := h.marshal()
		if err != nil {
			return nil, nil, err
		}
		bodies = append(bodies, BackupBody{ID: name.id(i, x.Size), Size: x.Size, Handle: handle})
		stripped = append(stripped, meta.Extent{Size: x.Size})
		h.offset += x.Size
	}
	return bodies, stripped, nil
}

func (h bodyHandle) marshal() ([]byte, error) {
	row, err := metadb.MarshalObject(&h.row)
	if err != nil {
		return nil, err
	}
	var b []byte
	for _, s := range []string{h.bucket, h.key} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	for _, v := range []uint64{uint64(h.part), uint64(h.offset), uint64(h.size)} {
		b = binary.AppendUvarint(b, v)
	}
	return append(b, row...), nil
}

var errBadHandle = errors.New("not the handle of a body")

func unmarshalHandle(b []byte) (h bodyHandle, err error) {
	for _, s := range []*string{&h.bucket, &h.key} {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return h, errBadHandle
		}
		*s, b = string(b[used:used+int(n)]), b[used+int(n):]
	}
	var numbers [3]uint64
	for i := range numbers {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > meta.MaxObjectSize {
			return h, errBadHandle
		}
		numbers[i], b = n, b[used:]
	}
	h.part, h.offset, h.size = int(numbers[0]), int64(numbers[1]), int64(numbers[2])
	if h.row, err = metadb.UnmarshalObject(b); err != nil {
		return h, fmt.Errorf("%w: %w", errBadHandle, err)
	}
	h.row.Bucket, h.row.Key = h.bucket, h.key
	if h.part > meta.MaxParts || h.offset > h.row.Size || h.size > h.row.Size-h.offset {
		return h, errBadHandle
	}
	return h, nil
}

// BackupBody opens length bytes of a body from offset. What the reader returns was
// verified, and it implements io.WriterTo.
func (e *Engine) BackupBody(ctx context.Context, id string, handle []byte, offset, length int64) (io.ReadCloser, error) {
	h, err := unmarshalHandle(handle)
	if err != nil || offset < 0 || length < 0 || offset > h.size || length > h.size-offset {
		return nil, &meta.Error{Kind: meta.KindInvalidPart, Op: "back up body", Message: "that is no part of a body", Err: err}
	}
	done, err := e.backups.use(id, e.clock)
	if err != nil {
		return nil, err
	}
	r, err := e.openPinned(ctx, h, h.offset+offset, length)
	if err != nil {
		done(0, 0)
		return nil, err
	}
	return &backupReader{rangeReader: r, done: done, length: uint64(length)}, nil
}

// openPinned opens a run of bytes of which the record is known. They are held
// by the backup; a pin goes with every reader.
func (e *Engine) openPinned(ctx context.Context, h bodyHandle, offset, length int64) (*rangeReader, error) {
	p := new(pin)
	e.pins.known(p, &h.row)
	defer p.release()
	x := &rangeReader{ctx: ctx, engine: e, pin: p, left: length}
	if h.part > 0 {
		x.parts = make([]int, len(h.row.Extents))
		for i := range x.parts {
			x.parts[i] = h.part
		}
	}
	return x.begin(offset)
}

// backupReader is a rangeReader that keeps the hold of its backup up.
type backupReader struct {
	*rangeReader
	done   func(rows, bytes uint64)
	length uint64
}

// Close may be called once.
func (r *backupReader) Close() error {
	r.done(0, r.length-uint64(r.left))
	return r.rangeReader.Close()
}
