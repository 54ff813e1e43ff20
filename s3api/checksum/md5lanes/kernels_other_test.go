//go:build !amd64

package md5lanes

// kernels are all kernels that this processor has.
func kernels() map[string]kernel { return nil }
