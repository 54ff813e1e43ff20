package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"tdkvs/master"
	"tdkvs/master/metadb"
	"tdkvs/master/metadb/badgerdb"
	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// stoppedStore is a store that nobody runs: that of a server, or that of a master
// and the directories of volumes that are given beside it.
type stoppedStore struct {
	file    string
	server  *serverConfig
	cluster *masterConfig
	dirs    []string // of volumes, given beside the file of a master
	given   []string // as they were given
}

// findStopped reads which store is meant.
func findStopped(file string, dirs []string) (stoppedStore, error) {
	s := stoppedStore{file: file, given: dirs}
	ofMaster, err := isMasterFile(file)
	if err != nil {
		return s, err
	}
	if ofMaster {
		cfg, err := loadMaster(file)
		s.cluster, s.dirs = &cfg, dirs
		return s, err
	}
	cfg, err := loadServer(file, dirs)
	s.server = &cfg
	if err != nil {
		return s, err
	}
	return s, checkDirs(cfg.paths())
}

// named is how the store was named on the command line.
func (s *stoppedStore) named() string {
	words := slices.Clone(s.given)
	if s.file != "" {
		words = append([]string{"-config " + s.file}, words...)
	}
	return strings.Join(words, " ")
}

func isVolumeLocked(err error) bool { return errors.Is(err, volume.ErrLocked) }

// metadata is the directory of the metadata.
func (s *stoppedStore) metadata() string {
	if s.cluster != nil {
		return s.cluster.Data
	}
	return filepath.Join(s.server.Dirs[0].Path, metadataDir)
}

// volumeDirs are the directories that are opened here.
func (s *stoppedStore) volumeDirs() ([]string, error) {
	dirs := slices.Clone(s.dirs)
	if s.server != nil {
		for _, dir := range s.server.paths() {
			dirs = append(dirs, filepath.Join(dir, volumeDir))
		}
	}
	for i := range dirs {
		full, err := filepath.Abs(dirs[i])
		if err != nil {
			return nil, err
		}
		dirs[i] = full
	}
	return dirs, nil
}

// openReadOnly opens the store such that nothing in it can be changed.
func (s *stoppedStore) openReadOnly(ctx context.Context, opened *closers) (*master.Engine, *oddities, error) {
	db, err := badgerdb.OpenReadOnly(s.metadata(), badgerdb.Options{})
	if err != nil {
		if errors.Is(err, metadb.ErrCorrupt) {
			err = fmt.Errorf("%w\nWhat is recorded can not be told, so nothing was compared: put the metadata back from a backup", err)
		}
		return nil, nil, err
	}
	opened.add("metadata", db.Close)
	dirs, err := s.volumeDirs()
	if err != nil {
		return nil, nil, err
	}
	odd := new(oddities)
	var volumes []master.Volume
	for _, dir := range dirs {
		v, err := odd.inspect(dir, opened)
		if err != nil {
			return nil, nil, err
		}
		volumes = append(volumes, v)
	}
	if s.cluster != nil && len(dirs) < len(s.cluster.Volumes) {
		if volumes, err = s.addRemote(ctx, volumes, opened); err != nil {
			return nil, nil, err
		}
	}
	engine, err := master.OpenReadOnly(ctx, s.config(master.Config{DB: db, Volumes: volumes, Logger: slog.New(slog.DiscardHandler)}))
	return engine, odd, err
}

// config completes what an engine is made of.
func (s *stoppedStore) config(c master.Config) master.Config {
	if s.cluster != nil {
		return s.cluster.engine(c)
	}
	return s.server.engine(c)
}

// addRemote adds the ways to the volume processes, but to those whose directories
// are open here: these are not running.
func (s *stoppedStore) addRemote(ctx context.Context, here []master.Volume, opened *closers) ([]master.Volume, error) {
	uuids := make(map[string]bool)
	for _, v := range here {
		if st, err := v.Blobs.Status(ctx); err == nil {
			uuids[st.Volume] = true
		}
	}
	memory := newBudgets()
	for _, v := range s.cluster.Volumes {
		remote, client, err := remoteVolume(v.URL, s.cluster.ClusterSecret, memory)
		if err != nil {
			return nil, err
		}
		opened.add("connections to "+v.URL, client.Close)
		if st, err := client.Status(ctx); err == nil && uuids[st.Volume] {
			continue
		}
		here = append(here, remote)
	}
	return here, nil
}

// open opens the store as its next start would.
func (s *stoppedStore) open(ctx context.Context, inv invocation, opened *closers) (*master.Engine, error) {
	if s.cluster != nil {
		if len(s.dirs) > 0 {
			return nil, misusef("fsck: a repair reaches the volumes of a master over the wire: start them, and do not name their directories")
		}
		log := newLogger(inv.stderr, quieter(s.cluster.Log))
		return openCluster(ctx, *s.cluster, opening{memory: newBudgets(), moveRate: unpaced, log: log, opened: opened})
	}
	log := newLogger(inv.stderr, quieter(s.server.Log))
	if !isDir(s.metadata()) {
		return nil, fmt.Errorf("%s holds no metadata", s.metadata())
	}
	db, stores, err := openDirs(*s.server, log, opened)
	if err != nil {
		return nil, err
	}
	volumes := make([]master.Volume, len(stores))
	for i, store := range stores {
		volumes[i] = master.Volume{Name: store.path, Blobs: store.Store, Settings: s.server.Dirs[i].settings()}
	}
	return master.Open(ctx, s.config(master.Config{DB: db, Volumes: volumes, Logger: log, MoveRate: unpaced}))
}

// quieter logs nothing but what somebody has to look at.
func quieter(l logSettings) logSettings {
	l.Level = "error"
	return l
}

// oddities are what was found in the directories of volumes.
type oddities struct {
	tallies map[master.FindingKind]master.Tally
	first   []oddity // as many as are shown
}

type oddity struct {
	volume.Oddity
	uuid string // of its volume; empty: not known
}

// inspect looks over the directory of a volume, and opens it for reading. One that
// can not be opened is given as one that does not answer.
func (o *oddities) inspect(dir string, opened *closers) (master.Volume, error) {
	store, err := volume.Open(volume.Config{FS: vfs.OS(), Dir: dir, ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if isVolumeLocked(err) {
		return master.Volume{}, err
	}
	from := len(o.first)
	identity, odd := volume.Inspect(vfs.OS(), dir, func(x volume.Oddity) { o.note(oddity{x, ""}) })
	if odd != nil {
		o.note(oddity{volume.Oddity{Kind: volume.OddIdentity, File: dir, Detail: odd.Error()}, ""})
	}
	for i := range o.first[from:] {
		o.first[from+i].uuid = identity.Volume
	}
	if err != nil {
		return master.Volume{Name: dir, Blobs: unopened{err: err}}, nil
	}
	opened.add("volume "+dir, store.Close)
	return master.Volume{Name: dir, Blobs: store}, nil
}

func (o *oddities) note(x oddity) {
	if o.tallies == nil {
		o.tallies = make(map[master.FindingKind]master.Tally)
	}
	kind := findingOf(x.Kind)
	t := o.tallies[kind]
	t.Count++
	t.Bytes += uint64(x.Bytes)
	o.tallies[kind] = t
	if t.Count <= master.DefaultCheckExamples {
		o.first = append(o.first, x)
	}
}

// findingOf is the kind of finding that an oddity is.
func findingOf(kind volume.OddityKind) master.FindingKind {
	switch kind {
	case volume.OddIdentity:
		return master.FindingIdentity
	case volume.OddSegment:
		return master.FindingSegment
	default:
		return master.FindingFile
	}
}

// addTo adds what was found to a report.
func (o *oddities) addTo(r *master.CheckReport, t metadb.Topology) {
	for kind, tally := range o.tallies {
		r.Findings[kind] = tally
		if r.Repair != master.RepairNone {
			r.Remedies = append(r.Remedies, master.Remedied{Kind: kind, Remedy: master.RemedyNone, Tally: tally})
		}
	}
	for _, x := range o.first {
		f := master.Finding{Kind: findingOf(x.Kind), Bytes: x.Bytes, Detail: x.File + ": " + x.Detail}
		for _, v := range t.Volumes {
			if v.UUID == x.uuid {
				f.Volume = v.Number
			}
		}
		r.Examples = append(r.Examples, f)
	}
}

// unopened stands for a volume whose directory can not be read.
type unopened struct {
	master.Blobs // nil: nothing but Status is asked of a volume that does not answer
	err          error
}

// Status implements master.Blobs.
func (u unopened) Status(context.Context) (volume.Status, error) {
	return volume.Status{}, fmt.Errorf("%w: %w", volume.ErrUnavailable, u.err)
}
