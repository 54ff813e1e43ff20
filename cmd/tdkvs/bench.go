package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"tdkvs/cmd/tdkvs/bench"
	"tdkvs/volume/vfs"
)

// Words that stand where a load does.
const (
	standardLoads = "standard" // the list that documents compare by
	bareServer    = "bare"     // no load, but the server without a store
)

// benchFlags are what the bench command was given.
type benchFlags struct {
	where  whereabouts
	output string

	compare  []string
	pids     []int
	load     bench.Load // Kind is set for each
	duration time.Duration
	warmUp   time.Duration
	rounds   int
	bucket   string
	seed     uint64
	disk     string
	verify   bool
	sign     bool
	keep     bool

	listen   string // of the bare server
	untilEOF bool

	given map[string]bool
}

func (f *benchFlags) declare(flags *flag.FlagSet) {
	flags.StringVar(&f.where.endpoint, "endpoint", "", "the `url` of the store (default "+envEndpoint+", else "+defaultEndpoint+")")
	flags.StringVar(&f.where.accessKey, "access-key", "", "the access `key` (default "+envAccessKey+")")
	flags.StringVar(&f.where.secretKey, "secret-key", "", "the secret `key` (default "+envSecretKey+"); others on this machine may see it here")
	flags.StringVar(&f.where.region, "region", "us-east-1", "the `region` of the store")
	flags.StringVar(&f.where.data, "data", "", "take endpoint and keys from the first `directory` of a server on this machine")
	flags.StringVar(&f.where.config, "config", "", "take endpoint and keys from the configuration `file` of a master or a server on this machine")
	flags.StringVar(&f.output, "o", "table", "print a `table` or json")
	flags.Func("compare", "also load the endpoint at `url`, in turns, and print ratios; keys stand before its host as user and password; bare: a server that stores nothing; may be given again", f.addCompared)
	flags.Func("pid", "the `processes` of the store on this machine, as 12,34: report their processor time and memory", f.setPIDs)
	flags.Func("size", "the `size` of objects: 4KiB; 1KiB..1MiB: each size alike; log:1KiB..1MiB: each power of two alike (default 4KiB)", f.setSize)
	flags.IntVar(&f.load.Clients, "clients", 32, "how many `requests` are under way at the same time")
	flags.IntVar(&f.load.Objects, "objects", 0, "how many `objects` are prepared, to be read or deleted; 0: as many as fit the load")
	flags.Func("keys", "which object is next: `sequential`, random or zipf (default: puts make new ones, reads are random)", f.setKeys)
	flags.IntVar(&f.load.Page, "page", 1000, "how many `keys` a list request asks for")
	flags.IntVar(&f.load.Batch, "batch", 100, "how many `objects` a multi-delete request deletes")
	flags.Func("part-size", "the `size` of the parts of a multipart upload (default 8MiB)", f.setPartSize)
	flags.Func("mix", "what a mixed load is made of, in `percent` (default get=45,stat=30,put=15,delete=10)", f.setMix)
	flags.DurationVar(&f.duration, "duration", 5*time.Second, "the `time` of a round")
	flags.DurationVar(&f.warmUp, "warmup", time.Second, "the `time` before a round that is not counted")
	flags.IntVar(&f.rounds, "rounds", 0, "how many `rounds` each load has, of which medians are printed (default 1, with -compare 5)")
	flags.StringVar(&f.bucket, "bucket", "tdkvs-bench", "the `bucket` to work in; it is made, and removed in the end, where it is missing")
	flags.Uint64Var(&f.seed, "seed", 1, "the `number` that random choices follow from")
	flags.StringVar(&f.disk, "disk", "", "measure the disk of a `directory` after each load")
	flags.BoolVar(&f.verify, "verify", false, "compare every byte that is read; without, status and length are")
	flags.BoolVar(&f.sign, "sign-bodies", false, "send the SHA-256 of each body; without, bodies are unsigned")
	flags.BoolVar(&f.keep, "keep", false, "remove nothing in the end")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:0", "listen on `host:port` (bare)")
	flags.BoolVar(&f.untilEOF, "until-eof", false, "end when standard input does (bare)")
}

func benchDetail() string {
	var b strings.Builder
	for _, k := range bench.Kinds() {
		fmt.Fprintf(&b, "  %-13s %s\n", k.Name, k.Summary)
	}
	fmt.Fprintf(&b, "  %-13s %s\n", standardLoads, "those of docs/performance.md, one after the other")
	fmt.Fprintf(&b, "  %-13s %s\n", bareServer, "no load: run the server that stores nothing, to be compared with")
	b.WriteString(`
Objects that are needed are prepared, answers are checked, and what was made is
removed. Failed requests are counted by what they failed with, and the exit code
is 1 where there were any. To see what share of its bare HTTP server a store
leaves to its clients:

    tdkvs bench standard -data ./data -compare bare -disk ./data`)
	return b.String()
}

func benchCommand(flags *flag.FlagSet) func(context.Context, invocation) error {
	f := &benchFlags{given: map[string]bool{}, load: bench.Load{
		Sizes: bench.Sizes{Least: 4 << 10, Most: 4 << 10}, PartSize: 8 << 20, Mix: bench.DefaultMix(),
	}}
	f.declare(flags)
	return func(ctx context.Context, inv invocation) error {
		flags.Visit(func(one *flag.Flag) { f.given[one.Name] = true })
		if len(inv.args) == 1 && inv.args[0] == bareServer {
			return f.serveBare(ctx, inv)
		}
		loads, err := f.loads(inv.args)
		if err != nil {
			return err
		}
		if err := f.check(); err != nil {
			return err
		}
		return f.measure(ctx, inv, loads)
	}
}

// loads are those that were named.
func (f *benchFlags) loads(names []string) ([]bench.Load, error) {
	if len(names) == 0 {
		return nil, misusef("bench: which load? one or more of these:\n\n%s", benchDetail())
	}
	if len(names) == 1 && names[0] == standardLoads {
		for _, name := range []string{"size", "clients", "objects", "keys", "page", "batch", "part-size", "mix"} {
			if f.given[name] {
				return nil, misusef("bench: the %s loads have their own: flag -%s is for a load that is named", standardLoads, name)
			}
		}
		return bench.Standard(), nil
	}
	known := []string{standardLoads, bareServer}
	for _, k := range bench.Kinds() {
		known = append(known, k.Name)
	}
	var loads []bench.Load
	for _, name := range names {
		switch {
		case name == standardLoads || name == bareServer:
			return nil, misusef("bench: %q stands alone", name)
		case !slices.Contains(known, name):
			return nil, misusef("bench: there is no load %q%s\nrun \"tdkvs help bench\" for the list", name, didYouMean(name, known))
		}
		l := f.load
		l.Kind = name
		loads = append(loads, l)
	}
	return loads, nil
}

// check refuses values that are none.
func (f *benchFlags) check() error {
	bounds := []struct {
		flag        string
		value       int64
		least, most int64
	}{
		{"clients", int64(f.load.Clients), 1, 10_000},
		{"objects", int64(f.load.Objects), 0, 1e9},
		{"page", int64(f.load.Page), 1, 1000},
		{"batch", int64(f.load.Batch), 1, 1000},
		{"rounds", int64(f.rounds), 0, 1000},
	}
	for _, b := range bounds {
		if b.value < b.least || b.value > b.most {
			return misusef("bench: flag -%s: want %d to %d, not %d", b.flag, b.least, b.most, b.value)
		}
	}
	switch {
	case f.output != "table" && f.output != "json":
		return misusef("bench: flag -o: want table or json, not %q", f.output)
	case f.duration < 10*time.Millisecond || f.duration > 24*time.Hour:
		return misusef("bench: flag -duration: want 10ms to 24h, not %v", f.duration)
	case f.warmUp < 0 || f.warmUp > time.Hour:
		return misusef("bench: flag -warmup: want 0s to 1h, not %v", f.warmUp)
	case f.bucket == "" || strings.Trim(f.bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "":
		return misusef("bench: flag -bucket: want letters, digits, dots and dashes, not %q", f.bucket)
	case f.given["listen"] || f.given["until-eof"]:
		return misusef("bench: flags -listen and -until-eof are for %q", bareServer)
	}
	return nil
}

// measure runs the loads and prints what came of them, also where they ended early.
func (f *benchFlags) measure(ctx context.Context, inv invocation, loads []bench.Load) error {
	endpoints, stop, err := f.endpoints(ctx, inv)
	if err != nil {
		return err
	}
	defer stop()
	rounds := f.rounds
	if rounds == 0 {
		rounds = 1
		if len(endpoints) > 1 {
			rounds = 5
		}
	}
	report, err := bench.Run(ctx, bench.Config{
		Endpoints: endpoints, Loads: loads, Duration: f.duration, WarmUp: f.warmUp, Rounds: rounds, Bucket: f.bucket,
		Verify: f.verify, SignBodies: f.sign, Keep: f.keep, Seed: f.seed, Disk: f.disk, FS: vfs.OS(),
		Progress: func(line string) { printLine(inv.stderr, line) },
	})
	if len(report.Loads) > 0 {
		err = errors.Join(err, f.print(inv, report))
	}
	if failed := report.Failed(); err == nil && failed > 0 {
		err = fmt.Errorf("bench: %d requests failed", failed)
	}
	return err
}

func (f *benchFlags) print(inv invocation, report *bench.Report) error {
	if f.output == "json" {
		b, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(inv.stdout, "%s\n", b)
		return err
	}
	return report.Table(inv.stdout)
}
