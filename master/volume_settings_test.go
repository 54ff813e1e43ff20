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

// settingsOf are a weight and, unless it is "-", a zone.
func settingsOf(weight int, zone string) master.VolumeSettings {
	if zone == "-" {
		return master.VolumeSettings{Weight: weight}
	}
	return master.VolumeSettings{Weight: weight, Zone: &zone}
}

// startWith starts again with what is said of each volume.
func (s *store) startWith(said ...master.VolumeSettings) {
	s.t.Helper()
	cfg := s.config()
	for i := range said {
		cfg.Volumes[i].Settings = said[i]
	}
	s.openWith(cfg)
}

// parts are zone and slots of each volume.
func (s *store) parts() string {
	var parts []string
	for _, v := range s.Cluster(context.Background()).Volumes {
		parts = append(parts, fmt.Sprintf("%s%d", v.Zone, v.Slots))
	}
	return strings.Join(parts, " ")
}

// TestSettingsOfVolumes: what a start says holds from the first one on, what it
// does not say stays, and the data follows what it changes.
func TestSettingsOfVolumes(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 3)
	s.startWith(settingsOf(2, "roof"), settingsOf(0, "-"), settingsOf(0, "cellar"))
	if got := s.parts(); got != "roof2 1 cellar1" || s.Topology().Epoch != 1 {
		t.Fatalf("first start: %s, epoch %d", got, s.Topology().Epoch)
	}
	s.createBucket(bucket)
	t.Cleanup(s.check)
	keys := s.fillKeys(60)
	for _, tt := range []struct {
		said    []master.VolumeSettings
		want    string
		changes uint64
	}{
		{nil, "roof2 1 cellar1", 0},
		{[]master.VolumeSettings{settingsOf(2, "roof"), settingsOf(1, ""), settingsOf(1, "-")}, "roof2 1 cellar1", 0},
		{[]master.VolumeSettings{settingsOf(0, "-"), settingsOf(3, "yard"), settingsOf(0, "-")}, "roof2 yard3 cellar1", 1},
		{[]master.VolumeSettings{settingsOf(1, ""), settingsOf(0, "-"), settingsOf(2, "-")}, "1 yard3 cellar2", 1},
	} {
		before := s.Topology().Epoch
		s.startWith(tt.said...)
		if got := s.parts(); got != tt.want || s.Topology().Epoch != before+tt.changes {
			t.Errorf("%s, %d changes; want %s, %d", got, s.Topology().Epoch-before, tt.want, tt.changes)
		}
		s.rebalanced()
		s.wantAll(keys)
		for _, key := range keys {
			l, err := s.Locate(context.Background(), bucket, key, "")
			if err != nil {
				t.Fatal(err)
			}
			if at, want := l.Extents[0].Pieces[0].Volume, s.wanted(key); at != want {
				t.Errorf("%s is on volume %d, want %d", key, at, want)
			}
		}
	}
	// A new one joins with what is said of it, in the slot that is free.
	s.startWith(settingsOf(0, "-"), settingsOf(2, "-"))
	s.volumes = append(s.volumes, newTestVolume("/disk4"))
	slots := len(s.Topology().Slots)
	s.startWith(settingsOf(0, "-"), settingsOf(0, "-"), settingsOf(0, "-"), settingsOf(1, "attic"))
	if got := s.parts(); got != "1 yard2 cellar2 attic1" || len(s.Topology().Slots) != slots {
		t.Errorf("%s in %d slots, had %d", got, len(s.Topology().Slots), slots)
	}
	s.rebalanced()
	s.wantAll(keys)
}

func TestConfigureVolume(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx := context.Background()
	keys := s.fillKeys(40)
	if err := s.ConfigureVolume(ctx, 1, settingsOf(4, "roof")); err != nil {
		t.Fatal(err)
	}
	if got := s.parts(); !strings.HasPrefix(got, "roof4 ") {
		t.Error(got)
	}
	s.rebalanced()
	s.wantAll(keys)
	if err := s.DrainVolume(ctx, 2); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"there is no volume 9":                        s.ConfigureVolume(ctx, 9, settingsOf(1, "-")),
		"weight 65: want 1 to 64":                     s.ConfigureVolume(ctx, 1, settingsOf(65, "-")),
		"weight -1: want 1 to 64":                     s.ConfigureVolume(ctx, 1, settingsOf(-1, "-")),
		"volume 2 is being deleted: its part can not": s.ConfigureVolume(ctx, 2, settingsOf(2, "-")),
	} {
		var refused *master.ChangeError
		if !errors.As(err, &refused) || !strings.Contains(refused.Message, want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	// One that leaves keeps what it has until then, whatever a start says.
	s.startWith(settingsOf(0, "-"), settingsOf(7, "yard"))
	s.rebalanced()
	s.wantAll(keys)
}

// TestLostVolumeGiven: it is refused as a deleted one is, and the store starts
// without it, also with more shards than there are volumes now.
func TestLostVolumeGiven(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(30)
	if err := s.SetReplicas(context.Background(), "", 2); err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	if err := s.LoseVolume(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	s.refused("deleted /disk2")
	if err := s.tryOpen(); err == nil || !strings.Contains(err.Error(), "which was given up as lost: take it off the list") {
		t.Errorf("given again: %v", err)
	}
	s.volumes = []*testVolume{s.volumes[0], s.volumes[2]}
	start := func(parity int) error {
		cfg := s.config()
		cfg.Classes = map[string]master.Class{"": {Code: meta.Code{Data: 2, Parity: parity}, MinSize: 1 << 20}}
		e, err := master.Open(context.Background(), cfg)
		if err == nil {
			s.Engine = e
		}
		return err
	}
	var refused *master.ChangeError
	if err := start(2); !errors.As(err, &refused) || refused.Message != "storage class STANDARD: 2+2 needs 4 volumes, and there are 3" {
		t.Errorf("too many shards: %v", err)
	}
	if err := start(1); err != nil {
		t.Errorf("as many shards as there were volumes: %v", err)
	}
	s.wantAll(keys)

}
