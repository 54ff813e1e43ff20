package master

import (
	"fmt"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// DifferenceKind says how a given volume, or the lack of one, differs from the
// topology.
type DifferenceKind uint8

// The kinds of difference.
const (
	Missing     DifferenceKind = iota // a volume of the topology was not given
	Extra                             // a volume was given that can not join, although it is of this cluster
	Foreign                           // a volume was given that belongs to another cluster
	Duplicate                         // one volume was given twice
	Swapped                           // volumes of the topology have exchanged their places
	Unclaimed                         // a volume of the topology has lost the claim of its cluster
	Unreachable                       // a volume could not be asked who it is, and must be
	Removed                           // a volume was given that was deleted from the cluster, or given up
)

var differenceNames = [...]string{
	Missing: "missing", Extra: "extra", Foreign: "foreign",
	Duplicate: "duplicate", Swapped: "swapped", Unclaimed: "unclaimed", Unreachable: "unreachable", Removed: "deleted",
}

// String returns the kind in a word.
func (k DifferenceKind) String() string {
	if int(k) < len(differenceNames) {
		return differenceNames[k]
	}
	return "unknown"
}

// Difference is one way in which the given volumes are not the topology's.
type Difference struct {
	Kind   DifferenceKind
	Number meta.VolumeID // 0 where no volume of the topology is meant
	UUID   string        // empty where it is not known
	Name   string        // as given, or as recorded for a missing volume
	Detail string        // a sentence for people
	Err    error         // for Unreachable, why
}

// TopologyError refuses a start with volumes that are not those of the cluster.
// Nothing has been changed when it is returned.
type TopologyError struct {
	FirstStart  bool
	Cluster     string          // UUID; empty on the first start
	Expected    []metadb.Volume // the topology; empty on the first start
	Differences []Difference
}

// Error lists every difference and says what to do, one per line.
func (e *TopologyError) Error() string {
	var b strings.Builder
	if e.FirstStart {
		b.WriteString("these volumes can not become a new cluster:")
	} else {
		fmt.Fprintf(&b, "the volumes given are not those of cluster %s:", e.Cluster)
	}
	for _, d := range e.Differences {
		fmt.Fprintf(&b, "\n  - %s: %s", d.Kind, d.Detail)
	}
	b.WriteString("\nNothing was changed. ")
	if e.FirstStart {
		b.WriteString("Give volumes that are reachable and new; if they hold the data of an existing store, start with the metadata directory of that store or, where it is lost, with -recover, which makes it anew from its copies on the volumes.")
		return b.String()
	}
	b.WriteString("Give every volume of the cluster, and as many new, empty ones as you like; a volume leaves only after it was deleted, which moves its data to the others. The volumes are:")
	for _, v := range e.Expected {
		if v.State.Member() {
			fmt.Fprintf(&b, "\n  %d. %s, last seen at %s", v.Number, v.UUID, v.Name)
		}
	}
	return b.String()
}

// Unwrap returns why volumes were unreachable.
func (e *TopologyError) Unwrap() []error {
	var errs []error
	for _, d := range e.Differences {
		if d.Err != nil {
			errs = append(errs, d.Err)
		}
	}
	return errs
}

// matchFirst checks the volumes of a first start. cluster is empty unless an
// earlier attempt has already named it.
func matchFirst(cluster string, probes []probe) []Difference {
	var diffs []Difference
	seen := make(map[string]string)
	for _, p := range probes {
		d := Difference{UUID: p.identity.Volume, Name: p.Name}
		other, twice := seen[p.identity.Volume]
		switch {
		case p.err != nil:
			d.Kind, d.Err = Unreachable, p.err
			d.Detail = fmt.Sprintf("%s can not be reached, and on the first start every volume must be: %v", p.Name, p.err)
		case p.identity.Cluster != "" && p.identity.Cluster != cluster:
			d.Kind = Foreign
			d.Detail = fmt.Sprintf("%s (volume %s) already belongs to cluster %s, whose metadata is not here", p.Name, p.identity.Volume, p.identity.Cluster)
		case twice:
			d.Kind = Duplicate
			d.Detail = fmt.Sprintf("%s and %s are the same volume, %s", other, p.Name, p.identity.Volume)
		default:
			seen[p.identity.Volume] = p.Name
			continue
		}
		diffs = append(diffs, d)
	}
	return diffs
}

// matcher pairs given volumes with the topology's.
type matcher struct {
	topology metadb.Topology
	byUUID   map[string]metadb.Volume
	bound    map[meta.VolumeID]probe
	joining  []probe // new volumes, to be added
	diffs    []Difference
}

// expected are the volumes that must be given: all but those that were removed.
func expected(t metadb.Topology) []metadb.Volume {
	var volumes []metadb.Volume
	for _, v := range t.Volumes {
		if v.State.Member() {
			volumes = append(volumes, v)
		}
	}
	return volumes
}

// matchTopology pairs every volume of the topology with a given one, or lists
// the differences. New volumes that may join the cluster are given back apart. Volumes that answer are known by their identity, in whatever
// order, and also at a new place; those that do not, by their recorded name, or because only
// one is left. These are asked later, before anything is read from or written to
// them.
func matchTopology(t metadb.Topology, probes []probe) (bound map[meta.VolumeID]probe, joining []probe, diffs []Difference) {
	m := &matcher{topology: t, byUUID: make(map[string]metadb.Volume), bound: make(map[meta.VolumeID]probe)}
	for _, v := range t.Volumes {
		m.byUUID[v.UUID] = v
	}
	lost := make(map[meta.VolumeID]bool) // given, but not fit for use
	var silent []probe
	for _, p := range probes {
		if p.err != nil {
			silent = append(silent, p)
		} else if n := m.matchIdentity(p); n != 0 {
			lost[n] = true
		}
	}
	m.matchSilent(silent, lost)
	m.matchPlaces()
	m.matchJoining()
	for _, v := range expected(t) {
		if _, ok := m.bound[v.Number]; !ok && !lost[v.Number] {
			why := "it was not deleted from the cluster"
			if v.State == metadb.VolumeDraining {
				why = "its deletion has not come to its end"
			}
			m.differ(Missing, v, v.Name, nil, "volume %d (%s, last seen at %s) was not given, and %s", v.Number, v.UUID, v.Name, why)
		}
	}
	return m.bound, m.joining, m.diffs
}

func (m *matcher) differ(kind DifferenceKind, v metadb.Volume, name string, err error, format string, args ...any) {
	m.diffs = append(m.diffs, Difference{
		Kind: kind, Number: v.Number, UUID: v.UUID, Name: name, Err: err, Detail: fmt.Sprintf(format, args...),
	})
}

// matchIdentity binds a volume that has answered. It returns the number of a
// volume of the topology that this is, but that may not be used.
func (m *matcher) matchIdentity(p probe) meta.VolumeID {
	id := p.identity
	v, known := m.byUUID[id.Volume]
	given := metadb.Volume{UUID: id.Volume}
	switch {
	case id.Cluster != "" && id.Cluster != m.topology.Cluster:
		m.differ(Foreign, given, p.Name, nil, "%s (volume %s) belongs to cluster %s%s", p.Name, id.Volume, id.Cluster, m.formerly(p.Name))
	case known && !v.State.Member():
		m.differ(Removed, v, p.Name, nil, "%s is volume %d (%s), which was %s: take it off the list; to use its disk again, empty its directory first, so that it comes as a new volume", p.Name, v.Number, v.UUID, howLeft(v))
	case !known && p.status.Blobs > 0:
		m.differ(Extra, given, p.Name, nil, "%s (volume %s) is not part of this cluster's topology and holds %d blobs%s", p.Name, id.Volume, p.status.Blobs, m.formerly(p.Name))
	case !known:
		m.join(p)
	case id.Cluster == "":
		m.differ(Unclaimed, v, p.Name, nil, "%s is volume %d (%s), but no longer bound to this cluster: its directory was replaced or restored from before the first start", p.Name, v.Number, v.UUID)
		return v.Number
	default:
		if other, twice := m.bound[v.Number]; twice {
			m.differ(Duplicate, v, p.Name, nil, "%s and %s are the same volume, %d (%s)", other.Name, p.Name, v.Number, v.UUID)
			return 0
		}
		m.bound[v.Number] = p
	}
	return 0
}

// join notes a new volume.
func (m *matcher) join(p probe) {
	for _, other := range m.joining {
		if other.identity.Volume == p.identity.Volume {
			m.differ(Duplicate, metadb.Volume{UUID: p.identity.Volume}, p.Name, nil, "%s and %s are the same volume, %s", other.Name, p.Name, p.identity.Volume)
			return
		}
	}
	m.joining = append(m.joining, p)
}

// matchJoining refuses new volumes at the place of one that was not given: its
// disk was replaced, or is not mounted.
func (m *matcher) matchJoining() {
	for _, p := range m.joining {
		v, taken := m.formerAt(p.Name)
		if _, elsewhere := m.bound[v.Number]; taken && !elsewhere {
			m.differ(Extra, metadb.Volume{UUID: p.identity.Volume}, p.Name, nil, "%s is a new volume (%s), in the place of another%s", p.Name, p.identity.Volume, m.formerly(p.Name))
		}
	}
}

// matchPlaces finds volumes that have exchanged their places. All would be
// found, but an exchange is hardly ever meant: disks were mounted or processes
// configured the wrong way round. A volume at the place of one that has itself
// gone to a new place was moved on purpose.
func (m *matcher) matchPlaces() {
	for _, v := range expected(m.topology) {
		p, given := m.bound[v.Number]
		if !given || p.Name == v.Name {
			continue
		}
		was, taken := m.formerAt(p.Name)
		if !taken {
			continue
		}
		other, given := m.bound[was.Number]
		if _, exchanged := m.formerAt(other.Name); given && exchanged {
			m.differ(Swapped, v, p.Name, nil, "%s is volume %d (%s), last seen at %s; volume %d (%s) was here before. Put each back in its place, or give each a place where none was before",
				p.Name, v.Number, v.UUID, v.Name, was.Number, was.UUID)
		}
	}
}

// formerAt returns the volume that was last seen at a place.
func (m *matcher) formerAt(name string) (metadb.Volume, bool) {
	for _, v := range expected(m.topology) {
		if v.Name == name {
			return v, true
		}
	}
	return metadb.Volume{}, false
}

// formerly adds which volume was at this place before.
func (m *matcher) formerly(name string) string {
	if v, ok := m.formerAt(name); ok {
		return fmt.Sprintf("; volume %d (%s) was here before", v.Number, v.UUID)
	}
	return ""
}

// matchSilent binds the volumes that did not answer.
func (m *matcher) matchSilent(silent []probe, lost map[meta.VolumeID]bool) {
	var strange []probe
	names := make(map[string]bool)
	for _, p := range silent {
		if names[p.Name] {
			m.differ(Duplicate, metadb.Volume{}, p.Name, nil, "%s was given twice", p.Name)
			continue
		}
		names[p.Name] = true
		if v, ok := m.freeByName(p.Name, lost); ok {
			m.bound[v.Number] = p
		} else {
			strange = append(strange, p)
		}
	}
	var free []metadb.Volume
	for _, v := range expected(m.topology) {
		if _, ok := m.bound[v.Number]; !ok && !lost[v.Number] {
			free = append(free, v)
		}
	}
	if len(strange) == 1 && len(free) == 1 && m.deletedAt(strange[0].Name) == "" {
		m.bound[free[0].Number] = strange[0]
		return
	}
	for _, p := range strange {
		m.differ(Unreachable, metadb.Volume{}, p.Name, p.err, "%s can not be reached, and no volume of the topology was last seen there, so it can not be told which one it is%s: %v", p.Name, m.deletedAt(p.Name), p.err)
	}
}

// howLeft says how a volume has left the cluster.
func howLeft(v metadb.Volume) string {
	if v.State == metadb.VolumeLost {
		return "given up as lost"
	}
	return "deleted from this cluster"
}

// deletedAt adds which deleted volume was at this place.
func (m *matcher) deletedAt(name string) string {
	for _, v := range m.topology.Volumes {
		if v.Name == name && !v.State.Member() {
			return fmt.Sprintf(" (volume %d, which was %s, was there: take it off the list, unless it is a new one)", v.Number, howLeft(v))
		}
	}
	return ""
}

func (m *matcher) freeByName(name string, lost map[meta.VolumeID]bool) (metadb.Volume, bool) {
	for _, v := range expected(m.topology) {
		if _, taken := m.bound[v.Number]; v.Name == name && !taken && !lost[v.Number] {
			return v, true
		}
	}
	return metadb.Volume{}, false
}
