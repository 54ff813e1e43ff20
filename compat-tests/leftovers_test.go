package compattests

import (
	"testing"
	"time"
)

// TestLeftovers kills the store under writes until that leaves something behind, again and again. What is left is named by the
// garbage queue when the volumes were looked over, so the store is whole, and it is removed after its grace: then there are just
// as many blobs as pieces.
//
// Covers: PutObject, DeleteObject, CompleteMultipartUpload.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{serverKind, clusterKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := startDeployment(t, kind, settings{garbageGrace: 200 * time.Millisecond, lines: "leftover_grace: 1s\n"})
			crew := newCrew(t, d, seed(t))
			crew.prepare(t)
			kills, found := 0, 0
			for ; kills < 3 || found == 0 && kills < 30; kills++ {
				stop := crew.work()
				time.Sleep(300 * time.Millisecond) // something is under way
				d.front.kill(t)
				stop()
				d.start(t)
				found += d.waitLookedOver(t).Found
				d.wantWhole(t)
			}
			if found == 0 {
				t.Fatalf("%d kills left nothing behind", kills)
			}
			crew.check(t)
			var r checkReport
			for end := time.Now().Add(growTime); ; time.Sleep(100 * time.Millisecond) {
				if r = d.wantWhole(t); r.Report.Blobs == r.Report.Pieces {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("%d blobs and %d pieces", r.Report.Blobs, r.Report.Pieces)
				}
			}
			crew.check(t)
			t.Logf("%d kills have left %d blobs behind", kills, found)
		})
	}
}
