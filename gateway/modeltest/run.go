package modeltest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Store is a store under test. Its methods are called one at a time.
type Store interface {
	// Serve answers a request.
	Serve(r *http.Request) (Answer, error)
	// Restart ends the store, as a kill would or cleanly, and starts it again.
	Restart(kill bool) error
	// Change does something with the store that no client may notice: volumes come
	// and go, data moves, garbage is removed. choice says what; it returns a word for it.
	Change(choice uint64) (string, error)
	// Check finds what is not as it should be in what is stored.
	Check() error
	// Close ends the store.
	Close() error
}

// Answer is what a store answers.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Deployment is one way to run a store.
type Deployment struct {
	Name string
	// Open makes a new store whose clock is now.
	Open func(now func() time.Time) (Store, error)
}

// Config says what to compare.
type Config struct {
	Deployments []Deployment
	Streams     int    // how many
	Steps       int    // of each
	Seed        uint64 // of the first stream; the next one has the next
	// Replay, where set, is a stream to run in their place, as a failure prints it.
	Replay string
	// RealTime says that the stores have clocks of their own: times are not compared,
	// and none passes.
	RealTime bool
	// Shrink bounds how many times a failing stream is played to cut it down; 0: 500.
	Shrink int
}

// Run sends the streams to every deployment.
func Run(t testing.TB, cfg Config) {
	t.Helper()
	if cfg.Replay != "" {
		seeds, err := parseStream(cfg.Replay)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, cfg, seeds, "the stream given")
		return
	}
	for i := range cfg.Streams {
		seed := cfg.Seed + uint64(i)
		compare(t, cfg, newStream(seed, cfg.Steps), fmt.Sprintf("seed %d", seed))
	}
}

// compare sends one stream to every deployment.
func compare(t testing.TB, cfg Config, s stream, name string) {
	t.Helper()
	var first []string
	steps := 0
	for i, d := range cfg.Deployments {
		history, failed := Play(d, s, cfg.RealTime)
		if failed != nil {
			shorter, failed := shrink(d, s, failed, cfg.RealTime, cmp.Or(cfg.Shrink, 500))
			t.Fatalf("%s, %s: %v\n%d of %d operations are enough; to replay: TDKVS_MODEL_REPLAY=%v", name, d.Name, failed, len(shorter), len(s), shorter)
		}
		if i == 0 {
			first = history
		}
		if line := firstDifference(first, history); line >= 0 && !cfg.RealTime {
			t.Fatalf("%s: the histories of %s and %s differ at answer %d:\n%s\n%s",
				name, cfg.Deployments[0].Name, d.Name, line, at(first, line), at(history, line))
		}
		steps += len(history)
	}
	t.Logf("%s: %d answers were right", name, steps)
}

func firstDifference(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if at(a, i) != at(b, i) {
			return i
		}
	}
	return -1
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(ended)"
}

// stream is a seed for each operation.
type stream []uint32

func newStream(seed uint64, steps int) stream {
	r := rand.New(rand.NewPCG(seed, 3))
	s := make(stream, steps)
	for i := range s {
		s[i] = r.Uint32()
	}
	return s
}

// String writes the stream for Config.Replay.
func (s stream) String() string {
	words := make([]string, len(s))
	for i, seed := range s {
		words[i] = strconv.FormatUint(uint64(seed), 36)
	}
	return strings.Join(words, ",")
}

func parseStream(text string) (stream, error) {
	var s stream
	for word := range strings.SplitSeq(text, ",") {
		seed, err := strconv.ParseUint(strings.TrimSpace(word), 36, 32)
		if err != nil {
			return nil, fmt.Errorf("a stream to replay: %w", err)
		}
		s = append(s, uint32(seed))
	}
	return s, nil
}

// Failure is an answer that was not the model's, or a store that failed.
type Failure struct {
	What string
	Step int      // how many operations there were before
	Log  []string // what was asked
}

func (f *Failure) Error() string {
	return f.What + "\nafter:\n  " + strings.Join(f.Log, "\n  ")
}

// Play sends a stream to a new store of one deployment, and returns the history
// that it told.
func Play(d Deployment, s stream, realTime bool) (history []string, failed *Failure) {
	x := &run{m: newModel(), realTime: realTime, names: map[string]string{}}
	step := 0
	defer func() {
		v := recover()
		f, ok := v.(*Failure)
		if v != nil && !ok {
			panic(v)
		}
		if x.store != nil {
			if err := x.store.Close(); err != nil && f == nil {
				f = &Failure{What: "close: " + err.Error()}
			}
		}
		if f != nil {
			f.Step, f.Log = step, x.log
		}
		history, failed = x.history, f
	}()
	store, err := d.Open(x.clock)
	if err != nil {
		panic(&Failure{What: "open: " + err.Error()})
	}
	x.store = store
	x.begin()
	for _, seed := range s {
		x.step(seed)
		step++
	}
	x.verify()
	if err := store.Check(); err != nil {
		x.failf("check: %v", err)
	}
	return x.history, nil
}

// Find plays the stream of a seed, of so many steps, to a store of a deployment.
// Where it fails the stream is cut down by playing it so many more times. Nil: it
// is right.
func Find(d Deployment, seed uint64, steps, plays int) *Failure {
	s := newStream(seed, steps)
	_, failed := Play(d, s, false)
	if failed != nil {
		_, failed = shrink(d, s, failed, false, plays)
	}
	return failed
}

// shrink cuts a failing stream down while it goes on failing.
func shrink(d Deployment, s stream, failed *Failure, realTime bool, plays int) (stream, *Failure) {
	s = s[:min(failed.Step+1, len(s))]
	for size := max(len(s)/2, 1); ; {
		before := len(s)
		for from := 0; from+size <= len(s) && plays > 0; plays-- {
			shorter := slices.Concat(s[:from], s[from+size:])
			if _, f := Play(d, shorter, realTime); f != nil {
				s, failed = shorter[:min(f.Step+1, len(shorter))], f
			} else {
				from += size
			}
		}
		switch {
		case size > 1:
			size /= 2
		case len(s) == before || plays <= 0:
			return s, failed
		}
	}
}
