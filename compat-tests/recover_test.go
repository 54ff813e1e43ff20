package compattests

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// keepers are the writers of TestMetadataLost beside the crew.
const keepers = 4

// TestMetadataLost kills the store under load with SIGKILL at random moments, deletes the directory of its metadata, and has it
// made anew from the volumes: what was acknowledged is there, what was under way is there or not, nothing that was deleted
// comes back, and what nobody changed meanwhile is the same in every respect. TDKVS_RECOVER_MOMENTS is how often.
//
// Covers: PutObject, CopyObject, DeleteObject, CompleteMultipartUpload, GetObject, ListObjectVersions, ListMultipartUploads, ListParts.
// Covers: PutObjectTagging, GetObjectTagging, PutBucketCors, PutBucketTagging, PutBucketVersioning.
func TestMetadataLost(t *testing.T) {
	moments := sizeFromEnv(t, "TDKVS_RECOVER_MOMENTS", 2)
	t.Parallel()
	for _, c := range []struct{ name, kind, lines string }{
		{serverKind, serverKind, ""}, {"server with one copy of the metadata", serverKind, oneMetadataCopy}, {clusterKind, clusterKind, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLoser(t, startDeployment(t, c.kind, settings{garbageGrace: 200 * time.Millisecond, lines: c.lines}))
			var longest time.Duration
			for moment := range moments {
				l.d.front.kill(t)
				took := l.round(t, moment)
				if longest = max(longest, took); t.Failed() {
					t.Fatalf("moment %d", moment)
				}
			}
			l.d.stop(t)
			l.d.start(t)
			l.check(t)
			l.d.stillWhole(t)
			t.Logf("%d moments, %d writes acknowledged, %d interrupted, %d of keepers; ready again after %v at most",
				moments, l.crew.acknowledged(), l.crew.interrupted(), l.kept(), longest.Round(time.Millisecond))
		})
	}
}

// loser is a store that loses its metadata, and what is known of it.
type loser struct {
	d       *deployment
	crew    *crew
	keepers []*keeper
	archive *archive
	choices interface{ IntN(int) int }
	shown   string // of the archive, when it was last changed
}

func newLoser(t *testing.T, d *deployment) *loser {
	s := seed(t)
	l := &loser{d: d, crew: newCrew(t, d, s), choices: newRand(s, 0), archive: newArchive(t, d)}
	l.crew.prepare(t)
	b := versionedBucket(t, d.sdk(t), "kept")
	for i := range keepers {
		l.keepers = append(l.keepers, newKeeper(d, t, b, i, newRand(s, uint64(100+i))))
	}
	return l
}

// round runs the store under load for a while, kills it, and recovers it without its metadata.
func (l *loser) round(t *testing.T, moment int) time.Duration {
	t.Helper()
	l.d.start(t)
	l.run(t, moment)
	l.d.loseMetadata(t)
	began := time.Now()
	l.d.recover(t)
	took := time.Since(began)
	l.check(t)
	l.d.stillWhole(t)
	return took
}

// run changes the archive, puts the store under load, and kills it.
func (l *loser) run(t *testing.T, moment int) {
	t.Helper()
	stopCrew := l.crew.work()
	l.archive.change(t, moment)
	l.shown = l.archive.show(t)
	var stops []func()
	for _, k := range l.keepers {
		stops = append(stops, k.work())
	}
	// The moment of the kill is what varies; it cannot be tied to an event without becoming less random.
	time.Sleep(time.Duration(50+l.choices.IntN(600)) * time.Millisecond)
	l.d.front.kill(t)
	stopCrew()
	for _, stop := range stops {
		stop()
	}
}

func (l *loser) kept() (n int) {
	for _, k := range l.keepers {
		n += k.acks
	}
	return n
}

// check compares the store with what was acknowledged.
func (l *loser) check(t *testing.T) {
	t.Helper()
	l.crew.check(t)
	for _, k := range l.keepers {
		k.check(t)
	}
	if shown := l.archive.show(t); shown != l.shown {
		t.Errorf("what nobody has changed is not the same. Before:\n%s\nNow:\n%s", l.shown, shown)
	}
}

// loseMetadata removes the metadata of a store that does not run.
func (d *deployment) loseMetadata(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(d.metadataDir()); err != nil {
		t.Fatal(err)
	}
}

// recovering starts the front with -recover and whatever else is said, without waiting for it.
func (d *deployment) recovering(t testing.TB, flags ...string) {
	t.Helper()
	usual := d.front.args
	d.front.args = slices.Concat(usual, []string{"-recover"}, flags)
	d.front.start(t)
	d.front.args = usual
}

// recover starts the store with -recover and waits until it is ready.
func (d *deployment) recover(t testing.TB, flags ...string) {
	t.Helper()
	d.recovering(t, flags...)
	d.waitReady(t)
}

// refusesToRecover starts the front with -recover and wants it to end with exit code 1, saying all of this.
func (d *deployment) refusesToRecover(t testing.TB, flags []string, says ...string) string {
	t.Helper()
	before := len(d.front.log(t))
	d.recovering(t, flags...)
	code := d.front.wait(t, time.Minute)
	said := d.front.log(t)[before:]
	if code != 1 {
		t.Errorf("exit code %d, want 1\n%s", code, said)
	}
	for _, text := range says {
		if !strings.Contains(said, text) {
			t.Errorf("it does not say %q:\n%s", text, said)
		}
	}
	return said
}
