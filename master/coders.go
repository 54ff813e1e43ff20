package master

import (
	"fmt"
	"sync"

	"tdkvs/master/erasure"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// coders keeps the coder of each code that was needed so far. An extent keeps its
// code for ever, so it may be one that no storage class has any more.
type coders struct {
	mu   sync.Mutex
	made map[meta.Code]*erasure.Coder
}

func newCoders() *coders { return &coders{made: make(map[meta.Code]*erasure.Coder)} }

// coder returns the coder of a code. Codes are checked where they are configured,
// so one that is none comes from a damaged record: metadb.ErrBadRecord.
func (e *Engine) coder(c meta.Code) (*erasure.Coder, error) {
	e.coders.mu.Lock()
	defer e.coders.mu.Unlock()
	if coder := e.coders.made[c]; coder != nil {
		return coder, nil
	}
	coder, err := erasure.NewCoder(erasure.Scheme{Data: c.Data, Parity: c.Parity})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", metadb.ErrBadRecord, err)
	}
	e.coders.made[c] = coder
	return coder, nil
}
