package master

import (
	"sync"
	"sync/atomic"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// pins keep what open readers read from being collected, so that a reader who
// takes longer than the grace still sees its version whole.
//
// A reader reads the object's record and sets its pin with the gate held shared.
// The garbage worker reads the entries that are due, passes the gate exclusively
// once, and only then looks at the pins. A reader that passed the gate before
// it has pinned; one that comes after it reads a record later than the commit
// that queued the entry, so it can not come to hold what the entry gives up.
type pins struct {
	gate sync.RWMutex

	mu        sync.Mutex // guards what follows
	blobs     map[meta.BlobID]int
	manifests map[string]int
	open      int
}

func newPins() *pins {
	return &pins{blobs: make(map[meta.BlobID]int), manifests: make(map[string]int)}
}

// pin is held by a reader and by each range it has open; the last to release it
// removes it.
type pin struct {
	of     *pins
	object *meta.Object
	seq    uint64 // of the version
	refs   atomic.Int32
}

// acquire runs read, which returns the record of an object, and pins what the
// object holds.
func (p *pins) acquire(x *pin, read func() (*metadb.ObjectRow, error)) error {
	p.gate.RLock()
	defer p.gate.RUnlock()
	o, err := read()
	if err == nil {
		p.known(x, o)
	}
	return err
}

// known pins what an object holds that is known to be there.
func (p *pins) known(x *pin, o *metadb.ObjectRow) {
	x.of, x.object, x.seq = p, &o.Object, o.Seq
	x.refs.Store(1)
	p.add(x.object, 1)
}

func (x *pin) retain() { x.refs.Add(1) }

func (x *pin) release() {
	if x.refs.Add(-1) == 0 {
		x.of.add(x.object, -1)
	}
}

func (p *pins) add(o *meta.Object, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open += by
	if o.Manifest != "" {
		count(p.manifests, o.Manifest, by)
	}
	for piece := range eachPiece(o.Extents) {
		count(p.blobs, piece.Blob, by)
	}
}

// hold pins blobs that are being made, until done is called.
func (p *pins) hold(made []meta.Piece) (done func()) {
	p.countBlobs(made, 1)
	return func() { p.countBlobs(made, -1) }
}

func (p *pins) countBlobs(pieces []meta.Piece, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, piece := range pieces {
		count(p.blobs, piece.Blob, by)
	}
}

// holdsBlob reports whether somebody has pinned a blob.
func (p *pins) holdsBlob(id meta.BlobID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.blobs[id] > 0
}

func count[K comparable](m map[K]int, k K, by int) {
	if m[k] += by; m[k] == 0 {
		delete(m, k)
	}
}

// settle waits for the readers that are about to pin. Call it after reading
// garbage entries and before asking holds.
func (p *pins) settle() {
	p.gate.Lock()
	//nolint:staticcheck // SA2001: the empty section is the point, a barrier
	p.gate.Unlock()
}

// holds reports whether a reader has pinned what a garbage entry gives up.
func (p *pins) holds(g *metadb.Garbage) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch g.Kind {
	case metadb.GarbageManifest:
		return p.manifests[g.Manifest] > 0
	case metadb.GarbageBlobs, metadb.GarbageIntent, metadb.GarbageLeftovers:
		for _, piece := range g.Pieces {
			if p.blobs[piece.Blob] > 0 {
				return true
			}
		}
	}
	return false
}

func (p *pins) readers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}
