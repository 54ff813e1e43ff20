package master_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// TestRepairSurvives: restarts, failing volumes and commits that fail, before they
// take effect and after, at random moments of repairs, of a lost volume and of a
// change of the number of copies.
func TestRepairSurvives(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			s := newBareStore(t, 8)
			lost := false
			start := func() {
				cfg := s.config()
				if lost {
					cfg.Volumes = slices.Delete(cfg.Volumes, 1, 2)
				}
				cfg.Classes = map[string]master.Class{coldClass: {Code: fourPlusTwo, MinSize: 1}}
				s.openWith(cfg)
			}
			start()
			s.createBucket(bucket)
			t.Cleanup(s.check)
			bodies := s.fillCold(15)
			s.replicas(2)
			for _, k := range s.fillKeys(60) {
				bodies[k] = "body of " + k
			}
			s.rebalanced()
			s.spoil(rng, bodies)
			s.lose(2)
			lost = true
			for i := range 50 {
				s.hinder(rng, start)
				_, _ = s.RebalanceStep(context.Background()) // failures are meant
				s.clock.advance(time.Duration(rng.IntN(5000)) * time.Millisecond)
				if i == 25 {
					s.db.heal()
					_ = s.SetReplicas(context.Background(), "", 1+rng.IntN(3)) // it may fail
				}
			}
			s.db.heal()
			for _, v := range s.volumes {
				v.down.Store(false)
				v.lost.Store(false)
			}
			start()
			s.clock.advance(time.Hour)
			s.rebalanced()
			s.wantDamaged()
			s.wantSettled(keysOf(bodies))
			for k, body := range bodies {
				s.wantBody(k, body)
			}
		})
	}
}

// spoil flips a bit in one piece of half of the objects, and tells of most.
func (s *store) spoil(rng *rand.Rand, bodies map[string]string) {
	for _, k := range keysOf(bodies) {
		x := s.extent(k)
		i := rng.IntN(len(x.Pieces))
		if p := x.Pieces[i]; !holdsVolume(x.Pieces, 2) && rng.IntN(2) == 0 {
			s.volumeOf(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), 0)
			s.queueRepair(metadb.Repair{Bucket: bucket, Key: k, Suspects: []meta.Piece{p}, Queued: s.clock.now()})
		}
	}
}

// hinder does one thing that may happen during a repair.
func (s *store) hinder(rng *rand.Rand, restart func()) {
	v := s.volumes[rng.IntN(len(s.volumes))]
	switch rng.IntN(7) {
	case 0:
		s.db.heal()
		restart()
	case 1:
		v.down.Store(rng.IntN(2) == 0)
	case 2:
		v.lost.Store(rng.IntN(3) == 0)
	case 3:
		s.db.fail(&s.db.before, int64(1+rng.IntN(3)), errors.New("no"))
	case 4:
		s.db.fail(&s.db.after, int64(1+rng.IntN(3)), errors.New("unknown"))
	case 5:
		s.db.heal()
	default:
		s.ProbeRound(context.Background())
		_ = s.CollectGarbage(context.Background()) // volumes may be down
	}
}
