//go:build unix

package vfs

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOSAllocateFallback extends a file where the file system has no fallocate.
func TestOSAllocateFallback(t *testing.T) {
	t.Parallel()
	file := mustCreate(t, OS(), filepath.Join(t.TempDir(), "a"), []byte("abc"))
	for _, end := range []int64{2, 200_000, 100} {
		must(t, file.(osFile).writeZeros(end))
	}
	expectFile(t, OS(), file.Name(), append([]byte("abc"), make([]byte, 199_997)...))
}

// TestOSAllocateReserves checks that allocated space is real: a file of holes
// would have no blocks.
func TestOSAllocateReserves(t *testing.T) {
	t.Parallel()
	file := mustCreate(t, OS(), filepath.Join(t.TempDir(), "a"), nil)
	must(t, file.Allocate(0, 1<<20))
	var st unix.Stat_t
	must(t, unix.Stat(file.Name(), &st))
	if st.Size != 1<<20 || st.Blocks*512 < 1<<20 {
		t.Errorf("%d bytes in %d blocks", st.Size, st.Blocks)
	}
}

func TestOSModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	must(t, OS().MkdirAll(dir))
	mustCreate(t, OS(), filepath.Join(dir, "f"), nil)
	lock, err := OS().Lock(filepath.Join(dir, "lock"))
	must(t, err)
	defer mustClose(t, lock)
	for name, want := range map[string]os.FileMode{"": 0o700, "f": 0o600, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("mode of %q is %o, want %o", name, info.Mode().Perm(), want)
		}
	}
}

// TestOSLockAcrossProcesses has a child take the lock and die with it.
func TestOSLockAcrossProcesses(t *testing.T) {
	t.Parallel()
	const variable = "TDKVS_TEST_LOCK"
	if name := os.Getenv(variable); name != "" { // the child
		lock, err := OS().Lock(name)
		must(t, err)
		defer mustClose(t, lock)
		_, err = os.Stdout.WriteString("locked\n")
		must(t, err)
		_, err = os.Stdin.Read(make([]byte, 1)) // until it is killed
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "lock")
	child := exec.Command(os.Args[0], "-test.run=^TestOSLockAcrossProcesses$")
	child.Env = append(os.Environ(), variable+"="+name)
	stdin, err := child.StdinPipe()
	must(t, err)
	defer func() { _ = stdin.Close() }()
	stdout, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	line := make([]byte, 7)
	if _, err := stdout.Read(line); err != nil || !bytes.Equal(line, []byte("locked\n")) {
		t.Errorf("child: %q, %v", line, err)
	}
	_, err = OS().Lock(name)
	expectError(t, "lock that a process holds", err, ErrLocked)
	must(t, child.Process.Kill())
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) {
		t.Errorf("child: %v", err)
	}
	lock, err := OS().Lock(name)
	must(t, err)
	mustClose(t, lock)
}
