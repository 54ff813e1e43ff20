package compattests

import (
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// The model of one key for the checker of linear_test.go. A value is the number of the write that made it: every write
// has a body of its own, so that an ETag leads back to it. The state is the key's versions; a key of a bucket without
// versioning has at most one, which has no version id.

// mode is how a bucket keeps versions.
type mode string

const (
	unversioned mode = "unversioned"
	versioned   mode = "versioned"
	suspended   mode = "suspended"
)

const nullVersion = "null"

// action is what a request asks for.
type action string

const (
	doPut           action = "put" // by PutObject, CopyObject or CompleteMultipartUpload
	doDelete        action = "delete"
	doRead          action = "read"
	doReadVersion   action = "read version"
	doDeleteVersion action = "delete version"
	doList          action = "list versions"
)

// asked is the input of an operation.
type asked struct {
	action  action
	write   int    // the number of a put, or of a delete
	ifNone  bool   // If-None-Match: *
	ifMatch int    // If-Match with the ETag of this write; 0: no such condition
	version string // the version asked for
}

// outcome is the kind of an answer.
type outcome string

const (
	lost       outcome = "lost"     // no answer, or one of 5xx: the write happened, or happens later, or never
	done       outcome = "done"     // 2xx
	absent     outcome = "absent"   // 404
	failed     outcome = "failed"   // 412
	conflicted outcome = "conflict" // 409: nothing was done
	isMarker   outcome = "marker"   // 405: the version asked for is a delete marker
)

// answered is the output of an operation.
type answered struct {
	result  outcome
	write   int       // that a read found
	version string    // that the answer names
	marker  bool      // the answer names a delete marker
	listed  []version // by a list, newest first
}

// version is one version of a key, or a delete marker.
type version struct {
	id    string
	write int // 0: a delete marker
}

// unknownID stands for the id of a delete marker whose answer was lost, until a read names it.
const unknownID = "?"

// state is a key's versions, newest first. It is not changed once it is made.
type state []version

func (s state) equal(other state) bool { return slices.Equal(s, other) }

func (s state) hash() uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, s.String()) // never fails, by its contract
	return h.Sum64()
}

func (s state) String() string {
	var b strings.Builder
	for _, v := range s {
		fmt.Fprintf(&b, "[%d %s]", v.write, v.id)
	}
	return b.String()
}

// current is the number of the write that a plain read finds; 0: none.
func (s state) current() int {
	if len(s) == 0 {
		return 0
	}
	return s[0].write
}

func (s state) find(id string) int {
	return slices.IndexFunc(s, func(v version) bool { return v.id == id })
}

func (s state) without(id string) state {
	return slices.DeleteFunc(slices.Clone(s), func(v version) bool { return v.id == id })
}

// keyModel is the model of a key in a bucket of one mode.
type keyModel struct {
	mode  mode
	first state // before the history
	// ids are the version ids of writes, from whatever answer named them.
	ids map[int]string
	// newer holds, for each version, those that some listing shows below it. None of them can have been made after it; to
	// look at that at once, and not when the list comes, keeps the search short.
	newer map[string]map[string]bool
}

// porcupine is the model in the checker's form.
func (m *keyModel) porcupine() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return m.first },
		Step: func(s, in, out any) (bool, any) {
			ok, next := m.step(s.(state), in.(asked), out.(answered))
			return ok, next
		},
		Equal:             func(a, b any) bool { return a.(state).equal(b.(state)) },
		Hash:              func(s any) uint64 { return s.(state).hash() },
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
		DescribeState:     func(s any) string { return s.(state).String() },
	}
}

// step reports whether an operation may have this answer in this state, and returns the state after it.
func (m *keyModel) step(s state, in asked, out answered) (bool, state) {
	switch in.action {
	case doPut, doDelete:
		return m.write(s, in, out)
	case doRead:
		return read(s, out)
	case doReadVersion:
		at := s.find(in.version)
		switch {
		case at < 0:
			return out.result == absent, s
		case s[at].write == 0:
			return out.result == isMarker, s
		}
		return out.result == done && out.write == s[at].write && out.version == in.version, s
	case doDeleteVersion:
		at := s.find(in.version)
		marker := at >= 0 && s[at].write == 0
		return out.result == lost || out.result == done && out.version == in.version && out.marker == marker, s.without(in.version)
	case doList:
		return m.list(s, out)
	}
	return false, s
}

// write is a put or a delete of the current version.
func (m *keyModel) write(s state, in asked, out answered) (bool, state) {
	if out.result == conflicted {
		return true, s
	}
	expected := in.expected(s.current())
	if expected != done {
		return out.result == lost || out.result == expected, s
	}
	if out.result != lost && out.result != done {
		return false, s
	}
	made := version{id: m.idOf(in, out)}
	if in.action == doPut {
		made.write = in.write
	}
	if out.result == done && !m.names(out, made) {
		return false, s
	}
	if m.mode != versioned {
		s = s.without(made.id)
	}
	if m.mode == unversioned && in.action == doDelete {
		return true, s
	}
	return m.mayFollow(s, made), append(state{made}, s...)
}

// names reports whether an answer says what was made. One of a suspended bucket does not name the null version that a put
// has made, as on AWS, but does name a delete marker.
func (m *keyModel) names(out answered, made version) bool {
	marker := made.write == 0 && m.mode != unversioned
	if m.mode == suspended && !marker {
		return out.version == "" && !out.marker
	}
	return out.version == made.id && out.marker == marker
}

// expected is the answer that the conditions demand. Source: AWS "Prevent object overwrites with conditional writes".
func (a asked) expected(current int) outcome {
	switch {
	case a.ifNone && current != 0:
		return failed
	case a.ifMatch != 0 && current == 0:
		return absent
	case a.ifMatch != 0 && a.ifMatch != current:
		return failed
	}
	return done
}

// idOf is the id of the version that a write makes.
func (m *keyModel) idOf(in asked, out answered) string {
	switch id, known := m.ids[in.write]; {
	case m.mode == unversioned:
		return ""
	case m.mode == suspended:
		return nullVersion
	case known:
		return id
	case out.result == done:
		return out.version
	}
	return fmt.Sprint(unknownID, in.write)
}

// mayFollow reports whether v may be newer than all of s, by the listings.
func (m *keyModel) mayFollow(s state, v version) bool {
	if m.mode != versioned {
		return true // the null version changes its place
	}
	for _, older := range s {
		if m.newer[older.id][v.id] {
			return false
		}
	}
	return true
}

// read is a read of the current version. It may tell the id of a delete marker that nobody knew.
func read(s state, out answered) (bool, state) {
	switch {
	case len(s) == 0:
		return out.result == absent && !out.marker, s
	case s[0].write != 0:
		return out.result == done && out.write == s[0].write && out.version == s[0].id, s
	case out.result != absent || !out.marker:
		return false, s
	}
	return s.named(out.version, 0)
}

// named returns the state in which the delete marker at a place has this id, provided that it may have.
func (s state) named(id string, at int) (bool, state) {
	if s[at].id == id {
		return true, s
	}
	if !strings.HasPrefix(s[at].id, unknownID) || s.find(id) >= 0 {
		return false, s
	}
	s = slices.Clone(s)
	s[at].id = id
	return true, s
}

// list is a listing of the key's versions.
func (m *keyModel) list(s state, out answered) (bool, state) {
	if len(s) != len(out.listed) {
		return false, s
	}
	for i, v := range out.listed {
		if s[i].write != v.write {
			return false, s
		}
		var ok bool
		if ok, s = s.named(v.id, i); !ok {
			return false, s
		}
	}
	return true, s
}

// modelOf prepares the model for a key's history.
func modelOf(m mode, first state, history []porcupine.Operation) porcupine.Model {
	k := &keyModel{mode: m, first: first, ids: map[int]string{}, newer: map[string]map[string]bool{}}
	for _, op := range history {
		in, out := op.Input.(asked), op.Output.(answered)
		switch {
		case (in.action == doDelete || in.action == doPut) && out.result == done:
			k.ids[in.write] = out.version
		case (in.action == doRead || in.action == doReadVersion) && out.write != 0:
			k.ids[out.write] = out.version
		}
		for i, v := range out.listed {
			if v.write != 0 {
				k.ids[v.write] = v.id
			}
			if k.newer[v.id] == nil {
				k.newer[v.id] = map[string]bool{}
			}
			for _, below := range out.listed[i+1:] {
				k.newer[v.id][below.id] = true
			}
		}
	}
	return k.porcupine()
}

// withoutGhosts leaves out what certainly did not happen, of a history that ends with a listing of the versions that were
// kept and a read: puts without an answer whose version nobody ever saw (to remove it, one must have known its id), and deletes
// without an answer where nobody saw a delete marker that no answer explains.
func withoutGhosts(m mode, history []porcupine.Operation) []porcupine.Operation {
	if n := len(history); m != versioned || n < 2 || history[n-2].Input.(asked).action != doList {
		return history
	}
	seen, explained := map[int]bool{}, map[string]bool{}
	for _, op := range history {
		in, out := op.Input.(asked), op.Output.(answered)
		seen[out.write] = true
		for _, v := range out.listed {
			seen[v.write] = true
		}
		if in.action == doDelete && out.result == done {
			explained[out.version] = true
		}
	}
	mystery := slices.ContainsFunc(history, func(op porcupine.Operation) bool {
		out := op.Output.(answered)
		return op.Input.(asked).action != doDelete && out.marker && !explained[out.version] ||
			slices.ContainsFunc(out.listed, func(v version) bool { return v.write == 0 && !explained[v.id] })
	})
	return slices.DeleteFunc(slices.Clone(history), func(op porcupine.Operation) bool {
		in := op.Input.(asked)
		return op.Output.(answered).result == lost && (in.action == doPut && !seen[in.write] || in.action == doDelete && !mystery)
	})
}
