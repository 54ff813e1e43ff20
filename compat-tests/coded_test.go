package compattests

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

const (
	codedVolumes = 6
	codedLines   = "storage_classes:\n  STANDARD: 4+2\n"
)

// TestCodedLoss keeps large objects as 4+2 shards on six volumes and takes away any two of them. Each object reads, whole and
// in ranges. Two that are wiped are declared lost and replaced by new ones: then everything has six shards again, and any
// two others may go. What is stored is half as much again as the objects. TDKVS_CODED_OBJECTS is their number.
//
// Covers: PutObject, GetObject.
func TestCodedLoss(t *testing.T) {
	t.Parallel()
	h := newHealed(t, settings{volumes: codedVolumes, lines: codedLines}, sizeFromEnv(t, "TDKVS_CODED_OBJECTS", 6), codedSize)
	h.waitWhole(t, codedVolumes)
	h.wantStored(t, 1.5)
	for a := range codedVolumes {
		for b := range a {
			h.without(t, a, b)
		}
	}
	fresh := []string{h.d.wipe(t, 1), h.d.wipe(t, 4)}
	h.readBack(t, "with two volumes wiped")
	h.d.mustAdmin(t, "volume", "lost", "2", "-yes")
	h.d.mustAdmin(t, "volume", "lost", "5", "-yes")
	for _, url := range fresh {
		h.d.mustAdmin(t, "volume", "add", url)
	}
	h.d.waitRebalanced(t)
	h.waitWhole(t, codedVolumes)
	h.wantStored(t, 1.5)
	h.without(t, 0, 2)
	h.without(t, 1, 4)
	h.without(t, 3, 5)
}

// codedSize is that of objects whose shards have files of their own.
func codedSize(i int) int { return 8<<20 + 1234567*(i%7) + i }

// without kills two volumes, reads everything, and starts them again.
func (h *healed) without(t *testing.T, a, b int) {
	t.Helper()
	when := fmt.Sprintf("without volumes %d and %d", b+1, a+1)
	for _, i := range []int{a, b} {
		h.d.volumes[i].kill(t)
	}
	h.readBack(t, when)
	inParallel(t, h.objects, func(i int) error {
		body := h.body(i)
		for _, r := range [][2]int{{0, 0}, {len(body) - 1, len(body) - 1}, {1 << 20, 1<<20 + 70_000}, {100_000 * (i + 1), len(body) - 500_000}} {
			got, err := h.read(t, i, fmt.Sprintf("bytes=%d-%d", r[0], r[1]))
			if err == nil && !bytes.Equal(got, body[r[0]:r[1]+1]) {
				err = errors.New("wrong bytes")
			}
			if err != nil {
				return fmt.Errorf("%s: bytes %d to %d: %d bytes, %w", when, r[0], r[1], len(got), err)
			}
		}
		return nil
	})
	for _, i := range []int{a, b} {
		h.d.volumes[i].start(t)
		h.d.waitUp(t, h.d.volumeURL(t, i))
	}
	h.d.waitReady(t)
}

// wantStored wants the volumes to hold a multiple of what the objects are, within 3 %: as they count it, once garbage is gone,
// and on the disk.
func (h *healed) wantStored(t *testing.T, times float64) {
	t.Helper()
	logical := 0.0
	for i := range h.objects {
		logical += float64(h.size(i))
	}
	h.waitPieces(t)
	counted, onDisk := 0.0, 0.0
	for _, v := range h.d.volumeList(t) {
		counted += float64(v.Bytes)
	}
	for _, file := range h.d.findFiles(t, "blobs") {
		onDisk += allocated(t, file)
	}
	t.Logf("%d objects of %.0f MiB: %.4f times that in blobs, %.4f times on the disk", h.objects, logical/(1<<20), counted/logical, onDisk/logical)
	for what, stored := range map[string]float64{"in blobs": counted, "on the disk": onDisk} {
		if math.Abs(stored/logical/times-1) > 0.03 {
			t.Errorf("%.4f times the objects %s, want %.2f within 3 %%", stored/logical, what, times)
		}
	}
}

// waitPieces waits until the volumes hold just the pieces of the objects.
func (h *healed) waitPieces(t *testing.T) {
	t.Helper()
	want := 0
	for i := range h.objects {
		l, err := h.d.locate(h.web, healBucket, h.key(i))
		if err != nil {
			t.Fatal(err)
		}
		want += len(l.pieces())
	}
	(&scale{d: h.d, objects: h.objects}).waitBlobs(t, want)
}

// allocated is what a file takes on the disk, in bytes.
func allocated(t *testing.T, file string) float64 {
	t.Helper()
	info, err := os.Stat(filepath.Clean(file))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("no allocation known of %s", file)
	}
	return float64(st.Blocks * 512)
}
