package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"tdkvs/master/metadb"
	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// history is a made-up history of commits, and what the metadata held after each.
type history struct {
	heads  []Header // [i] is commit i; that of 0 is before the first
	blobs  [][]byte
	states []map[string]string
}

func newHistory(n int) *history {
	h := &history{heads: []Header{commitHeader(0, 0)}, blobs: [][]byte{nil}, states: []map[string]string{{}}}
	for i := 1; i <= n; i++ {
		h.commit(set(fmt.Sprintf("k%03d", i%17), strings.Repeat("v", i*37%5000)), deleted(fmt.Sprintf("k%03d", (i*7+3)%17+100)), set("z", fmt.Sprint(i)))
	}
	return h
}

func (h *history) commit(writes ...metadb.Change) {
	slices.SortFunc(writes, func(a, b metadb.Change) int { return bytes.Compare(a.Key, b.Key) })
	last := h.heads[len(h.heads)-1]
	head := last
	head.Seq, head.Prev = last.Seq+1, last.Sum
	b, head := encodeEntry(nil, head, slices.Values(writes))
	state := maps.Clone(h.states[len(h.states)-1])
	for _, w := range writes {
		if delete(state, string(w.Key)); !w.Deleted {
			state[string(w.Key)] = string(w.Value)
		}
	}
	h.heads, h.blobs, h.states = append(h.heads, head), append(h.blobs, b), append(h.states, state)
}

// snapshot returns the chunks of a snapshot, of two rows each.
func (h *history) snapshot(t *testing.T, seq int) (heads []Header, blobs [][]byte) {
	t.Helper()
	k := newChunker(h.heads[seq], func(head Header, b []byte) error {
		heads, blobs = append(heads, head), append(blobs, slices.Clone(b))
		return nil
	})
	for i, key := range slices.Sorted(maps.Keys(h.states[seq])) {
		if i > 0 && i%2 == 0 {
			if err := k.flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.row([]byte(key), []byte(h.states[seq][key])); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.finish(); err != nil {
		t.Fatal(err)
	}
	return heads, blobs
}

func putBlob(t *testing.T, to Blobs, h Header, b []byte) {
	t.Helper()
	err := to.Put(t.Context(), h.ID(), int64(len(b)), bytes.NewReader(b), func() ([]byte, error) { return h.Mark(), nil })
	if err != nil {
		t.Fatal(err)
	}
}

// fixture is three volumes, two of which hold a snapshot at 20 and the commits up to 40.
func fixture(t *testing.T) (*history, []*volumetest.Mem, []Source) {
	t.Helper()
	h := newHistory(40)
	var mems []*volumetest.Mem
	var sources []Source
	for i := range 3 {
		m := volumetest.NewMem()
		mems, sources = append(mems, m), append(sources, Source{Name: fmt.Sprint("volume ", i), Blobs: m})
		if i == 2 {
			continue
		}
		heads, blobs := h.snapshot(t, 20)
		for j := range heads {
			putBlob(t, m, heads[j], blobs[j])
		}
		for seq := 15; seq <= 40; seq++ { // those before the snapshot are not deleted yet
			putBlob(t, m, h.heads[seq], h.blobs[seq])
		}
	}
	return h, mems, sources
}

// replayed is what a replay has given.
type replayed struct {
	state map[string]string
	seq   uint64
	mark  []byte
}

func (r *replayed) Row(key, value []byte) error {
	r.state[string(key)] = string(value)
	return nil
}

func (r *replayed) Entry(seq uint64, mark []byte, changes []metadb.Change) error {
	if r.seq != 0 && seq != r.seq+1 {
		return fmt.Errorf("commit %d after %d", seq, r.seq)
	}
	r.seq, r.mark = seq, mark
	for _, c := range changes {
		if delete(r.state, string(c.Key)); !c.Deleted {
			r.state[string(c.Key)] = string(c.Value)
		}
	}
	return nil
}

// recoverFrom replays what sources hold.
func recoverFrom(ctx context.Context, sources []Source) (*Contents, *replayed, error) {
	r := &replayed{state: map[string]string{}}
	c, err := Survey(ctx, sources)
	if err == nil {
		err = c.Replay(ctx, r)
	}
	return c, r, err
}

// expect recovers the state after a commit.
func (h *history) expect(t *testing.T, sources []Source, seq int) *Contents {
	t.Helper()
	c, r, err := recoverFrom(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	h.same(t, c, r, seq)
	return c
}

func (h *history) same(t *testing.T, c *Contents, r *replayed, seq int) {
	t.Helper()
	if !maps.Equal(r.state, h.states[seq]) {
		t.Errorf("not the state after commit %d", seq)
	}
	at, err := ParseHeader(c.Mark())
	if want := h.heads[seq]; err != nil || at.Seq != want.Seq || at.Sum != want.Sum || at.Line != want.Line {
		t.Errorf("the mark is of %+v, %v; want that of %+v", at, err, want)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	h, _, sources := fixture(t)
	c := h.expect(t, sources, 40)
	if c.Snapshot.Seq != 20 || c.Last != 40 || c.Beyond != 0 || c.Cluster.String() != testCluster {
		t.Errorf("%+v", c)
	}
	if r := c.Sources[0]; r.Entries != 26 || r.Chunks != int(c.Snapshot.Chunks) || c.Sources[2].Entries != 0 {
		t.Errorf("reports %+v", c.Sources)
	}
	if got := c.Holders(30); !slices.Equal(got, []string{"volume 0", "volume 1"}) {
		t.Errorf("holders %v", got)
	}
}

// TestReplaySnapshotOnly shows that a mark comes of a snapshot alone.
func TestReplaySnapshotOnly(t *testing.T) {
	t.Parallel()
	h := newHistory(9)
	m := volumetest.NewMem()
	heads, blobs := h.snapshot(t, 9)
	for i := range heads {
		putBlob(t, m, heads[i], blobs[i])
	}
	h.expect(t, []Source{{Name: "one", Blobs: m}}, 9)
}

// TestReplayDamaged spoils every blob on one of two volumes, or takes it away.
func TestReplayDamaged(t *testing.T) {
	t.Parallel()
	spoil := map[string]func(*testing.T, *volumetest.Mem, volume.BlobID){
		"flipped": func(_ *testing.T, m *volumetest.Mem, id volume.BlobID) { m.Corrupt(id, 50) },
		"gone": func(t *testing.T, m *volumetest.Mem, id volume.BlobID) {
			if err := m.Delete(t.Context(), []volume.BlobID{id}); err != nil {
				t.Error(err)
			}
		},
	}
	for name, spoil := range spoil {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, mems, sources := fixture(t)
			infos, err := ListMetadata(t.Context(), mems[0])
			if err != nil || len(infos) == 0 {
				t.Fatal(err)
			}
			for i, info := range infos {
				spoil(t, mems[i%2], info.ID)
			}
			h.expect(t, sources, 40)
		})
	}
}

// TestReplayGap takes a commit away from both volumes: what came before is given, and
// the rest is told.
func TestReplayGap(t *testing.T) {
	t.Parallel()
	for _, flip := range []bool{true, false} {
		h, mems, sources := fixture(t)
		id := h.heads[33].ID()
		for _, m := range mems[:2] {
			if flip {
				m.Corrupt(id, 100)
			} else if err := m.Delete(t.Context(), []volume.BlobID{id}); err != nil {
				t.Fatal(err)
			}
		}
		c, r, err := recoverFrom(t.Context(), sources)
		if gap := (*GapError)(nil); !errors.As(err, &gap) || gap.Seq != 33 || gap.Last != 40 {
			t.Fatalf("flipped %v: %v", flip, err)
		}
		h.same(t, c, r, 32)
	}
}

// TestReplayHalfSnapshot shows that a snapshot that lacks a chunk is not taken for
// one: the one before it, and the commits since, are.
func TestReplayHalfSnapshot(t *testing.T) {
	t.Parallel()
	for _, lacking := range []int{0, 3, -1} {
		h, mems, sources := fixture(t)
		heads, blobs := h.snapshot(t, 38)
		if lacking < 0 {
			lacking += len(heads)
		}
		for i := range heads {
			if i != lacking {
				putBlob(t, mems[i%3], heads[i], blobs[i])
			}
		}
		if c := h.expect(t, sources, 40); c.Snapshot.Seq != 20 {
			t.Errorf("without chunk %d the snapshot at %d was used", lacking, c.Snapshot.Seq)
		}
		putBlob(t, mems[2], heads[lacking], blobs[lacking])
		if c := h.expect(t, sources, 40); c.Snapshot.Seq != 38 {
			t.Errorf("whole, and the snapshot at %d was used", c.Snapshot.Seq)
		}
	}
}

// TestReplayFork puts a commit of another history in the way, on a volume that was
// away.
func TestReplayFork(t *testing.T) {
	t.Parallel()
	h, mems, sources := fixture(t)
	other := newHistory(30)
	other.commit(set("stranger", "1"))
	other.commit(set("stranger", "2"))
	putBlob(t, mems[2], other.heads[31], other.blobs[31])
	putBlob(t, mems[2], other.heads[32], other.blobs[32])
	slices.Reverse(sources)
	c := h.expect(t, sources, 40)
	if want := []Fork{{31, "volume 2"}, {32, "volume 2"}}; !slices.Equal(c.Forks, want) {
		t.Errorf("forks %v, want %v", c.Forks, want)
	}
}

// TestReplayForkAtTheEnd has two histories that are as long: that of the master that
// was started last is used, whatever the order of the volumes.
func TestReplayForkAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, reversed := range []bool{true, false} {
		h, mems, sources := fixture(t)
		other := newHistory(39)
		other.heads[39].Run++ // that of what follows
		other.commit(set("later", "1"))
		putBlob(t, mems[2], other.heads[40], other.blobs[40])
		if reversed {
			slices.Reverse(sources)
		}
		c := other.expect(t, sources, 40)
		if len(c.Forks) != 2 || c.Forks[0].Seq != 40 || len(h.heads) != 41 {
			t.Errorf("forks %v", c.Forks)
		}
	}
}

// TestReplayNewerLine prefers the history that began last.
func TestReplayNewerLine(t *testing.T) {
	t.Parallel()
	_, mems, sources := fixture(t)
	newer := newHistory(0)
	newer.heads[0].Line++
	newer.heads[0].Seq = 4
	newer.commit(set("new", "line"))
	heads, blobs := newer.snapshot(t, 1)
	putBlob(t, mems[2], heads[0], blobs[0])
	c, r, err := recoverFrom(t.Context(), sources)
	if gap := (*GapError)(nil); !errors.As(err, &gap) || gap.Last != 40 { // of the older line
		t.Errorf("%v", err)
	}
	newer.same(t, c, r, 1)
}

func TestSurveyNothing(t *testing.T) {
	t.Parallel()
	h := newHistory(3)
	m := volumetest.NewMem()
	putBlob(t, m, h.heads[2], h.blobs[2])
	c, err := Survey(t.Context(), []Source{{Name: "one", Blobs: m}})
	if !errors.Is(err, ErrNoSnapshot) || c.Sources[0].Entries != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSurveyDown(t *testing.T) {
	t.Parallel()
	h, mems, sources := fixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Survey(ctx, sources); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	sources[0].Blobs = downBlobs{mems[0]}
	if c := h.expect(t, sources, 40); c.Sources[0].Err == nil || c.Sources[1].Err != nil {
		t.Errorf("reports %+v", c.Sources)
	}
}

// downBlobs is a volume that lists nothing.
type downBlobs struct{ *volumetest.Mem }

func (downBlobs) List(context.Context, volume.BlobID, int) ([]volume.Info, error) {
	return nil, volume.ErrUnavailable
}
