package compattests

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is one tdkvs process that can be started, ended and started again. It belongs to one goroutine at a time.
type process struct {
	name    string // in messages
	args    []string
	binary  string   // "": the one under test
	without string   // the system call that does nothing for it, see withoutCall; "": none
	mayDie  bool     // it is expected to, and to say so in its log
	env     []string // beside the neutral environment
	logFile string   // standard output and standard error of every start

	running *run // nil before the first start
	killed  bool // at least once
}

// run is one life of a process.
type run struct {
	pid  int
	done chan struct{} // closed after exit and err are set
	err  error         // of Wait; nil for exit code 0
}

// neutralEnv is the environment of everything that tests start: the variables that programs need to run at all, and
// none that could change what they do.
func neutralEnv(extra ...string) []string {
	env := []string{"LC_ALL=C.UTF-8", "TZ=UTC"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "PYENV_ROOT", "PYENV_VERSION"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, extra...)
}

// start runs the process. It does not wait until the process is ready.
func (p *process) start(t testing.TB) {
	t.Helper()
	if p.alive() {
		t.Fatalf("%s runs already", p.name)
	}
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	path := p.binary
	if path == "" {
		path = binary(t)
	}
	cmd := exec.Command(path, p.args...)
	cmd.Env = neutralEnv(p.env...)
	if p.without != "" {
		cmd = withoutCall(t, p.without, cmd)
	}
	cmd.Dir = filepath.Dir(p.logFile)
	cmd.Stdout, cmd.Stderr = log, log
	// The kernel ends the process when this one dies, however it dies. It looks at the thread that started it, so that
	// thread must last as long.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r := &run{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer func() { _ = log.Close() }() // written by the child; nothing of ours is in it
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		r.pid = cmd.Process.Pid
		started <- nil
		r.err = cmd.Wait()
		close(r.done)
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	p.running = r
}

// alive reports whether the process runs.
func (p *process) alive() bool {
	if p.running == nil {
		return false
	}
	select {
	case <-p.running.done:
		return false
	default:
		return true
	}
}

// wait returns the exit code, or fails the test when the process lasts longer than the limit.
func (p *process) wait(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.running.done:
	case <-time.After(limit):
		p.kill(t)
		t.Fatalf("%s still ran after %v and was killed\n%s", p.name, limit, p.logTail())
	}
	var exit *exec.ExitError
	switch {
	case p.running.err == nil:
		return 0
	case errors.As(p.running.err, &exit):
		return exit.ExitCode()
	}
	t.Fatalf("%s: %v", p.name, p.running.err)
	return -1
}

// stop ends the process in the orderly way and expects exit code 0.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if !p.alive() {
		return
	}
	if err := syscall.Kill(p.running.pid, syscall.SIGTERM); err != nil {
		t.Fatalf("stop %s: %v", p.name, err)
	}
	if code := p.wait(t, time.Minute); code != 0 {
		t.Errorf("%s ended with code %d after SIGTERM\n%s", p.name, code, p.logTail())
	}
}

// kill ends the process with SIGKILL, at whatever it is doing.
func (p *process) kill(t testing.TB) {
	t.Helper()
	if !p.alive() {
		return
	}
	p.killed = true
	if err := syscall.Kill(p.running.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("kill %s: %v", p.name, err)
	}
	<-p.running.done
}

// freeze stops the process in the middle of whatever it does, until it is thawed or killed: it holds its connections, and
// answers nothing.
func (p *process) freeze(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { p.thaw(t) }) // or it could not be stopped
}

// thaw lets a frozen process go on.
func (p *process) thaw(t testing.TB) {
	t.Helper()
	if p.alive() {
		p.signal(t, syscall.SIGCONT)
	}
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.running.pid, s); err != nil {
		t.Fatalf("%v to %s: %v", s, p.name, err)
	}
}

// log returns everything that the process has written.
func (p *process) log(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(p.logFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// logTail returns the end of the log, for messages.
func (p *process) logTail() string {
	b, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	const most = 6000
	if len(b) > most {
		b = b[len(b)-most:]
	}
	return fmt.Sprintf("--- log of %s ---\n%s", p.name, b)
}

// checkLog fails the test for what no log may ever contain.
func (p *process) checkLog(t testing.TB) {
	t.Helper()
	if p.mayDie {
		return
	}
	for _, line := range strings.Split(p.log(t), "\n") {
		for _, bad := range []string{"panic:", "DATA RACE", "fatal error:", "goroutine 1 ["} {
			if strings.Contains(line, bad) {
				t.Errorf("%s logged %q\n%s", p.name, line, p.logTail())
				return
			}
		}
	}
}

// peakMemory returns the largest resident set that the running process has had, in bytes.
func (p *process) peakMemory(t testing.TB) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.running.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // read only
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no VmHWM of %s", p.name)
	return 0
}
