package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"tdkvs/failpoint"
	"tdkvs/master/erasure"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// makeShards makes the new shards of a move: those that lie elsewhere are copied,
// and the others, as well as those that can not be, are computed.
func (r *rebalancer) makeShards(ctx context.Context, m *move) error {
	var wanted []int
	var failed error
	for i, to := range m.next {
		if !slices.Contains(m.add, to) {
			continue
		}
		from := m.sources[i]
		if from.Missing() {
			wanted = append(wanted, i)
		} else if err := r.copyPiece(ctx, m, m.owner(m.extent).piece(from, i), to); err != nil {
			if slices.Contains(m.blamed, to.Volume) || ctx.Err() != nil {
				return err
			}
			failed = errors.Join(failed, err)
			wanted = append(wanted, i)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	if err := r.restoreShards(ctx, m, wanted); err != nil {
		return errors.Join(failed, err)
	}
	return nil
}

// restoreShards computes shards of an extent from others and stores them, stripe
// by stripe.
func (r *rebalancer) restoreShards(ctx context.Context, m *move, wanted []int) error {
	coder, err := r.e.coder(m.extent.Code)
	if err != nil {
		return err
	}
	desc, err := r.describe(ctx, m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var puts errgroup.Group
	out := make([]*io.PipeWriter, len(wanted))
	failed := make([]error, len(wanted))
	for j, shard := range wanted {
		body, w := io.Pipe()
		out[j] = w
		puts.Go(func() error {
			failed[j] = r.putShard(ctx, m.next[shard], pieceSize(m.extent), body, desc, shard)
			_ = body.CloseWithError(failed[j]) // never fails; ends the computation where the put has
			return nil
		})
	}
	broken := -1 // of wanted, which could not be stored
	notes := &sourceNotes{}
	err = coder.Restore(ctx, m.extent.Size, wanted, r.shardOpener(m, notes), func(units [][]byte) error {
		for j, unit := range units {
			if _, err := out[j].Write(unit); err != nil {
				broken = j
				return err
			}
		}
		return nil
	})
	for _, w := range out {
		_ = w.CloseWithError(err) // never fails; io.EOF where all went well
	}
	_ = puts.Wait() // no error is returned above
	failpoint.At("rebalance/restored")
	notes.move(m)
	switch {
	case broken >= 0:
		return m.blame(m.next[wanted[broken]], failed[broken])
	case err != nil:
		return err
	}
	return m.stored(wanted, failed)
}

// stored says which volumes have stored their shards.
func (m *move) stored(wanted []int, failed []error) error {
	var errs []error
	for j, err := range failed {
		to := m.next[wanted[j]]
		if err != nil {
			errs = append(errs, m.blame(to, err))
			continue
		}
		m.fine = append(m.fine, to.Volume)
	}
	return errors.Join(errs...)
}

// putShard stores one shard as it is computed.
func (r *rebalancer) putShard(ctx context.Context, to meta.Piece, size int64, body io.Reader, desc metadb.Descriptor, shard int) error {
	dst, err := r.e.volume(ctx, to.Volume)
	if err != nil {
		return err
	}
	desc.Shard = shard
	paced := &pacedReader{ctx: ctx, r: body, limiter: r.limiter}
	return dst.Put(ctx, volume.BlobID(to.Blob), size, paced, func() ([]byte, error) { return metadb.MarshalDescriptor(&desc) })
}

// describe returns the descriptor of any shard that has one.
func (r *rebalancer) describe(ctx context.Context, m *move) (metadb.Descriptor, error) {
	var errs []error
	for i, p := range m.sources {
		if p.Missing() || slices.Contains(m.bad, p) {
			continue
		}
		_, info, err := r.e.statRecorded(ctx, m.owner(m.extent).piece(p, i))
		if err == nil {
			return metadb.UnmarshalDescriptor(info.Descriptor)
		}
		errs = append(errs, m.blameSource(p, err))
	}
	return metadb.Descriptor{}, errors.Join(append(errs, errNoSource)...)
}

// shardOpener opens the shards of an extent that may be there, and notes what is
// wrong with those that are not.
func (r *rebalancer) shardOpener(m *move, notes *sourceNotes) erasure.Open {
	sources, bad, of := m.sources, slices.Clone(m.bad), m.owner(m.extent)
	return func(ctx context.Context, shard int, offset, length int64) (io.ReadCloser, error) {
		p := sources[shard]
		if p.Missing() || slices.Contains(bad, p) {
			return nil, fmt.Errorf("shard %d: %w", shard, volume.ErrNotFound)
		}
		_, body, err := r.e.openRecorded(ctx, of.piece(p, shard), offset, length)
		if err != nil {
			return nil, notes.add(p, err)
		}
		return &sourceReader{ReadCloser: body, notes: notes, piece: p}, nil
	}
}

// sourceNotes are what was wrong with the shards that were read, which is done by
// several goroutines.
type sourceNotes struct {
	mu     sync.Mutex // guards failed
	failed []sourceFailure
}

type sourceFailure struct {
	piece meta.Piece
	err   error
}

func (n *sourceNotes) add(p meta.Piece, err error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failed = append(n.failed, sourceFailure{p, err})
	return fmt.Errorf("volume %d: blob %s: %w", p.Volume, volume.BlobID(p.Blob), err)
}

// move moves what was noted into a move.
func (n *sourceNotes) move(m *move) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range n.failed {
		_ = m.blameSource(f.piece, f.err) // it is part of what the computation says
	}
}

// sourceReader notes what is wrong with a piece.
type sourceReader struct {
	io.ReadCloser
	notes *sourceNotes
	piece meta.Piece
}

func (s *sourceReader) Read(b []byte) (int, error) {
	n, err := s.ReadCloser.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = s.notes.add(s.piece, err)
	}
	return n, err
}
