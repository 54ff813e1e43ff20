package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tdkvs/master/journal"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// nowhere is a target that wants nothing.
type nowhere struct{ t *testing.T }

func (n nowhere) At(uint64) error         { n.t.Error("a commit was given"); return nil }
func (n nowhere) Set(_, _ []byte) error   { n.t.Error("a row was given"); return nil }
func (n nowhere) Delete(key []byte) error { return n.Set(key, nil) }
func quiet() *slog.Logger                 { return slog.New(slog.DiscardHandler) }
func given(name string, b Blobs) Volume   { return Volume{Name: name, Blobs: b} }
func options() Options                    { return Options{Logger: quiet()} }
func at(name string, err error) Held      { return Held{Name: name, Err: err} }
func here(name, uuid string) Held         { return Held{Name: name, Identity: volume.Identity{Volume: uuid}} }
func member(n int, uuid string) metadb.Volume {
	return metadb.Volume{Number: meta.VolumeID(n), UUID: uuid, Name: fmt.Sprint("place ", n)}
}

// claimed is a volume of a cluster.
func claimed(t *testing.T, cluster string) *volumetest.Mem {
	t.Helper()
	m := volumetest.NewMem()
	if cluster != "" {
		if err := m.Claim(t.Context(), cluster); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// silent is a volume that does not answer until it was asked some times.
type silent struct {
	*volumetest.Mem
	times int
}

func (s *silent) Status(ctx context.Context) (volume.Status, error) {
	if s.times--; s.times >= 0 {
		return volume.Status{}, fmt.Errorf("dial: %w", volume.ErrUnavailable)
	}
	return s.Mem.Status(ctx)
}

const one, two = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"

// TestNothingToRecover: what can not be the volumes of one store is refused before anything is read.
func TestNothingToRecover(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		volumes []Volume
		want    error
		says    []string
	}{
		"new volumes":  {[]Volume{given("a", claimed(t, "")), given("b", claimed(t, ""))}, ErrNothing, []string{"nothing to recover"}},
		"no volumes":   {nil, ErrNothing, nil},
		"two stores":   {[]Volume{given("a", claimed(t, one)), given("b", claimed(t, two))}, nil, []string{"a (volume", one, "b (volume", two, "one store only"}},
		"all silent":   {[]Volume{given("a", &silent{claimed(t, one), 9})}, volume.ErrUnavailable, []string{"a: dial"}},
		"no snapshot":  {[]Volume{given("a", claimed(t, one)), given("b", &silent{claimed(t, one), 9})}, journal.ErrNoSnapshot, []string{"a: 0 commits and 0 chunks", "b: dial", "restore a backup"}},
		"one is empty": {[]Volume{given("a", claimed(t, one)), given("b", claimed(t, ""))}, journal.ErrNoSnapshot, []string{"b: it is new"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Run(t.Context(), tc.volumes, nowhere{t}, options())
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Fatalf("%v, want %v", err, tc.want)
			}
			for _, text := range tc.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%v does not say %q", err, text)
				}
			}
		})
	}
}

// TestVolumesAreWaitedFor: one that answers in time is asked for what it holds.
func TestVolumesAreWaitedFor(t *testing.T) {
	t.Parallel()
	o := options()
	o.Patience = time.Minute
	f, err := Run(t.Context(), []Volume{given("a", &silent{claimed(t, one), 2}), given("b", claimed(t, one))}, nowhere{t}, o)
	if !errors.Is(err, journal.ErrNoSnapshot) || f.Volumes[0].Err != nil || f.Volumes[0].Identity.Cluster != one {
		t.Errorf("%+v, %v", f.Volumes, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, []Volume{given("a", &silent{claimed(t, one), 9})}, nowhere{t}, o); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// TestLosses judges what was found.
func TestLosses(t *testing.T) {
	t.Parallel()
	three := metadb.Topology{Volumes: []metadb.Volume{member(1, "u1"), member(2, "u2"), member(3, "u3")}}
	gone := three
	gone.Volumes = append([]metadb.Volume{{Number: 4, UUID: "u4", State: metadb.VolumeLost}, {Number: 5, UUID: "u5", State: metadb.VolumeRemoved}}, three.Volumes...)
	thrice := three
	thrice.Replicas = 3
	all := []Held{here("a", "u1"), here("b", "u2"), here("c", "u3")}
	for name, tc := range map[string]struct {
		found  Found
		gap    *journal.GapError
		copies int
		says   []string // of each loss; none: there is none
		away   int
	}{
		"none":                     {found: Found{Volumes: all, Topology: three}},
		"those that left":          {found: Found{Volumes: all, Topology: gone}},
		"one of three away":        {found: Found{Volumes: all[:2], Topology: three}, away: 1},
		"two of three away":        {found: Found{Volumes: all[:1], Topology: three}, says: []string{"volume 2 (u2, last seen at place 2) is missing; volume 3 (u3"}},
		"two away of three copies": {found: Found{Volumes: all[:1], Topology: thrice}, away: 2},
		"one copy configured":      {found: Found{Volumes: all[:2], Topology: three}, copies: 1, says: []string{"volume 3 (u3"}},
		"it says why":              {found: Found{Volumes: []Held{all[0], at("place 2", errors.New("no route"))}, Topology: three}, says: []string{"place 2) is missing (no route)"}},
		"a gap":                    {found: Found{Volumes: all, Topology: three, Last: 7}, gap: &journal.GapError{Seq: 8, Last: 12}, says: []string{"commit 8 is missing: it and what came after it, 5 commits up to 12, would be lost"}},
		"the last is bad":          {found: Found{Volumes: all, Topology: three, Last: 7}, gap: &journal.GapError{Seq: 8, Last: 8, Err: errors.New("flipped")}, says: []string{"1 commit up to 8, would be lost (flipped)"}},
		"what a crash leaves":      {found: Found{Volumes: all, Topology: three, Forks: []journal.Fork{{Seq: 3, Name: "a"}, {Seq: 9, Name: "a"}, {Seq: 10, Name: "b"}}}},
		"a second master":          {found: Found{Volumes: all, Topology: three, Forks: []journal.Fork{{Seq: 3, Name: "a"}, {Seq: 9, Name: "b"}, {Seq: 10, Name: "b"}}}, says: []string{"b holds commits 9 to 10 of another history"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := tc.found
			f.judge(tc.gap, tc.copies)
			if len(f.Losses) != len(tc.says) || len(f.Away) != tc.away {
				t.Fatalf("losses %v, away %v", f.Losses, f.Away)
			}
			for i, text := range tc.says {
				if !strings.Contains(f.Losses[i].Text, text) {
					t.Errorf("%q does not say %q", f.Losses[i].Text, text)
				}
			}
			var refused *LossError
			switch err := f.accepted(Options{}); {
			case len(tc.says) == 0 && err != nil:
				t.Errorf("refused: %v", err)
			case len(tc.says) == 0:
			case !errors.As(err, &refused) || !strings.Contains(err.Error(), "-accept-loss="+refused.Code):
				t.Errorf("not refused with a code: %v", err)
			case f.accepted(Options{Accept: refused.Code}) != nil:
				t.Error("the code is not accepted")
			case !strings.Contains(fmt.Sprint(f.accepted(Options{Accept: "other"})), `not the loss "other"`):
				t.Error("another code is accepted")
			}
		})
	}
}

// TestCodeIsOfWhatIsMissing: the same code is for the same loss, whatever is said of it.
func TestCodeIsOfWhatIsMissing(t *testing.T) {
	t.Parallel()
	of := func(last uint64, why error) string {
		f := Found{Last: last, Volumes: []Held{at("place 1", why)}, Topology: metadb.Topology{Volumes: []metadb.Volume{member(1, "u1")}}}
		f.judge(nil, 0)
		return code(f.Losses)
	}
	if of(5, errors.New("a")) != of(5, errors.New("b")) {
		t.Error("the reason why a volume does not answer changes the code")
	}
	if of(5, nil) == of(6, nil) {
		t.Error("the code does not say how much is known")
	}
}
