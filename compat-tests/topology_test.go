package compattests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestForeignVolumeLists starts a master with volume lists that are not those of its first start. It must refuse, name the
// difference, and change nothing: with the right list everything is there again.
func TestForeignVolumeLists(t *testing.T) {
	t.Parallel()
	shared := settings{clusterSecret: "a secret that two clusters share"}
	d := startDeployment(t, clusterKind, shared)
	other := startDeployment(t, clusterKind, shared)
	stranger := startDeployment(t, clusterKind, settings{})
	d.leaveUnchecked("its list has the new volume, which belongs to another cluster at the end")
	c := d.sdk(t)
	bucket(t, c, "kept")
	for i := range 30 {
		put(t, c, "kept", fmt.Sprint(i), content(fmt.Sprint("kept", i), 1000*i))
	}
	d.front.stop(t)
	other.front.stop(t)

	own, foreign, strange := volumeURLs(t, d), volumeURLs(t, other), volumeURLs(t, stranger)[2]
	nobody := freeAddress(t)
	fresh := d.addVolume(t, "fresh")
	for name, tc := range map[string]struct {
		volumes []string
		says    []string
	}{
		"one missing":                    {own[:2], []string{"missing", own[2]}},
		"one of another cluster":         {append(append([]string{}, own...), foreign[0]), []string{"foreign", foreign[0]}},
		"one in exchange for a new one":  {[]string{own[0], fresh, own[2]}, []string{"missing", own[1], "new, empty ones"}},
		"one in exchange for a foreign":  {[]string{own[0], own[1], foreign[2]}, []string{"missing", own[2], foreign[2]}},
		"one that has another secret":    {append(append([]string{}, own...), strange), []string{strange, "secret"}},
		"one in exchange for a stranger": {[]string{own[0], own[1], strange}, []string{strange, "secret"}},
		"all of another cluster":         {foreign, []string{"missing", own[0], foreign[0]}},
		"the same one under a new name":  {append(append([]string{}, own...), strings.Replace(own[0], "127.0.0.1", "localhost", 1)), []string{"same volume"}},
		"an address where nobody is":     {append(append([]string{}, own...), "http://"+nobody), []string{nobody}},
	} {
		code, output := command(t, nil, "master", "-config="+d.masterConfig(t, strings.ReplaceAll(name, " ", "-"), tc.volumes))
		if code != 1 {
			t.Errorf("%s: exit code %d, want 1\n%s", name, code, output)
		}
		for _, want := range tc.says {
			if !strings.Contains(output, want) {
				t.Errorf("%s: does not say %q:\n%s", name, want, output)
			}
		}
	}
	// Nothing was changed: the store serves all, and the new volume still belongs to nobody.
	d.start(t)
	for i := range 30 {
		sameBytes(t, "after refused starts", get(t, c, "kept", fmt.Sprint(i)), content(fmt.Sprint("kept", i), 1000*i))
	}
	alone := &process{name: "new master", args: []string{"master", "-config=" + d.newCluster(t, fresh)}, logFile: filepath.Join(d.dir, "new.log")}
	alone.start(t)
	t.Cleanup(func() { alone.stop(t) })
	e := &deployment{addr: d.newAddr(t), front: alone}
	e.waitReady(t)
}

// TestVolumesAtNewAddresses lists the volumes in another order and moves each to a new address: they are known by who
// they are, so all is found. Volumes that have exchanged their addresses are refused, and nothing is changed.
func TestVolumesAtNewAddresses(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, clusterKind, settings{})
	c := d.sdk(t)
	bucket(t, c, "moved")
	for i := range 30 {
		put(t, c, "moved", fmt.Sprint(i), content(fmt.Sprint("moved", i), 1000*i))
	}
	own := volumeURLs(t, d)
	d.stop(t)

	// Each volume's process gets the directory of the next one.
	dirs := d.dataDirs
	for i := range d.volumes {
		d.editVolume(t, i, "path: "+dirs[i], "path: "+dirs[(i+1)%3])
		d.volumes[i].start(t)
	}
	for _, url := range own {
		volume := &deployment{addr: strings.TrimPrefix(url, "http://")}
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			healthy, said := volume.probe("/-/healthz")
			if healthy {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s is not up: %s", url, said)
			}
		}
	}
	code, output := command(t, nil, "master", "-config="+d.masterConfig(t, "swapped", own))
	for i, url := range own {
		if want := fmt.Sprintf("swapped: %s is volume %d", url, (i+1)%3+1); code != 1 || !strings.Contains(output, want) {
			t.Errorf("exit code %d, want 1 and %q:\n%s", code, want, output)
		}
	}
	moved := make([]string, 3)
	for i, p := range d.volumes {
		p.stop(t)
		addr := freeAddress(t)
		d.editVolume(t, i, "listen: "+strings.TrimPrefix(own[i], "http://"), "listen: "+addr)
		moved[(i+1)%3] = "http://" + addr
	}
	d.front.args[1] = "-config=" + d.masterConfig(t, "moved", moved)
	d.start(t)
	for i := range 30 {
		sameBytes(t, "from moved volumes", get(t, c, "moved", fmt.Sprint(i)), content(fmt.Sprint("moved", i), 1000*i))
	}
	put(t, c, "moved", "new", []byte("new"))
	sameBytes(t, "written after the move", get(t, c, "moved", "new"), []byte("new"))
}

// editVolume replaces a setting in the configuration of a volume process.
func (d *deployment) editVolume(t testing.TB, i int, from, to string) {
	t.Helper()
	_, file, _ := strings.Cut(d.volumes[i].args[1], "=")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("no %q in %s", from, text)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// volumeURLs returns the volumes of a cluster as its configuration names them.
func volumeURLs(t testing.TB, d *deployment) []string {
	t.Helper()
	var urls []string
	for _, line := range strings.Split(d.masterText(t), "\n") {
		if url, ok := strings.CutPrefix(line, "  - http"); ok {
			urls = append(urls, "http"+url)
		}
	}
	if len(urls) != 3 {
		t.Fatalf("%d volumes in the configuration: %q", len(urls), urls)
	}
	return urls
}

func (d *deployment) masterText(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "master.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// masterConfig writes the master's configuration with another list of volumes, and no patience for those that are away.
func (d *deployment) masterConfig(t testing.TB, name string, volumes []string) string {
	t.Helper()
	before, rest, _ := strings.Cut(d.masterText(t), "volumes:\n")
	_, after, _ := strings.Cut(rest, "data:")
	text := before + "volumes:\n  - " + strings.Join(volumes, "\n  - ") + "\nvolume_wait: 1s\ndata:" + after
	return d.writeFile(t, name+".yaml", text)
}

// newCluster writes the configuration of a master without metadata of its own, over one volume.
func (d *deployment) newCluster(t testing.TB, volume string) string {
	t.Helper()
	text := strings.Replace(d.masterText(t), filepath.Join(d.dir, "master"), filepath.Join(d.dir, "master-new"), 1)
	text = strings.Replace(text, d.addr, freeAddress(t), 1)
	before, rest, _ := strings.Cut(text, "volumes:\n")
	_, after, _ := strings.Cut(rest, "data:")
	return d.writeFile(t, "new.yaml", before+"volumes:\n  - "+volume+"\ndata:"+after)
}

// newAddr returns the address in newCluster's configuration.
func (d *deployment) newAddr(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "new.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimPrefix(line, "listen: ")
}

// addVolume starts a further volume process, of no cluster yet, and returns its URL.
func (d *deployment) addVolume(t testing.TB, name string) string {
	t.Helper()
	_, file, _ := strings.Cut(d.volumes[0].args[1], "=")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(string(text), "cluster_secret: ")
	addr := freeAddress(t)
	config := d.writeFile(t, name+".yaml", fmt.Sprintf("listen: %s\npath: %s\ncluster_secret: %s", addr, filepath.Join(d.dir, name), secret))
	p := &process{name: name, args: []string{"volume", "-config=" + config}, logFile: filepath.Join(d.dir, name+".log")}
	p.start(t)
	d.added = append(d.added, p)
	t.Cleanup(func() { p.stop(t); p.checkLog(t) })
	return "http://" + addr
}
