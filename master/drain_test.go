package master_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tdkvs/master"
	"tdkvs/master/meta"
)

// TestDrainRefusals: nothing moves before it is known to come to its end.
func TestDrainRefusals(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 2)
	s.open()
	s.createBucket(bucket)
	t.Cleanup(s.check)
	s.put("k", strings.Repeat("x", 1000))
	refused := func(number meta.VolumeID, want string) {
		t.Helper()
		var ce *master.ChangeError
		if err := s.DrainVolume(context.Background(), number); !errors.As(err, &ce) || !strings.Contains(ce.Message, want) {
			t.Errorf("volume %d: %v, want %q", number, err, want)
		}
	}
	refused(7, "there is no volume 7")
	s.volumes[0].down.Store(true)
	refused(1, "does not answer")
	s.volumes[0].down.Store(false)
	held := s.places()["o"+bucket+"\x00k 0"]
	other := s.volumes[2-held]
	other.free.Store(100)
	refused(held, "the other 1 volumes have room for 100")
	other.free.Store(0)
	if err := s.DrainVolume(context.Background(), held); err != nil {
		t.Fatal(err)
	}
	refused(3-held, "is the last one that can take data")
	s.rebalanced()
	refused(held, "was deleted already")
	refused(3-held, "is the last one that can take data")
	s.wantBody("k", strings.Repeat("x", 1000))
	s.volumes = []*testVolume{other}
}

// TestDrainNeedsVolumes: as many must be left as the store, a bucket or a storage
// class spreads something over, whether there is such data or not.
func TestDrainNeedsVolumes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		volumes int
		config  func(*master.Config)
		setUp   func(*store) error
		refusal string // empty: there is none
	}{
		{2, func(c *master.Config) { c.Replicas = 2 }, nil, "the replicas of the store need 2 volumes, and without volume 1 there are 1"},
		{3, func(c *master.Config) { c.Replicas = 2 }, nil, ""},
		{3, nil, func(s *store) error { return s.SetReplicas(bg, bucket, 3) }, "the replicas of bucket photos need 3 volumes, and without volume 1 there are 2"},
		{4, nil, func(s *store) error { return s.SetReplicas(bg, bucket, 3) }, ""},
		{4, nil, func(s *store) error {
			s.volumes[3].down.Store(true)
			return s.SetReplicas(bg, bucket, 3)
		}, "need 3 volumes, and without volume 1 there are 2"},
		{4, withClass, nil, "the shards of storage class COLD need 4 volumes, and without volume 1 there are 3"},
		{5, withClass, nil, ""},
	} {
		s := newBareStore(t, c.volumes)
		cfg := s.config()
		if c.config != nil {
			c.config(&cfg)
		}
		s.openWith(cfg)
		s.createBucket(bucket)
		if c.setUp != nil {
			if err := c.setUp(s); err != nil {
				t.Fatal(err)
			}
		}
		before := s.Topology()
		err := s.DrainVolume(bg, 1)
		var refused *master.ChangeError
		switch {
		case c.refusal == "" && err != nil:
			t.Errorf("%d volumes: %v", c.volumes, err)
		case c.refusal == "":
		case !errors.As(err, &refused) || !strings.Contains(refused.Message, c.refusal):
			t.Errorf("%d volumes: %v, want %q", c.volumes, err, c.refusal)
		case s.Topology().Version != before.Version:
			t.Errorf("%s, and yet the topology has changed", c.refusal)
		}
	}
}

func withClass(c *master.Config) {
	c.Classes = map[string]master.Class{"COLD": {Code: meta.Code{Data: 2, Parity: 2}}}
}

// TestDrainNeedsRoomOnEach: enough room on all together is not enough where it
// lies on the wrong ones.
func TestDrainNeedsRoomOnEach(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 3)
	s.open()
	s.createBucket(bucket)
	t.Cleanup(s.check)
	for i := range 60 {
		s.put(fmt.Sprint(i), strings.Repeat("x", 1000))
	}
	s.volumes[2].free.Store(2000)
	var refused *master.ChangeError
	if err := s.DrainVolume(bg, 1); !errors.As(err, &refused) || !strings.Contains(refused.Message, "to volume 3 at /disk3, which has room for 2000") {
		t.Errorf("%v", err)
	}
	s.volumes[2].free.Store(60000)
	if err := s.DrainVolume(bg, 1); err != nil {
		t.Errorf("%v", err)
	}
	s.rebalanced()
	s.volumes = s.volumes[1:]
}
