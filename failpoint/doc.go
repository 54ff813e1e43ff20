// Package failpoint names the places in the code at which the tests of crashes kill the process: between the steps of
// whatever takes several. A build without the tag "failpoints", as every release is, has nothing of them in it: At is an
// empty function, and its argument is gone with it. A test reads the binary to see that.
//
// A build with the tag obeys TDKVS_FAILPOINT: items with commas between them, or
//
//	list    write the names of all points, one a line, and end
//	@FILE   the items that the file has, as soon as it is written: nothing while it is empty
//
// The items are
//
//	NAME=N          kill the process, by SIGKILL to itself, when it comes to the point for the N-th time
//	mutation=NAME   make a mistake on purpose, which the tests must notice
//
// All points are listed in points.go, and a test compares the list with the code: each name stands in one place.
package failpoint
