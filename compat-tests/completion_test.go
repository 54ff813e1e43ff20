package compattests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// typed is what somebody types before the key that completes, and what then stands on the line. The words are those that
// only one thing completes.
var typed = [][2]string{
	{"tdkvs se", "tdkvs server "},
	{"tdkvs admin rebalance re", "tdkvs admin rebalance resume "},
	{"tdkvs admin volume delete 1 --wa", "tdkvs admin volume delete 1 --watch "},
	{"tdkvs admin volume add http://10.0.0.1:3001 -zo", "tdkvs admin volume add http://10.0.0.1:3001 -zone "},
	{"tdkvs admin -o json replic", "tdkvs admin -o json replicas "},
	{"tdkvs admin status -o t", "tdkvs admin status -o table "},
	{"tdkvs admin rebalance nothing", "tdkvs admin rebalance nothing"},
	{"tdkvs master -config mast", "tdkvs master -config master.yaml "}, // a file: the program does not know
}

// shell returns a run of a shell in a directory with a file in it, where tdkvs is on the path.
func shell(t *testing.T, name string, args ...string) tool {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(binary(t), filepath.Join(dir, "tdkvs")); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "master.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return tool{name: name, args: args, dir: work, env: []string{"HOME=" + dir, "PATH=" + dir + ":" + os.Getenv("PATH"), "TERM=dumb"}}
}

// TestFishCompletion asks a real fish what it offers.
func TestFishCompletion(t *testing.T) {
	t.Parallel()
	for _, c := range typed {
		out := shell(t, "fish", "--no-config", "-c", "tdkvs completion fish | source; complete -C '"+c[0]+"'").run(t)
		words := strings.Fields(c[0])
		offered, summary, _ := strings.Cut(strings.TrimRight(string(out), "\n"), "\t")
		line := strings.Join(append(words[:len(words)-1], offered), " ") + " "
		if offered == "" {
			line = c[0]
		}
		if line != c[1] || strings.Contains(summary, "\n") {
			t.Errorf("%q is completed to %q (%s), want %q", c[0], line, out, c[1])
		}
	}
}

// zshDriver types each of its arguments and a tab into an interactive zsh, whose line it prints then.
const zshDriver = `
zmodload zsh/zpty
out=$HOME/out
touch $out
zpty shell zsh -f -i
# Whatever the shell prints has to be taken off its hands, or it stops.
await() { # lines in the file
	for i in {1..600}; do
		while zpty -r -t shell taken; do :; done
		(( $(wc -l < $out) >= $1 )) && return
		sleep 0.05
	done
	print -u2 "no answer"
	exit 1
}
zpty -w shell 'autoload -Uz compinit; compinit -u -D; source <(tdkvs completion zsh)
tell() { print -r -- "$BUFFER" >> '$out'; BUFFER= }; zle -N tell; bindkey "^X" tell; print ready >> '$out
await 1
for line in "$@"; do
	zpty -w -n shell "$line"$'\t\x18'
	await $(( ++answers + 1 ))
done
zpty -d shell
tail -n +2 $out
`

// TestZshCompletion types into a real zsh.
func TestZshCompletion(t *testing.T) {
	t.Parallel()
	args := []string{"-f", "-c", zshDriver, "zsh"}
	for _, c := range typed {
		args = append(args, c[0])
	}
	lines := strings.Split(strings.TrimSuffix(string(shell(t, "zsh", args...).run(t)), "\n"), "\n")
	if len(lines) != len(typed) {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	for i, c := range typed {
		if lines[i] != c[1] {
			t.Errorf("%q is completed to %q, want %q", c[0], lines[i], c[1])
		}
	}
}
