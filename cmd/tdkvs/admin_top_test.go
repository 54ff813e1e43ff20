package main

import (
	"math"
	"testing"
	"time"

	"tdkvs/gateway/adminapi"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	bounds := []float64{1, 2, 4}
	for _, tt := range []struct {
		counts []uint64
		share  float64
		want   float64
	}{
		{nil, 0.5, 0},
		{[]uint64{0, 0, 0, 0}, 0.99, 0},
		{[]uint64{10, 0, 0, 0}, 0.5, 0.5},
		{[]uint64{10, 10, 0, 0}, 0.5, 1},
		{[]uint64{0, 10, 0, 0}, 0.99, 1.99},
		{[]uint64{50, 0, 50, 0}, 0.75, 3},
		{[]uint64{0, 0, 0, 5}, 0.5, 4}, // beyond all bounds
	} {
		if got := percentile(tt.counts, bounds, tt.share); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%v, %v: %v, want %v", tt.counts, tt.share, got, tt.want)
		}
	}
}

func TestTopRates(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	before := adminapi.Stats{
		Started: began, At: began.Add(time.Minute), LatencyBounds: []float64{1, 2},
		Operations: []adminapi.OperationStats{{Name: "Put", Requests: 10, BytesIn: 100, Latency: []uint64{10, 0, 0}}, {Name: "Idle", Requests: 3, Latency: []uint64{3, 0, 0}}},
		Volumes:    []adminapi.VolumeStats{{Number: 1, Reads: 5, BytesRead: 50, ReadLatency: []uint64{5, 0, 0}}},
	}
	after := adminapi.Stats{
		Started: began, At: began.Add(time.Minute + 2*time.Second), LatencyBounds: []float64{1, 2},
		Operations: []adminapi.OperationStats{
			{Name: "Get", Requests: 40, BytesOut: 4000, Latency: []uint64{0, 40, 0}}, {Name: "Idle", Requests: 3, Latency: []uint64{3, 0, 0}},
			{Name: "Put", Requests: 30, Failed: 4, BytesIn: 300, Latency: []uint64{30, 0, 0}},
		},
		Volumes: []adminapi.VolumeStats{{Number: 1, Reads: 15, Writes: 20, Deletes: 2, Failed: 2, BytesRead: 250, BytesWritten: 600, ReadLatency: []uint64{5, 10, 0}, WriteLatency: []uint64{20, 0, 0}}},
	}
	c := adminapi.Cluster{Volumes: []adminapi.Volume{{Number: 1}, {Number: 2}}}
	top := compare(before, after, c)
	if top.Seconds != 2 || len(top.Operations) != 2 || len(top.Volumes) != 2 {
		t.Fatalf("%+v", top)
	}
	if o := top.Operations[0]; o != (topOperation{Name: "Get", Requests: 20, BytesOut: 2000, P50: 1.5, P99: 1.99}) {
		t.Errorf("%+v", o)
	}
	if o := top.Operations[1]; o.Name != "Put" || o.Requests != 10 || o.Failed != 2 || o.BytesIn != 100 || o.P50 != 0.5 {
		t.Errorf("%+v", o)
	}
	if o := top.All; o.Requests != 30 || o.Failed != 2 || o.BytesIn != 100 || o.BytesOut != 2000 {
		t.Errorf("%+v", o)
	}
	if v := top.Volumes[0]; v.Requests != 16 || v.Failed != 1 || v.BytesRead != 100 || v.BytesWritten != 300 || v.ReadP50 != 1.5 || v.WriteP50 != 0.5 {
		t.Errorf("%+v", v)
	}
	if v := top.Volumes[1]; v.Number != 2 || v.Requests != 0 || v.ReadP99 != 0 {
		t.Errorf("nothing is known of it: %+v", v)
	}
	// The process has started again: its counters began anew.
	after.Started = after.At.Add(-time.Second)
	if top := compare(before, after, c); top.Seconds != 1 || top.All.Requests != 73 || top.Volumes[0].BytesRead != 250 {
		t.Errorf("after a restart: %+v", top)
	}
}

func TestTopTexts(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		perSecond(0): "0.0", perSecond(9.94): "9.9", perSecond(1234.5): "1,235",
		lasted(0): "", lasted(0.00123): "1.23 ms", lasted(0.123): "123 ms", lasted(2.34): "2.3 s",
		diskText(adminapi.Volume{}): "", diskText(adminapi.Volume{Capacity: 200, Free: 50}): "75 %",
		counted(1, "copy"): "1 copy", counted(2, "copy"): "2 copies", counted(0, "slot"): "0 slots", counted(1200, "object"): "1,200 objects",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
