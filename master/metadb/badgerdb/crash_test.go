package badgerdb

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tdkvs/master/metadb"
)

// writerEnv turns the test binary into the process that the crash test kills.
const writerEnv = "TDKVS_BADGERDB_WRITE_TO"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		if err := writeForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if dir := os.Getenv(restorerEnv); dir != "" {
		if err := restoreTo(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const crashWriters = 8

// writeForEver counts up two keys per writer, always together, beside ballast
// that keeps logs rotating and tables compacting. Each count goes to standard
// output once it is acknowledged, in one write.
func writeForEver(dir string) error {
	db, err := Open(dir, Options{Reserve: 1, MemTableSize: smallest})
	if err != nil {
		return err
	}
	ctx := context.Background()
	errs := make(chan error, crashWriters)
	for g := range crashWriters {
		go func() {
			for {
				var n uint64
				err := db.Update(ctx, func(tx metadb.Tx) error {
					var err error
					if n, err = bump(tx, g); err != nil {
						return err
					}
					return tx.Set(fmt.Appendf(nil, "ballast/%d/%d", g, n%50), make([]byte, 20<<10))
				})
				if err == nil {
					_, err = fmt.Printf("%d %d\n", g, n)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	return <-errs
}

func bump(tx metadb.Tx, g int) (uint64, error) {
	n, err := counter(tx, "x", g)
	if err != nil {
		return 0, err
	}
	n++
	v := binary.BigEndian.AppendUint64(nil, n)
	return n, errors.Join(tx.Set(fmt.Appendf(nil, "x/%d", g), v), tx.Set(fmt.Appendf(nil, "y/%d", g), v))
}

func counter(tx metadb.Tx, name string, g int) (uint64, error) {
	v, err := tx.Get(fmt.Appendf(nil, "%s/%d", name, g))
	if errors.Is(err, metadb.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

// TestKill kills a writing process again and again: what it acknowledged must be
// there, and nothing by halves.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(7, 7))
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	total := uint64(0)
	for round := range rounds {
		acked := runAndKill(t, dir, 20+rnd.IntN(200))
		db := mustOpen(t, dir, Options{MemTableSize: smallest})
		err := db.View(t.Context(), func(tx metadb.Tx) error {
			for g := range crashWriters {
				x, errX := counter(tx, "x", g)
				y, errY := counter(tx, "y", g)
				if err := errors.Join(errX, errY); err != nil {
					return err
				}
				if x != y || x < acked[g] {
					return fmt.Errorf("writer %d: %d was acknowledged, the store has %d and %d", g, acked[g], x, y)
				}
				total = max(total, x)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := db.Close(); err != nil {
			t.Fatalf("round %d: Close: %v", round, err)
		}
	}
	if total == 0 {
		t.Error("nothing was written")
	}
}

// runAndKill starts a writer, kills it after some acknowledgments, and returns
// the last one of each of its goroutines.
func runAndKill(t *testing.T, dir string, after int) (acked [crashWriters]uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerEnv+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill := func() { once.Do(func() { _ = cmd.Process.Kill() }) }
	timer := time.AfterFunc(patience, kill) // should it hang
	defer timer.Stop()
	lines := bufio.NewScanner(out)
	seen := 0
	for lines.Scan() { // to the end of the pipe: what was printed was acknowledged
		g, n, ok := strings.Cut(lines.Text(), " ")
		writer, errG := strconv.Atoi(g)
		count, errN := strconv.ParseUint(n, 10, 64)
		if !ok || errG != nil || errN != nil || writer >= crashWriters {
			continue // cut off by the kill
		}
		acked[writer] = max(acked[writer], count)
		if seen++; seen == after {
			kill()
		}
	}
	if err := cmd.Wait(); err == nil || seen < after {
		t.Fatalf("the writer ended by itself after %d acknowledgments: %v\n%s", seen, err, stderr.String())
	}
	return acked
}
