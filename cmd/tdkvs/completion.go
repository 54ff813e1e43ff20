package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"tdkvs/cmd/tdkvs/bench"
)

// candidate is a word that may stand next on the command line.
type candidate struct{ word, summary string }

// completionWords is what the scripts of the shells ask with. The program answers
// itself, from its tables, so that a script never goes stale.
const completionWords = "words"

func completionCommand(*flag.FlagSet) func(context.Context, invocation) error {
	return func(_ context.Context, inv invocation) error {
		if len(inv.args) > 0 && inv.args[0] == completionWords {
			for _, c := range complete(inv.args[1:]) {
				printLine(inv.stdout, c.word+"\t"+c.summary)
			}
			return nil
		}
		if len(inv.args) != 1 {
			return misusef("completion: which shell? one of bash, zsh, fish")
		}
		script, known := completionScripts()[inv.args[0]]
		if !known {
			return misusef("completion: there is none for %q: one of bash, zsh, fish", inv.args[0])
		}
		_, err := io.WriteString(inv.stdout, script)
		return err
	}
}

// complete returns what may stand in the place of the last word, which may be
// empty. None: a file, or what the program does not know.
func complete(words []string) []candidate {
	if len(words) == 0 {
		words = []string{""}
	}
	typed := words[len(words)-1]
	if len(words) == 1 {
		return beginning(typed, commandNames())
	}
	cmd, err := findCommand(words[0])
	if err != nil {
		return nil
	}
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	cmd.setup(flags)
	positional, pending := split(flags, words[1:len(words)-1])
	switch {
	case pending != "":
		return beginning(typed, flagValues(cmd, pending))
	case strings.HasPrefix(typed, "-"):
		return flagCandidates(cmd, flags, positional, typed)
	}
	return beginning(typed, nextWords(cmd, positional))
}

// flagValues are the words that a flag takes, where they are known.
func flagValues(cmd command, name string) []candidate {
	switch {
	case name == "o":
		return []candidate{{"table", "for people"}, {"json", "for programs"}}
	case cmd.name == "bench" && name == "compare":
		return []candidate{{bareServer, "a server that stores nothing"}}
	case cmd.name == "bench" && name == "keys":
		var all []candidate
		for _, k := range bench.AllKeys() {
			all = append(all, candidate{string(k), "the order of objects"})
		}
		return all
	}
	return nil
}

// split takes the flags out of words, and returns that which still wants its
// value.
func split(flags *flag.FlagSet, words []string) (positional []string, pending string) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		if len(word) < 2 || word[0] != '-' {
			positional = append(positional, word)
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
		if f := flags.Lookup(name); f == nil || hasValue || isSwitch(f) {
			continue
		}
		if i++; i == len(words) {
			return positional, name
		}
	}
	return positional, ""
}

// nextWords are those that may follow the ones before.
func nextWords(cmd command, positional []string) []candidate {
	switch {
	case cmd.name == "admin":
		return adminWords(positional)
	case cmd.name == "bench":
		return benchWords(positional)
	case cmd.name == "help" && len(positional) == 0:
		return commandNames()
	case cmd.name == "completion" && len(positional) == 0:
		return []candidate{{"bash", "a script for bash"}, {"zsh", "a script for zsh"}, {"fish", "a script for fish"}}
	}
	return nil
}

// benchWords are the loads, those that stand alone only where none stands yet.
func benchWords(positional []string) []candidate {
	var next []candidate
	for _, k := range bench.Kinds() {
		next = append(next, candidate{k.Name, k.Summary})
	}
	if len(positional) == 0 {
		next = append(next, candidate{standardLoads, "the loads that documents compare by"}, candidate{bareServer, "run a server that stores nothing"})
	}
	return next
}

// adminWords are the words of the table of what the admin command does that may
// follow the ones before.
func adminWords(positional []string) []candidate {
	var next []candidate
	for _, v := range adminVerbs() {
		words := strings.Fields(v.words)
		if len(words) <= len(positional) || !slices.Equal(words[:len(positional)], positional) {
			continue
		}
		c := candidate{words[len(positional)], v.summary}
		if len(words) > len(positional)+1 {
			c.summary = "..." // more than one verb begins with it
		}
		if !slices.ContainsFunc(next, func(other candidate) bool { return other.word == c.word }) {
			next = append(next, c)
		}
	}
	return next
}

// flagCandidates are the flags that fit, with as many dashes as were typed.
func flagCandidates(cmd command, flags *flag.FlagSet, positional []string, typed string) []candidate {
	dashes := "-"
	if strings.HasPrefix(typed, "--") {
		dashes = "--"
	}
	taken := func(string) bool { return true }
	if cmd.name == "admin" {
		taken = func(name string) bool { return adminTakes(positional, name) }
	}
	var all []candidate
	flags.VisitAll(func(f *flag.Flag) {
		if taken(f.Name) {
			_, usage := flag.UnquoteUsage(f)
			all = append(all, candidate{dashes + f.Name, usage})
		}
	})
	return beginning(typed, all)
}

// adminTakes reports whether what was typed so far, or what it can become, takes a
// flag.
func adminTakes(positional []string, name string) bool {
	if slices.Contains(commonAdminFlags(), name) {
		return true
	}
	if v, _, err := findVerb(positional); err == nil || v.words != "" {
		return slices.Contains(v.flags, name) // the verb is typed, though its argument may not be
	}
	for _, v := range adminVerbs() {
		words := strings.Fields(v.words)
		if len(positional) < len(words) && slices.Equal(words[:len(positional)], positional) && slices.Contains(v.flags, name) {
			return true
		}
	}
	return false
}

func commandNames() []candidate {
	var names []candidate
	for _, c := range commands() {
		names = append(names, candidate{c.name, c.summary})
	}
	return names
}

// beginning leaves those that begin with what was typed.
func beginning(typed string, all []candidate) []candidate {
	return slices.DeleteFunc(all, func(c candidate) bool { return !strings.HasPrefix(c.word, typed) })
}

// completionScripts are the scripts by shell. Where the program has nothing to
// offer, the shell completes the names of files.
func completionScripts() map[string]string {
	ask := func(words string) string {
		return fmt.Sprintf("tdkvs completion %s -- %s 2>/dev/null", completionWords, words)
	}
	return map[string]string{
		"bash": `# tdkvs completion for bash. Put this into ~/.bashrc:
#   source <(tdkvs completion bash)
_tdkvs() {
    local cur="${COMP_WORDS[COMP_CWORD]}" word
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        COMPREPLY+=("$word")
    done < <(` + ask(`"${COMP_WORDS[@]:1:COMP_CWORD-1}" "$cur"`) + `)
}
complete -o default -F _tdkvs tdkvs
`,
		"zsh": `#compdef tdkvs
# tdkvs completion for zsh. Put this into ~/.zshrc, behind compinit:
#   source <(tdkvs completion zsh)
_tdkvs() {
    local -a found
    local word summary
    while IFS=$'\t' read -r word summary; do
        found+=("${word//:/\\:}:${summary}")
    done < <(` + ask(`"${(@)words[2,CURRENT]}"`) + `)
    if (( ${#found} )); then
        _describe tdkvs found
    else
        _files
    fi
}
compdef _tdkvs tdkvs
`,
		"fish": `# tdkvs completion for fish. Put this into ~/.config/fish/config.fish:
#   tdkvs completion fish | source
function __tdkvs_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (` + ask(`$words[2..-1]`) + `)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c tdkvs -f -a '(__tdkvs_complete)'
`,
	}
}
