package backup

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// Place is where backups are: files by name, each written as a whole. Names have
// slashes. A file that is not there is an error that wraps fs.ErrNotExist.
type Place interface {
	// Put writes a file; it is durable when Put returns. content is not kept.
	Put(ctx context.Context, name string, content []byte) error
	// Get reads a whole file of up to limit bytes.
	Get(ctx context.Context, name string, limit int64) ([]byte, error)
	// GetRange reads exactly length bytes.
	GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error)
	// List gives the files whose names begin with prefix, in any order.
	List(ctx context.Context, prefix string, fn func(Entry) error) error
	// String names the place for people.
	String() string
}

// Entry is a file in a place.
type Entry struct {
	Name     string
	Size     int64
	Modified time.Time // by the clock of the place
}

// Keeper is a place that holds many backups, of which some can be removed.
type Keeper interface {
	Place
	// Delete removes a file; one that is not there is no error.
	Delete(ctx context.Context, name string) error
}

func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
