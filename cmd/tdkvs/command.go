package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// lookupEnv reads one environment variable, as os.LookupEnv does.
type lookupEnv func(name string) (string, bool)

// invocation is what a command was called with.
type invocation struct {
	args   []string // the arguments that are not flags
	env    lookupEnv
	stdout io.Writer
	stderr io.Writer
}

// command is one row of the command table: dispatch, usage and suggestions
// derive from it.
type command struct {
	name    string
	usage   string // the line after "tdkvs"
	summary string
	detail  string
	// setup declares the flags and returns what runs once they are parsed.
	setup func(flags *flag.FlagSet) func(context.Context, invocation) error
	// arguments says whether the command takes any beside flags.
	arguments bool
}

// misuse is an error of whoever typed the command line: exit code 2.
type misuse struct{ message string }

func (m misuse) Error() string { return m.message }

func misusef(format string, args ...any) error {
	return misuse{fmt.Sprintf(format, args...)}
}

// commands returns the command table, in the order of the help text.
func commands() []command {
	return []command{
		{
			name:    "server",
			usage:   "server [-listen host:port] [-config file] [-recover] [dir ...]",
			summary: "run the whole store in one process",
			detail: `Each dir becomes a volume; the metadata and the root credentials lie in the
first. A dir that does not exist is made. Without any, ./data is used. Name all
dirs of the store each time; a new one behind them gets its share of the data.
With -recover the metadata, which was lost, is made anew first, from its copies in
all dirs.`,
			setup:     profiled(serverCommand),
			arguments: true,
		},
		{
			name:    "master",
			usage:   "master -config file [-recover] [-delete index]",
			summary: "run the metadata and the S3 and native APIs over volume processes",
			detail: `The smallest configuration file is

    port: 3000
    volumes:
      - http://10.0.0.1:3001
      - http://10.0.0.2:3001

A new, empty volume that is added to the list gets its share of the data. With
-delete nobody is served: what is on that volume moves to the others, and then
it can be taken off the list. Run it again when it was cut short. With -recover
the metadata, which was lost, is made anew first, from its copies on the volumes.`,
			setup: profiled(masterCommand),
		},
		{
			name:    "volume",
			usage:   "volume -config file",
			summary: "run one volume for a master",
			detail: `The smallest configuration file is

    port: 3001
    path: /storage_directory/`,
			setup: profiled(volumeCommand),
		},
		{
			name:      "admin",
			usage:     "admin <what> [flags]",
			summary:   "look after a store that runs: its volumes, its rebalance, what is in it",
			detail:    adminDetail(),
			setup:     adminCommand,
			arguments: true,
		},
		{
			name:      "bench",
			usage:     "bench <load ...> [flags]",
			summary:   "measure what an S3 endpoint does, and compare it with others",
			detail:    benchDetail(),
			setup:     profiled(benchCommand),
			arguments: true,
		},
		{
			name:      "restore",
			usage:     "restore [-config file] [-backup id] [-base place] <place> [dir ...]",
			summary:   "bring a backup back, into a new store",
			detail:    restoreDetail,
			setup:     restoreCommand,
			arguments: true,
		},
		{
			name:    "fsck",
			usage:   "fsck [-config file] [-repair [-apply]] [dir ...]",
			summary: "check a store that is stopped: what is recorded against what the volumes hold",
			detail: `Without -config, the dirs are those of a server, in its order (default ./data).
With the configuration file of a master, they are the directories of volumes that
are stopped, too; the others are asked over the wire. Nothing is changed, unless
-repair -apply says so. Exit code 0: everything is as it should be. "tdkvs admin
fsck" checks a store that runs.`,
			setup:     fsckCommand,
			arguments: true,
		},
		{
			name:    "completion",
			usage:   "completion <shell>",
			summary: "print a script that completes commands and flags in bash, zsh or fish",
			detail: `For bash, put this into ~/.bashrc:

    source <(tdkvs completion bash)`,
			setup:     completionCommand,
			arguments: true,
		},
		{
			name:    "version",
			usage:   "version",
			summary: "print the version",
			setup: func(*flag.FlagSet) func(context.Context, invocation) error {
				return func(_ context.Context, inv invocation) error {
					_, err := fmt.Fprintln(inv.stdout, versionLine())
					return err
				}
			},
		},
		{
			name:      "help",
			usage:     "help [command]",
			summary:   "explain a command",
			setup:     helpCommand,
			arguments: true,
		},
	}
}

// run is the whole program except for the process around it: it parses args,
// runs the command until it ends or ctx is done, and returns the exit code.
func run(ctx context.Context, args []string, env lookupEnv, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, env, stdout, stderr)
	var wrong misuse
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong):
		printLine(stderr, "tdkvs: "+wrong.message)
		return exitMisuse
	default:
		printLine(stderr, "tdkvs: "+err.Error())
		return exitFailed
	}
}

func dispatch(ctx context.Context, args []string, env lookupEnv, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return misuse{"no command given\n\n" + overview()}
	}
	name, rest := args[0], args[1:]
	if isHelp(name) {
		name = "help"
	} else if name == "-version" || name == "--version" {
		name = "version"
	}
	cmd, err := findCommand(name)
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	start := cmd.setup(flags)
	positional, err := parseFlags(cmd, flags, rest)
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(stdout, cmd.help(flags))
		return err
	}
	if err != nil {
		return err
	}
	if !cmd.arguments && len(positional) > 0 {
		return misusef("%s: unexpected argument %q\nusage: tdkvs %s", cmd.name, positional[0], cmd.usage)
	}
	return start(ctx, invocation{args: positional, env: env, stdout: stdout, stderr: stderr})
}

func isHelp(arg string) bool {
	switch arg {
	case "-h", "-help", "--h", "--help":
		return true
	}
	return false
}

func findCommand(name string) (command, error) {
	var names []string
	for _, c := range commands() {
		if c.name == name {
			return c, nil
		}
		names = append(names, c.name)
	}
	if strings.HasPrefix(name, "-") {
		return command{}, misusef("the command comes first, before %q: one of %s", name, strings.Join(names, ", "))
	}
	return command{}, misusef("unknown command %q%s\nrun \"tdkvs help\" for the list", name, didYouMean(name, names))
}

// parseFlags reads flags with one dash or two, wherever they stand, up to "--",
// and returns the other arguments.
func parseFlags(cmd command, flags *flag.FlagSet, args []string) ([]string, error) {
	var positional []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return append(positional, args...), nil
		}
		if len(arg) < 2 || arg[0] != '-' {
			positional = append(positional, arg)
			continue
		}
		if isHelp(arg) {
			return nil, flag.ErrHelp
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		if flags.Lookup(name) == nil {
			return nil, misusef("%s: unknown flag -%s%s\nusage: tdkvs %s",
				cmd.name, name, didYouMean(name, flagNames(flags)), cmd.usage)
		}
		if !hasValue && isSwitch(flags.Lookup(name)) {
			value, hasValue = "true", true
		}
		if !hasValue {
			if len(args) == 0 {
				return nil, misusef("%s: flag -%s needs a value\nusage: tdkvs %s", cmd.name, name, cmd.usage)
			}
			value, args = args[0], args[1:]
		}
		if err := flags.Set(name, value); err != nil {
			return nil, misusef("%s: flag -%s: %v", cmd.name, name, err)
		}
	}
	return positional, nil
}

// isSwitch tells whether a flag needs no value.
func isSwitch(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

func flagNames(flags *flag.FlagSet) []string {
	var names []string
	flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

func helpCommand(*flag.FlagSet) func(context.Context, invocation) error {
	return func(_ context.Context, inv invocation) error {
		if len(inv.args) > 1 {
			return misusef("help: one command at a time")
		}
		text := overview()
		if len(inv.args) == 1 {
			cmd, err := findCommand(inv.args[0])
			if err != nil {
				return err
			}
			flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
			cmd.setup(flags)
			text = cmd.help(flags)
		}
		_, err := io.WriteString(inv.stdout, text)
		return err
	}
}

// overview is the text of "tdkvs help".
func overview() string {
	var b strings.Builder
	b.WriteString("tdkvs is an S3-compatible object store.\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  tdkvs %-10s %s\n", c.name, c.summary)
	}
	b.WriteString("\nTo begin: tdkvs server ./data\nMore on one: tdkvs help <command>\n")
	return b.String()
}

func (c command) help(flags *flag.FlagSet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: tdkvs %s\n\nTo %s.\n", c.usage, c.summary)
	if c.detail != "" {
		b.WriteString("\n" + c.detail + "\n")
	}
	if len(flagNames(flags)) > 0 {
		b.WriteString("\nFlags:\n")
	}
	flags.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(&b, "  %s\n        %s\n", strings.TrimRight("-"+f.Name+" "+value, " "), usage)
	})
	return b.String()
}

// printLine writes a message for a person. That it could not be written has
// nobody left to tell.
func printLine(w io.Writer, line string) {
	if _, err := fmt.Fprintln(w, line); err != nil {
		slog.Debug("write message", "error", err)
	}
}
