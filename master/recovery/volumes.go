package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tdkvs/master/journal"
	"tdkvs/volume"
)

// Blobs is what is asked of a volume. The contract is that of volume.Blobs.
type Blobs interface {
	journal.Blobs
	Status(ctx context.Context) (volume.Status, error)
}

// Volume is one that was given: what belongs to the store, as far as it is known.
type Volume struct {
	Name  string // its URL or directory
	Blobs Blobs
	// ForVolume, where set, returns the way to the volume of this UUID at the same
	// place; without it there is nothing but Status.
	ForVolume func(uuid string) journal.Blobs
}

// expecting returns the way to the volume of this UUID.
func (v Volume) expecting(uuid string) journal.Blobs {
	if v.ForVolume == nil {
		return v.Blobs
	}
	return v.ForVolume(uuid)
}

// Held is what became known of a volume.
type Held struct {
	Name     string
	Identity volume.Identity // empty where it did not answer
	Journal  journal.SourceReport
	Err      error // why nothing is known of what it holds
}

// errEmpty says that a volume belongs to no store, so it holds nothing.
var errEmpty = errors.New("it is new, and holds nothing")

// ErrNothing says that no volume belongs to a store.
var ErrNothing = errors.New("none of the volumes belongs to a store: there is nothing to recover; start without -recover to make a new one")

// SilentError says that volumes did not answer, where nothing can be said without
// any of them.
type SilentError struct{ Volumes []Held }

func (e *SilentError) Error() string {
	return "no volume can be asked what it holds:" + reasons(e.Volumes)
}

// Unwrap returns why they did not.
func (e *SilentError) Unwrap() []error {
	var errs []error
	for _, v := range e.Volumes {
		errs = append(errs, v.Err)
	}
	return errs
}

// ClustersError says that the volumes belong to more than one store.
type ClustersError struct{ Volumes []Held }

func (e *ClustersError) Error() string {
	var b strings.Builder
	b.WriteString("the volumes belong to different stores, and only those of one can be recovered:")
	for _, v := range e.Volumes {
		if v.Identity.Cluster != "" {
			fmt.Fprintf(&b, "\n  - %s (volume %s) belongs to cluster %s", v.Name, v.Identity.Volume, v.Identity.Cluster)
		}
	}
	b.WriteString("\nName the volumes of one store only.")
	return b.String()
}

func reasons(volumes []Held) string {
	var b strings.Builder
	for _, v := range volumes {
		if v.Err != nil {
			fmt.Fprintf(&b, "\n  - %s: %v", v.Name, v.Err)
		}
	}
	return b.String()
}

// askTimeout bounds one question to a volume who it is.
const askTimeout = 5 * time.Second

// ask asks all volumes who they are, again and again until all have answered or
// patience is over.
func ask(ctx context.Context, given []Volume, patience time.Duration) []Held {
	held := make([]Held, len(given))
	for i, v := range given {
		held[i].Name = v.Name
	}
	const pause = 200 * time.Millisecond
	for end := time.Now().Add(patience); ; {
		askOnce(ctx, given, held)
		silent := slices.ContainsFunc(held, func(h Held) bool { return h.Err != nil && h.Identity.Volume == "" })
		if !silent || time.Now().Add(pause).After(end) {
			return held
		}
		select {
		case <-ctx.Done():
			return held
		case <-time.After(pause):
		}
	}
}

// askOnce asks those that have not answered yet.
func askOnce(ctx context.Context, given []Volume, held []Held) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for i := range given {
		if held[i].Identity.Volume != "" {
			continue
		}
		wg.Go(func() {
			st, err := given[i].Blobs.Status(ctx)
			if err == nil && st.Volume == "" {
				err = fmt.Errorf("%w: it has no identity", volume.ErrUnavailable)
			}
			if held[i].Err = err; err == nil {
				held[i].Identity = st.Identity
			}
		})
	}
	wg.Wait()
}

// oneCluster returns the cluster that all volumes belong to that belong to any.
func oneCluster(held []Held) (string, error) {
	cluster, silent := "", 0
	for i, h := range held {
		switch {
		case h.Err != nil:
			silent++
		case h.Identity.Cluster == "":
			held[i].Err = errEmpty
		case cluster != "" && cluster != h.Identity.Cluster:
			return "", &ClustersError{held}
		default:
			cluster = h.Identity.Cluster
		}
	}
	switch {
	case cluster != "":
		return cluster, nil
	case silent > 0:
		return "", &SilentError{held}
	}
	return "", ErrNothing
}
