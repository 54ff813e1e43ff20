package badgerdb

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master/metadb"
)

// TestScale fills a store from many writers, reads it whole, reopens it and
// reads again. TDKVS_SCALE sets the number of records (1000000 takes minutes)
// and makes it say what that cost.
func TestScale(t *testing.T) {
	records := uint64(5000)
	verbose := false
	if v := os.Getenv("TDKVS_SCALE"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("TDKVS_SCALE: %v", err)
		}
		records, verbose = n, true
	}
	report := func(what string, start time.Time) {
		if verbose {
			t.Logf("%-10s %8v  %s", what, time.Since(start).Round(time.Millisecond), memory())
		}
	}
	dir := t.TempDir()
	db := mustOpen(t, dir, Options{})

	start := time.Now()
	var next atomic.Uint64
	const writers = 64
	done := make(chan error, writers)
	for range writers {
		go func() {
			for id := next.Add(1); id <= records; id = next.Add(1) {
				// Spread like names, not in order.
				if err := db.Update(t.Context(), putObject(id*0x9E3779B97F4A7C15)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	report("fill", start)

	count := func() {
		t.Helper()
		start := time.Now()
		n := uint64(0)
		err := db.View(t.Context(), func(tx metadb.Tx) error {
			return tx.Scan([]byte("object/"), []byte("object0"), func(_, _ []byte) (bool, error) { n++; return true, nil })
		})
		if err != nil || n != records {
			t.Fatalf("%d records, %v, want %d", n, err, records)
		}
		report("scan", start)
	}
	count()
	start = time.Now()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	report("close", start)
	start = time.Now()
	db = mustOpen(t, dir, Options{})
	report("open", start)
	count()
}

// memory says what the process holds, as the kernel counts it.
func memory() string {
	runtime.GC()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err.Error()
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		for _, name := range []string{"VmHWM:", "VmRSS:", "RssAnon:", "RssFile:"} {
			if v, ok := strings.CutPrefix(line, name); ok {
				out = append(out, fmt.Sprint(name, " ", strings.TrimSpace(v)))
			}
		}
	}
	return strings.Join(out, ", ")
}
