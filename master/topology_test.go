package master_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/master/metadb/memdb"
	"tdkvs/volume"
)

func (s *store) tryOpen() error {
	_, err := master.Open(bg, s.config())
	return err
}

// claims lists which cluster each volume belongs to.
func (s *store) claims() []string {
	s.t.Helper()
	var clusters []string
	for _, v := range s.volumes {
		st, err := v.Blobs.Status(bg)
		if err != nil {
			s.t.Fatal(err)
		}
		clusters = append(clusters, st.Cluster)
	}
	return clusters
}

// refused opens, and expects these differences ("kind name"), and that neither
// the metadata nor any claim was changed. The error is kept as s.refusal.
func (s *store) refused(want ...string) {
	s.t.Helper()
	rows, claims := s.rows(), s.claims()
	err := s.tryOpen()
	var te *master.TopologyError
	if !errors.As(err, &te) {
		s.t.Fatalf("opened with error %v, want a topology error", err)
	}
	var got []string
	for _, d := range te.Differences {
		got = append(got, fmt.Sprintf("%s %s", d.Kind, d.Name))
		if d.Detail == "" || !strings.Contains(err.Error(), d.Detail) {
			s.t.Errorf("the message does not say %q:\n%v", d.Detail, err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		s.t.Errorf("differences are %q, want %q:\n%v", got, want, err)
	}
	if !strings.Contains(err.Error(), "Nothing was changed") {
		s.t.Errorf("the message does not say that nothing was changed: %v", err)
	}
	if !maps.EqualFunc(rows, s.rows(), func(a, b []byte) bool { return string(a) == string(b) }) {
		s.t.Error("the metadata was changed")
	}
	if !reflect.DeepEqual(claims, s.claims()) {
		s.t.Errorf("claims were %q, are %q", claims, s.claims())
	}
	s.refusal = te
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestFirstStart(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 3)
	s.open()
	t.Cleanup(s.check)
	top := s.Topology()
	if !top.Ready || !uuidForm.MatchString(top.Cluster) || top.NextVolume != 4 || len(top.Slots) != 3 || top.Placement != 1 {
		t.Errorf("topology is %+v", top)
	}
	for i, v := range top.Volumes {
		st, err := s.volumes[i].Blobs.Status(bg)
		if err != nil {
			t.Fatal(err)
		}
		if v.Number != meta.VolumeID(i+1) || v.UUID != st.Volume || v.Name != s.volumes[i].name || st.Cluster != top.Cluster {
			t.Errorf("volume %d is %+v, says %+v", i, v, st.Identity)
		}
	}
	before := s.db.updates.Load()
	s.open()
	if !reflect.DeepEqual(s.Topology(), top) || s.db.updates.Load() != before+1 { // that there may be writes
		t.Errorf("a second start changed the topology to %+v", s.Topology())
	}
}

func TestFirstStartRefusals(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 0)
	if err := s.tryOpen(); err == nil || !strings.Contains(err.Error(), "no volumes given") {
		t.Errorf("without volumes: %v", err)
	}
	if _, err := master.Open(bg, master.Config{}); err == nil {
		t.Error("without a metadata store: no error")
	}
	s = newBareStore(t, 4)
	if err := s.volumes[2].Blobs.Claim(bg, "someone else"); err != nil {
		t.Fatal(err)
	}
	s.volumes[3].down.Store(true)
	s.volumes = append(s.volumes, s.volumes[0].alias("/again"))
	s.refused("foreign /disk3", "unreachable /disk4", "duplicate /again")
	te := s.refusal
	if !errors.Is(te, volume.ErrUnavailable) || !te.FirstStart || len(s.rows()) != 0 {
		t.Errorf("%+v, %d rows", te, len(s.rows()))
	}
}

// The first start can be cut off before and after each of its steps, and with
// other volumes the next time; there is one cluster all the same.
func TestFirstStartResumes(t *testing.T) {
	t.Parallel()
	for what, cut := range map[string]func(*store){
		"before the intent":   func(s *store) { s.db.fail(&s.db.before, 1, metadb.ErrNoSpace) },
		"after the intent":    func(s *store) { s.db.fail(&s.db.after, 1, metadb.ErrFailed) },
		"at the first claim":  func(s *store) { s.volumes[0].lost.Store(true) },
		"at the second claim": func(s *store) { s.volumes[1].lost.Store(true) },
		"before ready":        func(s *store) { s.db.fail(&s.db.before, 2, metadb.ErrNoSpace) },
		"after ready":         func(s *store) { s.db.fail(&s.db.after, 2, metadb.ErrFailed) },
	} {
		for _, other := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, other volumes %v", what, other), func(t *testing.T) {
				t.Parallel()
				s := newBareStore(t, 3)
				cut(s)
				if err := s.tryOpen(); err == nil {
					t.Fatal("the start was not cut off")
				}
				s.db.heal()
				for _, v := range s.volumes {
					v.lost.Store(false)
				}
				if other && what != "after ready" {
					s.volumes[2] = newTestVolume("/other") // the third was never claimed, or is given up
				}
				var cluster string
				if row, ok := s.rows()["i"]; ok {
					id, err := metadb.UnmarshalIdentity(row)
					if err != nil {
						t.Fatal(err)
					}
					cluster = id.Cluster
				}
				s.open()
				top := s.Topology()
				if cluster != "" && top.Cluster != cluster {
					t.Errorf("cluster is %s, was to be %s", top.Cluster, cluster)
				}
				for i, c := range s.claims() {
					if c != top.Cluster || !top.Ready || top.Volumes[i].Name != s.volumes[i].name {
						t.Errorf("volume %d is of cluster %s; topology %+v", i, c, top)
					}
				}
				s.open()
				s.createBucket(bucket)
				s.put("k", "x")
				s.check()
			})
		}
	}
}

func TestLaterStarts(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) *store {
		s := newBareStore(t, 3)
		s.open()
		s.createBucket(bucket)
		for i := range 30 {
			s.put(fmt.Sprint(i), fmt.Sprint("body ", i))
		}
		return s
	}
	fresh := func(name, cluster string) *testVolume {
		v := newTestVolume(name)
		if cluster != "" {
			if err := v.Blobs.Claim(bg, cluster); err != nil {
				t.Fatal(err)
			}
		}
		return v
	}
	readable := func(s *store) {
		s.t.Helper()
		for i := range 30 {
			s.wantBody(fmt.Sprint(i), fmt.Sprint("body ", i))
		}
	}
	t.Run("reordered", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		v := s.volumes
		s.volumes = []*testVolume{v[2], v[0], v[1]}
		s.open()
		readable(s)
	})
	t.Run("moved", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.volumes[0].name, s.volumes[1].name = s.volumes[1].name, "/elsewhere"
		version := s.Topology().Version
		s.open()
		readable(s)
		top := s.Topology()
		if top.Volumes[0].Name != "/disk2" || top.Volumes[1].Name != "/elsewhere" || top.Version != version+1 {
			t.Errorf("topology is %+v", top)
		}
		if !strings.Contains(s.log.String(), "volume has moved") {
			t.Error("the log does not say so")
		}
	})
	t.Run("swapped", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.volumes[0].name, s.volumes[1].name = s.volumes[1].name, s.volumes[0].name
		s.refused("swapped /disk2", "swapped /disk1")
		if te := s.refusal.Error(); !strings.Contains(te, "/disk2 is volume 1") || !strings.Contains(te, "Put each back") {
			t.Errorf("the message does not say what is where: %v", te)
		}
	})
	t.Run("swapped, one of them down", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.volumes[0].name, s.volumes[1].name = s.volumes[1].name, s.volumes[0].name
		s.volumes[1].down.Store(true)
		s.refused("swapped /disk2", "swapped /disk1")
	})
	t.Run("rotated", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		v := s.volumes
		v[0].name, v[1].name, v[2].name = v[1].name, v[2].name, v[0].name
		s.refused("swapped /disk2", "swapped /disk3", "swapped /disk1")
	})
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.volumes = s.volumes[1:]
		s.refused("missing /disk1")
		te := s.refusal
		if te.Differences[0].Number != 1 || te.Cluster != s.Topology().Cluster || len(te.Expected) != 3 {
			t.Errorf("%+v", te)
		}
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.volumes = nil
		s.refused("missing /disk1", "missing /disk2", "missing /disk3")
	})
	t.Run("extra", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		stranger := fresh("/disk4", "")
		stranger.fill(t)
		s.volumes = append(s.volumes, stranger)
		s.refused("extra /disk4")
	})
	t.Run("swapped for a new one", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.volumes[1] = fresh("/disk2", "")
		s.refused("extra /disk2", "missing /disk2")
		te := s.refusal
		if !strings.Contains(te.Error(), "was here before") {
			t.Errorf("the message does not say which volume was there: %v", te)
		}
	})
	t.Run("foreign", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.volumes[1] = fresh("/disk2", "another cluster")
		s.refused("foreign /disk2", "missing /disk2")
	})
	t.Run("claimed by us but not in the topology", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		stranger := fresh("/disk4", s.Topology().Cluster)
		stranger.fill(t)
		s.volumes = append(s.volumes, stranger)
		s.refused("extra /disk4")
	})
	t.Run("given twice", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.volumes = append(s.volumes, s.volumes[2].alias("/again"))
		s.refused("duplicate /again")
	})
	t.Run("lost its claim", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		st, err := s.volumes[0].Blobs.Status(bg)
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.config()
		cfg.Volumes[0].Blobs = &identityVolume{s.volumes[0], volume.Identity{Volume: st.Volume}}
		_, err = master.Open(bg, cfg)
		var te *master.TopologyError
		if !errors.As(err, &te) || len(te.Differences) != 1 || te.Differences[0].Kind != master.Unclaimed || te.Differences[0].Number != 1 {
			t.Errorf("%v", err)
		}
	})
	t.Run("everything at once", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.volumes = []*testVolume{
			fresh("/disk1", "x"), s.volumes[2].alias("/a"), s.volumes[2].alias("/b"), fresh("/new", ""),
		}
		s.refused("foreign /disk1", "duplicate /b", "missing /disk1", "missing /disk2")
	})
}

func TestDamagedOrNewerMetadata(t *testing.T) {
	t.Parallel()
	edit := func(t *testing.T, id func(*metadb.Identity), top func(*metadb.Topology)) error {
		s := newBareStore(t, 1)
		s.open()
		identity, err := metadb.UnmarshalIdentity(s.rows()["i"])
		if err != nil {
			t.Fatal(err)
		}
		topology := s.Topology()
		id(&identity)
		top(&topology)
		idRow, err1 := metadb.MarshalIdentity(identity)
		topRow, err2 := metadb.MarshalTopology(&topology)
		err = s.db.Update(bg, func(tx metadb.Tx) error {
			return errors.Join(err1, err2, tx.Set(metadb.IdentityKey(), idRow), tx.Set(metadb.TopologyKey(), topRow))
		})
		if err != nil {
			t.Fatal(err)
		}
		before := s.rows()
		err = s.tryOpen()
		if !maps.EqualFunc(before, s.rows(), bytes.Equal) {
			t.Errorf("the metadata was changed, and refused: %v", err)
		}
		return err
	}
	sameID, sameTop := func(*metadb.Identity) {}, func(*metadb.Topology) {}
	for want, err := range map[string]error{
		"schema version 2":    edit(t, func(id *metadb.Identity) { id.Schema = 2 }, sameTop),
		"placement version 9": edit(t, sameID, func(top *metadb.Topology) { top.Placement = 9 }),
		"damaged":             edit(t, func(id *metadb.Identity) { id.Cluster = "x" }, sameTop),
		"invalid slot":        edit(t, sameID, func(top *metadb.Topology) { top.Slots[0].State = 77 }),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want it to say %q", err, want)
		}
	}
	s := newBareStore(t, 1)
	if err := s.db.Update(bg, func(tx metadb.Tx) error { return tx.Set(metadb.TopologyKey(), []byte{1, 0xFF}) }); err != nil {
		t.Fatal(err)
	}
	if err := s.tryOpen(); !errors.Is(err, metadb.ErrBadRecord) {
		t.Errorf("a damaged topology: %v", err)
	}
}

// Other metadata with the volumes of a store: refused, and nothing is claimed.
func TestVolumesOfAnotherStore(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 2)
	s.open()
	s.db = newTestDB(memdb.New())
	s.refused("foreign /disk1", "foreign /disk2")
	te := s.refusal
	if !strings.Contains(te.Error(), "metadata directory") {
		t.Errorf("the message does not say what to do: %v", te)
	}
}
