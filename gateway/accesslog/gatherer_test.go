package accesslog_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tdkvs/gateway/accesslog"
)

// writes keeps what each call of Write was given.
type writes struct {
	mu   sync.Mutex
	each []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.each = append(w.each, string(p))
	return len(p), nil
}

// paths are the paths of the lines in each write.
func (w *writes) paths() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, text := range w.each {
		var these []string
		for line := range strings.Lines(text) {
			if !strings.HasSuffix(line, "\n") {
				return "a line that is none: " + line
			}
			_, rest, _ := strings.Cut(line, " path=")
			path, _, found := strings.Cut(rest, " ")
			if !found {
				path = "other"
			}
			these = append(these, path)
		}
		all = append(all, strings.Join(these, "+"))
	}
	return strings.Join(all, " ")
}

// TestGathered shows which lines are written when.
func TestGathered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(log func(path string, level slog.Level), logger *slog.Logger, h *accesslog.Handler)
		want string
	}{
		{"lines far apart, each at once", func(log func(string, slog.Level), _ *slog.Logger, _ *accesslog.Handler) {
			log("a", slog.LevelInfo)
			time.Sleep(time.Second)
			log("b", slog.LevelInfo)
		}, "a b"},
		{"lines in a row wait for the first 50 ms", func(log func(string, slog.Level), _ *slog.Logger, _ *accesslog.Handler) {
			for i := range 10 { // at 0, 11, ..., 99 ms: none when the first wait ends, at 61
				log(fmt.Sprint(i), slog.LevelInfo)
				time.Sleep(11 * time.Millisecond)
			}
			time.Sleep(time.Second)
		}, "0 1+2+3+4+5 6+7+8+9"},
		{"what is not flushed waits", func(log func(string, slog.Level), _ *slog.Logger, _ *accesslog.Handler) {
			log("a", slog.LevelInfo)
			log("b", slog.LevelInfo)
		}, "a"},
		{"flush", func(log func(string, slog.Level), _ *slog.Logger, h *accesslog.Handler) {
			h.Flush()
			log("a", slog.LevelInfo)
			log("b", slog.LevelDebug)
			log("c", slog.LevelInfo)
			h.Flush()
			h.Flush()
		}, "a b+c"},
		{"a failure goes at once, behind those before it", func(log func(string, slog.Level), _ *slog.Logger, _ *accesslog.Handler) {
			log("a", slog.LevelInfo)
			log("b", slog.LevelInfo)
			log("c", slog.LevelWarn)
			log("d", slog.LevelInfo)
			time.Sleep(time.Second)
		}, "a b c d"},
		{"any other line, too", func(log func(string, slog.Level), logger *slog.Logger, _ *accesslog.Handler) {
			log("a", slog.LevelInfo)
			log("b", slog.LevelInfo)
			logger.Info("something")
			log("c", slog.LevelInfo)
			logger.With("x", 1).Debug("derived")
		}, "a b other c other"},
		{"long lines", func(log func(string, slog.Level), _ *slog.Logger, h *accesslog.Handler) {
			log("a", slog.LevelInfo)
			log("b", slog.LevelInfo)
			log(strings.Repeat("x", 40_000), slog.LevelInfo)
			log("c", slog.LevelInfo)
			log(strings.Repeat("y", 32_500), slog.LevelInfo)
			h.Flush()
		}, "a b " + strings.Repeat("x", 40_000) + " c " + strings.Repeat("y", 32_500)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := new(writes)
				h := accesslog.NewHandler(w, accesslog.Text, slog.LevelDebug)
				logger := slog.New(h)
				tt.do(func(path string, level slog.Level) {
					l := usual()
					l.Path, l.Level = path, level
					accesslog.Log(t.Context(), logger, &l)
				}, logger, h)
				if got := w.paths(); got != tt.want {
					t.Errorf("got  %.200s\nwant %.200s", got, tt.want)
				}
			})
		})
	}
}
