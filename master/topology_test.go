package master_test

import (
	"context"
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

// identityVolume says that it is another.
type identityVolume struct {
	*testVolume
	id volume.Identity
}

func (v *identityVolume) Status(ctx context.Context) (volume.Status, error) {
	st, err := v.testVolume.Status(ctx)
	st.Identity = v.id
	return st, err
}

// A volume that is down at a later start does not keep the store from starting:
// it is reported, and used once it is back and has said who it is.
func TestVolumeDownAtStart(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 3)
	s.open()
	s.createBucket(bucket)
	for i := range 30 {
		s.put(fmt.Sprint(i), "x")
	}
	health := s.Health(bg)
	if !health.Ready || health.Metadata != "" || len(health.Volumes) != 3 || health.Volumes[2].Status.Volume != health.Volumes[2].UUID {
		t.Errorf("health is %+v", health)
	}
	s.volumes[1].down.Store(true)
	s.open()
	health = s.Health(bg)
	if !health.Ready || health.Volumes[0].Err != nil || !strings.Contains(fmt.Sprint(health.Volumes[1].Err), "refused") || health.Volumes[1].Number != 2 {
		t.Errorf("health is %+v", health)
	}
	failed := 0
	for i := range 30 {
		if _, err := s.tryRead(fmt.Sprint(i)); err != nil {
			wantKind(t, err, meta.KindUnavailable)
			failed++
		}
	}
	if failed == 0 || failed == 30 {
		t.Errorf("%d of 30 objects can not be read", failed)
	}
	s.volumes[1].down.Store(false)
	s.Probe(bg)
	for i := range 30 {
		s.wantBody(fmt.Sprint(i), "x")
	}
	if h := s.Health(bg); !h.Ready {
		t.Errorf("health is %+v", h)
	}
	s.check()
}

// What comes back in the place of a volume that was down must be that volume.
func TestVolumeComesBackAsAnother(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 2)
	s.open()
	s.createBucket(bucket)
	for i := range 20 {
		s.put(fmt.Sprint(i), "x")
	}
	other := &identityVolume{newTestVolume("/disk2"), volume.Identity{Volume: "other", Cluster: s.Topology().Cluster}}
	other.down.Store(true)
	cfg := s.config()
	cfg.Volumes[1].Blobs = other
	e, err := master.Open(bg, cfg)
	if err != nil {
		t.Fatal(err)
	}
	other.down.Store(false)
	e.Probe(bg)
	h := e.Health(bg)
	if !strings.Contains(fmt.Sprint(h.Volumes[1].Err), "not the volume") {
		t.Errorf("health is %+v", h)
	}
	for i := range 20 {
		o, err := e.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: fmt.Sprint(i), Size: 1}, newPayload("y"))
		if err != nil {
			wantKind(t, err, meta.KindUnavailable)
		} else if o.Extents[0].Pieces[0].Volume != 1 {
			t.Fatal("a blob was written to a volume that is not the one expected")
		}
	}
	if n := len(other.ids(t)); n != 0 {
		t.Errorf("%d blobs on the other volume", n)
	}
}

func TestSilentVolumes(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) *store {
		s := newBareStore(t, 3)
		s.open()
		return s
	}
	down := func(vs ...*testVolume) {
		for _, v := range vs {
			v.down.Store(true)
		}
	}
	t.Run("all, under their names", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		down(s.volumes...)
		s.open()
		if h := s.Health(bg); h.Ready {
			t.Errorf("health is %+v", h)
		}
	})
	t.Run("one, under a new name", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.volumes[1].name = "/moved"
		down(s.volumes[1])
		s.open()
		if h := s.Health(bg); h.Volumes[1].Name != "/moved" || h.Volumes[1].Err == nil {
			t.Errorf("health is %+v", h)
		}
	})
	t.Run("two, under new names", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.volumes[0].name, s.volumes[1].name = "/a", "/b"
		down(s.volumes[0], s.volumes[1])
		s.refused("unreachable /a", "unreachable /b", "missing /disk1", "missing /disk2")
	})
	t.Run("the same name twice", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.volumes[1].name = "/disk1"
		down(s.volumes[0], s.volumes[1])
		s.refused("duplicate /disk1", "missing /disk2")
	})
	t.Run("an extra one", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.volumes = append(s.volumes, newTestVolume("/disk4"))
		down(s.volumes[3])
		s.refused("unreachable /disk4")
	})
	t.Run("one that was given up, beside one that is not given", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		if err := s.LoseVolume(bg, 2); err != nil {
			t.Fatal(err)
		}
		s.volumes = s.volumes[:2]
		down(s.volumes[1])
		s.refused("unreachable /disk2", "missing /disk3")
	})
	t.Run("its name is taken by another that answers", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.volumes[0].name, s.volumes[1].name = "/disk2", "/elsewhere"
		down(s.volumes[1]) // its name is /disk2, where volume 1 answers
		s.open()
		if h := s.Health(bg); h.Volumes[0].Err != nil || h.Volumes[1].Name != "/elsewhere" || h.Volumes[1].Err == nil {
			t.Errorf("health is %+v", h)
		}
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
		return s.tryOpen()
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
	s.db = &testDB{DB: memdb.New()}
	s.refused("foreign /disk1", "foreign /disk2")
	te := s.refusal
	if !strings.Contains(te.Error(), "metadata directory") {
		t.Errorf("the message does not say what to do: %v", te)
	}
}

// Where a volume's server can be told whom it must be, the engine tells it
// before it does anything but ask.
func TestForVolume(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 2)
	for range 2 {
		cfg := s.config()
		told := map[string]string{}
		for i := range cfg.Volumes {
			v := s.volumes[i]
			cfg.Volumes[i].Blobs = &statusOnly{v}
			cfg.Volumes[i].ForVolume = func(uuid string) master.Blobs { told[v.name] = uuid; return v }
		}
		e, err := master.Open(bg, cfg)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range e.Topology().Volumes {
			if told[s.volumes[i].name] != v.UUID {
				t.Errorf("%s was told %q, is %q", v.Name, told[s.volumes[i].name], v.UUID)
			}
		}
		if h := e.Health(bg); !h.Ready {
			t.Errorf("health is %+v", h)
		}
	}
}

// statusOnly fails everything but Status.
type statusOnly struct{ *testVolume }

func (statusOnly) Claim(context.Context, string) error {
	return fmt.Errorf("claim: %w", volume.ErrInvalid)
}

func TestHealthOfMetadata(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 1)
	s.open()
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if h := s.Health(bg); h.Ready || h.Metadata == "" || h.Volumes[0].Err != nil {
		t.Errorf("health is %+v", h)
	}
}

// sealedDB is a metadata store that reads, and takes no writes any more.
type sealedDB struct{ metadb.DB }

func (sealedDB) Failed() error { return fmt.Errorf("%w: fsync: input/output error", metadb.ErrFailed) }

func TestHealthOfSealedMetadata(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 1)
	cfg := s.config()
	cfg.DB = sealedDB{cfg.DB}
	e, err := master.Open(bg, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if h := e.Health(bg); h.Ready || !strings.Contains(h.Metadata, "input/output error") {
		t.Errorf("health is %+v", h)
	}
}

// TestSealedMetadataTakesNoBodies writes to a store whose metadata is read-only:
// a body that no commit can come to refer to must not be stored, for nothing
// would ever remove it.
func TestSealedMetadataTakesNoBodies(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 1)
	s.open()
	s.createBucket(bucket)
	up := s.createUpload("k")
	cfg := s.config()
	cfg.DB = sealedDB{cfg.DB}
	s.openWith(cfg)
	if _, err := s.tryPut("k", "body", meta.Precondition{}); meta.KindOf(err) != meta.KindReadOnly {
		t.Errorf("put: %v, want KindReadOnly", err)
	}
	if _, err := s.tryPutPart(up, 1, "body"); meta.KindOf(err) != meta.KindReadOnly {
		t.Errorf("put part: %v, want KindReadOnly", err)
	}
	if n := s.blobs(); n != 0 {
		t.Errorf("%d blobs were stored", n)
	}
}
