package compattests

import (
	"fmt"
	"testing"
	"time"
)

// TestForegroundDuringRebalance measures what clients feel of a rebalance with the limits that it has when nobody sets any:
// their latencies while nothing moves, while a new volume is filled, and while nothing moves again. TDKVS_YIELD_MIB is how much
// is there to be spread, of either size of objects. The short form only wants that no request fails; with 512 MiB or more the
// 99th percentile during the rebalance may be twice that of the worse quiet phase.
//
// Covers: PutObject, GetObject, DeleteObject, ListObjectsV2, CompleteMultipartUpload.
func TestForegroundDuringRebalance(t *testing.T) {
	t.Parallel()
	mib := sizeFromEnv(t, "TDKVS_YIELD_MIB", 8)
	for _, size := range []int{16 << 10, 4 << 20} {
		t.Run(fmt.Sprintf("%d KiB", size>>10), func(t *testing.T) { measureForeground(t, size, mib) })
	}
}

func measureForeground(t *testing.T, size, mib int) {
	d := startDeployment(t, clusterKind, settings{})
	d.putSized(t, d.httpClient(t, scaleWorkers), max(8, mib<<20/size), size)
	added := d.addVolume(t, "volume4")
	d.waitUp(t, added)
	load := newTraffic(t, d, trafficClients, seed(t))
	stop := load.work()
	quiet := min(time.Duration(mib)*100*time.Millisecond, 15*time.Second)
	time.Sleep(quiet / 2) // the first requests open connections
	load.phase()
	time.Sleep(quiet)
	before := load.phase()
	began := time.Now()
	d.mustAdmin(t, "volume", "add", added)
	r := d.waitRebalanced(t)
	took, during := time.Since(began), load.phase()
	time.Sleep(quiet)
	after := load.phase()
	stop()
	load.check()
	load.wantNoFailure(t)
	t.Logf("%d clients; quiet: %s", trafficClients, describe(before))
	t.Logf("while %d pieces moved in %v: %s", r.Moved, took.Round(time.Millisecond), describe(during))
	t.Logf("quiet again: %s", describe(after))
	for _, kind := range []string{"get", "put"} {
		still := max(quantile(before[kind], 99), quantile(after[kind], 99))
		times := float64(quantile(during[kind], 99)) / float64(max(1, still))
		t.Logf("p99 of a %s: %.2f times that of the worse quiet phase", kind, times)
		if mib >= 512 && times > 2 {
			t.Errorf("p99 of a %s is %.2f times as long during the rebalance", kind, times)
		}
	}
}
