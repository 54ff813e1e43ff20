package master

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

const (
	maxSuspects   = 1024             // extents that wait to be queued for repair
	maxReported   = 10_000           // pieces that are remembered as reported
	reportedFor   = 10 * time.Minute // until a piece that is still bad is reported again
	suspectsBatch = 32               // extents that one transaction queues
	suspectsIdle  = time.Hour        // pause when there is nothing: a report wakes it
)

// origin names an extent: that of a version written in one piece, or of one of its
// parts.
type origin struct {
	bucket, key string
	seq         uint64
	upload      string // of a part
	part        int    // its number; 0: none
}

// suspects takes the pieces that readers found bad or missing to the repair queue.
// Readers do not wait for it: what finds the buffer full is dropped, and found
// again by the next reader.
type suspects struct {
	e     *Engine
	woken chan struct{}

	mu       sync.Mutex // owns what follows
	order    []origin   // what waits, oldest first
	waiting  map[origin][]meta.Piece
	reported map[meta.Piece]time.Time
}

func newSuspects(e *Engine) *suspects {
	return &suspects{
		e: e, woken: make(chan struct{}, 1),
		waiting: make(map[origin][]meta.Piece), reported: make(map[meta.Piece]time.Time),
	}
}

// Name is the worker's name in the log.
func (s *suspects) Name() string { return "reports" }

// Woken signals that something was reported.
func (s *suspects) Woken() <-chan struct{} { return s.woken }

// report notes a piece of an extent that is bad or missing.
func (s *suspects) report(of origin, piece meta.Piece) {
	if !s.note(of, piece) {
		return
	}
	s.e.log.Warn("a piece is bad or missing: it will be repaired", "bucket", of.bucket, "key", of.key, "part", of.part,
		"piece", piecesText([]meta.Piece{piece})[0])
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// note reports whether the piece was not noted of late, and there is room for it.
func (s *suspects) note(of origin, piece meta.Piece) bool {
	now := s.e.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.reported[piece]; ok && now.Sub(at) < reportedFor {
		return false
	}
	before := s.waiting[of]
	if before == nil && len(s.order) >= maxSuspects {
		return false
	}
	if len(s.reported) >= maxReported {
		clear(s.reported)
	}
	s.reported[piece] = now
	if before == nil {
		s.order = append(s.order, of)
	}
	s.waiting[of] = append(before, piece)
	return true
}

// take returns the oldest extents that wait.
func (s *suspects) take() []metadb.Repair {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.order), suspectsBatch)
	batch := make([]metadb.Repair, n)
	for i, of := range s.order[:n] {
		batch[i] = metadb.Repair{
			Bucket: of.bucket, Key: of.key, Seq: of.seq, UploadID: of.upload, Part: of.part, Suspects: s.waiting[of],
		}
		delete(s.waiting, of)
	}
	s.order = slices.Delete(s.order, 0, n)
	return batch
}

// forget has pieces reported again that could not be queued.
func (s *suspects) forget(batch []metadb.Repair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range batch {
		for _, piece := range r.Suspects {
			delete(s.reported, piece)
		}
	}
}

// Step queues a batch of extents for repair.
func (s *suspects) Step(ctx context.Context) (State, error) {
	batch := s.take()
	if len(batch) == 0 {
		return State{Wait: suspectsIdle}, nil
	}
	_, err := s.e.update(ctx, func(tx metadb.Tx) error {
		now := s.e.now()
		for _, r := range batch {
			r.Queued = now
			if err := queueRepair(tx, now, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.forget(batch)
		return State{}, fmt.Errorf("queue repairs: %w", err)
	}
	s.e.rebalance.wake()
	return State{More: true}, nil
}
