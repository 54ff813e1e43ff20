//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// order is what a process was told to do.
type order struct {
	name     string // of the point that ends it; empty: none
	left     int    // arrivals until then
	mutation string // the mistake that it makes; empty: none
}

// given is the order of this process. There is one for all of it, as points are
// reached from everywhere.
var given struct {
	mu sync.Mutex // guards what follows
	order
}

// pollEvery is how soon a file that gives orders is noticed.
const pollEvery = 2 * time.Millisecond

func init() {
	text := os.Getenv("TDKVS_FAILPOINT")
	switch file, isFile := strings.CutPrefix(text, "@"); {
	case text == "list":
		fmt.Println(strings.Join(points, "\n"))
		os.Exit(0)
	case !isFile:
		obey(text)
	default:
		last := obeyFile(file, "")
		go func() {
			for ; ; time.Sleep(pollEvery) {
				last = obeyFile(file, last)
			}
		}()
	}
}

// obeyFile obeys what a file says, where that is not what it said last, and
// returns it.
func obeyFile(file, last string) string {
	text, err := os.ReadFile(file)
	if err != nil || string(text) == last {
		return last
	}
	obey(string(text))
	return string(text)
}

// obey replaces the order by the items of a text.
func obey(text string) {
	var o order
	for item := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		name, value, _ := strings.Cut(item, "=")
		n, err := strconv.Atoi(value)
		switch {
		case item == "":
		case name == "mutation":
			o.mutation = value
		case err != nil || n < 1 || !slices.Contains(points, name):
			fmt.Fprintf(os.Stderr, "failpoint: %q: want the name of a point, = and a number\n", item)
			os.Exit(2)
		default:
			o.name, o.left = name, n
		}
	}
	given.mu.Lock()
	defer given.mu.Unlock()
	given.order = o
}

// linger is how long the process lives on without the goroutine that has come to its
// point: who was told too early that something is done hears of it.
const linger = 10 * time.Millisecond

// At kills the process when it is here as often as was asked for.
func At(name string) {
	if !due(name) {
		return
	}
	time.Sleep(linger)
	_, _ = os.Stderr.WriteString("failpoint: killed at " + name + "\n")
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {} // it dies, and does nothing meanwhile
}

// due counts an arrival, and reports whether it is the last.
func due(name string) bool {
	given.mu.Lock()
	defer given.mu.Unlock()
	if given.name != name {
		return false
	}
	given.left--
	return given.left == 0
}

// Mutated reports whether a mistake is to be made on purpose.
func Mutated(name string) bool {
	given.mu.Lock()
	defer given.mu.Unlock()
	return given.mutation == name
}

// Or returns the value of the laboratory, which has smaller files and shorter
// pauses, so that everything happens often.
func Or[T any](_, laboratory T) T { return laboratory }
