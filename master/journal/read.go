package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// ErrNoSnapshot says that no volume, nor all of them together, hold a whole snapshot.
var ErrNoSnapshot = errors.New("journal: there is no whole snapshot of the metadata on the volumes")

// GapError says that commits are missing: what follows can not be used.
type GapError struct {
	Seq  uint64 // the first that is missing, or that no copy is good of
	Last uint64 // the newest that is there
	Err  error  // why it can not be read; nil: it is not there
}

func (e *GapError) Error() string {
	text := fmt.Sprintf("journal: commit %d is missing, and commits up to %d are there", e.Seq, e.Last)
	if e.Err != nil {
		text = fmt.Sprintf("journal: commit %d (of %d) can not be read: %v", e.Seq, e.Last, e.Err)
	}
	return text
}

func (e *GapError) Unwrap() error { return e.Err }

// Blobs is what the journal needs of a volume. The contract is that of volume.Blobs.
type Blobs interface {
	Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error
	Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error)
	Stat(ctx context.Context, id volume.BlobID) (volume.Info, error)
	Delete(ctx context.Context, ids []volume.BlobID) error
	List(ctx context.Context, after volume.BlobID, limit int) ([]volume.Info, error)
	Verify(ctx context.Context, id volume.BlobID) error
}

// Source is a volume that may hold a part of the journal.
type Source struct {
	Name   string // for messages
	Blobs  Blobs
	Number meta.VolumeID // of the volume; 0: not known
}

// SourceReport is what a source holds.
type SourceReport struct {
	Name    string
	Entries int
	Chunks  int
	Bytes   int64
	Err     error // why it could not be listed; what it holds is not known then
}

// Snapshot is a snapshot that is whole, as far as a list can tell.
type Snapshot struct {
	Seq    uint64 // number of the newest commit that it sees
	Chunks uint32
	Rows   uint64
	Bytes  uint64 // of rows, encoded
}

// Contents is what the volumes together hold: one snapshot, and the commits after it
// without a gap.
type Contents struct {
	Cluster  Cluster
	Line     uint64
	Snapshot Snapshot
	Last     uint64 // the newest commit that can be reached; that of the snapshot where there is none after it
	// Beyond is the newest commit behind a gap after Last; 0: there is none.
	Beyond  uint64
	Forks   []Fork // copies of other histories, as far as Entries met them
	Sources []SourceReport

	sources []Source
	found   found
	head    Header // of the last chunk of the snapshot
	mark    Header // of the newest commit that Replay has given
}

// found is where the blobs of the journal lie, by their ids.
type found struct {
	entries map[uint64]place
	chunks  map[uint64]map[uint32]place
}

// place is where one blob lies.
type place struct {
	size    int64
	sources []int
}

// Survey asks all sources what they hold, and picks the newest whole snapshot of the
// newest line and the commits that follow it. Sources that fail are told in the report.
// Contents is also there where the error is ErrNoSnapshot.
func Survey(ctx context.Context, sources []Source) (*Contents, error) {
	c := &Contents{sources: sources, Sources: make([]SourceReport, len(sources))}
	lists := make([][]volume.Info, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() {
			infos, err := ListMetadata(ctx, s.Blobs)
			lists[i], c.Sources[i] = infos, SourceReport{Name: s.Name, Err: err}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.found = found{entries: make(map[uint64]place), chunks: make(map[uint64]map[uint32]place)}
	for i := range lists {
		c.found.add(i, lists[i], &c.Sources[i])
	}
	if err := c.pickSnapshot(ctx); err != nil {
		return c, err
	}
	c.follow(c.Snapshot.Seq)
	return c, nil
}

// ListMetadata lists all blobs of the journal that a volume holds.
func ListMetadata(ctx context.Context, from Blobs) ([]volume.Info, error) {
	var all []volume.Info
	for after := volume.MetadataStart(); ; {
		page, err := from.List(ctx, after, listPage)
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
		after = page[len(page)-1].ID
	}
}

const listPage = 1000

func (f *found) add(source int, infos []volume.Info, r *SourceReport) {
	for _, info := range infos {
		kind, seq, chunk, _ := volume.ParseMetadataID(info.ID)
		r.Bytes += info.Size
		switch kind {
		case volume.MetadataEntry:
			r.Entries++
			f.entries[seq] = f.entries[seq].with(source, info.Size)
		case volume.MetadataChunk:
			r.Chunks++
			if f.chunks[seq] == nil {
				f.chunks[seq] = make(map[uint32]place)
			}
			f.chunks[seq][chunk] = f.chunks[seq][chunk].with(source, info.Size)
		}
	}
}

func (p place) with(source int, size int64) place {
	return place{size: size, sources: append(p.sources, source)}
}

// pickSnapshot finds the newest whole snapshot: of the newest line, and of that the
// one with the highest number.
func (c *Contents) pickSnapshot(ctx context.Context) error {
	var best Header
	var failed error
	for seq, chunks := range c.found.chunks {
		count := uint32(len(chunks))
		at, whole := chunks[count-1] // numbered from 0 without a gap
		if !whole {
			continue
		}
		h, err := c.lastChunk(ctx, volume.MetadataID(volume.MetadataChunk, seq, count-1), at)
		if err != nil {
			failed = err
			continue
		}
		if h.Last && cmp.Or(cmp.Compare(h.Line, best.Line), cmp.Compare(h.Seq, best.Seq)) > 0 {
			best = h
		}
	}
	if !best.Last {
		if failed != nil {
			return fmt.Errorf("%w: %w", ErrNoSnapshot, failed)
		}
		return ErrNoSnapshot
	}
	c.Cluster, c.Line, c.head = best.Cluster, best.Line, best
	c.Snapshot = Snapshot{Seq: best.Seq, Chunks: best.Chunk + 1, Rows: best.Rows, Bytes: best.Bytes}
	return nil
}

// lastChunk returns what a chunk says of itself: of the newest line, where copies differ.
func (c *Contents) lastChunk(ctx context.Context, id volume.BlobID, at place) (best Header, err error) {
	var failed error
	for _, i := range at.sources {
		h, err := stat(ctx, c.sources[i], id)
		if err != nil {
			failed = err
			continue
		}
		if h.Last && h.Line > best.Line {
			best = h
		}
	}
	if best.Last {
		failed = nil
	}
	return best, failed
}

// follow finds how far the commits after one go.
func (c *Contents) follow(from uint64) {
	c.Last, c.Beyond = from, 0
	for len(c.found.entries[c.Last+1].sources) > 0 {
		c.Last++
	}
	for seq := range c.found.entries {
		if seq > c.Last {
			c.Beyond = max(c.Beyond, seq)
		}
	}
}

// stat asks what a blob is.
func stat(ctx context.Context, s Source, id volume.BlobID) (Header, error) {
	info, err := s.Blobs.Stat(ctx, id)
	if err != nil {
		return Header{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	h, err := ParseHeader(info.Descriptor)
	if err == nil && h.ID() != id {
		err = fmt.Errorf("%w: it says that it is %s, not %s", ErrBad, h.ID(), id)
	}
	if err != nil {
		return Header{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	return h, nil
}

// maxBlob is more than any blob of the journal is long, in bytes.
const maxBlob = 64 << 20

// fetch reads one copy of a blob and checks it.
func fetch(ctx context.Context, s Source, id volume.BlobID) (h Header, rows []byte, err error) {
	r, err := s.Blobs.Get(ctx, id, 0, -1)
	if err == nil {
		var b []byte
		b, err = io.ReadAll(io.LimitReader(r, maxBlob))
		if err = errors.Join(err, r.Close()); err == nil {
			h, rows, err = parse(id, b)
		}
	}
	if err != nil {
		return h, nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return h, rows, nil
}

// Holders returns the names of the sources that hold a commit after the snapshot.
func (c *Contents) Holders(seq uint64) []string {
	var names []string
	for _, i := range c.found.entries[seq].sources {
		names = append(names, c.sources[i].Name)
	}
	slices.Sort(names)
	return names
}

// Number says which volumes the sources are.
func (c *Contents) Number(of func(name string) meta.VolumeID) {
	for i := range c.sources {
		c.sources[i].Number = of(c.sources[i].Name)
	}
}
