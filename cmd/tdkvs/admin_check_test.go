package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
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
