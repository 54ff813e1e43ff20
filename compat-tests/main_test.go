package compattests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// scratch is the directory of this run's binary, made by TestMain before any test and constant from then on.
var scratch string

func TestMain(m *testing.M) {
	if name := os.Getenv(withoutVariable); name != "" {
		fmt.Fprintln(os.Stderr, runWithout(name)) // it returns only where it fails
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "tdkvs-compat-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scratch = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// buildBinary builds tdkvs once per run and returns its path.
var buildBinary = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("TDKVS_BINARY"); given != "" {
		return filepath.Abs(given)
	}
	path := filepath.Join(scratch, "tdkvs")
	args := []string{"build", "-o", path}
	if os.Getenv("TDKVS_BUILD_RACE") == "1" {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "../cmd/tdkvs")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// binary returns the path of the binary under test.
func binary(t testing.TB) string {
	t.Helper()
	path, err := buildBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// sizeFromEnv returns the positive number in an environment variable, or the default.
func sizeFromEnv(t testing.TB, name string, def int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: want a positive number", name, text)
	}
	return n
}

// seed returns the seed of the test's random choices: that of TDKVS_SEED, or a new one. It logs it.
func seed(t testing.TB) uint64 {
	t.Helper()
	s := uint64(time.Now().UnixNano())
	if text := os.Getenv("TDKVS_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("TDKVS_SEED=%s: %v", text, err)
		}
		s = given
	}
	t.Logf("random choices of TDKVS_SEED=%d", s)
	return s
}

// newRand returns a source of random choices for one user of a seed.
func newRand(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }
