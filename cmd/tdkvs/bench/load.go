package bench

import (
	"fmt"
	"slices"
	"strings"
)

// operation is one kind of request, or for a multipart upload all that it takes.
type operation int

const (
	opPut operation = iota
	opGet
	opStat
	opDelete
	opList
	opMultiDelete
	opMultipart
	operations
)

func (o operation) String() string {
	return [...]string{"put", "get", "stat", "delete", "list", "multi-delete", "multipart"}[o]
}

// Load is what is asked of an endpoint.
type Load struct {
	Kind     string // one of Kinds
	Clients  int    // each has a connection, and one request under way
	Sizes    Sizes  // of objects
	Objects  int    // that are prepared; 0: as many as the kind needs
	Keys     Keys   // which object is next; "": what the kind has by default
	Page     int    // keys of a list request
	Batch    int    // objects of a multi-delete request
	PartSize int64  // bytes of each part of an upload but the last
	Mix      Mix    // of a mixed load
}

// Mix says how many of a hundred requests are what.
type Mix struct{ Get, Stat, Put, Delete int }

// DefaultMix is a mix as applications have it: mostly reads.
func DefaultMix() Mix { return Mix{Get: 45, Stat: 30, Put: 15, Delete: 10} }

// kind is a row of the table of loads.
type kind struct {
	name    string
	summary string
	objects int  // prepared by default, 0: none
	bytes   bool // fewer where they are large
	consume bool // the objects are gone afterwards, so that each round needs new ones
	keys    Keys // by default; "": the kind has its own order
	step    func(*worker) (outcome, error)
}

func kinds() []kind {
	return []kind{
		{name: "put", summary: "store objects", keys: Sequential, step: (*worker).put},
		{name: "get", summary: "read objects", objects: 1000, bytes: true, keys: Random, step: (*worker).get},
		{name: "stat", summary: "ask for the head of objects", objects: 1000, bytes: true, keys: Random, step: (*worker).stat},
		{name: "delete", summary: "delete objects, one a request", objects: 10_000, consume: true, step: (*worker).remove},
		{name: "list", summary: "walk through the keys, a page a request", objects: 10_000, step: (*worker).list},
		{name: "multi-delete", summary: "delete objects, many a request", objects: 20_000, consume: true, step: (*worker).removeBatch},
		{name: "multipart", summary: "store objects in parts", step: (*worker).upload},
		{name: "mixed", summary: "get, stat, put and delete", objects: 1000, bytes: true, keys: Random, step: (*worker).mixed},
	}
}

// KindText is a kind of load and what it does.
type KindText struct{ Name, Summary string }

// Kinds lists the kinds of load.
func Kinds() []KindText {
	var all []KindText
	for _, k := range kinds() {
		all = append(all, KindText{k.name, k.summary})
	}
	return all
}

func findKind(name string) (kind, error) {
	all := kinds()
	if i := slices.IndexFunc(all, func(k kind) bool { return k.name == name }); i >= 0 {
		return all[i], nil
	}
	return kind{}, fmt.Errorf("there is no load %q", name)
}

// preparedBytes bounds what is prepared by default.
const preparedBytes = 256 << 20

// prepared is how many objects are there before a round begins.
func (l Load) prepared(k kind) int {
	switch {
	case k.objects == 0:
		return 0
	case l.Objects > 0:
		return l.Objects
	case k.bytes:
		return max(min(k.objects, int(preparedBytes/max(l.Sizes.mean(), 1))), l.Clients)
	}
	return k.objects
}

// Title names the load as tables show it: "put 4KiB x32".
func (l Load) Title() string {
	words := []string{l.Kind}
	switch l.Kind {
	case "list":
		words = append(words, fmt.Sprint(l.Page))
	case "multi-delete":
		words = append(words, fmt.Sprint(l.Batch))
	case "delete", "stat":
	default:
		words = append(words, l.Sizes.String())
	}
	return strings.Join(append(words, fmt.Sprintf("x%d", l.Clients)), " ")
}

// String writes sizes as they are given on the command line.
func (s Sizes) String() string {
	switch {
	case s.Least == s.Most:
		return iec(s.Least)
	case s.Log:
		return "log:" + iec(s.Least) + ".." + iec(s.Most)
	}
	return iec(s.Least) + ".." + iec(s.Most)
}

// iec writes bytes with the largest unit that divides them.
func iec(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; n != 0 && n%1024 == 0 && i < len(units)-1; i++ {
		n /= 1024
	}
	return fmt.Sprint(n, units[i])
}

// Standard are the loads that docs/performance.md compares endpoints by.
func Standard() []Load {
	const kib, mib = 1 << 10, 1 << 20
	one := func(kind string, size int64, clients int) Load {
		return Load{Kind: kind, Clients: clients, Sizes: Sizes{Least: size, Most: size}, Page: 1000, Batch: 100, PartSize: 8 * mib, Mix: DefaultMix()}
	}
	return []Load{
		one("put", 4*kib, 32), one("get", 4*kib, 32), one("stat", 4*kib, 32),
		one("put", 128*kib, 16), one("get", 128*kib, 16),
		one("put", 10*mib, 4), one("get", 10*mib, 4),
		one("list", kib, 4), one("multi-delete", kib, 4),
		one("put", 4*kib, 1), one("mixed", 128*kib, 32),
	}
}
