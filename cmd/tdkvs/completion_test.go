package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// offered are the words that complete what was typed; the last word may be empty.
func offered(words ...string) string {
	var out []string
	for _, c := range complete(words) {
		out = append(out, c.word)
	}
	return strings.Join(out, " ")
}

func TestComplete(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ typed, want string }{
		{"s", "server"},
		{"nothing", ""},
		{"nothing ", ""},
		{"help v", "volume version"},
		{"help volume ", ""},
		{"completion ", "bash zsh fish"},
		{"version ", ""},
		{"master -", "-accept-loss -config -delete -pprof -recover"},
		{"master --c", "--config"},
		{"master -config ", ""},
		{"server ", ""},
		{"admin volume d", "delete"},
		{"admin -endpoint http://x volume c", "cancel"},
		{"admin volume -endpoint=http://x c", "cancel"},
		{"admin rebalance p", "pause"},
		{"admin volume delete ", ""},
		{"admin status -o ", "table json"},
		{"admin status -o=", ""},
		{"admin bucket usage -w", ""},
		{"admin volume delete 3 --w", "--watch"},
		{"admin volume delete 3 -watch -i", "-interval"},
		{"admin locate x/y -v", "-version-id"},
		{"admin nothing ", ""},
		{"bench s", "stat standard"},
		{"bench put s", "stat"},
		{"bench put -keys ", "sequential random zipf"},
		{"bench put -compare b", "bare"},
		{"bench put -o j", "json"},
	} {
		if got := offered(strings.Split(tt.typed, " ")...); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.typed, got, tt.want)
		}
	}
	if got := offered(); got != offered("") || got == "" {
		t.Errorf("nothing typed: %q", got)
	}
}

// TestCompleteEverything walks the whole tree as someone does who takes every
// offer: each verb is reached, and each flag of it offered.
func TestCompleteEverything(t *testing.T) {
	t.Parallel()
	for _, c := range commands() {
		if !slices.Contains(strings.Fields(offered("")), c.name) {
			t.Errorf("%s is not offered", c.name)
		}
	}
	for _, v := range adminVerbs() {
		typed := []string{"admin"}
		for _, word := range strings.Fields(v.words) {
			if next := offered(append(typed, "")...); !slices.Contains(strings.Fields(next), word) {
				t.Errorf("%v: %s is not among %s", typed, word, next)
			}
			typed = append(typed, word)
		}
		flags := strings.Fields(offered(append(typed, "--")...))
		for _, name := range append(v.flags, commonAdminFlags()...) {
			if !slices.Contains(flags, "--"+name) {
				t.Errorf("%v: --%s is not among %v", typed, name, flags)
			}
		}
		if want := len(v.flags) + len(commonAdminFlags()); len(flags) != want {
			t.Errorf("%v: %d flags, want %d: %v", typed, len(flags), want, flags)
		}
	}
}

// TestBashCompletion sources the script in a real bash, and completes there.
func TestBashCompletion(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "tdkvs")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+asProgram+"=1 exec '"+self+"' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ words, want string }{
		{"tdkvs se", "server"},
		{"tdkvs admin rebalance re", "resume"},
		{"tdkvs admin volume delete 1 --wa", "--watch"},
	} {
		words := strings.Fields(tt.words)
		cmd := exec.Command("bash", "--norc", "-c", `source <(tdkvs completion bash)
complete -p tdkvs >&2 || exit 9
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tdkvs
compgen -W "${COMPREPLY[*]}" -- "${COMP_WORDS[COMP_CWORD]}"`, "bash")
		cmd.Args = append(cmd.Args, words...)
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
		out, err := cmd.Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.words, got, err, tt.want)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for shell, want := range map[string]string{"bash": "complete -o default -F _tdkvs tdkvs\n", "zsh": "#compdef tdkvs\n", "fish": "complete -c tdkvs -f"} {
		var out, errs strings.Builder
		if code := run(t.Context(), []string{"completion", shell}, envOf(), &out, &errs); code != exitDone || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit %d, %s%s", shell, code, out.String(), errs.String())
		}
	}
	for _, args := range [][]string{{}, {"tcsh"}, {"bash", "zsh"}} {
		var out, errs strings.Builder
		if code := run(t.Context(), append([]string{"completion"}, args...), envOf(), &out, &errs); code != exitMisuse || out.Len() != 0 || !strings.Contains(errs.String(), "one of bash, zsh, fish") {
			t.Errorf("%v: exit %d, %s%s", args, code, out.String(), errs.String())
		}
	}
}
