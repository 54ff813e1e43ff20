package bench

import (
	"errors"
	"path/filepath"
	"time"

	"tdkvs/volume/vfs"
)

// What the disk is asked for: one file written from its beginning to its end and
// synced, and small writes, each synced, one after the other.
const (
	diskBytes = 256 << 20
	diskWrite = 1 << 20
	diskSyncs = 100
	syncWrite = 4 << 10
)

// diskSample is what the disk can do, by itself.
type diskSample struct {
	rate float64       // bytes a second, written in order and synced at the end
	sync time.Duration // median of a write of 4 KiB with its sync, in space that is reserved
}

// measureDisk writes size bytes, and then the small writes, to a file of its own
// in dir, which it removes.
func measureDisk(fsys vfs.FS, dir string, size int64, pattern content) (sample diskSample, err error) {
	name := filepath.Join(dir, "tdkvs-bench-"+randomHex(6)+vfs.TempSuffix)
	f, err := fsys.Create(name)
	if err != nil {
		return sample, err
	}
	defer func() { err = errors.Join(err, f.Close(), fsys.Remove(name)) }()
	start := time.Now()
	for at := int64(0); at < size; at += diskWrite {
		if _, err := f.WriteAt(pattern.pattern[at%patternSize:][:diskWrite], at); err != nil {
			return sample, err
		}
	}
	if err := f.Sync(); err != nil {
		return sample, err
	}
	sample.rate = float64(size) / time.Since(start).Seconds()
	if err := f.Allocate(size, diskSyncs*syncWrite); err != nil {
		return sample, err
	}
	if err := f.Sync(); err != nil {
		return sample, err
	}
	times := new(histogram)
	for i := range int64(diskSyncs) {
		start := time.Now()
		if _, err := f.WriteAt(pattern.pattern[i*syncWrite:][:syncWrite], size+i*syncWrite); err != nil {
			return sample, err
		}
		if err := f.Sync(); err != nil {
			return sample, err
		}
		times.record(time.Since(start))
	}
	sample.sync = times.quantile(0.5)
	return sample, nil
}
