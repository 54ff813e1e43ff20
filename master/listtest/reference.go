package listtest

import (
	"maps"
	"slices"
	"strings"

	"tdkvs/master/meta"
)

// version is one version of a key. rank rises with every version ever made.
type version struct {
	id     string // meta.NullVersion for the null version
	rank   int
	marker bool // a delete marker
}

// reference is a bucket in memory: the versions of each key, newest first.
type reference struct {
	keys  map[string][]version
	order []string // of keys; nil when it is not known
	count int      // of versions
	state meta.Versioning
	rank  int
	ranks map[string]int // of every version id ever made, null versions left out
}

func newReference() *reference {
	return &reference{keys: map[string][]version{}, ranks: map[string]int{}}
}

// add makes a version the current one of its key. A null version replaces the
// null version that there is.
func (r *reference) add(key, id string, marker bool) {
	r.rank++
	if id == meta.NullVersion {
		r.drop(key, id)
	} else {
		r.ranks[id] = r.rank
	}
	if r.keys[key] == nil {
		r.order = nil
	}
	r.keys[key] = slices.Insert(r.keys[key], 0, version{id, r.rank, marker})
	r.count++
}

// drop removes one version.
func (r *reference) drop(key, id string) {
	i := slices.IndexFunc(r.keys[key], func(v version) bool { return v.id == id })
	if i < 0 {
		return
	}
	r.count--
	r.keys[key] = slices.Delete(r.keys[key], i, i+1)
	if len(r.keys[key]) == 0 {
		delete(r.keys, key)
		r.order = nil
	}
}

// nulls returns the ranks of the null versions, by key.
func (r *reference) nulls() map[string]int {
	ranks := map[string]int{}
	for key, versions := range r.keys {
		for _, v := range versions {
			if v.id == meta.NullVersion {
				ranks[key] = v.rank
			}
		}
	}
	return ranks
}

// delete is what a delete without a version id does; id is that of the marker it
// makes, if it makes one.
func (r *reference) delete(key, id string) {
	if r.state == meta.Unversioned {
		r.drop(key, meta.NullVersion)
		return
	}
	r.add(key, id, true)
}

func (r *reference) sorted() []string {
	if r.order == nil {
		r.order = slices.Sorted(maps.Keys(r.keys))
	}
	return r.order
}

// rollUp returns the name that shows a key, and whether it is a common prefix.
func rollUp(key, prefix, delimiter string) (string, bool) {
	if delimiter != "" {
		if head, _, found := strings.Cut(key[len(prefix):], delimiter); found {
			return prefix + head + delimiter, true
		}
	}
	return key, false
}

// names returns what a listing without a marker and a limit shows: of current
// objects, or of keys with any version.
func (r *reference) names(prefix, delimiter string, versions bool) (names []string, prefixes map[string]bool) {
	prefixes = map[string]bool{}
	for _, key := range r.sorted() {
		if !strings.HasPrefix(key, prefix) || !versions && r.keys[key][0].marker {
			continue
		}
		name, common := rollUp(key, prefix, delimiter)
		if prefixes[name] {
			continue
		}
		if common {
			prefixes[name] = true
		}
		names = append(names, name)
	}
	return names, prefixes
}

// objects lists current objects.
func (r *reference) objects(req meta.ListRequest) (page meta.ListPage) {
	names, prefixes := r.names(req.Prefix, req.Delimiter, false)
	names = slices.DeleteFunc(names, func(name string) bool { return name <= req.After })
	if req.After == "" {
		names, prefixes = r.names(req.Prefix, req.Delimiter, false)
	}
	if req.Limit > 0 && len(names) > req.Limit {
		page.Truncated, page.Next = true, names[req.Limit-1]
	}
	for _, name := range names[:min(req.Limit, len(names))] {
		if prefixes[name] {
			page.Prefixes = append(page.Prefixes, name)
		} else {
			page.Objects = append(page.Objects, meta.Listed{Key: name})
		}
	}
	return page
}

// versions lists versions.
func (r *reference) versions(req meta.VersionsRequest) (page meta.VersionsPage) {
	names, prefixes := r.names(req.Prefix, req.Delimiter, true)
	for _, name := range names {
		switch {
		case req.KeyMarker != "" && name < req.KeyMarker, name == req.KeyMarker && prefixes[name]:
			continue
		case prefixes[name]:
			if r.full(&page, req.Limit) {
				return page
			}
			page.Prefixes = append(page.Prefixes, name)
			page.NextKeyMarker, page.NextVersionIDMarker = name, ""
			continue
		}
		for i, v := range r.keys[name] {
			if name == req.KeyMarker && req.KeyMarker != "" && !r.behind(v, req) {
				continue
			}
			if r.full(&page, req.Limit) {
				return page
			}
			o := meta.Object{Key: name, VersionID: v.id, DeleteMarker: v.marker}
			page.Versions = append(page.Versions, meta.Version{Object: o, Latest: i == 0})
			page.NextKeyMarker, page.NextVersionIDMarker = name, v.id
		}
	}
	page.NextKeyMarker, page.NextVersionIDMarker = "", ""
	return page
}

// full reports that there is no room for a further entry, which a page of none
// does not say.
func (r *reference) full(page *meta.VersionsPage, limit int) bool {
	if len(page.Versions)+len(page.Prefixes) < limit {
		return false
	}
	page.Truncated = limit > 0
	return true
}

// behind reports whether a version of the marker's key comes after the marker.
func (r *reference) behind(v version, req meta.VersionsRequest) bool {
	switch req.VersionIDMarker {
	case "":
		return false
	case meta.NullVersion:
		for _, null := range r.keys[req.KeyMarker] {
			if null.id == meta.NullVersion {
				return v.rank < null.rank
			}
		}
		return true // it is gone, and its place with it
	}
	return v.rank < r.ranks[req.VersionIDMarker]
}
