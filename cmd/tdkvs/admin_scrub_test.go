package main

import (
	"testing"
	"time"

	"tdkvs/gateway/adminapi"
)

func TestScrubText(t *testing.T) {
	t.Parallel()
	early, late := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	off := adminapi.Scrub{}
	waits := adminapi.Scrub{BytesPerSecond: 1}
	running := adminapi.Scrub{Running: true, BytesPerSecond: -1, Read: 1 << 20, Total: 4 << 20, Began: &early, Finished: &early}
	done := adminapi.Scrub{BytesPerSecond: 1 << 20, Read: 5, Total: 5, Bad: 2, Began: &early, Finished: &late}
	for _, test := range []struct {
		volumes []adminapi.Scrub
		want    string
	}{
		{nil, "nothing to read"},
		{[]adminapi.Scrub{waits, waits}, "nothing to read"},
		{[]adminapi.Scrub{off, off}, "off on 2 volumes"},
		{[]adminapi.Scrub{running, running, done}, "2 volumes at it, 2.0 MiB of 8.0 MiB read; 1 volume through, the first on " + moment(late) + "; 2 blobs found bad"},
		{[]adminapi.Scrub{done, {BytesPerSecond: 1, Finished: &early}, off}, "2 volumes through, the first on " + moment(early) + "; off on 1 volume; 2 blobs found bad"},
	} {
		volumes := []adminapi.Volume{{Health: adminapi.Unreachable, Scrub: done}}
		for _, x := range test.volumes {
			volumes = append(volumes, adminapi.Volume{Scrub: x})
		}
		if got := scrubText(volumes); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
