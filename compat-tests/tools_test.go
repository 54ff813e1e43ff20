package compattests

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// tool is a run of an outside program.
type tool struct {
	name  string
	args  []string
	env   []string // beside the neutral environment
	dir   string
	stdin io.Reader
	limit time.Duration // 0: toolTimeout
}

// result is what an outside program did.
type result struct {
	code   int
	stdout []byte
	stderr string
}

// try runs the program to its end. A program that is not installed, or that does not end, fails the test.
func (c tool) try(t testing.TB) result {
	t.Helper()
	path, err := exec.LookPath(c.name)
	if err != nil {
		t.Fatalf("%s is not installed; compat-tests/install-tools.sh installs it (Debian: apt-get install %s)", c.name, packageOf(c.name))
	}
	limit := cmp.Or(c.limit, toolTimeout)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, c.args...)
	cmd.Env, cmd.Dir, cmd.Stdin = neutralEnv(c.env...), c.dir, c.stdin
	cmd.WaitDelay = 5 * time.Second
	var stdout bytes.Buffer
	var stderr limitedBuffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		out := stdout.Bytes()
		t.Fatalf("%s did not end within %v\n%s\n%s", c, limit, out[max(0, len(out)-1000):], stderr.String())
	}
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s: %v", c, err)
	}
	return result{code: cmd.ProcessState.ExitCode(), stdout: stdout.Bytes(), stderr: stderr.String()}
}

// run runs the program, expects exit code 0 and returns its standard output.
func (c tool) run(t testing.TB) []byte {
	t.Helper()
	r := c.try(t)
	if r.code != 0 {
		t.Fatalf("%s: exit code %d\n%s\n%s", c, r.code, window(r.stdout, 0), r.stderr)
	}
	return r.stdout
}

func (c tool) String() string { return c.name + " " + strings.Join(c.args, " ") }

// toolTimeout is far above what any run takes, even of the largest sizes on a slow disk.
const toolTimeout = 20 * time.Minute

// packageOf is the Debian package of a program.
func packageOf(name string) string {
	switch name {
	case "aws":
		return "awscli"
	case "node":
		return "nodejs"
	}
	return name
}
