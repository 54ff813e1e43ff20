package master

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"tdkvs/master/latency"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

// VolumeStats is what one volume was asked by this process since it began.
type VolumeStats struct {
	Number       meta.VolumeID
	Reads        uint64 // of blobs, begun
	Writes       uint64 // of blobs
	Deletes      uint64 // calls
	Failed       uint64 // calls that the volume did not answer, or not as it should
	BytesRead    uint64
	BytesWritten uint64
	ReadLatency  []uint64 // as latency.Histogram has it: reads, to the first byte
	WriteLatency []uint64 // writes, to their acknowledgement
}

// VolumeStats returns what was counted of each volume of the cluster, in order of
// number.
func (e *Engine) VolumeStats() []VolumeStats {
	l := e.layouts.now()
	stats := make([]VolumeStats, 0, len(l.volumes))
	for _, v := range l.topology.Volumes {
		if !v.State.Member() {
			continue
		}
		m := &l.volumes[v.Number].meter
		stats = append(stats, VolumeStats{
			Number: v.Number, Reads: m.reads.Load(), Writes: m.writes.Load(), Deletes: m.deletes.Load(), Failed: m.failed.Load(),
			BytesRead: m.bytesRead.Load(), BytesWritten: m.bytesWritten.Load(),
			ReadLatency: m.readLatency.Counts(), WriteLatency: m.writeLatency.Counts(),
		})
	}
	return stats
}

// meter counts what a volume is asked.
type meter struct {
	reads, writes, deletes, failed atomic.Uint64
	bytesRead, bytesWritten        atomic.Uint64
	readLatency, writeLatency      latency.Histogram
}

// metered is a way to a volume that is counted.
type metered struct {
	Blobs
	*meter
}

// fault counts an error that says that the volume, rather than the request or
// whoever made it, failed.
func (m *meter) fault(err error) error {
	if isAny(err, volume.ErrUnavailable, volume.ErrCorrupt, volume.ErrReadOnly, volume.ErrWrongVolume) {
		m.failed.Add(1)
	}
	return err
}

// Put counts a write.
func (m metered) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	m.writes.Add(1)
	began := time.Now()
	err := m.Blobs.Put(ctx, id, size, countedReader{body, &m.bytesWritten}, desc)
	if err == nil {
		m.writeLatency.Add(time.Since(began))
	}
	return m.fault(err)
}

// Get counts a read, and the bytes that are read of it.
func (m metered) Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
	m.reads.Add(1)
	began := time.Now()
	r, err := m.Blobs.Get(ctx, id, offset, length)
	if err != nil {
		return nil, m.fault(err)
	}
	m.readLatency.Add(time.Since(began))
	return &meteredBlob{ReadCloser: r, m: m.meter}, nil
}

// Open counts a read, and the bytes that are read of it.
func (m metered) Open(ctx context.Context, id volume.BlobID, offset, length int64) (volume.Info, io.ReadCloser, error) {
	m.reads.Add(1)
	began := time.Now()
	info, r, err := m.Blobs.Open(ctx, id, offset, length)
	if err != nil {
		return info, nil, m.fault(err)
	}
	m.readLatency.Add(time.Since(began))
	return info, &meteredBlob{ReadCloser: r, m: m.meter}, nil
}

// Delete counts a call.
func (m metered) Delete(ctx context.Context, ids []volume.BlobID) error {
	m.deletes.Add(1)
	return m.fault(m.Blobs.Delete(ctx, ids))
}

type countedReader struct {
	r io.Reader
	n *atomic.Uint64
}

func (c countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(uint64(n))
	return n, err
}

// meteredBlob counts the bytes of a blob that are read, by whichever way.
type meteredBlob struct {
	io.ReadCloser
	m *meter
}

func (b *meteredBlob) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.m.bytesRead.Add(uint64(n))
	if err != nil {
		err = b.m.fault(err)
	}
	return n, err
}

// WriteTo lets a blob that can write itself do so.
func (b *meteredBlob) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, b.ReadCloser)
	b.m.bytesRead.Add(uint64(n))
	return n, b.m.fault(err)
}
