package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tdkvs/gateway/adminapi"
	"tdkvs/master/metadb"
)

// ended waits until a role has ended by itself.
func (r *role) ended(t *testing.T) int {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		t.Fatalf("still running\n%s", r.stderr.String())
	}
	return r.code
}

// TestDeleteVolume: the volume at an index is emptied and leaves; what may not be
// deleted is refused before anything moves.
func TestDeleteVolume(t *testing.T) {
	t.Parallel()
	urls := startVolumes(t, 3)
	data := filepath.Join(t.TempDir(), "master")
	keys := credentialsConfig{"abc", "12345678"}
	file := masterFile(t, data, clusterSecret, urls)
	m := startRole(t, "master", "-config="+file)
	endpoint := "http://" + m.address(t)
	for i := range 30 {
		if code, body := native(t, http.MethodPut, fmt.Sprintf("%s/set/key%d", endpoint, i), keys, strings.NewReader(fmt.Sprint(i))); code/100 != 2 {
			t.Fatalf("set: %d %s", code, body)
		}
	}
	remove := func(file string, index string, code int, want string) string {
		t.Helper()
		r := startRole(t, "master", "-config="+file, "-delete="+index)
		if got := r.ended(t); got != code || !strings.Contains(r.stdout.String()+r.stderr.String(), want) {
			t.Errorf("delete %s: exit %d, want %d and %q\n%s%s", index, got, code, want, r.stdout.String(), r.stderr.String())
		}
		return r.stdout.String()
	}
	remove(file, "1", exitFailed, "the store is running: stop the master that uses "+data)
	if code := m.stop(); code != exitDone {
		t.Fatalf("master ended with code %d\n%s", code, m.stderr.String())
	}
	remove(file, "3", exitMisuse, "there is no volume 3: the list has 3, from 0 to 2")
	remove(file, "-1", exitMisuse, "there is no volume -1")
	remove(file, "two", exitMisuse, `not "two"`)

	out := remove(file, "1", exitDone, urls[1]+" is not part of the store any more. Remove it from the volumes in "+file)
	if !strings.Contains(out, "moving what is on "+urls[1]) || !strings.Contains(out, "moved ") {
		t.Errorf("stdout: %s", out)
	}
	remove(file, "1", exitDone, "is not part of the store any more") // again, with the old list
	r := startRole(t, "master", "-config="+file)
	if code := r.ended(t); code != exitFailed || !strings.Contains(r.stderr.String(), "- deleted: "+urls[1]) || !strings.Contains(r.stderr.String(), "take it off the list") {
		t.Errorf("a start with the deleted volume: exit %d\n%s", code, r.stderr.String())
	}
	rest := masterFile(t, data, clusterSecret, []string{urls[0], urls[2]})
	m = startRole(t, "master", "-config="+rest)
	for i := range 30 {
		if code, body := native(t, http.MethodGet, fmt.Sprintf("http://%s/get/key%d", m.address(t), i), keys, nil); code != http.StatusOK || body != fmt.Sprint(i) {
			t.Errorf("get: %d %q, want %d", code, body, i)
		}
	}
	m.stop()
	remove(rest, "0", exitDone, "is not part of the store any more")
	remove(masterFile(t, data, clusterSecret, urls[2:]), "0", exitFailed, "is the last one that can take data: add another first")
}

// TestDeleteDamagedVolume: what can not be read ends a deletion, which says what
// that is; once it is gone the volume leaves.
func TestDeleteDamagedVolume(t *testing.T) {
	t.Parallel()
	urls, dirs := startVolumesIn(t, 2)
	keys := credentialsConfig{"abc", "12345678"}
	file := masterFile(t, filepath.Join(t.TempDir(), "master"), clusterSecret, urls)
	m := startRole(t, "master", "-config="+file)
	for i := range 10 {
		body := strings.Repeat(fmt.Sprintf("payload of key %d;", i), 10)
		if code, answer := native(t, http.MethodPut, fmt.Sprintf("http://%s/set/key%d", m.address(t), i), keys, strings.NewReader(body)); code/100 != 2 {
			t.Fatalf("set: %d %s", code, answer)
		}
	}
	if code := m.stop(); code != exitDone {
		t.Fatalf("master ended with code %d\n%s", code, m.stderr.String())
	}
	damaged := flipPayloads(t, dirs[1])
	if damaged == 0 {
		t.Fatal("nothing lies on the second volume")
	}
	for range 2 { // and again
		r := startRole(t, "master", "-config="+file, "-delete=1")
		want := fmt.Sprintf("%s can not be deleted: volume 2 can not be emptied: %s on it can not be read and can not be restored", urls[1], counted(damaged, "extent"))
		if code := r.ended(t); code != exitFailed || !strings.Contains(r.stderr.String(), want) {
			t.Fatalf("exit %d\n%s%s\nwant %s", code, r.stdout.String(), r.stderr.String(), want)
		}
	}
	m = startRole(t, "master", "-config="+file)
	a := adminOf{t, "http://" + m.address(t)}
	a.shows([]string{"status"}, "draining", "STUCK: volume 2 can not be emptied: ", "DAMAGE: ")
	list := answerOf[adminapi.Damages](a, "damage")
	if len(list.Damage) != damaged {
		t.Errorf("%d records were flipped: %+v", damaged, list)
	}
	for _, x := range list.Damage {
		if code, answer := native(t, http.MethodDelete, a.endpoint+"/delete/"+x.Key, keys, nil); code/100 != 2 {
			t.Fatalf("delete: %d %s", code, answer)
		}
	}
	a.shows([]string{"volume", "delete", "2", "-watch", "-interval", "10ms"}, "volume 2 has left the cluster\n")
}

// flipPayloads flips a bit in each payload of TestDeleteDamagedVolume in the files
// of a volume, and returns how many there are.
func flipPayloads(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		begin := []byte("payload of key ")
		for i := bytes.Index(b, begin); i >= 0 && err == nil; i = next(b, begin, i+200) {
			n++
			_, err = f.WriteAt([]byte{b[i] ^ 1}, int64(i))
		}
		return errors.Join(err, f.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// next is where what is sought begins behind an offset, below zero where it does
// not.
func next(b, sought []byte, from int) int {
	from = min(from, len(b))
	i := bytes.Index(b[from:], sought)
	if i < 0 {
		return i
	}
	return from + i
}

// TestMeter: a line now and then, or a bar on a terminal.
func TestMeter(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	var out bytes.Buffer
	p := &meter{out: &out, every: lineEvery, now: func() time.Time { return now }}
	p.begin("v", 75, 3<<20, metadb.Rebalance{Moved: 25, MovedBytes: 1 << 20})
	st := metadb.Rebalance{Scanned: 500, Moved: 50, MovedBytes: 2 << 20, LastError: "disk on fire"}
	p.show(st)
	now = now.Add(10 * time.Second)
	p.show(st)
	p.show(st)
	now = now.Add(10 * time.Second)
	st.MovedBytes = 9 << 20
	p.show(st)
	p.finish(metadb.Rebalance{Moved: 100, MovedBytes: 4 << 20})
	want := `going on to move what is on v: 75 blobs, 3.0 MiB
50 %  scanned 500, moved 50 blobs, 2.0 MiB of about 4.0 MiB, 102.4 KiB/s, about 20s left
not moved yet: disk on fire
99 %  scanned 500, moved 50 blobs, 9.0 MiB of about 4.0 MiB, 409.6 KiB/s
moved 100 blobs, 4.0 MiB, in 20s
`
	if out.String() != want {
		t.Errorf("lines:\n%s\nwant:\n%s", out.String(), want)
	}

	out.Reset()
	bar := &meter{out: &out, bar: true, every: barEvery, now: func() time.Time { return now }}
	bar.begin("v", 2, 0, metadb.Rebalance{})
	now = now.Add(time.Second)
	bar.show(metadb.Rebalance{Moved: 1})
	bar.finish(metadb.Rebalance{Moved: 2})
	want = "moving what is on v: 2 blobs, 0 B\n" +
		"\r[============            ] 50 %  scanned 0, moved 1 blobs, 0 B of about 0 B\x1b[K\r[========================] 100 %\x1b[K\nmoved 2 blobs, 0 B, in 1s\n"
	if out.String() != want {
		t.Errorf("bar:\n%q\nwant:\n%q", out.String(), want)
	}
}
