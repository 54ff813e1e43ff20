package volume_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutation is a mistake in the store that a test must find.
type mutation struct {
	name string
	file string
	from string // occurs once in the file
	to   string
	test string // what finds it; empty: the laboratory

	seeds string // TDKVS_FAULT_SEEDS; empty: as usual
}

// laboratoryTests are the tests of faults and power cuts.
const laboratoryTests = "^(TestFaultMatrix|TestPowerCuts|TestFlippedReads)$"

// shortMutations is how many of the mutations are tried where TDKVS_MUTATIONS
// does not say "all".
const shortMutations = 2

// mutations returns the negative controls of the laboratory: what an author
// could forget, or get wrong. The first ones are tried every time.
func mutations() []mutation {
	return append(append(mutatedWrites(), mutatedRecovery()...), mutatedReads()...)
}

func mutatedWrites() []mutation {
	return []mutation{
		{name: "acknowledged before the sync", file: "tail.go",
			from: "	if err := j.s.sync(j.active.file); err != nil {\n		return j.s.fail(\"sync segment\", err)\n	}\n	failpoint.At(\"log/synced\")\n	j.publish(batch)",
			to:   "	j.publish(batch)"},
		{name: "a block is read without its checksum", file: "reader.go",
			from: "if !checkSum(raw, r.id, uint32(block)) {", to: "if false {"},
		{name: "visible before the sync", file: "tail.go",
			from: "	if err := j.s.sync(j.active.file); err != nil {\n		return j.s.fail(\"sync segment\", err)\n	}\n	failpoint.At(\"log/synced\")\n	j.publish(batch)",
			to:   "	j.publish(batch)\n	if err := j.s.sync(j.active.file); err != nil {\n		return j.s.fail(\"sync segment\", err)\n	}",
			test: "^TestFailedSyncIsFinal$"},
		{name: "what is unsynced stays so", file: "put_unsynced.go",
			from: "!j.watched && j.s.cfg.SyncAfter > 0 {", to: "false {", test: "^TestSyncAfter$"},
		{name: "the sync of another does not cover what is unsynced", file: "tail.go",
			from: "if total == 0 && !j.unsynced {", to: "if total == 0 {", test: "^TestSyncAfter$"},
		{name: "a refused batch is not cut off", file: "tail.go",
			from: "if err := j.active.file.Truncate(j.end); err != nil {\n		return j.s.fail(\"cut segment back\", err)", to: "if err := error(nil); err != nil {\n		return err"},
		{name: "the cut of a refused batch is not synced", file: "tail.go",
			from: "	// Without the sync a power cut could bring the refused records back.\n	if err := j.s.sync(j.active.file); err != nil {", to: "	if err := error(nil); err != nil {", test: "^TestNoSpaceLeavesNothing$"},
		{name: "the name of a segment is not synced", file: "tail.go",
			from: "if err := j.s.syncDir(j.s.segs.dir); err != nil {", to: "if err := error(nil); err != nil {"},
		{name: "a failed sync is not final", file: "store.go",
			from: "if s.broken.CompareAndSwap(nil, &brokenError{op, err}) {", to: "if s.failure() != nil {"},
		{name: "a full disk is final", file: "store.go",
			from: "	if isNoSpace(err) {\n		return fmt.Errorf(\"%w: %w\", ErrNoSpace, err)\n	}\n	return s.fail(op, err)", to: "	return s.fail(op, err)"},
		{name: "the bytes of a large blob are not synced", file: "large.go",
			from: "if err := w.s.sync(w.file); err != nil {", to: "if err := error(nil); err != nil {"},
		{name: "the name of a large blob is not synced", file: "large.go",
			from: "	if err := s.syncDir(dir); err != nil {\n		return errors.Join(", to: "	if err := error(nil); err != nil {\n		return errors.Join("},
		{name: "the removal of a large blob is not synced", file: "large.go",
			from: "		if err := s.syncDir(dir); err != nil {\n			s.fanout.mu.Lock()", to: "		if err := error(nil); err != nil {\n			_ = dir\n			s.fanout.mu.Lock()"},
		{name: "a removal that could not be synced is forgotten", file: "blobs.go",
			from: "if err := s.syncOwed(); err != nil {", to: "if err := error(nil); err != nil {", test: "^TestDeletionWithoutDescriptors$"},
		{name: "a large blob is not renamed but written in place", file: "large.go",
			from: "	tmp := s.path(tempDir, fmt.Sprintf(\"%s.%d\", b.id, s.temps.Add(1)))", to: "	_ = s.makeLargeDir(s.largeDir(b.id))\n	tmp := s.largePath(b.id, largeEntry(b.size, 1))"},
		{name: "an identity is not synced before its name", file: "vfs/durable.go",
			from: "if err := f.Sync(); err != nil {", to: "if err := error(nil); err != nil {"},
		{name: "the name of an identity is not synced", file: "vfs/durable.go",
			from: "if err := fsys.SyncDir(filepath.Dir(name)); err != nil {", to: "_ = filepath.Dir\n	if err := error(nil); err != nil {"},
		{name: "a compacted segment goes before its copies are durable", file: "compact.go",
			from: "	if err := c.flush(); err != nil {\n		return err\n	}\n	return c.remove()",
			to:   "	if err := c.s.fs.Remove(c.from.file.Name()); err != nil {\n		return err\n	}\n	if err := c.s.syncDir(c.s.segs.dir); err != nil {\n		return err\n	}\n	if err := c.flush(); err != nil {\n		return err\n	}\n	return c.remove()"},
		{name: "compaction drops tombstones", file: "compact.go",
			from: "if c.s.segs.needed(c.from.num, uint32(h.payload>>32)) {", to: "if false {", test: "^(TestTombstoneMovesAlong|TestModel)$"},
		{name: "the removal of a compacted segment is not synced", file: "compact.go",
			from: "if err := s.syncDir(s.segs.dir); err != nil {", to: "if err := error(nil); err != nil {"},
		{name: "compaction copies what it has not verified", file: "verify.go",
			from: "if bad := badPart(b, &h); bad != nil {", to: "if bad := badPart(b, &h); bad != nil && b == nil {"},
	}
}

func mutatedRecovery() []mutation {
	return []mutation{
		{name: "a torn record is kept", file: "recover.go",
			from: "if !ok || now != *h || h.kind == kindBlob && badPart(b, h) != nil {", to: "if _ = now; !ok {"},
		{name: "what a failed sync lost is not written again", file: "recover.go",
			from: "_, err = g.file.WriteAt(b, int64(h.off))", to: "", test: "^TestFailedSyncIsFinal$"},
		{name: "a footer that a failed sync lost is not written again", file: "load.go",
			from: "	if _, err := g.file.WriteAt(appendTrailer(slices.Clone(rows), s.seed, g.num, end), end); err != nil {\n		return err\n	}\n", to: ""},
		{name: "what recovery found is not synced", file: "load.go",
			from: "	if err := s.sync(file); err != nil {\n		return err\n	}\n	return s.syncDir(s.segs.dir)", to: "	return s.syncDir(s.segs.dir)"},
		{name: "the names of segments are not synced at the start", file: "load.go",
			from: "	if err := s.sync(file); err != nil {\n		return err\n	}\n	return s.syncDir(s.segs.dir)", to: "	return s.sync(file)", test: "^TestPowerCuts$/^operations$/and_compact", seeds: "30"},
		{name: "a torn end is not cut off", file: "recover.go",
			from: "if err := g.file.Truncate(end); err != nil {", to: "if err := error(nil); err != nil {", test: "^TestStaleRecordStaysAway$"},
		{name: "all is torn behind the first gap", file: "recover.go",
			from: "if gap.from >= durable {", to: "if true {", test: "^TestQuarantine$"},
		{name: "nothing is torn", file: "recover.go",
			from: "	if err := s.cutTorn(g, scan, durable); err != nil {\n		return err\n	}\n", to: "	_ = s.cutTorn\n"},
		{name: "directories of large blobs are not synced at the start", file: "large.go",
			from: "		if err := s.syncDir(name); err != nil {", to: "		if err := error(nil); err != nil {"},
		{name: "tombstones are not read", file: "load.go",
			from: "	s.index.remove(h.id, e)\n", to: ""},
		{name: "temporary files stay", file: "store.go",
			from: "		if err := s.fs.Remove(s.path(tempDir, entry.Name())); err != nil {", to: "		if _ = entry; err != nil {", test: "^TestTemporaryFilesGo$"},
	}
}

func mutatedReads() []mutation {
	return []mutation{
		{name: "a descriptor is read without its checksum", file: "verify.go",
			from: "if !checkSum(b, h.id, descriptorBlock) {", to: "if false {"},
		{name: "a header is believed without its sum", file: "record.go",
			from: "if le.Uint32(b[60:]) != s.sum(b[:60]) || h.seg", to: "if h.seg", test: "^(TestFlipAnyByte|TestRandomDamage)$"},
		{name: "a record is believed wherever it lies", file: "record.go",
			from: "h.seg != seg || h.off != off || ", to: "", test: "^(TestEmbeddedRecord|TestStaleRecordStaysAway)$"},
		{name: "a footer is believed without its sum", file: "footer.go",
			from: "if s.sum(rows) != t.sum || !validRows(", to: "if !validRows(", test: "^(TestFlippedReads|TestFlipAnyByte)$"},
		{name: "the checksum of a block does not say which block", file: "crc.go",
			from: "sum = castagnoli[byte(sum)^byte(index)] ^ sum>>8", to: "sum = castagnoli[byte(sum)] ^ sum>>8", test: "^TestMisplacedBlocks$"},
	}
}

// TestMutations makes one mistake at a time in the code of the store, builds it
// anew, and sees a test fail.
func TestMutations(t *testing.T) {
	t.Parallel()
	list := mutations()
	if os.Getenv("TDKVS_MUTATIONS") != "all" {
		list = list[:shortMutations]
	}
	for _, m := range list {
		t.Run(m.name, func(t *testing.T) { m.check(t) })
	}
}

// TestMutationsApply: what is to be mutated is in the code, also where there is no time to
// try all.
func TestMutationsApply(t *testing.T) {
	t.Parallel()
	for _, m := range mutations() {
		m.source(t)
	}
}

// source returns the file that a mutation changes, and the code in it.
func (m *mutation) source(t *testing.T) (path, code string) {
	t.Helper()
	path, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), m.from); n != 1 {
		t.Fatalf("%s: found %d times what is to be mutated:\n%s", m.file, n, m.from)
	}
	return path, string(b)
}

func (m *mutation) check(t *testing.T) {
	t.Helper()
	t.Logf("%s: %s", m.file, m.name)
	dir := t.TempDir()
	source, code := m.source(t)
	mutant := filepath.Join(dir, "mutant.go")
	overlay := filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: mutant}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{mutant: strings.Replace(code, m.from, m.to, 1), overlay: string(replace)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "mutant.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("the mutant does not build: %v\n%s", err, out)
	}
	pattern := m.test
	if pattern == "" {
		pattern = laboratoryTests
	}
	run := exec.CommandContext(t.Context(), binary, "-test.run", pattern, "-test.failfast", "-test.timeout", "5m")
	run.Env = append(os.Environ(), "TDKVS_FAULT_SEEDS="+m.seeds)
	out, err := run.CombinedOutput()
	if err == nil {
		t.Errorf("no test saw it: %s", pattern)
	} else if !strings.Contains(string(out), "--- FAIL") {
		t.Errorf("the mutant failed in another way: %v\n%s", err, out)
	}
}
