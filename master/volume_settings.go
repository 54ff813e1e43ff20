package master

import (
	"context"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// VolumeSettings is the part of a volume in the store, as far as it is said.
type VolumeSettings struct {
	// Zone says what fails together with the volume; empty: nothing else does. Nil:
	// as it is recorded.
	Zone *string
	// Weight is the number of slots, 1 to MaxWeight. 0: as it is recorded, and 1 for
	// a new volume.
	Weight int
}

// zone is what is said, or nothing.
func (s VolumeSettings) zone() string {
	if s.Zone == nil {
		return ""
	}
	return *s.Zone
}

// ConfigureVolume changes the weight and the zone of a volume, also while the
// store serves; the data follows. It is refused for a volume that is being
// deleted.
func (e *Engine) ConfigureVolume(ctx context.Context, number meta.VolumeID, s VolumeSettings) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	v, err := e.member(number)
	switch {
	case err != nil:
		return err
	case v.State != metadb.VolumeActive:
		return refuseChange("volume %d is being deleted: its part can not be changed", number)
	case s.Weight < 0 || s.Weight > MaxWeight:
		return refuseChange("weight %d: want 1 to %d", s.Weight, MaxWeight)
	}
	return e.configure(ctx, map[meta.VolumeID]VolumeSettings{number: s})
}

// configureGiven applies what a start says of its volumes.
func (e *Engine) configureGiven(ctx context.Context, given []Volume) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	said := make(map[string]VolumeSettings, len(given))
	for _, v := range given {
		said[v.Name] = v.Settings
	}
	l := e.layouts.now()
	wanted := make(map[meta.VolumeID]VolumeSettings)
	for _, v := range l.topology.Volumes {
		if v.State == metadb.VolumeActive {
			wanted[v.Number] = said[l.volumes[v.Number].Name]
		}
	}
	return e.configure(ctx, wanted)
}

// configure changes the topology where it is not what is wanted. The caller holds
// e.changing.
func (e *Engine) configure(ctx context.Context, wanted map[meta.VolumeID]VolumeSettings) error {
	t := e.layouts.now().changeable()
	if !applySettings(&t, wanted) {
		return nil
	}
	return e.changeTopology(ctx, topologyChange{apply: func(t *metadb.Topology) { applySettings(t, wanted) }})
}

// applySettings reports whether it has changed anything.
func applySettings(t *metadb.Topology, wanted map[meta.VolumeID]VolumeSettings) bool {
	changed := false
	for i, v := range t.Volumes {
		s := wanted[v.Number]
		if s.Zone != nil && *s.Zone != v.Zone {
			t.Volumes[i].Zone, changed = *s.Zone, true
		}
		if s.Weight != 0 && s.Weight != activeSlots(t, v.Number) {
			weigh(t, v.Number, s.Weight)
			changed = true
		}
	}
	return changed
}
