package bench

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sampleReport has everything that a report may have.
func sampleReport() *Report {
	cfg := Config{Rounds: 3, Duration: 5 * time.Second, Disk: "/data"}
	r := newReport(cfg)
	for _, rate := range []float64{900, 700, 800} {
		r.disk.add(diskSample{rate: rate * (1 << 20), sync: time.Duration(rate) * time.Microsecond})
	}
	store, bare := Endpoint{Name: "127.0.0.1:3000", PIDs: []int{1}}, Endpoint{Name: "bare", Bare: true}
	done := func(op operation, n int, each time.Duration, bytes int64) *tallies {
		all := new(tallies)
		w := &worker{session: &session{tell: func(string) {}}}
		for i := range n {
			w.count(outcome{op, 1, bytes}, each+time.Duration(i)*time.Microsecond, nil)
		}
		all.add(&w.tallies)
		return all
	}
	puts, bares := newResult(store), newResult(bare)
	for i := range 3 {
		puts.add(done(opPut, 1000+100*i, 4*time.Millisecond, 4096), time.Second, 20*time.Millisecond, usage{100 * time.Millisecond, 50 << 20})
		bares.add(done(opPut, 2000, 90*time.Microsecond, 4096), time.Second, 20*time.Millisecond, usage{})
	}
	for kind, n := range map[string]int64{"503 SlowDown": 12, timedOut: 3} {
		puts.all[opPut].fail(kind, n)
	}
	r.add(Load{Kind: "put", Clients: 32, Sizes: Sizes{Least: 4096, Most: 4096}}, []*result{puts, bares})
	mixed := newResult(store)
	all := done(opGet, 300, 2*time.Second, 1<<20)
	all.add(done(opDelete, 100, 20*time.Microsecond, 0))
	mixed.add(all, 2*time.Second, 20*time.Millisecond, usage{100 * time.Millisecond, 50 << 20})
	r.add(Load{Kind: "mixed", Clients: 4, Sizes: Sizes{Least: 1 << 10, Most: 1 << 20, Log: true}}, []*result{mixed})
	stat := newResult(store)
	stat.add(done(opStat, 0, 0, 0), time.Second, 0, usage{})
	r.add(Load{Kind: "stat", Clients: 1}, []*result{stat})
	return r
}

func TestReports(t *testing.T) {
	t.Parallel()
	var table bytes.Buffer
	if err := sampleReport().Table(&table); err != nil {
		t.Fatal(err)
	}
	document, err := json.MarshalIndent(sampleReport(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"testdata/report.txt": table.Bytes(), "testdata/report.json": append(document, '\n')} {
		if *update {
			if err := os.WriteFile(name, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: -update rewrites it\ngot:\n%s\nwant:\n%s", name, got, want)
		}
	}
}

// TestRatiosAreOfRounds: the machine was slow in one round, for both.
func TestRatiosAreOfRounds(t *testing.T) {
	t.Parallel()
	first := []roundRates{{bytes: 50}, {bytes: 5}, {bytes: 52}}
	other := []roundRates{{bytes: 100}, {bytes: 10}, {bytes: 100}}
	if got := ratio(first, other); got != 0.5 {
		t.Errorf("got %v", got)
	}
	if got := ratio([]roundRates{{objects: 3}}, []roundRates{{objects: 4}}); got != 0.75 {
		t.Errorf("without bytes: %v", got)
	}
	if got := ratio(first, []roundRates{{}}); got != 0 {
		t.Errorf("by nothing: %v", got)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for want, values := range map[float64][]float64{0: nil, 3: {3}, 2.5: {4, 1, 2, 3}, 5: {9, 5, 1}} {
		if got := median(values); got != want {
			t.Errorf("%v: %v, want %v", values, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"-": 0, "0.00us": 1, "9.99us": 9990, "123us": 123456, "1.23ms": 1234567, "59.9s": 59_870_000_000, "120s": 2 * time.Minute,
	} {
		if got := short(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}
