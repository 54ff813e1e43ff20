package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// runCommand runs the program in process and returns its exit code and output.
func runCommand(t *testing.T, env lookupEnv, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // what would serve ends at once
	var out, errs bytes.Buffer
	code = run(ctx, args, env, &out, &errs)
	return code, out.String(), errs.String()
}

// wrongCommand is a command line that is wrong, and what is said about it.
type wrongCommand struct{ args, want string }

func refused(t *testing.T, tests []wrongCommand) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := runCommand(t, envOf(), strings.Fields(tt.args)...)
			if code != exitMisuse || stdout != "" || stderr != tt.want {
				t.Errorf("exit %d\nstdout %q\nstderr %q\nwant   %q", code, stdout, stderr, tt.want)
			}
		})
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	const serverUsage = "usage: tdkvs server [-listen host:port] [-config file] [-recover] [dir ...]\n"
	tests := []wrongCommand{
		{"sever", "tdkvs: unknown command \"sever\": did you mean \"server\"?\nrun \"tdkvs help\" for the list\n"},
		{"xyzzy", "tdkvs: unknown command \"xyzzy\"\nrun \"tdkvs help\" for the list\n"},
		{"-listen :80 server", "tdkvs: the command comes first, before \"-listen\": one of server, master, volume, admin, bench, restore, fsck, completion, version, help\n"},
		{"server -lisen :80", "tdkvs: server: unknown flag -lisen: did you mean \"listen\"?\n" + serverUsage},
		{"server --lisen=:80 ./data", "tdkvs: server: unknown flag -lisen: did you mean \"listen\"?\n" + serverUsage},
		{"server ./data -port 80", "tdkvs: server: unknown flag -port\n" + serverUsage},
		{"server -listen", "tdkvs: server: flag -listen needs a value\n" + serverUsage},
		{"server -listen 3000", "tdkvs: server: flag -listen: want host:port such as 127.0.0.1:3000, not \"3000\"\n"},
		{"server -listen :99999", "tdkvs: server: flag -listen: want a port from 0 to 65535 after the colon, not \"99999\"\n"},
		{"master", "tdkvs: master: which configuration? give -config=<file>\n"},
		{"volume", "tdkvs: volume: which configuration? give -config=<file>\n"},
		{"master master.yaml", "tdkvs: master: unexpected argument \"master.yaml\"\nusage: tdkvs master -config file [-recover] [-delete index]\n"},
		{"master -config=x -recover -delete 1", "tdkvs: master: -recover and -delete do not go together: recover first\n"},
		{"master -config=x -accept-loss=1", "tdkvs: master: -accept-loss goes with -recover\n"},
		{"server -accept-loss=1 ./data", "tdkvs: server: -accept-loss goes with -recover\n"},
		{"volume -config=x.yaml y.yaml", "tdkvs: volume: unexpected argument \"y.yaml\"\nusage: tdkvs volume -config file\n"},
		{"version now", "tdkvs: version: unexpected argument \"now\"\nusage: tdkvs version\n"},
		{"help me", "tdkvs: unknown command \"me\"\nrun \"tdkvs help\" for the list\n"},
		{"help server master", "tdkvs: help: one command at a time\n"},
	}
	refused(t, tests)
}

func TestNoCommand(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := runCommand(t, envOf())
	if code != exitMisuse || stdout != "" || !strings.HasPrefix(stderr, "tdkvs: no command given\n") || !strings.Contains(stderr, "tdkvs server") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestFailed(t *testing.T) {
	t.Parallel()
	bad := writeFile(t, "master.yaml", "port: 3000\nvolums: []\n")
	tests := []struct {
		name string
		env  lookupEnv
		args []string
		want string
	}{
		{"no such file", envOf(), []string{"master", "-config=/nowhere/master.yaml"},
			"tdkvs: read configuration: open /nowhere/master.yaml: no such file or directory\n"},
		{"bad file", envOf(), []string{"master", "--config", bad},
			"tdkvs: " + bad + ":2: unknown field \"volums\": did you mean \"volumes\"?\n"},
		{"half of the credentials", envOf(envAccessKey, "abc"), []string{"server", t.TempDir()},
			"tdkvs: TDKVS_ACCESS_KEY is set and TDKVS_SECRET_KEY is not: set both or neither\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := runCommand(t, tt.env, tt.args...)
			if code != exitFailed || stdout != "" || stderr != tt.want {
				t.Errorf("exit %d\nstdout %q\nstderr %q\nwant   %q", code, stdout, stderr, tt.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"help", "-h", "--help"} {
		code, stdout, stderr := runCommand(t, envOf(), args)
		if code != exitDone || stderr != "" || stdout != overview() {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	for _, c := range commands() {
		code, stdout, stderr := runCommand(t, envOf(), "help", c.name)
		if code != exitDone || stderr != "" || !strings.HasPrefix(stdout, "usage: tdkvs "+c.usage+"\n") {
			t.Errorf("help %s: exit %d, stdout %q, stderr %q", c.name, code, stdout, stderr)
		}
		again, viaFlag, _ := runCommand(t, envOf(), c.name, "-h")
		if again != exitDone || viaFlag != stdout {
			t.Errorf("%s -h: exit %d, %q; want %q", c.name, again, viaFlag, stdout)
		}
	}
	_, stdout, _ := runCommand(t, envOf(), "help", "volume")
	if !strings.Contains(stdout, "    port: 3001\n    path: /storage_directory/\n") ||
		!strings.Contains(stdout, "  -config file\n        read settings from a YAML file (required)\n") {
		t.Errorf("help volume: %s", stdout)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"version", "-version", "--version"} {
		code, stdout, stderr := runCommand(t, envOf(), args)
		if code != exitDone || stderr != "" || !strings.HasPrefix(stdout, "tdkvs ") || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"volums", "volumes", 1},
		{"prot", "port", 1}, {"sitting", "kitten", 3}, {"ab", "ba", 1},
	} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
	if got := didYouMean("colour", []string{"region", "port"}); got != "" {
		t.Errorf("far words: %q", got)
	}
	if got := didYouMean("lsiten", []string{"region", "listen"}); got != `: did you mean "listen"?` {
		t.Errorf("near words: %q", got)
	}
}
