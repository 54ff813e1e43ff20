package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what processes have taken.
type usage struct {
	processor time.Duration
	peak      int64 // bytes of memory, of all together
}

func (u usage) since(before usage) usage {
	return usage{processor: u.processor - before.processor, peak: u.peak}
}

// clockTick is the unit of processor times in /proc: USER_HZ, which Linux has
// fixed at 100 for all programs.
const clockTick = 10 * time.Millisecond

// usageOf adds up what processes of this machine have taken, by Linux' /proc.
func usageOf(pids []int) (usage, error) {
	var sum usage
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return usage{}, err
		}
		ticks, err := processorTicks(stat)
		if err != nil {
			return usage{}, fmt.Errorf("process %d: %w", pid, err)
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return usage{}, err
		}
		sum.processor += time.Duration(ticks) * clockTick
		sum.peak += peakMemory(status)
	}
	return sum, nil
}

// processorTicks reads utime and stime, the 14th and 15th field, behind a name in
// parentheses that may hold anything.
func processorTicks(stat []byte) (int64, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("can not read /proc/pid/stat: %q", stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return user + system, err
}

// peakMemory reads VmHWM.
func peakMemory(status []byte) int64 {
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	value, _, _ := strings.Cut(rest, "kB")
	kib, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil {
		return 0 // a process without memory of its own
	}
	return kib << 10
}

// ownTime is the processor time of this process.
func ownTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // it knows no other error than a wrong argument
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
