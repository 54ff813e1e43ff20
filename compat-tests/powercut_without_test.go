package compattests

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// withoutVariable is the environment variable with which this program takes a system call away from another.
const withoutVariable = "TDKVS_TEST_WITHOUT"

// callNumber returns the number of a system call that makes something durable.
func callNumber(name string) (uint32, bool) {
	number, ok := map[string]uint32{"fsync": unix.SYS_FSYNC, "fdatasync": unix.SYS_FDATASYNC, "fallocate": unix.SYS_FALLOCATE}[name]
	return number, ok
}

// withoutCall returns a command for which a system call succeeds and does nothing.
func withoutCall(t testing.TB, name string, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if _, known := callNumber(name); !known {
		t.Fatalf("which number the system call %s has is not known here", name)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	wrapped := exec.Command(self, cmd.Args...)
	wrapped.Env = append(cmd.Env, withoutVariable+"="+name)
	return wrapped
}

// runWithout becomes the program that the arguments name, with a seccomp filter that answers a system call with success.
func runWithout(name string) error {
	number, known := callNumber(name)
	if !known || len(os.Args) < 2 {
		return fmt.Errorf("%s=%s, arguments %q", withoutVariable, name, os.Args)
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call, at offset 0
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO}, // error 0: none
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // the filter is that of the thread, and of what it becomes
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	if err := os.Unsetenv(withoutVariable); err != nil {
		return err
	}
	return syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
}
