package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// Where the admin command finds the store, beside the keys of envAccessKey and
// envSecretKey.
const envEndpoint = "TDKVS_ENDPOINT"

const defaultEndpoint = "http://127.0.0.1:3000"

// adminFlags are all flags of the admin command; a row of the table says which
// it takes beside the common ones.
type adminFlags struct {
	endpoint, accessKey, secretKey, region string
	data, config, output                   string

	watch       bool
	once        bool
	yes         bool
	interval    time.Duration
	weight      int
	zone        string
	version     string
	concurrency int
	rate        string
	deep        bool
	repair      repairFlags

	base     []string
	keep     int
	id       string
	within   time.Duration
	bucketAt bucketFlags
}

func (f *adminFlags) declare(flags *flag.FlagSet) {
	flags.StringVar(&f.endpoint, "endpoint", "", "the `url` of the store (default "+envEndpoint+", else "+defaultEndpoint+")")
	flags.StringVar(&f.accessKey, "access-key", "", "the root access `key` (default "+envAccessKey+")")
	flags.StringVar(&f.secretKey, "secret-key", "", "the root secret `key` (default "+envSecretKey+"); others on this machine may see it here")
	flags.StringVar(&f.region, "region", "us-east-1", "the `region` of the store")
	flags.StringVar(&f.data, "data", "", "take endpoint and keys from the first `directory` of a server on this machine (default "+defaultServerDir+", where no others are given)")
	flags.StringVar(&f.config, "config", "", "take endpoint and keys from the configuration `file` of a master or a server on this machine")
	flags.StringVar(&f.output, "o", "table", "print a `table` or json")
	flags.BoolVar(&f.watch, "watch", false, "show progress until the rebalance has ended and nothing waits for repair (what changes where data lies, rebalance status), or until the check has, and what it repairs is repaired (fsck)")
	flags.BoolVar(&f.once, "once", false, "print one sample and end (top)")
	flags.BoolVar(&f.yes, "yes", false, "do not ask whether it is meant (volume lost)")
	flags.DurationVar(&f.interval, "interval", time.Second, "the `time` between two looks (-watch, top)")
	flags.IntVar(&f.weight, "weight", 1, "the `slots` of the new volume, and so its share (volume add)")
	flags.StringVar(&f.zone, "zone", "", "the `name` of what fails together with the new volume (volume add)")
	flags.StringVar(&f.version, "version-id", "", "the `version` of the object (locate, object stat)")
	flags.BoolVar(&f.deep, "deep", false, "read every byte that is stored (fsck)")
	f.repair.declare(flags)
	flags.IntVar(&f.concurrency, "concurrency", 0, "move this many `pieces` at the same time (rebalance limit), or make so many reads (backup); 0: the default")
	flags.Func("base", "a `place` with an earlier backup: for a file, what is in that is not written again (backup), or is looked for there (backup verify). It may be given again", f.addBase)
	flags.IntVar(&f.keep, "keep", 0, "keep the newest `number` of backups of each store (backup prune)")
	flags.StringVar(&f.id, "backup", "", "the `id` of one backup, as backup ls shows it (backup verify)")
	flags.DurationVar(&f.within, "within", 0, "the `time` that the backup may take at most: what is deleted meanwhile stays until its end (default 24h; backup)")
	f.bucketAt.declare(flags)
	flags.StringVar(&f.rate, "rate", "", "move at most this many `bytes` a second, such as 20MiB; 0: the default; none: no limit (rebalance limit; fsck: read)")
}

// adminVerb is one row of the table of what the admin command does.
type adminVerb struct {
	words    string // such as "volume add"
	argument string // those that follow, as the usage writes them: <needed> [if wanted]; empty: none
	summary  string
	flags    []string // beside the common ones
	run      func(ctx context.Context, a *adminSession) error
}

func (v adminVerb) usage() string {
	words := []string{v.words, v.argument}
	for _, name := range v.flags {
		words = append(words, "[-"+name+"]")
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// adminVerbs is that table.
func adminVerbs() []adminVerb {
	watch := []string{"watch", "interval"}
	return []adminVerb{
		{"status", "", "show the cluster, its volumes and what it is at", nil, adminStatus},
		{"volume ls", "", "list the volumes", nil, adminVolumeList},
		{"volume add", "<url>", "take a new volume into the cluster", append([]string{"weight", "zone"}, watch...), adminVolumeAdd},
		{"volume delete", "<volume>", "move everything off a volume, and let it leave", watch, adminVolumeDelete},
		{"volume cancel", "<volume>", "let a volume stay that is being deleted, or take a lost one back", watch, adminVolumeCancel},
		{"volume lost", "<volume>", "give up a volume whose data is gone, and make it anew from elsewhere", append([]string{"yes"}, watch...), adminVolumeLost},
		{"volume weight", "<volume> <slots>", "change the share of a volume", watch, adminVolumeWeight},
		{"volume zone", "<volume> <zone|none>", "say what fails together with a volume", watch, adminVolumeZone},
		{"replicas", "[copies]", "show or set how many copies are kept", watch, adminReplicas},
		{"rebalance status", "", "show how far the rebalance is", watch, adminRebalanceStatus},
		{"rebalance start", "", "compare everything with where it should be", watch, adminRebalanceStart},
		{"rebalance pause", "", "let the rebalance rest; single repairs go on", nil, adminRebalancePause},
		{"rebalance resume", "", "let the rebalance go on", nil, adminRebalanceResume},
		{"rebalance limit", "", "say how hard the rebalance may work", []string{"rate", "concurrency"}, adminRebalanceLimit},
		{"damage", "", "list what can not be read and can not be restored", nil, adminDamage},
		{"top", "", "show requests, volumes and latencies as they are", []string{"once", "interval"}, adminTop},
		{"fsck status", "", "show the last check of the store", watch, adminFsckStatus},
		{"fsck cancel", "", "end the check of the store", nil, adminFsckCancel},
		{"fsck", "", "compare what is recorded with what the volumes hold; with -repair, put right what can be", append([]string{"deep", "rate", "repair", "apply", "only"}, watch...), adminFsck},
		{"backup ls", "<place>", "list the backups in a directory, a bucket or a file", bucketFlagNames(), adminBackupList},
		{"backup verify", "<place>", "read all that backups consist of, and check every sum", append([]string{"backup", "base"}, bucketFlagNames()...), adminBackupVerify},
		{"backup prune", "<place>", "remove all but the newest backups, and what only they needed", append([]string{"keep"}, bucketFlagNames()...), adminBackupPrune},
		{"backup", "<place>", "back up all that is in the store, as of one moment", append([]string{"base", "within", "concurrency"}, bucketFlagNames()...), adminBackup},
		{"locate", "<bucket/key>", "show where an object lies, and where it should", []string{"version-id"}, adminLocate},
		{"bucket ls", "", "list the buckets and what is in them", nil, adminBucketList},
		{"bucket usage", "<bucket>", "show what is in a bucket", nil, adminBucketUsage},
		{"bucket replicas", "<bucket> <copies|default>", "set how many copies are kept of what is in a bucket", watch, adminBucketReplicas},
		{"object stat", "<bucket/key>", "show the record of an object", []string{"version-id"}, adminObjectStat},
	}
}

// commonAdminFlags are those that every row takes.
func commonAdminFlags() []string {
	return []string{"endpoint", "access-key", "secret-key", "region", "data", "config", "o"}
}

// adminDetail lists the table for the help text.
func adminDetail() string {
	var b strings.Builder
	for _, v := range adminVerbs() {
		fmt.Fprintf(&b, "  tdkvs admin %-42s %s\n", strings.TrimRight(v.words+" "+v.argument, " "), v.summary)
	}
	b.WriteString("\nA volume is named by its number, its UUID or its URL. The place of a backup is a\n" +
		"directory, s3://bucket/prefix, a new file that ends in .tar, or - for the output.\n\"tdkvs help restore\" says how it comes back.")
	return b.String()
}

// adminSession is one call of the admin command.
type adminSession struct {
	adminFlags
	argument string          // the first one
	second   string          // the one behind
	given    map[string]bool // flags that were given
	client   *adminClient
	env      lookupEnv
	stdin    io.Reader
	stdout   io.Writer
	stderr   io.Writer
}

func adminCommand(flags *flag.FlagSet) func(context.Context, invocation) error {
	a := &adminSession{given: map[string]bool{}}
	a.declare(flags)
	return func(ctx context.Context, inv invocation) error {
		flags.Visit(func(f *flag.Flag) { a.given[f.Name] = true })
		verb, arguments, err := findVerb(inv.args)
		if err != nil {
			return err
		}
		a.argument, a.second = arguments[0], arguments[1]
		a.stdin, a.stdout, a.stderr, a.env = os.Stdin, inv.stdout, inv.stderr, inv.env
		if err := a.check(verb); err != nil {
			return err
		}
		if a.client, err = a.connect(inv.env); err != nil {
			return err
		}
		return verb.run(ctx, a)
	}
}

// findVerb finds the row that the words name, and the arguments behind; those that
// are not given are empty.
func findVerb(args []string) (verb adminVerb, arguments [2]string, err error) {
	if len(args) == 0 {
		return verb, arguments, misusef("admin: what? one of these:\n\n%s", adminDetail())
	}
	var names []string
	for _, v := range adminVerbs() {
		words := strings.Fields(v.words)
		names = append(names, v.words)
		if len(args) < len(words) || !slices.Equal(args[:len(words)], words) {
			continue
		}
		arguments, err := v.take(args[len(words):])
		return v, arguments, err
	}
	said := strings.Join(args[:min(len(args), 2)], " ")
	return verb, arguments, misusef("admin: there is no %q%s\nrun \"tdkvs help admin\" for the list", said, didYouMean(said, names))
}

// take reads the arguments of a row.
func (v adminVerb) take(given []string) (arguments [2]string, err error) {
	usage := "\nusage: tdkvs admin " + v.usage()
	wanted := strings.Fields(v.argument)
	if len(given) > len(wanted) {
		return arguments, misusef("admin %s: unexpected argument %q%s", v.words, given[len(wanted)], usage)
	}
	copy(arguments[:], given)
	if len(given) < len(wanted) && strings.HasPrefix(wanted[len(given)], "<") {
		return arguments, misusef("admin %s: %s is missing%s", v.words, wanted[len(given)], usage)
	}
	return arguments, nil
}

// check refuses flags that the row does not take, and values that are none.
func (a *adminSession) check(v adminVerb) error {
	for name := range a.given {
		if !slices.Contains(v.flags, name) && !slices.Contains(commonAdminFlags(), name) {
			return misusef("admin %s: it has no flag -%s\nusage: tdkvs admin %s", v.words, name, v.usage())
		}
	}
	switch {
	case a.output != "table" && a.output != "json":
		return misusef("admin: flag -o: want table or json, not %q", a.output)
	case a.interval < 10*time.Millisecond || a.interval > time.Hour:
		return misusef("admin: flag -interval: want 10ms to 1h, not %v", a.interval)
	}
	return nil
}
