package backup

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// Who is at work in a place leaves a file there: many may make backups, one may
// remove some, and only while nobody makes one. A lock whose owner was killed ends
// after staleLock.
const (
	lockBackup = "backup"
	lockPrune  = "prune"
	lockDir    = "locks/"
	renewLock  = 5 * time.Minute
	staleLock  = 30 * time.Minute
)

// lockDocument is what such a file holds, for people.
type lockDocument struct {
	Format int       `json:"format"`
	Host   string    `json:"host"`
	PID    int       `json:"pid"`
	Began  time.Time `json:"began"`
}

// lock takes part in a place that holds many backups, until unlock is called.
func lock(ctx context.Context, p Place, kind, id string) (unlock func() error, err error) {
	keeper, ok := p.(Keeper)
	if !ok {
		return func() error { return nil }, nil
	}
	host, _ := os.Hostname() // nothing depends on it
	content, err := sealDocument(lockDocument{Format: Format, Host: host, PID: os.Getpid(), Began: time.Now().UTC()})
	if err != nil {
		return nil, err
	}
	name := lockDir + kind + "-" + id
	if err := keeper.Put(ctx, name, content); err != nil {
		return nil, err
	}
	remove := func() error { return keeper.Delete(context.WithoutCancel(ctx), name) }
	if other, err := otherLock(ctx, keeper, kind, name); err != nil || other != "" {
		if removing := remove(); err == nil {
			err = removing
		}
		if err == nil {
			err = fmt.Errorf("%w: %s in %s; a process that was killed is forgotten after %v", ErrBusy, other, p, staleLock)
		}
		return nil, err
	}
	renewing, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-renewing.Done():
				return
			case <-time.After(renewLock):
				_ = keeper.Put(renewing, name, content) // the next one may do; else what we write fails, too
			}
		}
	}()
	return func() error {
		stop()
		<-ended
		return remove()
	}, nil
}

// otherLock finds the lock of somebody who is in the way. Its age is by the clock of
// the place, which the time of our own lock tells.
func otherLock(ctx context.Context, p Place, kind, own string) (string, error) {
	var all []Entry
	var now time.Time
	err := p.List(ctx, lockDir, func(e Entry) error {
		if all = append(all, e); e.Name == own {
			now = e.Modified
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	for _, e := range all {
		if e.Name == own || now.Sub(e.Modified) > staleLock {
			continue
		}
		if kind == lockPrune || strings.HasPrefix(e.Name, lockDir+lockPrune) {
			return e.Name, nil
		}
	}
	return "", nil
}
