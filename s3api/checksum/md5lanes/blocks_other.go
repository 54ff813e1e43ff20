//go:build !amd64

package md5lanes

// kernel returns the block function that suits the processor: there is none.
func kernel() blockFunc { return nil }
