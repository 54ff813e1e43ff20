package compattests

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// restartBar is how long a killed store may take until it serves again.
const restartBar = 5 * time.Second

// TestCrash kills the store with SIGKILL at random moments while writers put, overwrite and delete, starts it again and
// compares everything with what was acknowledged, round after round on the same data.
//
// Covers: PutObject, DeleteObject, CompleteMultipartUpload, GetObject.
func TestCrash(t *testing.T) {
	rounds := sizeFromEnv(t, "TDKVS_CRASH_ROUNDS", 5)
	t.Parallel()
	for _, kind := range []string{serverKind, clusterKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := seed(t)
			// A short grace lets the removal of garbage be interrupted too.
			d := startDeployment(t, kind, settings{garbageGrace: 200 * time.Millisecond})
			crew := newCrew(t, d, s)
			crew.prepare(t)
			choices := newRand(s, 0)
			var longest time.Duration
			for round := range rounds {
				killed, took := d.crashRound(t, crew, choices)
				longest = max(longest, took)
				if took > restartBar {
					t.Errorf("round %d: ready %v after SIGKILL of %v", round, took, killed)
				}
				if crew.check(t); t.Failed() {
					t.Fatalf("round %d: wrong after SIGKILL of %v", round, killed)
				}
			}
			d.stop(t)
			d.start(t)
			crew.check(t)
			t.Logf("%d rounds, %d writes acknowledged, %d interrupted; longest restart %v", rounds, crew.acknowledged(), crew.interrupted(), longest.Round(time.Millisecond))
		})
	}
}

// crashRound lets the crew write for a while, kills something, and starts it again. It returns the names of what was
// killed and the time until the store was ready.
func (d *deployment) crashRound(t *testing.T, crew *crew, choices *rand.Rand) (names []string, took time.Duration) {
	t.Helper()
	stop := crew.work()
	// The moment of the kill is what varies; it cannot be tied to an event without becoming less random.
	time.Sleep(time.Duration(100+choices.IntN(600)) * time.Millisecond)
	victims := d.victims(choices)
	for _, p := range victims {
		p.kill(t)
		names = append(names, p.name)
	}
	if !slices.Contains(victims, d.front) {
		// The front lives on: its writers must get errors, not wrong acknowledgements.
		time.Sleep(time.Duration(choices.IntN(200)) * time.Millisecond)
	}
	stop()
	return names, d.start(t)
}

// victims chooses what to kill: the front, one volume, or everything.
func (d *deployment) victims(choices *rand.Rand) []*process {
	if d.kind == serverKind {
		return []*process{d.front}
	}
	switch choices.IntN(3) {
	case 0:
		return []*process{d.front}
	case 1:
		return []*process{d.volumes[choices.IntN(len(d.volumes))]}
	}
	all := d.processes()
	choices.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// value is what a key may hold: the object of some write, or none.
type value struct {
	write int // 0: no object
	size  int
	parts bool // written as a multipart upload
}

func (v value) String() string {
	if v.write == 0 {
		return "no object"
	}
	return fmt.Sprintf("write %d of %d bytes, in parts %v", v.write, v.size, v.parts)
}

// body is the content of a write, which depends on the key and the number of the write.
func (v value) body(key string) []byte { return content(fmt.Sprintf("%s#%d", key, v.write), v.size) }

// etag is the quoted ETag of a body of this value.
func (v value) etag(body []byte) string {
	if v.parts {
		return partsETag(body[:minPart], body[minPart:])
	}
	return etagOf(body)
}
