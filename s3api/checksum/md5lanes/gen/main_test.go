package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestUpToDate looks that the assembly is what the generator writes.
func TestUpToDate(t *testing.T) {
	t.Parallel()
	was, err := os.ReadFile(filepath.Join("..", output))
	if err != nil || !bytes.Equal(was, assembly()) {
		t.Errorf("%s is not what the generator writes: go generate ./... (%v)", output, err)
	}
}
