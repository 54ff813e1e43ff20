package gateway

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/meta"
)

// maxZoneName bounds the name of a zone, in bytes.
const maxZoneName = 128

// adminChangeVolume changes the weight and the zone of a volume.
func (g *gateway) adminChangeVolume(r *adminRequest) (any, error) {
	var c adminapi.VolumeChange
	if err := r.decode(&c); err != nil {
		return nil, err
	}
	number, err := g.findVolume(r)
	switch {
	case err != nil:
		return nil, err
	case c == (adminapi.VolumeChange{}):
		return nil, badAdmin("InvalidArgument", "nothing to change: give weight, zone or both")
	case c.Weight != nil && (*c.Weight < 1 || *c.Weight > master.MaxWeight):
		return nil, badAdmin("InvalidArgument", fmt.Sprintf("weight %d: want 1 to %d", *c.Weight, master.MaxWeight))
	case c.Zone != nil && len(*c.Zone) > maxZoneName:
		return nil, badAdmin("InvalidArgument", fmt.Sprintf("zone: want at most %d bytes", maxZoneName))
	}
	s := master.VolumeSettings{Zone: c.Zone}
	if c.Weight != nil {
		s.Weight = *c.Weight
	}
	if err := g.cfg.Admin.Operator.ConfigureVolume(r.Context(), number, s); err != nil {
		return nil, err
	}
	return g.adminMember(r, number)
}

// adminLoseVolume gives a volume up. What it held can not be had back, so the
// request must name the volume a second time, by its UUID.
func (g *gateway) adminLoseVolume(r *adminRequest) (any, error) {
	var c adminapi.Loss
	if err := r.decode(&c); err != nil {
		return nil, err
	}
	number, err := g.findVolume(r)
	if err != nil {
		return nil, err
	}
	st := g.cfg.Admin.Operator.Cluster(r.Context())
	out := adminapi.LostVolume{Replicas: st.Replicas}
	found := false
	for _, v := range st.Volumes {
		if v.Number == number {
			out.Volume, found = adminVolume(v), true
		}
	}
	if !found { // refused, or lost before
		out.Volume = adminapi.Volume{Number: uint32(number), State: adminapi.Lost}
		return out, g.cfg.Admin.Operator.LoseVolume(r.Context(), number)
	}
	if c.Confirm != out.Volume.UUID {
		return nil, &failure{status: http.StatusConflict, code: "ConfirmationNeeded", message: lossText(out) +
			". To give it up, send its UUID, " + out.Volume.UUID + ", as confirm"}
	}
	if err := g.cfg.Admin.Operator.LoseVolume(r.Context(), number); err != nil {
		return nil, err
	}
	out.Volume.State, out.AtStake = adminapi.Lost, lossText(out)
	return out, nil
}

// lossText says what is at stake when a volume is given up.
func lossText(l adminapi.LostVolume) string {
	v := l.Volume
	held := fmt.Sprintf("volume %d at %s holds %d blobs of %d bytes", v.Number, v.URL, v.Blobs, v.Bytes)
	if v.Health == adminapi.Unreachable {
		held = fmt.Sprintf("volume %d at %s does not answer; when it last did it held %d blobs of %d bytes", v.Number, v.URL, v.Blobs, v.Bytes)
	}
	if l.Replicas < 2 {
		return held + "; the store keeps one copy, so what is not in a bucket or a storage class with more is lost for good"
	}
	return held + fmt.Sprintf("; the store keeps %d copies: what has another one elsewhere is made anew, the rest is lost for good", l.Replicas)
}

// adminStartRebalance has everything compared with where it should be.
func (g *gateway) adminStartRebalance(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	if err := g.cfg.Admin.Operator.StartRebalance(r.Context()); err != nil {
		return nil, err
	}
	st, err := g.cfg.Admin.Operator.RebalanceStatus(r.Context())
	if err != nil {
		return nil, err
	}
	return adminRebalance(st), nil
}

func (g *gateway) adminReplicas(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	return adminapi.Replicas{Replicas: g.cfg.Admin.Operator.Cluster(r.Context()).Replicas}, nil
}

// adminSetReplicas says how many copies the store keeps where a bucket does not
// say.
func (g *gateway) adminSetReplicas(r *adminRequest) (any, error) {
	var want adminapi.Replicas
	if err := r.decode(&want); err != nil {
		return nil, err
	}
	if want.Replicas < 1 || want.Replicas > meta.MaxReplicas {
		return nil, badAdmin("InvalidArgument", fmt.Sprintf("replicas %d: want 1 to %d", want.Replicas, meta.MaxReplicas))
	}
	if err := g.cfg.Admin.Operator.SetReplicas(r.Context(), "", want.Replicas); err != nil {
		return nil, err
	}
	return want, nil
}

// adminChangeBucket says how many copies are kept of what is in a bucket.
func (g *gateway) adminChangeBucket(r *adminRequest) (any, error) {
	var c adminapi.BucketChange
	if err := r.decode(&c); err != nil {
		return nil, err
	}
	switch {
	case r.name == "":
		return nil, badAdmin("InvalidArgument", "the name of the bucket is missing")
	case c.Replicas == nil:
		return nil, badAdmin("InvalidArgument", "nothing to change: give replicas")
	case *c.Replicas < 0 || *c.Replicas > meta.MaxReplicas:
		return nil, badAdmin("InvalidArgument", fmt.Sprintf("replicas %d: want 1 to %d, or 0 for as many as the store keeps", *c.Replicas, meta.MaxReplicas))
	}
	if err := g.cfg.Admin.Operator.SetReplicas(r.Context(), r.name, *c.Replicas); err != nil {
		return nil, err
	}
	b, err := g.cfg.Admin.Operator.Bucket(r.Context(), r.name)
	if err != nil {
		return nil, err
	}
	return g.adminBucketOf(r.Context(), b)
}

// Records on one page of GET /damage.
const (
	adminDamageDefault = 100
	adminDamageMost    = 1000
)

// adminDamage lists what can not be read and can not be restored.
func (g *gateway) adminDamage(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	after, err := base64.RawURLEncoding.DecodeString(r.query.Get("after"))
	if err != nil {
		return nil, badAdmin("InvalidArgument", "after: want the next of an answer")
	}
	limit, err := r.limit(adminDamageDefault, adminDamageMost)
	if err != nil {
		return nil, err
	}
	list, err := g.cfg.Admin.Operator.ListDamage(r.Context(), after, limit)
	if err != nil {
		return nil, err
	}
	out := adminapi.Damages{Damage: make([]adminapi.Damage, 0, len(list))}
	for _, x := range list {
		out.Damage = append(out.Damage, adminapi.Damage{
			Bucket: x.Bucket, Key: x.Key, VersionID: x.VersionID, Part: x.Part, Size: x.Size, Cause: x.Cause, Found: x.Found,
		})
	}
	if len(list) == limit {
		out.Next = base64.RawURLEncoding.EncodeToString(list[len(list)-1].Cursor)
	}
	return out, nil
}

// limit reads how much is wanted on a page.
func (r *adminRequest) limit(usual, most int) (int, error) {
	text := r.query.Get("limit")
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, badAdmin("InvalidArgument", fmt.Sprintf("limit: want 1 to %d", most))
	}
	return n, nil
}
