package volume_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tdkvs/volume/vfs"
)

// report gathers what the callers of failing operations were told.
type report struct {
	mu    sync.Mutex
	lines map[string]map[string][]string // by call, by outcome: failures
}

// line names a call of an operation, whatever the volume has lived through.
func (op *operation) line(call vfs.Call) string {
	kind, _, _ := strings.Cut(op.name, ",")
	return fmt.Sprintf("%s: %s %s", kind, call.Op, place(call))
}

func (r *report) add(op *operation, call vfs.Call, how failure, outcome string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lines == nil {
		r.lines = map[string]map[string][]string{}
	}
	line := op.line(call)
	if r.lines[line] == nil {
		r.lines[line] = map[string][]string{}
	}
	if told := r.lines[line][outcome]; !slices.Contains(told, how.name) {
		r.lines[line][outcome] = append(told, how.name)
	}
}

// compare compares the report with the golden file, which is there to be read.
func (r *report) compare(t *testing.T) {
	t.Helper()
	var text strings.Builder
	for _, line := range slices.Sorted(maps.Keys(r.lines)) {
		fmt.Fprintln(&text, line)
		for _, outcome := range slices.Sorted(maps.Keys(r.lines[line])) {
			told := r.lines[line][outcome]
			slices.Sort(told)
			fmt.Fprintf(&text, "    %s: %s\n", outcome, strings.Join(told, "; "))
		}
	}
	path := filepath.Join("testdata", "faults.txt")
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("callers are told something else than %s says; look at what -update makes of it", path)
	}
}
