package metadb

import (
	"context"
	"errors"
	"iter"
)

// The errors of a commit that a Follower could not take.
var (
	// ErrNotFollowed refuses a commit before anything was written: the follower is
	// behind, or has failed.
	ErrNotFollowed = errors.New("metadb: the journal of the metadata takes no commits")
	// ErrUncertain says that a commit is durable here, and the follower has not got
	// it yet: it holds unless the store is lost before.
	ErrUncertain = errors.New("metadb: the commit is not in the journal of the metadata yet")
)

// Change is one write of a commit: what a key is set to, or that it was deleted.
type Change struct {
	Key, Value []byte
	Deleted    bool
}

// Follower is told of each commit of a DB, in order and one at a time.
type Follower interface {
	// Begin takes the commit of a number, which is about to become durable. Its writes
	// are in the order of their keys, each key once, and valid until Begin returns.
	// mark is stored with the commit. Where err is set, the commit is refused.
	Begin(seq uint64, writes iter.Seq[Change]) (p Pending, mark []byte, err error)
}

// Pending is a commit that a Follower has been given.
type Pending interface {
	// Wait is called once, after the commit became durable in the DB or failed to. The
	// commit is acknowledged when it returns nil.
	Wait() error
}

// Followed is what a DB has whose commits can be followed. Each commit that writes
// something has a number, one above that of the commit before.
type Followed interface {
	// Position is the number of the newest commit, 0 before the first, and the mark
	// that was stored with it; none where it was not followed.
	Position() (seq uint64, mark []byte)
	// Follow has f told of every commit from now on.
	Follow(f Follower)
	// ViewAt is View; fn is told which commit it sees as the newest.
	ViewAt(ctx context.Context, fn func(seq uint64, tx Tx) error) error
	// LastCommit returns the writes of the newest commit, in the order of keys.
	LastCommit(ctx context.Context) ([]Change, error)
	// Apply makes the commit that follows the newest one, as it was elsewhere. It is
	// not for use beside Update, and no follower is told of it.
	Apply(ctx context.Context, seq uint64, mark []byte, changes []Change) error
}
