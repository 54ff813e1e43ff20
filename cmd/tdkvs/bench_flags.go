package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tdkvs/cmd/tdkvs/bench"
)

func (f *benchFlags) addCompared(text string) error {
	if text != bareServer {
		if _, err := comparedEndpoint(text); err != nil {
			return err
		}
	}
	f.compare = append(f.compare, text)
	return nil
}

// comparedEndpoint reads a URL with the keys in the place of user and password.
func comparedEndpoint(text string) (bench.Endpoint, error) {
	u, err := parseEndpoint(text)
	if err != nil {
		return bench.Endpoint{}, fmt.Errorf("want %s, or a URL such as http://access:secret@127.0.0.1:9000", bareServer)
	}
	e := bench.Endpoint{Name: u.Host, URL: u.Scheme + "://" + u.Host, AccessKey: u.User.Username()}
	var given bool
	if e.SecretKey, given = u.User.Password(); given != (e.AccessKey != "") {
		return e, fmt.Errorf("give both keys before the host, or none")
	}
	return e, nil
}

func (f *benchFlags) setPIDs(text string) error {
	f.pids = nil
	for part := range strings.SplitSeq(text, ",") {
		pid, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || pid < 1 {
			return fmt.Errorf("want numbers of processes such as 12,34, not %q", text)
		}
		f.pids = append(f.pids, pid)
	}
	return nil
}

// The largest object and the smallest part but the last that S3 takes.
const (
	largestObject = 5 << 40
	smallestPart  = 5 << 20
	largestPart   = 5 << 30
)

func (f *benchFlags) setSize(text string) error {
	bounds, log := strings.CutPrefix(text, "log:")
	first, last, isRange := strings.Cut(bounds, "..")
	if !isRange {
		last = first
	}
	least, err := parseByteSize(first)
	if err != nil {
		return err
	}
	most, err := parseByteSize(last)
	switch {
	case err != nil:
		return err
	case most > largestObject:
		return fmt.Errorf("%v is more than an object holds (%v)", most, byteSize(largestObject))
	case least > most:
		return fmt.Errorf("%v is more than %v", least, most)
	case log && !isRange:
		return fmt.Errorf("want two bounds such as log:1KiB..1MiB, not %q", text)
	}
	f.load.Sizes = bench.Sizes{Least: int64(least), Most: int64(most), Log: log}
	return nil
}

func (f *benchFlags) setPartSize(text string) error {
	size, err := parseByteSize(text)
	if err != nil {
		return err
	}
	if size < smallestPart || size > largestPart {
		return fmt.Errorf("want %v to %v, not %v", byteSize(smallestPart), byteSize(largestPart), size)
	}
	f.load.PartSize = int64(size)
	return nil
}

func (f *benchFlags) setKeys(text string) error {
	if !slices.Contains(bench.AllKeys(), bench.Keys(text)) {
		return fmt.Errorf("want sequential, random or zipf, not %q", text)
	}
	f.load.Keys = bench.Keys(text)
	return nil
}

func (f *benchFlags) setMix(text string) error {
	var mix bench.Mix
	shares := map[string]*int{"get": &mix.Get, "stat": &mix.Stat, "put": &mix.Put, "delete": &mix.Delete}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(value)
		share := shares[name]
		if share == nil || err != nil || n < 0 || n > 100 {
			return fmt.Errorf("want shares such as get=45,stat=30,put=15,delete=10, not %q", part)
		}
		*share = n
	}
	if sum := mix.Get + mix.Stat + mix.Put + mix.Delete; sum != 100 {
		return fmt.Errorf("the shares are %d together, not 100", sum)
	}
	f.load.Mix = mix
	return nil
}
