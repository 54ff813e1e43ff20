package modeltest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"time"

	"tdkvs/gateway"
	"tdkvs/gateway/modeltest"
	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/master/metadb/memdb"
	"tdkvs/s3api"
	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

var bg = context.Background()

// kind is a way to deploy a store.
type kind struct {
	name     string
	volumes  int
	replicas int
	classes  map[string]master.Class
	// wrong, where set, makes a mistake in the store: the test must notice.
	wrong func(http.Handler) http.Handler
	// forgetful has a kill bring back the metadata of the start before.
	forgetful bool
}

func (k kind) deployment() modeltest.Deployment {
	return modeltest.Deployment{Name: k.name, Open: func(now func() time.Time) (modeltest.Store, error) {
		s := &store{kind: k, now: now, db: memdb.New(), r: rand.New(rand.NewPCG(5, 6))}
		for range k.volumes {
			if err := s.newDisk(); err != nil {
				return nil, err
			}
		}
		return s, s.open()
	}}
}

// store is a whole store in memory: the gateway, S3, the engine, and volumes on
// file systems that forget what was not synced when it is killed.
type store struct {
	kind
	now     func() time.Time
	db      metadb.DB
	before  metadb.DB // as it was at the last start, where the store is forgetful
	disks   []*disk
	made    int
	engine  *master.Engine
	handler http.Handler
	r       *rand.Rand // of power cuts
}

// disk is a volume on a file system of its own.
type disk struct {
	*volume.Store
	fs   *vfs.Mem
	name string
	uuid string
	// allowed is how many more blobs it takes before cut is called; below zero: any
	// number.
	allowed *atomic.Int64
	cut     *atomic.Pointer[context.CancelFunc]
}

func (d *disk) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	if cut := d.cut.Load(); cut != nil && d.allowed.Add(-1) < 0 {
		(*cut)()
	}
	return d.Store.Put(ctx, id, size, body, desc)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (s *store) mount(d *disk) (err error) {
	d.Store, err = volume.Open(volume.Config{
		FS: d.fs, Dir: "/volume", Logger: quiet(), Clock: s.now,
		SmallLimit: 64 << 10, SegmentSize: 1 << 20, PreallocateStep: 64 << 10, Reserve: -1, CompactBytesPerSecond: -1,
	})
	return err
}

func (s *store) newDisk() error {
	s.made++
	d := &disk{fs: vfs.NewMem(), name: fmt.Sprintf("/disk%d", s.made), allowed: new(atomic.Int64), cut: new(atomic.Pointer[context.CancelFunc])}
	if err := s.mount(d); err != nil {
		return err
	}
	st, err := d.Status(bg)
	d.uuid = st.Volume
	s.disks = append(s.disks, d)
	return err
}

// open starts the store.
func (s *store) open() error {
	if s.forgetful {
		var err error
		if s.before, err = clone(s.db); err != nil {
			return err
		}
	}
	cfg := master.Config{DB: s.db, Clock: s.now, Logger: quiet(), Replicas: s.replicas, Classes: s.classes, MoveRate: -1}
	for _, d := range s.disks {
		cfg.Volumes = append(cfg.Volumes, master.Volume{Name: d.name, Blobs: d})
	}
	e, err := master.Open(bg, cfg)
	if err != nil {
		return err
	}
	s.engine = e
	handler, err := gateway.New(gateway.Config{
		S3:    s3api.NewHandler(s3api.Config{Backend: e, Open: true, Logger: quiet(), Now: s.now}),
		Store: e, Health: e.Health, Admin: gateway.Admin{Operator: e}, Logger: quiet(), Now: s.now,
	})
	if s.handler = handler; s.wrong != nil {
		s.handler = s.wrong(handler)
	}
	return err
}

// clone copies a metadata store.
func clone(db metadb.DB) (metadb.DB, error) {
	other := memdb.New()
	return other, db.View(bg, func(tx metadb.Tx) error {
		return tx.Scan(nil, nil, func(k, v []byte) (bool, error) {
			k, v = bytes.Clone(k), bytes.Clone(v)
			return true, other.Update(bg, func(tx metadb.Tx) error { return tx.Set(k, v) })
		})
	})
}

func (s *store) Serve(r *http.Request) (a modeltest.Answer, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the connection broke: %v", v)
		}
	}()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return modeltest.Answer{Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()}, nil
}

// Restart starts the store again, with what it had synced where it was killed.
func (s *store) Restart(kill bool) error {
	s.forget()
	for _, d := range s.disks {
		after := d.fs
		if kill {
			after = d.fs.CrashCloneRand(s.r)
		}
		if err := d.Close(); err != nil {
			return err
		}
		d.fs = after
		if err := s.mount(d); err != nil {
			return err
		}
	}
	if kill && s.forgetful {
		s.db = s.before
	}
	return s.open()
}

// forget leaves the volumes out that are no members any more.
func (s *store) forget() {
	members := map[string]bool{}
	for _, v := range s.engine.Topology().Volumes {
		members[v.UUID] = v.State != metadb.VolumeRemoved && v.State != metadb.VolumeLost
	}
	s.disks = slices.DeleteFunc(s.disks, func(d *disk) bool { return !members[d.uuid] })
}

// Change does something that no client sees.
func (s *store) Change(choice uint64) (string, error) {
	r := rand.New(rand.NewPCG(choice, 1))
	member := s.member(r)
	var what string
	var err error
	switch n := r.IntN(100); {
	case n < 15:
		what, err = "collect garbage", s.engine.CollectGarbage(bg)
	case n < 25:
		what, err = "compact", s.compact()
	case s.volumes == 1:
		what = "nothing"
	case n < 35:
		what, err = "add a volume", s.grow(r)
	case n < 45:
		what, err = fmt.Sprintf("delete volume %d", member), s.engine.DrainVolume(bg, member)
	case n < 50:
		what, err = fmt.Sprintf("volume %d stays", member), s.engine.CancelDrain(bg, member)
	case n < 58:
		weight := 1 + r.IntN(4)
		what, err = fmt.Sprintf("weight %d for volume %d", weight, member), s.engine.SetWeight(bg, member, weight)
	case n < 63:
		copies := 1 + r.IntN(3)
		what, err = fmt.Sprintf("%d copies", copies), s.engine.SetReplicas(bg, "", copies)
	case n < 70:
		what, err = "rebalance to the end", s.rebalance(1<<30)
	default:
		what, err = "rebalance a little", s.rebalance(1+r.Int64N(20))
	}
	var refused *master.ChangeError
	if errors.As(err, &refused) {
		what, err = what+": "+refused.Message, nil
	}
	return what, err
}

func (s *store) member(r *rand.Rand) meta.VolumeID {
	volumes := s.engine.Topology().Volumes
	return volumes[r.IntN(len(volumes))].Number
}

func (s *store) grow(r *rand.Rand) error {
	s.forget()
	if len(s.disks) > s.volumes+2 {
		return nil
	}
	if err := s.newDisk(); err != nil {
		return err
	}
	d := s.disks[len(s.disks)-1]
	_, err := s.engine.AddVolume(bg, master.NewVolume{Volume: master.Volume{Name: d.name, Blobs: d}, Weight: 1 + r.IntN(3)})
	return err
}

// compact rewrites one segment of each volume that is worth it.
func (s *store) compact() error {
	for _, d := range s.disks {
		if _, err := d.CompactNext(bg); err != nil {
			return err
		}
	}
	return nil
}

// rebalance moves what is to be moved, and breaks off in the middle of it after so
// many blobs.
func (s *store) rebalance(blobs int64) error {
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	var left atomic.Int64
	left.Store(blobs)
	for _, d := range s.disks {
		d.allowed = &left
		d.cut.Store(&cancel)
		defer d.cut.Store(nil)
	}
	err := s.engine.Rebalance(ctx)
	if left.Load() < 0 && errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return err
}

// Check brings everything to where it should be and has the store checked, every
// byte of it.
func (s *store) Check() error {
	if err := s.rebalance(1 << 30); err != nil {
		return err
	}
	if err := s.engine.CollectGarbage(bg); err != nil {
		return err
	}
	report, err := s.engine.Check(bg, master.CheckOptions{Deep: true, Rate: -1})
	if err != nil {
		return err
	}
	if !report.Clean() {
		return fmt.Errorf("%+v", report)
	}
	return nil
}

func (s *store) Close() error {
	var errs []error
	for _, d := range s.disks {
		errs = append(errs, d.Close())
	}
	return errors.Join(append(errs, s.db.Close())...)
}
