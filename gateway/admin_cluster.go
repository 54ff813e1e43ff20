package gateway

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/journal"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/s3api"
	"tdkvs/volume"
)

func (g *gateway) adminCluster(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	st := g.cfg.Admin.Operator.Cluster(r.Context())
	out := adminapi.Cluster{
		Cluster: st.Cluster, Version: g.cfg.Admin.Version, Ready: st.Ready,
		Metadata: adminMetadata(st),
		Replicas: st.Replicas, Classes: adminClasses(st.Classes),
		Repair: adminapi.Repair{
			Queued: st.Rebalance.Repairs, Damaged: st.Rebalance.Damaged, Found: st.Findings.Queued, Searching: st.Findings.Searching,
		},
		Volumes: adminVolumes(st), Zones: adminZones(st), Skew: st.Skew(), Rebalance: adminRebalance(st.Rebalance),
		Garbage: adminapi.Garbage{
			Entries: st.Garbage.Entries, Blobs: st.Garbage.Blobs, Postponed: st.Garbage.Postponed,
			Failures: st.Garbage.Failures, LastError: st.Garbage.LastError,
		},
		Leftovers: adminapi.Leftovers{
			Left: st.Leftovers.Left, Looked: timeOrNone(st.Leftovers.Looked), Found: st.Leftovers.Found, Bytes: st.Leftovers.Bytes,
			Excess: st.Leftovers.Excess, Trouble: st.Leftovers.Trouble,
		},
		Journal: adminJournal(st.Journal),
	}
	for _, v := range out.Volumes {
		out.Totals.Volumes++
		out.Totals.Slots += v.Slots
		out.Totals.Capacity += v.Capacity
		out.Totals.Free += v.Free
		out.Totals.Blobs += v.Blobs
		out.Totals.Bytes += v.Bytes
		out.Totals.DeadBytes += v.DeadBytes
	}
	return out, nil
}

func adminJournal(st *journal.Status) *adminapi.Journal {
	if st == nil {
		return nil
	}
	j := &adminapi.Journal{
		Copies: st.Copies, Commit: st.Seq, Commits: st.Entries, Bytes: st.Bytes, Lacking: st.Lacking,
		Behind: timeOrNone(st.Since), Trouble: st.Why,
	}
	if s := st.Snapshot; !s.Taken.IsZero() {
		j.Snapshot = &adminapi.JournalSnapshot{Commit: s.Seq, Taken: s.Taken.UTC(), Rows: s.Rows, Bytes: s.Bytes, Copies: s.Copies}
	}
	return j
}

func adminMetadata(st master.ClusterStatus) adminapi.Metadata {
	m := adminapi.Metadata{State: adminapi.OK, Capacity: st.Disk.Total, Free: st.Disk.Free, Reserve: st.Disk.Reserve, Bytes: st.Disk.Bytes}
	switch {
	case st.Metadata != "":
		m.State, m.Error = adminapi.Failed, st.Metadata
	case st.Disk.State >= metadb.DiskFull:
		m.State, m.Error = adminapi.Full, st.Disk.Reason
	}
	return m
}

// adminClasses are the storage classes in order of name.
func adminClasses(classes map[string]master.Class) []adminapi.Class {
	out := make([]adminapi.Class, 0, len(classes))
	for name, c := range classes {
		out = append(out, adminapi.Class{Name: s3api.ClassName(name), Data: c.Code.Data, Parity: c.Code.Parity, MinSize: c.MinSize})
	}
	slices.SortFunc(out, func(a, b adminapi.Class) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// adminZones sums the volumes of each zone, in order of name.
func adminZones(st master.ClusterStatus) []adminapi.Zone {
	zones := map[string]*adminapi.Zone{}
	for _, v := range st.Volumes {
		if v.Zone == "" {
			continue
		}
		z := zones[v.Zone]
		if z == nil {
			z = &adminapi.Zone{Name: v.Zone}
			zones[v.Zone] = z
		}
		z.Volumes++
		z.Slots += v.Slots
		z.Capacity += v.Status.Capacity
		z.Free += v.Status.Free
		z.Bytes += v.Status.Bytes
		if v.Err != nil {
			z.Down++
		}
	}
	out := make([]adminapi.Zone, 0, len(zones))
	for _, name := range slices.Sorted(maps.Keys(zones)) {
		out = append(out, *zones[name])
	}
	return out
}

func (g *gateway) adminVolumes(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	return adminapi.Volumes{Volumes: adminVolumes(g.cfg.Admin.Operator.Cluster(r.Context()))}, nil
}

func adminVolumes(st master.ClusterStatus) []adminapi.Volume {
	out := make([]adminapi.Volume, 0, len(st.Volumes))
	for _, v := range st.Volumes {
		out = append(out, adminVolume(v))
	}
	return out
}

func adminVolume(v master.VolumeStatus) adminapi.Volume {
	out := adminapi.Volume{
		Number: uint32(v.Number), UUID: v.UUID, URL: v.Name, State: v.State.String(), Zone: v.Zone, Slots: v.Slots,
		Capacity: v.Status.Capacity, Free: v.Status.Free, Reserve: v.Status.Reserve,
		Blobs: v.Status.Blobs, Bytes: v.Status.Bytes, DeadBytes: v.Status.DeadBytes,
	}
	out.Since, out.Latency = timeOrNone(v.Since), v.Latency.Seconds()
	out.Quarantined, out.CorruptReads = v.Status.Quarantined, v.Status.CorruptReads
	out.Scrub = adminScrub(v.Status.Scrub)
	out.Health, out.Error = volumeHealth(v.VolumeHealth)
	return out
}

func adminScrub(x volume.Scrub) adminapi.Scrub {
	return adminapi.Scrub{
		Running: x.Running, BytesPerSecond: max(x.Rate, -1), Read: x.Read, Total: x.Total, Bad: x.Bad,
		Began: timeOrNone(x.Began), Finished: timeOrNone(x.Finished),
	}
}

// adminAddVolume takes a volume into the cluster.
func (g *gateway) adminAddVolume(r *adminRequest) (any, error) {
	var v adminapi.NewVolume
	if err := r.decode(&v); err != nil {
		return nil, err
	}
	switch {
	case g.cfg.Admin.AddVolume == nil:
		return nil, &failure{status: http.StatusConflict, message: "the volumes of this store are directories: to add one, restart it with the new directory in its list"}
	case v.URL == "":
		return nil, badAdmin("InvalidArgument", "url is missing: say where the volume is, as http://host:port")
	case v.Weight < 0 || v.Weight > master.MaxWeight:
		return nil, badAdmin("InvalidArgument", fmt.Sprintf("weight %d: want 1 to %d", v.Weight, master.MaxWeight))
	}
	joined, err := g.cfg.Admin.AddVolume(r.Context(), v)
	if err != nil {
		return nil, classifyJoin(err)
	}
	return g.adminMember(r, joined.Number)
}

// adminDeleteVolume begins to move everything off a volume.
func (g *gateway) adminDeleteVolume(r *adminRequest) (any, error) {
	return g.changeVolume(r, g.cfg.Admin.Operator.DrainVolume)
}

// adminCancelDelete lets a volume that is being deleted stay.
func (g *gateway) adminCancelDelete(r *adminRequest) (any, error) {
	return g.changeVolume(r, g.cfg.Admin.Operator.CancelDrain)
}

func (g *gateway) changeVolume(r *adminRequest, change func(context.Context, meta.VolumeID) error) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	number, err := g.findVolume(r)
	if err != nil {
		return nil, err
	}
	if err := change(r.Context(), number); err != nil {
		return nil, err
	}
	return g.adminMember(r, number)
}

// findVolume finds the volume that the path names.
func (g *gateway) findVolume(r *adminRequest) (meta.VolumeID, error) {
	number, ok := g.cfg.Admin.Operator.FindVolume(r.name)
	if !ok {
		return 0, &failure{status: http.StatusNotFound, code: "NoSuchVolume", message: "no volume has this number, UUID or address: " + clip(r.name, 200)}
	}
	return number, nil
}

// adminMember is a volume as it is after a change.
func (g *gateway) adminMember(r *adminRequest, number meta.VolumeID) (any, error) {
	for _, v := range g.cfg.Admin.Operator.Cluster(r.Context()).Volumes {
		if v.Number == number {
			return adminVolume(v), nil
		}
	}
	// It held nothing, and has left already; or it is lost.
	return adminapi.Volume{Number: uint32(number), State: "removed"}, nil
}

func (g *gateway) adminRebalance(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	st, err := g.cfg.Admin.Operator.RebalanceStatus(r.Context())
	if err != nil {
		return nil, err
	}
	return adminRebalance(st), nil
}

func adminRebalance(st master.RebalanceStatus) adminapi.Rebalance {
	out := adminapi.Rebalance{
		Epoch: st.Epoch, Active: st.Active, Paused: st.Paused, Pass: st.Pass, Scanned: st.Scanned, Expected: st.Expected,
		Moved: st.Moved, MovedBytes: st.MovedBytes, Failed: st.Failed, LastError: st.LastError,
		Short: st.Short, Repaired: st.Repaired, Repairs: st.Repairs, Stuck: make([]adminapi.Stuck, 0, len(st.Stuck)),
		Started: timeOrNone(st.Started), Finished: timeOrNone(st.Finished), Retry: timeOrNone(st.Retry),
	}
	for _, s := range st.Stuck {
		out.Stuck = append(out.Stuck, adminapi.Stuck{Volume: uint32(s.Volume), Damaged: s.Damaged, Parts: s.Parts, Short: s.Short})
	}
	out.Concurrency, out.BytesPerSecond = st.Pace()
	return out
}

func timeOrNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// adminChangeRebalance sets limits.
func (g *gateway) adminChangeRebalance(r *adminRequest) (any, error) {
	var c adminapi.RebalanceChange
	if err := r.decode(&c); err != nil {
		return nil, err
	}
	switch {
	case c == (adminapi.RebalanceChange{}):
		return nil, badAdmin("InvalidArgument", "nothing to change: give paused, concurrency or bytes_per_second")
	case c.Concurrency != nil && (*c.Concurrency < 0 || *c.Concurrency > master.MaxMoves):
		return nil, badAdmin("InvalidArgument", fmt.Sprintf("concurrency %d: want 0 to %d", *c.Concurrency, master.MaxMoves))
	case c.BytesPerSecond != nil && !validRate(*c.BytesPerSecond):
		return nil, badAdmin("InvalidArgument", fmt.Sprintf("bytes_per_second: want 0 (the default), -1 (no limit), or %d and more", master.MinMoveRate))
	}
	change := master.RebalanceChange{Paused: c.Paused, Concurrency: c.Concurrency, Rate: c.BytesPerSecond}
	if err := g.cfg.Admin.Operator.ChangeRebalance(r.Context(), change); err != nil {
		return nil, err
	}
	st, err := g.cfg.Admin.Operator.RebalanceStatus(r.Context())
	if err != nil {
		return nil, err
	}
	return adminRebalance(st), nil
}

func validRate(n int64) bool { return n == 0 || n == -1 || n >= master.MinMoveRate }
