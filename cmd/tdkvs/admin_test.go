package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/gateway/adminapi"
)

// admin runs the admin command and returns its exit code and output.
func admin(t *testing.T, env lookupEnv, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"admin"}, args...), env, &out, &errs)
	return code, out.String(), errs.String()
}

func TestAdminMisuse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want string }{
		{"", "tdkvs: admin: what? one of these:\n\n  tdkvs admin status "},
		{"volume", "tdkvs: admin: there is no \"volume\""},
		{"volume weight 3", "tdkvs: admin volume weight: <slots> is missing\nusage: tdkvs admin volume weight <volume> <slots> [-watch] [-interval]\n"},
		{"volume weight 3 x", "tdkvs: admin volume weight: want a number of slots, not \"x\"\n"},
		{"volume weight 3 2 1", "tdkvs: admin volume weight: unexpected argument \"1\"\n"},
		{"replicas two", "tdkvs: admin replicas: want a number of copies, not \"two\"\n"},
		{"replicas --watch", "tdkvs: admin replicas: flag -watch is for a change: give a number\n"},
		{"bucket replicas b", "tdkvs: admin bucket replicas: <copies|default> is missing\n"},
		{"bucket replicas b 0", "tdkvs: admin bucket replicas: want a number of copies, or default, not \"0\"\n"},
		{"status -yes", "tdkvs: admin status: it has no flag -yes\n"},
		{"volume rm 3", "tdkvs: admin: there is no \"volume rm\""},
		{"statsu", "tdkvs: admin: there is no \"statsu\": did you mean \"status\"?\nrun \"tdkvs help admin\" for the list\n"},
		{"status now", "tdkvs: admin status: unexpected argument \"now\"\nusage: tdkvs admin status\n"},
		{"volume add", "tdkvs: admin volume add: <url> is missing\nusage: tdkvs admin volume add <url> [-weight] [-zone] [-watch] [-interval]\n"},
		{"volume delete 1 2", "tdkvs: admin volume delete: unexpected argument \"2\"\nusage: "},
		{"status -weight 3", "tdkvs: admin status: it has no flag -weight\nusage: tdkvs admin status\n"},
		{"status -o xml", "tdkvs: admin: flag -o: want table or json, not \"xml\"\n"},
		{"status -wach", "tdkvs: admin: unknown flag -wach: did you mean \"watch\"?\n"},
		{"volume delete 3 -watch=maybe", "tdkvs: admin: flag -watch: "},
		{"volume delete 3 -watch -interval 1ms", "tdkvs: admin: flag -interval: want 10ms to 1h, not 1ms\n"},
		{"status -endpoint ftp://x", "tdkvs: admin: the endpoint is a URL such as http://127.0.0.1:3000, not \"ftp://x\"\n"},
		{"status -endpoint http://x/path", "tdkvs: admin: the endpoint is a URL "},
		{"status -access-key abc", "tdkvs: admin: give both -access-key and -secret-key, or neither\n"},
		{"status -access-key abc -secret-key 12345678 -data x", "tdkvs: admin: give keys or -data, not both\n"},
		{"rebalance limit", "tdkvs: admin rebalance limit: give -rate, -concurrency or both\n"},
		{"rebalance limit -rate fast", "tdkvs: admin rebalance limit: flag -rate: want a size "},
		{"locate bucket", "tdkvs: admin: an object is named as bucket/key, not \"bucket\"\n"},
		{"object stat /key", "tdkvs: admin: an object is named as bucket/key, not \"/key\"\n"},
	} {
		code, stdout, stderr := admin(t, envOf(), strings.Fields(tt.args)...)
		if code != exitMisuse || stdout != "" || !strings.HasPrefix(stderr, tt.want) {
			t.Errorf("%s: exit %d, stdout %q\nstderr %q\nwant   %q", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

// TestAdminFailures: one line, and exit code 1.
func TestAdminFailures(t *testing.T) {
	t.Parallel()
	strange := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(strange.Close)
	lying := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	t.Cleanup(lying.Close)
	for _, tt := range []struct {
		env  lookupEnv
		args []string
		want string
	}{
		{envOf(), []string{"status", "-endpoint", "http://127.0.0.1:1"}, "tdkvs: http://127.0.0.1:1 does not answer: "},
		{envOf(envEndpoint, "http://127.0.0.1:1"), []string{"status"}, "tdkvs: http://127.0.0.1:1 does not answer: "},
		{envOf(), []string{"status", "-endpoint", strange.URL}, "tdkvs: the answer is 404 Not Found, and not one of a tdkvs\n"},
		{envOf(), []string{"status", "-endpoint", lying.URL}, "tdkvs: the answer is not one of a tdkvs: "},
		{envOf(), []string{"status", "-data", t.TempDir()}, "tdkvs: there is no file "},
		{envOf(envAccessKey, "abc"), []string{"status"}, "tdkvs: TDKVS_ACCESS_KEY is set and TDKVS_SECRET_KEY is not: set both or neither\n"},
	} {
		code, stdout, stderr := admin(t, tt.env, tt.args...)
		if code != exitFailed || stdout != "" || !strings.HasPrefix(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit %d, stdout %q\nstderr %q\nwant   %q", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

// adminOf runs the admin command for a master and wants success.
type adminOf struct {
	t        *testing.T
	endpoint string
}

func (a adminOf) env() lookupEnv {
	return envOf(envEndpoint, a.endpoint, envAccessKey, "abc", envSecretKey, "12345678")
}

func (a adminOf) do(args ...string) string {
	a.t.Helper()
	code, stdout, stderr := admin(a.t, a.env(), args...)
	if code != exitDone || stderr != "" {
		a.t.Fatalf("%v: exit %d\n%s%s", args, code, stdout, stderr)
	}
	return stdout
}

// fails wants one line with a text in it.
func (a adminOf) fails(want string, args ...string) {
	a.t.Helper()
	code, stdout, stderr := admin(a.t, a.env(), args...)
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
		a.t.Errorf("%v: exit %d, %q, %q, want %q", args, code, stdout, stderr, want)
	}
}

// shows wants texts in the output.
func (a adminOf) shows(args []string, want ...string) {
	a.t.Helper()
	out := a.do(args...)
	for _, text := range want {
		if !strings.Contains(out, text) {
			a.t.Errorf("%v: no %q in\n%s", args, text, out)
		}
	}
}

func answerOf[T any](a adminOf, args ...string) T {
	a.t.Helper()
	var doc T
	if err := json.Unmarshal([]byte(a.do(append(args, "-o", "json")...)), &doc); err != nil {
		a.t.Fatalf("%v: %v", args, err)
	}
	return doc
}

// TestAdminCluster takes a volume in, another out, and changes its mind once.
func TestAdminCluster(t *testing.T) {
	t.Parallel()
	urls := startVolumes(t, 4)
	m := startRole(t, "master", "-config="+masterFile(t, filepath.Join(t.TempDir(), "master"), clusterSecret, urls[:3]))
	a := adminOf{t, "http://" + m.address(t)}
	for i := range 40 {
		url := fmt.Sprintf("%s/set/key%d", a.endpoint, i)
		if code, body := native(t, http.MethodPut, url, credentialsConfig{"abc", "12345678"}, strings.NewReader(url)); code/100 != 2 {
			t.Fatalf("set: %d %s", code, body)
		}
	}
	a.shows([]string{"status"}, "cluster     ", "state       ready", "metadata    ok", "redundancy  1 copy\n", "on 3 volumes", "rebalance   nothing to do", "repair      nothing to do", "VOLUME  STATE   HEALTH", urls[2])
	a.shows([]string{"volume", "ls"}, urls[0], urls[1], "active")
	a.shows([]string{"bucket", "ls"}, "BUCKET  OBJECTS", "kv      40")
	a.shows([]string{"bucket", "usage", "kv"}, "objects         40, ")
	a.shows([]string{"object", "stat", "kv/key1"}, "object    kv/key1", "etag")
	a.shows([]string{"locate", "kv/key1"}, "in place  yes", "WANTED ON")
	a.shows([]string{"rebalance", "pause"}, "limits     64.0 MiB/s, 8 pieces")
	a.shows([]string{"rebalance", "limit", "-rate", "none", "-concurrency", "2"}, "limits     no limit, 2 pieces")
	a.shows([]string{"rebalance", "limit", "-rate", "3MiB"}, "limits     3.0 MiB/s, 2 pieces")

	a.shows([]string{"volume", "add", urls[3], "-zone", "roof"}, "volume 4 (", "has joined", "before its next start")
	if r := answerOf[adminapi.Rebalance](a, "rebalance", "status"); !r.Active || !r.Paused || r.Moved != 0 {
		t.Errorf("paused: %+v", r)
	}
	a.shows([]string{"rebalance", "status"}, "paused")
	a.do("rebalance", "resume")
	a.shows([]string{"rebalance", "status", "-watch", "-interval", "10ms"}, "done: ", "pieces")
	if v := answerOf[adminapi.Volumes](a, "volume", "ls").Volumes; len(v) != 4 || v[3].Blobs == 0 || v[3].Zone != "roof" {
		t.Errorf("%+v", v)
	}

	a.do("rebalance", "pause")
	a.do("volume", "delete", urls[1]+"/")
	a.do("volume", "cancel", "2")
	a.do("rebalance", "resume")
	watched := a.do("volume", "delete", "3", "-watch", "-interval=10ms")
	if !strings.Contains(watched, "volume 3 has left the cluster") || !strings.Contains(watched, "done: ") {
		t.Errorf("%s", watched)
	}
	for _, v := range answerOf[adminapi.Cluster](a, "status").Volumes {
		if v.Number == 3 || v.State != adminapi.Active || v.Health != adminapi.OK {
			t.Errorf("%+v", v)
		}
	}
	for i := range 40 {
		l := answerOf[adminapi.Location](a, "locate", fmt.Sprintf("kv/key%d", i))
		if !l.InPlace || l.Extents[0].Pieces[0].Volume == 3 {
			t.Errorf("%+v", l)
		}
	}
	a.fails("there is no such object", "locate", "kv/nobody")
	a.fails("there is no such object", "object", "stat", "kv/nobody")
	a.fails("there is no such bucket", "bucket", "usage", "nobody")
	a.fails("no volume has this number", "volume", "delete", "77")
	a.fails("was deleted already", "volume", "delete", "3")
	a.fails("is not being deleted", "volume", "cancel", "1")
	a.fails("is already in the cluster", "volume", "add", urls[0])
	a.fails("which was deleted from this cluster", "volume", "add", urls[2])
	a.fails("want http://host:port", "volume", "add", "nowhere")
	a.fails("VolumeUnreachable", "volume", "add", "http://127.0.0.1:1")
	a.fails("SignatureDoesNotMatch", "status", "-access-key=abc", "-secret-key=wrong")
	if code := m.stop(); code != exitDone {
		t.Errorf("the master ended with code %d\n%s", code, m.stderr.String())
	}
}

// TestAdminPolicy changes what is kept where, while the store runs.
func TestAdminPolicy(t *testing.T) {
	t.Parallel()
	urls := startVolumes(t, 3)
	m := startRole(t, "master", "-config="+masterFile(t, filepath.Join(t.TempDir(), "master"), clusterSecret, urls))
	a := adminOf{t, "http://" + m.address(t)}
	for i := range 20 {
		url := fmt.Sprintf("%s/set/key%d", a.endpoint, i)
		if code, body := native(t, http.MethodPut, url, credentialsConfig{"abc", "12345678"}, strings.NewReader(url)); code/100 != 2 {
			t.Fatalf("set: %d %s", code, body)
		}
	}
	a.shows([]string{"replicas"}, "1 copy\n")
	watch := []string{"--watch", "-interval", "10ms"}
	a.shows(append([]string{"replicas", "2"}, watch...), "2 copies of everything where a bucket does not say; the data follows\n", "done: 20 pieces")
	a.shows([]string{"locate", "kv/key1"}, "copy 1 of 2", "copy 2 of 2", "in place  yes")
	a.shows([]string{"status"}, "redundancy  2 copies\n")
	a.shows(append([]string{"bucket", "replicas", "kv", "3"}, watch...), "bucket kv: 3 copies; the data follows\n", "done: 20 pieces")
	a.shows([]string{"bucket", "usage", "kv"}, "copies          3 copies")
	a.shows(append([]string{"bucket", "replicas", "kv", "default"}, watch...), "bucket kv: as many copies as the store keeps; the data follows\n")
	a.shows(append([]string{"volume", "weight", "2", "3"}, watch...), "volume 2 at "+urls[1]+" has 3 slots and is in no zone; the data follows\n", "done: ")
	a.shows([]string{"volume", "zone", urls[1] + "/", "roof"}, "has 3 slots and is in zone roof; ")
	a.shows([]string{"status"}, "ZONE  VOLUMES  DOWN  SLOTS", "roof  1        0     3 ")
	a.shows([]string{"volume", "zone", "2", "none"}, "is in no zone; ")
	a.shows([]string{"rebalance", "start"}, "scanned, ")
	a.shows([]string{"damage"}, "no damage is known\n")
	a.shows([]string{"top", "-once", "-interval", "10ms"}, " requests/s, ", "VOLUME  HEALTH", "OPERATION", "AdminStats")
	if top := answerOf[topSample](a, "top", "-interval", "10ms"); len(top.Volumes) != 3 || top.All.Requests <= 0 || top.Volumes[0].URL != urls[0] {
		t.Errorf("%+v", top)
	}

	a.fails("4 replicas need as many volumes", "replicas", "4")
	a.fails("want 1 to 8", "replicas", "9")
	a.fails("there is no such bucket", "bucket", "replicas", "nobody", "2")
	a.fails("want 1 to 64", "volume", "weight", "2", "65")
	a.fails("no volume has this number", "volume", "weight", "7", "2")
	code, stdout, stderr := admin(t, a.env(), "volume", "lost", "3")
	if code != exitMisuse || stdout != "" || !strings.Contains(stderr, "volume 3 at "+urls[2]+" holds ") || !strings.Contains(stderr, "add -yes if that is meant") {
		t.Errorf("not confirmed: exit %d, %s%s", code, stdout, stderr)
	}
	if v := answerOf[adminapi.Volumes](a, "volume", "ls").Volumes; len(v) != 3 {
		t.Errorf("%+v", v)
	}
	a.shows(append([]string{"volume", "lost", "3", "-yes"}, watch...), "volume 3 is given up; ", "done: ")
	a.fails("no volume has this number", "volume", "lost", "9", "-yes")
	if v := answerOf[adminapi.Volumes](a, "volume", "ls").Volumes; len(v) != 2 {
		t.Errorf("%+v", v)
	}
	for i := range 20 {
		l := answerOf[adminapi.Location](a, "locate", fmt.Sprintf("kv/key%d", i))
		if !l.InPlace || len(l.Extents[0].Pieces) != 2 {
			t.Errorf("%+v", l)
		}
	}
	a.shows(append([]string{"volume", "cancel", "3"}, watch...), "volume 3 at "+urls[2]+" stays; what has moved comes back\n", "done: ")
	if v := answerOf[adminapi.Volumes](a, "volume", "ls").Volumes; len(v) != 3 || v[2].State != adminapi.Active {
		t.Errorf("%+v", v)
	}
	a.fails("is not being deleted", "volume", "cancel", "3")
}

func TestConfirmation(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]bool{"3\n": true, " 3 \n": true, "3": true, "": false, "\n": false, "y\n": false, "33\n": false, "\n3\n": false} {
		if err := readConfirmation(strings.NewReader(typed), "3"); (err == nil) != want {
			t.Errorf("%q: %v", typed, err)
		}
	}
	if isTerminalInput(strings.NewReader("")) {
		t.Error("a string is no terminal")
	}
}

// TestAdminOfServer: the keys come from the directory, and directories do not
// join while the store runs.
func TestAdminOfServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startRole(t, "server", "-listen=127.0.0.1:0", dir)
	endpoint := "http://" + s.address(t)
	code, stdout, stderr := admin(t, envOf(), "status", "-endpoint", endpoint, "-data", dir)
	if code != exitDone || !strings.Contains(stdout, "on 1 volumes") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = admin(t, envOf(envEndpoint, "http://127.0.0.1:1"), "status", "-data", dir)
	if code != exitDone || !strings.Contains(stdout, "on 1 volumes") {
		t.Errorf("by its directory alone: exit %d, %s%s", code, stdout, stderr)
	}
	code, _, stderr = admin(t, envOf(), "status", "-data", dir, "-endpoint", "http://127.0.0.1:1")
	if code != exitFailed || !strings.Contains(stderr, "http://127.0.0.1:1 does not answer") {
		t.Errorf("elsewhere: exit %d, %s", code, stderr)
	}
	code, _, stderr = admin(t, envOf(), "volume", "add", "http://127.0.0.1:1", "-endpoint", endpoint, "-data", dir)
	if code != exitFailed || !strings.Contains(stderr, "are directories") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	code, _, stderr = admin(t, envOf(), "status", "-endpoint", endpoint)
	if code != exitFailed || !strings.Contains(stderr, "signed with the root credentials") {
		t.Errorf("unsigned: exit %d, %s", code, stderr)
	}
	code, _, stderr = admin(t, envOf(), "volume", "delete", "1", "-endpoint", endpoint, "-data", dir)
	if code != exitFailed || !strings.Contains(stderr, "is the last one") {
		t.Errorf("the last volume: exit %d, %s", code, stderr)
	}
}

// TestAdminBeside: next to a store, its configuration file says where it is and
// how to sign, and a server in the working directory needs not even that.
func TestAdminBeside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := writeFile(t, "server.yaml", "listen: 127.0.0.1:0\nregion: eu-west-7\ndirs: ["+dir+"]\n")
	s := startRole(t, "server", "-config="+file)
	endpoint := "http://" + s.address(t)
	code, stdout, stderr := admin(t, envOf(), "status", "-config", file, "-endpoint", endpoint)
	if code != exitDone || !strings.Contains(stdout, "on 1 volumes") {
		t.Errorf("server: exit %d, %s%s", code, stdout, stderr)
	}
	urls := startVolumes(t, 1)
	file = masterFile(t, filepath.Join(t.TempDir(), "master"), clusterSecret, urls)
	m := startRole(t, "master", "-config="+file)
	code, stdout, stderr = admin(t, envOf(), "status", "-config", file, "-endpoint", "http://"+m.address(t))
	if code != exitDone || !strings.Contains(stdout, "on 1 volumes") {
		t.Errorf("master: exit %d, %s%s", code, stdout, stderr)
	}
	for content, want := range map[string]string{
		"volumes: [http://a:1]\n": "port is missing",
		"frob: 1\n":               "unknown field",
		"port: 1\n":               "http://127.0.0.1:1 does not answer",
		"port: 1\nvolumes: [http://a:1]\ncredentials: {access_key: abc, secret_key: 12345678}\n": "http://127.0.0.1:1 does not answer",
	} {
		code, _, stderr := admin(t, envOf(envEndpoint, endpoint), "status", "-config", writeFile(t, "x.yaml", content))
		if code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit %d, %s", content, code, stderr)
		}
	}
	if code, _, stderr := admin(t, envOf(), "status", "-config", "nowhere.yaml"); code != exitFailed || !strings.Contains(stderr, "nowhere.yaml") {
		t.Errorf("no file: exit %d, %s", code, stderr)
	}
	for address, want := range map[string]string{
		":3000": "http://127.0.0.1:3000", "0.0.0.0:80": "http://127.0.0.1:80", "[::]:80": "http://127.0.0.1:80", "10.0.0.1:5": "http://10.0.0.1:5",
		"[::1]:5": "http://[::1]:5", "localhost:0": "", "": "",
	} {
		if got := reachAt(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	local, remote := &url.URL{Host: "127.0.0.1:3000"}, &url.URL{Host: "store.example:3000"}
	if keys, err := (beside{dir: dir}).madeKeys(local); err != nil || keys.AccessKey == "" {
		t.Errorf("made keys: %+v, %v", keys, err)
	}
	if keys, err := (beside{dir: dir}).madeKeys(remote); err != nil || keys.AccessKey != "" {
		t.Errorf("for another machine: %+v, %v", keys, err)
	}
	if keys, err := (beside{dir: t.TempDir()}).madeKeys(local); err != nil || keys.AccessKey != "" {
		t.Errorf("none were made: %+v, %v", keys, err)
	}
}

// TestAdminWatch: a store that does not answer for a moment is asked again, one
// that refuses is not; programs get a document in a line.
func TestAdminWatch(t *testing.T) {
	t.Parallel()
	answers := []struct {
		status int
		body   string
	}{
		{200, `{"active": true, "epoch": 2, "pass": 1, "expected": 10, "scanned": 1}`},
		{503, `{"error": {"code": "Unavailable", "message": "not now"}}`},
		{502, "<html>"},
		{200, `{"active": true, "epoch": 2, "pass": 1, "expected": 10, "scanned": 1}`},
		{200, `{"active": false, "epoch": 2, "pass": 2, "moved": 3}`},
		{403, `{"error": {"code": "AccessDenied", "message": "no"}}`},
	}
	var asked atomic.Int32
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		next := answers[min(int(asked.Add(1)), len(answers))-1]
		w.WriteHeader(next.status)
		_, _ = w.Write([]byte(next.body))
	}))
	t.Cleanup(store.Close)
	watch := []string{"rebalance", "status", "-watch", "-interval", "10ms", "-o", "json", "-endpoint", store.URL}
	code, stdout, stderr := admin(t, envOf(), watch...)
	if code != exitDone || stderr != "" || strings.Count(stdout, "\n") != 2 || asked.Load() != 5 {
		t.Errorf("exit %d, asked %d times\n%s%s", code, asked.Load(), stdout, stderr)
	}
	for line := range strings.Lines(stdout) {
		var r adminapi.Rebalance
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Epoch != 2 {
			t.Errorf("%s: %v", line, err)
		}
	}
	if code, _, stderr := admin(t, envOf(), watch...); code != exitFailed || stderr != "tdkvs: no (AccessDenied, status 403)\n" || asked.Load() != 6 {
		t.Errorf("refused: exit %d, asked %d times, %s", code, asked.Load(), stderr)
	}
}

// TestProgress: pace and time left are of the pass, and never nonsense.
func TestProgress(t *testing.T) {
	t.Parallel()
	var p progress
	at := time.Now()
	r := adminapi.Rebalance{Active: true, Epoch: 2, Pass: 1, Expected: 1000}
	p.observe(r, at)
	if p.left() != 0 || p.bytes != 0 {
		t.Errorf("at the start: %s", p.String())
	}
	r.Scanned, r.Moved, r.MovedBytes = 100, 20, 20<<20
	p.observe(r, at.Add(2*time.Second))
	if got := p.String(); got != "100 of about 1,000 scanned, 20 pieces (20.0 MiB) moved, 10.0 MiB/s, about 18s left" {
		t.Error(got)
	}
	r.Paused = true
	p.observe(r, at.Add(3*time.Second))
	if got := p.String(); got != "paused: 20 pieces (20.0 MiB) moved" {
		t.Error(got)
	}
	r.Paused, r.Pass, r.Scanned, r.Failed = false, 2, 1, 3
	p.observe(r, at.Add(4*time.Second))
	if got := p.String(); !strings.HasPrefix(got, "pass 2, looking for what is left: 1 of about 1,000 scanned, 20 pieces (20.0 MiB) moved, 3 attempts failed") || p.left() != 0 {
		t.Error(got)
	}
	retry := at.Add(time.Minute)
	r.Retry, r.LastError = &retry, "no\x1b"
	p.observe(r, at.Add(4*time.Second))
	if got, want := p.String(), "pass 2 begins at "+moment(retry)+", after failures: 20 pieces (20.0 MiB) moved, 3 attempts failed, the last failure: \"no\\x1b\""; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	r.Active = false
	p.observe(r, at.Add(5*time.Second))
	if got := p.String(); got != "done: 20 pieces (20.0 MiB) moved, 3 attempts failed" || !p.ended() {
		t.Error(got)
	}
	r.Repairs, r.Short, r.Stuck = adminapi.RepairMost, 5, []adminapi.Stuck{{Volume: 3}}
	p.observe(r, at.Add(6*time.Second))
	if got := p.String(); p.ended() || p.part() == 1 ||
		got != "done: 20 pieces (20.0 MiB) moved, 3 attempts failed, too few volumes for 5 extents, volume 3 can not be emptied, at least 10,000 extents to be repaired" {
		t.Error(got)
	}
	// Repairs that do not get on are not waited for for ever.
	p.observe(r, at.Add(5*time.Second+repairPatience))
	if err := p.stalled(); err != nil {
		t.Error(err)
	}
	p.observe(r, at.Add(6*time.Second+repairPatience))
	if err := p.stalled(); err == nil || !strings.HasPrefix(err.Error(), "at least 10,000 extents wait for their repair, and none could be made in 6m") {
		t.Error(err)
	}
	r.Repaired++
	p.observe(r, at.Add(7*time.Second+repairPatience))
	if err := p.stalled(); err != nil {
		t.Error(err)
	}
}

// TestAdminStuckDeletion: whoever watches a deletion that can not come to its end
// is told why, and that it has failed; also where nothing is left but repairs.
func TestAdminStuckDeletion(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{"number": 3, "uuid": "u", "url": "http://v3", "state": "draining"}`
		switch path := strings.TrimPrefix(r.URL.Path, adminapi.Prefix); path {
		case "/volumes":
			answer = `{"volumes": [` + answer + `]}`
		case "/rebalance":
			answer = `{"active": false, "epoch": 3, "pass": 2, "repairs": 1}`
			if asked.Add(1) > 1 {
				answer = `{"active": false, "epoch": 3, "pass": 2, "repaired": 1, "stuck": [{"volume": 2, "short": 4}, {"volume": 3, "damaged": 12, "parts": 1, "short": 1}]}`
			}
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(store.Close)
	code, stdout, stderr := admin(t, envOf(), "volume", "delete", "3", "-watch", "-interval", "10ms", "-endpoint", store.URL)
	want := "tdkvs: volume 3 can not be emptied: 12 extents on it can not be read and can not be restored: delete what \"tdkvs admin damage\" lists, or put it back from a backup; " +
		"1 part of uploads in progress on it can not be read: abort these uploads; 1 extent would have too few volumes without it: add a volume, or keep fewer copies. " +
		"It is tried again every 10 minutes, and at once by another \"volume delete\"; \"volume cancel\" lets it stay\n"
	if code != exitFailed || stderr != want || !strings.Contains(stdout, "moved, 1 extent to be repaired\n") || !strings.Contains(stdout, "volume 3 can not be emptied\n") {
		t.Errorf("exit %d\n%s\n%s\nwant:\n%s", code, stdout, stderr, want)
	}
}

func TestPrinted(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		human(0): "0 B", human(1023): "1023 B", human(1536): "1.5 KiB", human(5 << 40): "5.0 TiB", human(1 << 62): "4096.0 PiB",
		grouped(0): "0", grouped(999): "999", grouped(1000): "1,000", grouped(-1234567): "-1,234,567",
		row("a", "", 3): "a\t-\t3", row("x\x1b[2J\ty"): `"x\x1b[2J\ty"`, row("é"): "é",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
