package master_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

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
	t.Cleanup(s.check)
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
		t.Cleanup(s.check)
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
