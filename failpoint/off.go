//go:build !failpoints

package failpoint

// At is a point at which a test may kill the process: here it is nothing.
func At(string) {}

// Mutated reports whether a mistake is to be made on purpose: never.
func Mutated(string) bool { return false }

// Or returns what is usual; the laboratory has smaller files and shorter pauses, so
// that everything happens often.
func Or[T any](usual, _ T) T { return usual }
