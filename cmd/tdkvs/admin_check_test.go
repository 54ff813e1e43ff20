package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"tdkvs/gateway/adminapi"
)

// TestAdminFsck: a store that is whole is exit code 0.
func TestAdminFsck(t *testing.T) {
	t.Parallel()
	m := startRole(t, "master", "-config="+masterFile(t, filepath.Join(t.TempDir(), "master"), clusterSecret, startVolumes(t, 2)))
	a := adminOf{t, "http://" + m.address(t)}
	a.shows([]string{"fsck", "status"}, "check  none")
	for i := range 5 {
		url := fmt.Sprintf("%s/set/key%d", a.endpoint, i)
		if code, body := native(t, http.MethodPut, url, credentialsConfig{"abc", "12345678"}, strings.NewReader(url)); code/100 != 2 {
			t.Fatalf("set: %d %s", code, body)
		}
	}
	a.shows([]string{"fsck", "-deep", "-rate=none", "-watch", "-interval=10ms"}, "check      done", "result     clean", "5 blobs", "read ")
	a.shows([]string{"fsck", "status", "-watch"}, "result     clean")
	c := answerOf[adminapi.Check](a, "fsck", "-interval=10ms")
	if c.ID != 2 || c.Report == nil || !c.Report.Clean || c.Report.Deep || c.Report.Pieces != 5 {
		t.Errorf("%+v", c)
	}
	a.shows([]string{"fsck", "cancel"}, "check      done")
	code, _, stderr := admin(t, a.env(), "fsck", "-deep", "-rate=1")
	if code != exitFailed || !strings.Contains(stderr, "want -1 (no limit)") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// TestAdminFsckFinds: findings, what was not looked at, and a check that did not
// come to its end are exit code 1.
func TestAdminFsckFinds(t *testing.T) {
	t.Parallel()
	const running = `{"id": 1, "state": "running", "started": "2026-01-01T00:00:00Z", "progress": {"part": "pieces", "blobs": 4, "expected_blobs": 9, "verified": 2048}}`
	for _, tt := range []struct {
		answers      []string // to the first request, and those after; the last one stays
		stdout, fail string
	}{
		{[]string{running, running, `{"id": 1, "state": "done", "started": "2026-01-01T00:00:00Z", "report": {"findings": [{"kind": "missing", "count": 1200, "bytes": 3}],
			"examples": [{"kind": "missing", "bucket": "b", "key": "k\u001b", "part": 7, "volume": 3, "blob": "ab", "bytes": 3}]}}`},
			"\nFINDING  COUNT  BYTES\nmissing  1,200  3 B\n\nFOR EXAMPLE  OBJECT", "the store is not as it should be: 1,200 findings"},
		{[]string{`{"id": 1, "state": "done", "started": "2026-01-01T00:00:00Z", "report": {"unchecked": [{"volume": 2, "url": "u", "cause": "down"}]}}`},
			"volume 2 at u was not checked: down\n", "the check is not complete"},
		{[]string{running, `{"id": 1, "state": "failed", "error": "bad disk", "started": "2026-01-01T00:00:00Z"}`}, "check    failed", "the check has failed: bad disk"},
		{[]string{running, `{"id": 1, "state": "cancelled", "started": "2026-01-01T00:00:00Z"}`}, "check    cancelled", "the check was cancelled"},
		{[]string{running, `{"id": 0, "state": "none"}`}, "", "the check was cut short"},
		{[]string{running, `{"id": 1, "state": "running", "started": "2026-01-01T00:00:01Z"}`}, "", "the check was cut short"},
	} {
		var asked atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n := min(int(asked.Add(1)), len(tt.answers))
			_, _ = w.Write([]byte(tt.answers[n-1]))
		}))
		code, stdout, stderr := admin(t, envOf(envEndpoint, s.URL), "fsck", "-watch", "-interval=10ms")
		s.Close()
		if code != exitFailed || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.fail) || strings.Contains(stdout, "\x1b") {
			t.Errorf("exit %d\n%s\n%s\nwant %q and %q", code, stdout, stderr, tt.stdout, tt.fail)
		}
		if len(tt.answers) > 1 && !strings.Contains(stdout, "pieces: 0 of about 0 rows, 4 of about 9 blobs, 2.0 KiB read, 0 findings\n") {
			t.Errorf("no progress in\n%s", stdout)
		}
	}
}

// TestAdminRepair: what would be done is shown, with how to do it; -apply does it, and
// with -watch the end is waited for and looked at.
func TestAdminRepair(t *testing.T) {
	t.Parallel()
	const report = `{"id": %d, "state": "done", "started": "2026-01-01T00:00:00Z", "report": {"repair": %q, "findings": [{"kind": "missing", "count": 2, "bytes": 3}],
		"excess_orphans": 70, "remedies": [{"kind": "missing", "remedy": "restore", "count": 2, "bytes": 3, "done": %d}]}}`
	const clean = `{"id": 2, "state": "done", "started": "2026-01-01T00:00:00Z", "report": {"clean": true}}`
	for name, tt := range map[string]struct {
		flags  []string
		sent   []string // requests with a body
		stdout string
		fail   string
	}{
		"no repair": {nil, []string{`{}`}, `"tdkvs admin fsck -repair" shows what can be done`, "2 findings"},
		"plan": {[]string{"-repair", "-only=missing,too-few"}, []string{`{"repair":"plan","only":["missing","too few"]}`},
			"Nothing was changed. \"tdkvs admin fsck -repair -apply\"", "2 findings"},
		"apply":         {[]string{"-repair", "-apply"}, []string{`{"repair":"apply"}`}, "rebalance status -watch", "2 findings"},
		"apply and see": {[]string{"-repair", "-apply", "-watch", "-deep"}, []string{`{"deep":true,"repair":"apply"}`, `{"deep":true}`}, "result     clean", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent []string // one request at a time
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body) // an error shows in what was sent
				answer := clean
				switch {
				case strings.HasSuffix(r.URL.Path, "/rebalance"):
					answer = `{"active": false, "epoch": 1}`
				case len(body) > 0:
					sent = append(sent, strings.TrimSpace(string(body)))
					if mode := map[string]int{"plan": 0, "apply": 2}; len(sent) == 1 {
						var start adminapi.CheckStart
						if err := json.Unmarshal(body, &start); err != nil {
							t.Error(err)
						}
						answer = fmt.Sprintf(report, 1, start.Repair, mode[start.Repair])
					}
				}
				_, _ = io.WriteString(w, answer)
			}))
			defer s.Close()
			code, stdout, stderr := admin(t, adminOf{t, s.URL}.env(), append([]string{"fsck"}, tt.flags...)...)
			if !slices.Equal(sent, tt.sent) || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.fail) || (code == exitDone) != (tt.fail == "") {
				t.Errorf("exit %d, sent %q\n%s\n%s", code, sent, stdout, stderr)
			}
			if len(tt.flags) > 0 && !strings.Contains(stdout, "missing  2      3 B    ") || !strings.Contains(stdout, "70 orphans are more than a crash leaves") {
				t.Errorf("%s", stdout)
			}
		})
	}
	for _, flags := range [][]string{{"-apply"}, {"-only=missing"}} {
		if code, _, stderr := admin(t, adminOf{t, "http://127.0.0.1:1"}.env(), append([]string{"fsck"}, flags...)...); code != exitMisuse || !strings.Contains(stderr, "goes with -repair") {
			t.Errorf("%q: exit %d, %s", flags, code, stderr)
		}
	}
}
