package main

import (
	"fmt"
	"strings"
	"time"

	"tdkvs/gateway/adminapi"
)

// scrubText is how far the volumes that answer are with re-reading what they hold.
func scrubText(volumes []adminapi.Volume) string {
	var off, done, running int
	var read, total, bad int64
	var oldest *time.Time
	for _, v := range volumes {
		x := v.Scrub
		if v.Health == adminapi.Unreachable {
			continue
		}
		bad += x.Bad
		switch {
		case x.BytesPerSecond == 0:
			off++
		case x.Running:
			running++
			read, total = read+x.Read, total+x.Total
		case x.Finished != nil:
			done++
			if oldest == nil || x.Finished.Before(*oldest) {
				oldest = x.Finished
			}
		}
	}
	var parts []string
	if running > 0 {
		parts = append(parts, fmt.Sprintf("%s at it, %s of %s read", counted(running, "volume"), humanInt(read), humanInt(total)))
	}
	if done > 0 {
		parts = append(parts, fmt.Sprintf("%s through, the first on %s", counted(done, "volume"), moment(*oldest)))
	}
	if off > 0 {
		parts = append(parts, "off on "+counted(off, "volume"))
	}
	if bad > 0 {
		parts = append(parts, counted(int(bad), "blob")+" found bad")
	}
	if len(parts) == 0 {
		return "nothing to read"
	}
	return strings.Join(parts, "; ")
}
