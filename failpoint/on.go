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

// armed is the point that ends the process. It is one for the process, as points are
// reached from everywhere.
var armed struct {
	mu       sync.Mutex // guards what follows
	name     string     // empty: none
	left     int        // arrivals until then
	mutation string     // the mistake that is made; set before all else
}

// pollEvery is how soon a file that arms a point is noticed.
const pollEvery = 2 * time.Millisecond

func init() {
	for item := range strings.SplitSeq(os.Getenv("TDKVS_FAILPOINT"), ",") {
		switch name, value, _ := strings.Cut(item, "="); {
		case item == "":
		case item == "list":
			fmt.Println(strings.Join(points, "\n"))
			os.Exit(0)
		case strings.HasPrefix(item, "@"):
			file := item[1:]
			last := obey(file, "")
			go func() {
				for ; ; time.Sleep(pollEvery) {
					last = obey(file, last)
				}
			}()
		case name == "mutation":
			armed.mutation = value
		default:
			arm(item)
		}
	}
}

// obey arms what a file says, where that is not what it said last, and returns it.
func obey(file, last string) string {
	text, err := os.ReadFile(file)
	if err != nil || string(text) == last {
		return last
	}
	arm(string(text))
	return string(text)
}

func arm(item string) {
	name, count, found := strings.Cut(strings.TrimSpace(item), "=")
	n, err := strconv.Atoi(count)
	if name != "" && (!found || err != nil || n < 1 || !slices.Contains(points, name)) {
		fail(fmt.Sprintf("failpoint: %q: want the name of a point, = and a number", item))
	}
	armed.mu.Lock()
	defer armed.mu.Unlock()
	armed.name, armed.left = name, n
}

// At kills the process when it is here as often as was asked for.
func At(name string) {
	armed.mu.Lock()
	defer armed.mu.Unlock()
	if armed.name != name {
		return
	}
	if armed.left--; armed.left > 0 {
		return
	}
	_, _ = os.Stderr.WriteString("failpoint: killed at " + name + "\n")
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {} // nothing goes on, on this thread or behind the lock
}

// Mutated reports whether a mistake is to be made on purpose.
func Mutated(name string) bool { return armed.mutation == name }

// Or returns the value of the laboratory, which has smaller files and shorter
// pauses, so that everything happens often.
func Or[T any](_, laboratory T) T { return laboratory }

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(2)
}
