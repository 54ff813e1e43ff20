package accesslog_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"tdkvs/gateway/accesslog"
)

// both are the formats, with the handler of log/slog that is the reference.
var both = map[accesslog.Format]func(io.Writer) slog.Handler{
	accesslog.Text: func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
	accesslog.JSON: func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
}

// check compares a line with what log/slog makes of it.
func check(t *testing.T, l *accesslog.Line) {
	t.Helper()
	for format, reference := range both {
		var got, want bytes.Buffer
		accesslog.Log(t.Context(), slog.New(accesslog.NewHandler(&got, format, slog.LevelInfo)), l)
		accesslog.Log(t.Context(), slog.New(reference(&want)), l)
		if got.String() != want.String() || want.Len() == 0 {
			t.Errorf("format %d:\n got %s\nwant %s", format, got.String(), want.String())
		}
	}
}

// usual is the line of a request as most are.
func usual() accesslog.Line {
	return accesslog.Line{
		Time: time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC), RequestID: "0123456789ABCDEF", Remote: "127.0.0.1:5555", Method: "PUT",
		Path: "/bucket/a/b.txt", Operation: "PutObject", Status: 200, BytesOut: 0, Duration: 1234567, HasBody: true, BytesIn: 4096,
		AccessKey: "AKID", UserAgent: `aws-cli/2.1 "x" \ a=b`,
	}
}

func TestLinesOfSlog(t *testing.T) {
	t.Parallel()
	l := usual()
	check(t, &l)
	check(t, &accesslog.Line{Time: l.Time})
	values := []string{"", "a", "a b", "a=b", `"`, `\`, `a\b`, `a\ b`, "<&>'`", "\x7f", "\n", "ü", "\u2028", "\xff", "a\x00b", "日本 語", strings.Repeat("x", 20_000)}
	for _, v := range values {
		l := usual()
		l.Path, l.Query, l.Error, l.Code, l.UserAgent, l.AccessKey = v, v, v, v, v, v
		check(t, &l)
	}
	for _, d := range []time.Duration{0, 1, 999, 1500, time.Millisecond, time.Second, 61 * time.Minute, -5} {
		l := usual()
		l.Duration, l.HasBody = d, false
		check(t, &l)
	}
	for _, nanos := range []int{0, 1, 999_999, 1_000_000, 10_000_000, 500_000_000, 999_999_999} {
		for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 5400), time.FixedZone("", -7*3600)} {
			l := usual()
			l.Time = time.Date(2026, 12, 31, 23, 59, 59, nanos, zone)
			check(t, &l)
		}
	}
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		l := usual()
		l.Level = level
		check(t, &l)
	}
}

func FuzzLinesOfSlog(f *testing.F) {
	f.Add("/bucket/key", "prefix=a", "agent/1 (x)", int64(5), int64(1_700_000_000_123_456_789))
	f.Fuzz(func(t *testing.T, path, query, agent string, n, at int64) {
		l := usual()
		l.Path, l.Query, l.UserAgent, l.BytesIn, l.Duration = path, query, agent, n, time.Duration(n)
		l.Time = time.Unix(0, at).UTC()
		check(t, &l)
	})
}

func TestLevels(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	logger := slog.New(accesslog.NewHandler(&b, accesslog.Text, slog.LevelWarn))
	l := usual()
	accesslog.Log(t.Context(), logger, &l)
	if b.Len() > 0 {
		t.Errorf("a level that is off: %s", b.String())
	}
	l.Level = slog.LevelWarn
	accesslog.Log(t.Context(), logger, &l)
	if !strings.HasPrefix(b.String(), "time=2026-03-04T05:06:07.123Z level=WARN msg=request request_id=0123456789ABCDEF remote=127.0.0.1:5555 ") {
		t.Errorf("line %s", b.String())
	}
	b.Reset()
	accesslog.Log(t.Context(), logger.With("a", "b"), &l) // not ours any more: and with its attributes
	if !strings.Contains(b.String(), " a=b request_id=0123456789ABCDEF ") {
		t.Errorf("line %s", b.String())
	}
}

// whole fails for a Write that is not of whole lines.
type whole struct {
	t     *testing.T
	busy  sync.Mutex
	lines map[string]int
}

func (w *whole) Write(p []byte) (int, error) {
	if !w.busy.TryLock() {
		w.t.Error("two writes at the same time")
		return 0, errors.New("busy")
	}
	defer w.busy.Unlock()
	if !bytes.HasSuffix(p, []byte("\n")) {
		w.t.Errorf("not whole lines: %q", p)
	}
	for line := range bytes.Lines(p) {
		w.lines[string(line)]++
	}
	return len(p), nil
}

// TestBuffersAreNotShared: lines of many goroutines, some of which are not the
// encoder's, come out as they were, each once.
func TestBuffersAreNotShared(t *testing.T) {
	t.Parallel()
	w := &whole{t: t, lines: map[string]int{}}
	handler := accesslog.NewHandler(w, accesslog.Text, slog.LevelInfo)
	logger := slog.New(handler)
	const goroutines, each = 8, 200
	want := map[string]int{}
	var wg sync.WaitGroup
	for g := range goroutines {
		rng := rand.New(rand.NewPCG(uint64(g), 1))
		batch := make([]accesslog.Line, each)
		for i := range batch {
			l := usual()
			l.Path = strings.Repeat(string(rune('a'+g)), 1+rng.IntN(300))
			if i%7 == 0 {
				l.Path += "ü"
			}
			l.BytesIn = int64(g*each + i)
			batch[i] = l
			var b bytes.Buffer
			accesslog.Log(t.Context(), slog.New(slog.NewTextHandler(&b, nil)), &l)
			want[b.String()]++
		}
		wg.Go(func() {
			for i := range batch {
				accesslog.Log(t.Context(), logger, &batch[i])
				logger.Debug("another line")
			}
		})
	}
	wg.Wait()
	handler.Flush()
	if len(w.lines) != len(want) {
		t.Fatalf("%d lines, want %d", len(w.lines), len(want))
	}
	for line, n := range want {
		if w.lines[line] != n {
			t.Errorf("%d times, want %d: %s", w.lines[line], n, line)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	for name, handler := range map[string]slog.Handler{
		"line": accesslog.NewHandler(io.Discard, accesslog.Text, slog.LevelInfo),
		"slog": slog.NewTextHandler(io.Discard, nil),
	} {
		b.Run(name, func(b *testing.B) {
			l, logger := usual(), slog.New(handler)
			b.ReportAllocs()
			for b.Loop() {
				accesslog.Log(b.Context(), logger, &l)
			}
		})
	}
}
