package compattests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// command runs the binary to its end and returns its exit code and all its output.
func command(t *testing.T, env []string, args ...string) (code int, output string) {
	t.Helper()
	p := &process{name: "tdkvs " + strings.Join(args, " "), args: args, env: env, logFile: filepath.Join(t.TempDir(), "log")}
	p.start(t)
	code = p.wait(t, 20*time.Second)
	p.checkLog(t)
	return code, p.log(t)
}

func TestCommandLineMisuse(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		code int
		says []string
	}{
		{nil, 2, []string{"tdkvs server", "tdkvs master", "tdkvs volume"}},
		{[]string{"serve"}, 2, []string{`unknown command "serve"`, "server"}},
		{[]string{"frobnicate"}, 2, []string{`unknown command "frobnicate"`}},
		{[]string{"server", "-lisen", "x"}, 2, []string{"-lisen", "listen"}},
		{[]string{"server", "--listen"}, 2, []string{"-listen needs a value"}},
		{[]string{"server", "-listen", "nonsense"}, 2, []string{"host:port", "nonsense"}},
		{[]string{"master"}, 2, []string{"-config"}},
		{[]string{"volume", "stray"}, 2, []string{"stray"}},
		{[]string{"volume", "-config=/does/not/exist.yaml"}, 1, []string{"/does/not/exist.yaml", "no such file"}},
		{[]string{"version"}, 0, []string{"tdkvs"}},
		{[]string{"--version"}, 0, []string{"tdkvs"}},
		{[]string{"help"}, 0, []string{"tdkvs server"}},
		{[]string{"help", "server"}, 0, []string{"-listen"}},
		{[]string{"volume", "--help"}, 0, []string{"-config"}},
	} {
		code, output := command(t, nil, tc.args...)
		if code != tc.code {
			t.Errorf("tdkvs %q: exit code %d, want %d\n%s", tc.args, code, tc.code, output)
		}
		for _, want := range tc.says {
			if !strings.Contains(output, want) {
				t.Errorf("tdkvs %q does not say %q:\n%s", tc.args, want, output)
			}
		}
	}
}

func TestConfigurationMistakes(t *testing.T) {
	t.Parallel()
	const goodMaster = "listen: 127.0.0.1:0\nvolumes:\n  - http://127.0.0.1:9\n"
	for name, tc := range map[string]struct {
		role, text string
		says       []string // FILE stands for the file's path
	}{
		"unknown field of a master":  {"master", "port: 3000\nvolums:\n  - http://127.0.0.1:1\n", []string{"FILE:2:", `"volums"`, "volumes"}},
		"unknown field of a volume":  {"volume", "port: 3000\n\npth: /x\n", []string{"FILE:3:", `"pth"`, "path"}},
		"unknown nested field":       {"master", goodMaster + "credentials:\n  acces_key: abc\n", []string{"FILE:5:", `"acces_key"`, "access_key"}},
		"a port that is no number":   {"volume", "port: many\npath: /x\n", []string{"FILE:1:", "port", "many"}},
		"a port out of range":        {"volume", "port: 70000\npath: /x\n", []string{"FILE:1:", "65535"}},
		"both port and listen":       {"volume", "port: 3000\nlisten: 127.0.0.1:1\npath: /x\n", []string{"FILE:2:", "listen", "port"}},
		"neither port nor listen":    {"volume", "path: /x\n", []string{"FILE", "port"}},
		"no path":                    {"volume", "port: 3000\n", []string{"FILE", "path"}},
		"no volumes":                 {"master", "port: 3000\n", []string{"FILE", "volumes"}},
		"an empty list of volumes":   {"master", "port: 3000\nvolumes: []\n", []string{"FILE:2:", "volumes"}},
		"a volume that is no URL":    {"master", "port: 3000\nvolumes:\n  - 10.0.0.1:3001\n", []string{"FILE:3:", "http://", "10.0.0.1:3001"}},
		"a volume given twice":       {"master", "port: 3000\nvolumes:\n  - http://127.0.0.1:1\n  - http://127.0.0.1:1/\n", []string{"FILE:4:", "twice"}},
		"a short cluster secret":     {"volume", "port: 3000\npath: /x\ncluster_secret: short\n", []string{"FILE:3:", "cluster_secret", "at least 8"}},
		"a secret key that is short": {"master", goodMaster + "credentials:\n  access_key: abc\n  secret_key: short\n", []string{"FILE:4:", "8"}},
		"a tab for indentation":      {"master", "port: 3000\nvolumes:\n\t- http://127.0.0.1:1\n", []string{"FILE:3:", "tab"}},
		"a field given twice":        {"volume", "port: 1\nport: 2\npath: /x\n", []string{"FILE:2:", "twice"}},
		"an empty file":              {"volume", "", []string{"FILE", "empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			code, output := command(t, nil, tc.role, "-config="+file)
			if code != 1 {
				t.Errorf("exit code %d, want 1\n%s", code, output)
			}
			for _, want := range tc.says {
				if want = strings.ReplaceAll(want, "FILE", file); !strings.Contains(output, want) {
					t.Errorf("does not say %q:\n%s", want, output)
				}
			}
		})
	}
}

func TestStartsThatMustFail(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, serverKind, settings{})
	dir := filepath.Join(t.TempDir(), "fresh")
	code, output := command(t, []string{"TDKVS_ACCESS_KEY=only-one"}, "server", "-listen", "127.0.0.1:0", dir)
	if code != 1 || !strings.Contains(output, "TDKVS_SECRET_KEY") {
		t.Errorf("one of the two credentials: exit code %d\n%s", code, output)
	}
	code, output = command(t, nil, "server", "-listen", d.addr, dir)
	if code != 1 || !strings.Contains(output, d.addr) || !strings.Contains(output, "in use") {
		t.Errorf("an address in use: exit code %d\n%s", code, output)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, output = command(t, nil, "server", "-listen", "127.0.0.1:0", file)
	if code != 1 || !strings.Contains(output, file) {
		t.Errorf("a directory that is a file: exit code %d\n%s", code, output)
	}
}

// TestSecondProcessIsRefused starts every role a second time on the same directories.
func TestSecondProcessIsRefused(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c := d.sdk(t)
		put(t, c, bucket(t, c, "held"), "k", []byte("v"))
		for i, p := range d.processes() {
			// The same arguments, but another address: only the directory is taken.
			args := append([]string{}, p.args...)
			if d.kind == serverKind {
				args[3] = freeAddress(t)
			} else {
				args[1] = "-config=" + d.movedConfig(t, p, i)
			}
			code, output := command(t, p.env, args...)
			if code != 1 || !strings.Contains(output, "another process") {
				t.Errorf("a second %s: exit code %d, want 1 and a word about another process\n%s", p.name, code, output)
			}
		}
		sameBytes(t, "after second processes were refused", get(t, c, "held", "k"), []byte("v"))
	})
}

// movedConfig copies a process's configuration with another address to listen on.
func (d *deployment) movedConfig(t testing.TB, p *process, i int) string {
	t.Helper()
	_, file, _ := strings.Cut(p.args[1], "=")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n") // the first line is the address
	return d.writeFile(t, fmt.Sprintf("second%d.yaml", i), "listen: "+freeAddress(t)+"\n"+rest)
}
