//go:build !amd64

package md5lanes

// kernels are all block functions that this processor has.
func kernels() map[string]blockFunc { return nil }
