package modeltest_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"tdkvs/gateway/modeltest"
)

// asking makes a mistake in what the store is asked.
func asking(mistake func(r *http.Request)) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mistake(r)
			h.ServeHTTP(w, r)
		})
	}
}

// answering makes a mistake in what the store answers.
func answering(mistake func(r *http.Request, w *httptest.ResponseRecorder)) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			to := httptest.NewRecorder()
			h.ServeHTTP(to, r)
			mistake(r, to)
			for name, values := range to.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(to.Code)
			_, _ = w.Write(to.Body.Bytes()) // a recorder takes everything
		})
	}
}

// dropQuery takes a parameter out of a request.
func dropQuery(r *http.Request, name string) {
	q := r.URL.Query()
	q.Del(name)
	r.URL.RawQuery = q.Encode()
}

// mistakes are stores that do not do what they should.
func mistakes() map[string]kind {
	return map[string]kind{
		"a condition is not looked at": {wrong: asking(func(r *http.Request) { r.Header.Del("If-None-Match") })},
		"a delete of a version marks the key": {wrong: asking(func(r *http.Request) {
			if r.Method == http.MethodDelete {
				dropQuery(r, "versionId")
			}
		})},
		"copies lose their tags": {wrong: asking(func(r *http.Request) {
			if r.Header.Get("X-Amz-Copy-Source") != "" {
				r.Header.Set("X-Amz-Tagging-Directive", "REPLACE")
			}
		})},
		"governance is always bypassed": {wrong: asking(func(r *http.Request) { r.Header.Set("X-Amz-Bypass-Governance-Retention", "true") })},
		"listings are one too long": {wrong: asking(func(r *http.Request) {
			if n, err := strconv.Atoi(r.URL.Query().Get("max-keys")); err == nil {
				q := r.URL.Query()
				q.Set("max-keys", strconv.Itoa(n+1))
				r.URL.RawQuery = q.Encode()
			}
		})},
		"a part is stored once only": {wrong: func(h http.Handler) http.Handler {
			stored := map[string]bool{}
			return asking(func(r *http.Request) {
				q := r.URL.Query()
				if at := r.URL.RawQuery; !q.Has("partNumber") || r.Method != http.MethodPut || !stored[at] {
					stored[at] = true
					return
				}
				q.Set("partNumber", "10000")
				r.URL.RawQuery = q.Encode()
			})(h)
		}},
		"metadata is lost": {wrong: answering(func(_ *http.Request, w *httptest.ResponseRecorder) { delete(w.Header(), "x-amz-meta-three") })},
		"reads are stale": {wrong: func(h http.Handler) http.Handler {
			stale := map[string][]byte{}
			return answering(func(r *http.Request, w *httptest.ResponseRecorder) {
				if r.Method != http.MethodGet || r.URL.RawQuery != "" || w.Code != http.StatusOK || strings.Count(r.URL.Path, "/") != 2 {
					return
				}
				was := stale[r.URL.Path]
				if stale[r.URL.Path] = bytes.Clone(w.Body.Bytes()); was != nil {
					w.Body = bytes.NewBuffer(was)
				}
			})(h)
		}},
		"one byte is another one": {wrong: answering(func(r *http.Request, w *httptest.ResponseRecorder) {
			if b := w.Body.Bytes(); r.Header.Get("Range") != "" && len(b) > 1000 {
				b[len(b)-1] ^= 1
			}
		})},
		"a kill brings the metadata of the start before": {forgetful: true},
	}
}

// TestMistakesAreSeen shows that the model notices stores that do wrong.
func TestMistakesAreSeen(t *testing.T) {
	t.Parallel()
	for name, k := range mistakes() {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			k.name, k.volumes = name, 1
			for seed := range uint64(10) {
				if modeltest.Find(k.deployment(), seed, 500, 0) != nil {
					return
				}
			}
			t.Error("nobody has noticed")
		})
	}
}

// TestShrink shows that what is left of a stream that fails is short.
func TestShrink(t *testing.T) {
	t.Parallel()
	k := mistakes()["copies lose their tags"]
	k.name, k.volumes = "wrong", 1
	failure := modeltest.Find(k.deployment(), 1, 500, 300)
	if failure == nil || len(failure.Log) > 30 || !strings.Contains(failure.Log[len(failure.Log)-1], "GET") {
		t.Errorf("what is left: %v", failure)
	}
}
