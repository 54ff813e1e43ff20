package listtest

import (
	"slices"

	"tdkvs/master/meta"
)

// walk is a listing from its first page to its last, while the bucket changes.
// What was there all along must have been seen exactly once, in order.
type walk struct {
	seen   []string
	steady map[string]bool // shown by the listing at every moment so far
}

// look takes note of what the listing would show now.
func (w *walk) look(shown []string) {
	now := map[string]bool{}
	for _, name := range shown {
		now[name] = w.steady == nil || w.steady[name]
	}
	w.steady = now
}

// check judges a walk that has ended.
func (w *walk) check(d *driver, what any) {
	d.t.Helper()
	count := map[string]int{}
	for _, name := range w.seen {
		count[name]++
	}
	for name, n := range count {
		if n > 1 {
			d.t.Errorf("%+v: %q was seen %d times", what, name, n)
		}
	}
	for name, always := range w.steady {
		if always && count[name] != 1 {
			d.t.Errorf("%+v: %q was there all along and seen %d times", what, name, count[name])
		}
	}
}

func (d *driver) walkObjects() {
	d.t.Helper()
	req := meta.ListRequest{Prefix: d.prefix(), Delimiter: d.delimiter(), Limit: 1 + d.rand.IntN(20)}
	var w walk
	for {
		shown, _ := d.ref.names(req.Prefix, req.Delimiter, false)
		w.look(shown)
		page := d.compareObjects(req)
		names := slices.Clone(page.Prefixes)
		for _, o := range page.Objects {
			names = append(names, o.Key)
		}
		slices.Sort(names)
		w.seen = append(w.seen, names...)
		if !page.Truncated {
			break
		}
		req.After = page.Next
		for range d.rand.IntN(4) {
			d.change("")
		}
	}
	if !slices.IsSorted(w.seen) {
		d.t.Errorf("%+v: seen out of order: %q", req, w.seen)
	}
	w.check(d, req)
}

func (d *driver) walkVersions() {
	d.t.Helper()
	req := meta.VersionsRequest{Prefix: d.prefix(), Delimiter: d.delimiter(), Limit: 1 + d.rand.IntN(20)}
	var w walk
	for {
		whole := req
		whole.KeyMarker, whole.VersionIDMarker, whole.Limit = "", "", 1<<30
		w.look(entries(d.ref.versions(whole)))
		page := d.compareVersions(req)
		w.seen = append(w.seen, entries(page)...)
		if !page.Truncated {
			break
		}
		req.KeyMarker, req.VersionIDMarker = page.NextKeyMarker, page.NextVersionIDMarker
		spared := ""
		if req.VersionIDMarker == meta.NullVersion {
			spared = req.KeyMarker // a null version that is replaced has no place to go on at
		}
		nulls := d.ref.nulls()
		for range d.rand.IntN(4) {
			d.change(spared)
		}
		for key, rank := range d.ref.nulls() {
			if nulls[key] != rank { // another one, in another place
				w.steady[entry(key, meta.NullVersion)] = false
			}
		}
	}
	w.check(d, req)
}

// entries names what a page of versions shows.
func entries(p meta.VersionsPage) []string {
	names := slices.Clone(p.Prefixes)
	for _, v := range p.Versions {
		names = append(names, entry(v.Key, v.VersionID))
	}
	return names
}

func entry(key, versionID string) string { return key + "\x00" + versionID }
