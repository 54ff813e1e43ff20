package compattests

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// op makes an operation of a history that lasted from one moment to another.
func op(call, ret int64, in asked, out answered) porcupine.Operation {
	return porcupine.Operation{Call: call, Return: ret, Input: in, Output: out}
}

// TestLinearityChecker feeds the checker histories that are known to be right or wrong: a checker that takes everything
// proves nothing.
func TestLinearityChecker(t *testing.T) {
	t.Parallel()
	put := func(n int) asked { return asked{action: doPut, write: n} }
	create := func(n int) asked { return asked{action: doPut, write: n, ifNone: true} }
	change := func(n, of int) asked { return asked{action: doPut, write: n, ifMatch: of} }
	remove := func(n int) asked { return asked{action: doDelete, write: n} }
	get, list := asked{action: doRead}, asked{action: doList}
	getVersion := func(id string) asked { return asked{action: doReadVersion, version: id} }
	removeVersion := func(id string) asked { return asked{action: doDeleteVersion, version: id} }
	ok, no, none, gone := answered{result: done}, answered{result: failed}, answered{result: absent}, answered{result: lost}
	saw := func(n int) answered { return answered{result: done, write: n} }
	made := func(id string) answered { return answered{result: done, version: id} }
	marked := func(id string) answered { return answered{result: done, version: id, marker: true} }
	sawVersion := func(n int, id string) answered { return answered{result: done, write: n, version: id} }
	const end = openEnd
	for _, c := range []struct {
		what    string
		mode    mode
		right   bool
		history []porcupine.Operation
	}{
		{"nothing", unversioned, true, nil},
		{"one of two creators wins", unversioned, true, []porcupine.Operation{op(1, 5, create(1), ok), op(2, 4, create(2), no), op(6, 7, get, saw(1))}},
		{"two creators win", unversioned, false, []porcupine.Operation{op(1, 5, create(1), ok), op(2, 4, create(2), ok)}},
		{"no creator wins", unversioned, false, []porcupine.Operation{op(1, 5, create(1), no), op(2, 4, create(2), no)}},
		{"two changes of one ETag win", unversioned, false, []porcupine.Operation{op(1, 2, put(1), ok), op(3, 5, change(2, 1), ok), op(4, 6, change(3, 1), ok)}},
		{"a change of what is gone", unversioned, true, []porcupine.Operation{op(1, 2, put(1), ok), op(3, 4, remove(2), ok), op(5, 6, change(3, 1), none)}},
		{"a change of what is gone wins", unversioned, false, []porcupine.Operation{op(1, 2, put(1), ok), op(3, 4, remove(2), ok), op(5, 6, change(3, 1), ok)}},
		{"a stale read", unversioned, false, []porcupine.Operation{op(1, 2, put(1), ok), op(3, 4, put(2), ok), op(5, 6, get, saw(1))}},
		{"an acknowledged write is lost", unversioned, false, []porcupine.Operation{op(1, 2, put(1), ok), op(3, 4, get, none)}},
		{"a refused write is there", unversioned, false, []porcupine.Operation{op(1, 2, put(1), ok), op(3, 4, create(2), no), op(5, 6, get, saw(2))}},
		{"reads go back in time", unversioned, false, []porcupine.Operation{op(1, 9, put(1), ok), op(2, 9, put(2), ok), op(3, 4, get, saw(1)), op(5, 6, get, saw(2)), op(7, 8, get, saw(1))}},
		{"a write without an answer is there", unversioned, true, []porcupine.Operation{op(1, end, put(1), gone), op(2, 3, get, saw(1))}},
		{"a write without an answer is not there", unversioned, true, []porcupine.Operation{op(1, end, put(1), gone), op(2, 3, get, none)}},
		{"a write without an answer goes away again", unversioned, false, []porcupine.Operation{op(1, end, put(1), gone), op(2, 3, get, saw(1)), op(4, 5, get, none)}},
		{"a delete without an answer undoes a write", unversioned, true, []porcupine.Operation{op(1, 2, put(1), ok), op(3, end, remove(2), gone), op(4, 5, get, none)}},
		{"a creator without an answer comes after a write", unversioned, false, []porcupine.Operation{op(1, 2, put(1), ok), op(3, end, create(2), gone), op(4, 5, get, saw(2))}},
		{"a change refused with 409 does nothing", unversioned, false, []porcupine.Operation{op(1, 2, put(1), ok), op(3, 4, change(2, 1), answered{result: conflicted}), op(5, 6, get, saw(2))}},

		{"a version is read by its id", versioned, true, []porcupine.Operation{op(1, 2, put(1), made("a")), op(3, 4, put(2), made("b")), op(5, 6, getVersion("a"), sawVersion(1, "a"))}},
		{"a version has another's bytes", versioned, false, []porcupine.Operation{op(1, 2, put(1), made("a")), op(3, 4, put(2), made("b")), op(5, 6, getVersion("a"), sawVersion(2, "a"))}},
		{"a kept version is gone", versioned, false, []porcupine.Operation{op(1, 2, put(1), made("a")), op(3, 4, put(2), made("b")), op(5, 6, getVersion("a"), none)}},
		{"a removed version is there", versioned, false, []porcupine.Operation{op(1, 2, put(1), made("a")), op(3, 4, removeVersion("a"), made("a")), op(5, 6, getVersion("a"), sawVersion(1, "a"))}},
		{"the version below shows again", versioned, true, []porcupine.Operation{op(1, 2, put(1), made("a")), op(3, 4, put(2), made("b")), op(5, 6, removeVersion("b"), made("b")), op(7, 8, get, sawVersion(1, "a"))}},
		{"a delete marker lets one create", versioned, true, []porcupine.Operation{op(1, 2, put(1), made("a")), op(3, 4, remove(2), marked("b")), op(5, 6, create(3), made("c")), op(7, 8, getVersion("b"), answered{result: isMarker})}},
		{"a delete makes no marker", versioned, false, []porcupine.Operation{op(1, 2, put(1), made("a")), op(3, 4, remove(2), ok)}},
		{"a marker without an answer is found", versioned, true, []porcupine.Operation{op(1, 2, put(1), made("a")), op(3, end, remove(2), gone), op(4, 5, get, answered{result: absent, version: "x", marker: true}), op(6, 7, removeVersion("x"), marked("x")), op(8, 9, get, sawVersion(1, "a"))}},
		{"one marker has two ids", versioned, false, []porcupine.Operation{op(1, end, remove(1), gone), op(4, 5, get, answered{result: absent, version: "x", marker: true}), op(6, 7, get, answered{result: absent, version: "y", marker: true})}},
		{"a listing in order", versioned, true, []porcupine.Operation{op(1, 4, put(1), made("a")), op(2, 3, put(2), made("b")), op(5, 6, list, answered{listed: []version{{"a", 1}, {"b", 2}}})}},
		{"a listing out of order", versioned, false, []porcupine.Operation{op(1, 2, put(1), made("a")), op(3, 4, put(2), made("b")), op(5, 6, list, answered{listed: []version{{"a", 1}, {"b", 2}}})}},
		{"a listing lacks a version", versioned, false, []porcupine.Operation{op(1, 2, put(1), made("a")), op(3, 4, put(2), made("b")), op(5, 6, list, answered{listed: []version{{"b", 2}}})}},

		{"the null version is replaced", suspended, true, []porcupine.Operation{op(1, 2, put(1), ok), op(3, 4, put(2), ok), op(5, 6, list, answered{listed: []version{{"null", 2}}})}},
		{"two null versions", suspended, false, []porcupine.Operation{op(1, 2, put(1), ok), op(3, 4, put(2), ok), op(5, 6, list, answered{listed: []version{{"null", 2}, {"null", 1}}})}},
		{"a null marker replaces the null version", suspended, true, []porcupine.Operation{op(1, 2, put(1), ok), op(3, 4, remove(2), marked("null")), op(5, 6, getVersion("null"), answered{result: isMarker}), op(7, 8, removeVersion("null"), marked("null")), op(9, 10, get, none)}},
		{"an id while suspended", suspended, false, []porcupine.Operation{op(1, 2, put(1), made("a"))}},
	} {
		want := porcupine.Illegal
		if c.right {
			want = porcupine.Ok
		}
		if got := porcupine.CheckOperationsTimeout(modelOf(c.mode, nil, c.history), c.history, time.Minute); got != want {
			t.Errorf("%s: %s, want %s", c.what, got, want)
		}
	}
}
