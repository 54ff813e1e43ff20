package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tdkvs/master/meta"
)

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestMinimalFiles(t *testing.T) {
	t.Parallel()
	master, err := loadMaster(writeFile(t, "master.yaml", "port: 3000\nvolumes:\n  - http://10.0.0.1:3001\n  - http://10.0.0.2:3001\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := defaultMaster()
	want.Port = 3000
	want.Volumes = []volumeEntry{{URL: "http://10.0.0.1:3001"}, {URL: "http://10.0.0.2:3001"}}
	if diff := cmp.Diff(want, master, cmp.AllowUnexported(masterConfig{}, volumeEntry{})); diff != "" {
		t.Errorf("master (-want +got):\n%s", diff)
	}
	if got := master.address(); got != ":3000" {
		t.Errorf("master listens on %q", got)
	}

	volume, err := loadVolume(writeFile(t, "volume.yaml", "port: 3001\npath: /storage_directory/\n"))
	if err != nil {
		t.Fatal(err)
	}
	wantVolume := defaultVolume()
	wantVolume.Port = 3001
	wantVolume.Path = "/storage_directory/"
	if diff := cmp.Diff(wantVolume, volume, cmp.AllowUnexported(volumeConfig{})); diff != "" {
		t.Errorf("volume (-want +got):\n%s", diff)
	}
}

func TestFullMaster(t *testing.T) {
	t.Parallel()
	got, err := loadMaster(writeFile(t, "master.yaml", `# everything
listen: 127.0.0.1:0
volumes:
  - HTTP://Node1:3001/
  - url: "http://[::1]:3001"
    zone: roof
    weight: 3
  - {url: http://node2, zone: ''}
data: /var/lib/tdkvs
cluster_secret: &secret 0123456789abcdef
volume_wait: 1m
credentials:
  access_key: 12345
  secret_key: *secret
region: eu-central-1
domains:
  - s3.example.com
  - localhost
shutdown_timeout: 5s
client_timeout: 2m
garbage_grace: 1h
leftover_grace: 0s
body_memory: 1GiB
replicas: 2
metadata_copies: 4
storage_classes:
  STANDARD_IA: 2+1
  COLD_1: {code: 1 + 2, min_size: 4MiB}
disk_reserve: 10 GiB
log: {format: json, level: debug}
`))
	if err != nil {
		t.Fatal(err)
	}
	reserve := byteSize(10 << 30)
	roof, none, copies := "roof", "", 4
	want := masterConfig{
		addressConfig: addressConfig{Listen: "127.0.0.1:0", ShutdownTimeout: 5 * time.Second},
		Volumes: []volumeEntry{
			{URL: "http://node1:3001"},
			{URL: "http://[::1]:3001", placeConfig: placeConfig{Zone: &roof, Weight: 3}},
			{URL: "http://node2:80", placeConfig: placeConfig{Zone: &none}},
		},
		Data:          "/var/lib/tdkvs",
		clusterConfig: clusterConfig{ClusterSecret: "0123456789abcdef"},
		VolumeWait:    time.Minute,
		frontConfig: frontConfig{
			Credentials:   credentialsConfig{AccessKey: "12345", SecretKey: "0123456789abcdef"},
			Region:        "eu-central-1",
			Domains:       []string{"s3.example.com", "localhost"},
			ClientTimeout: 2 * time.Minute,
		},
		storeConfig: storeConfig{GarbageGrace: time.Hour, Replicas: 2, MetadataCopies: &copies, StorageClasses: map[string]classConfig{
			"STANDARD_IA": {Code: meta.Code{Data: 2, Parity: 1}, MinSize: 1 << 20},
			"COLD_1":      {Code: meta.Code{Data: 1, Parity: 2}, MinSize: 4 << 20},
		}, BodyMemory: 1 << 30},
		diskConfig: diskConfig{DiskReserve: &reserve},
		logConfig:  logConfig{Log: logSettings{Format: "json", Level: "debug"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(masterConfig{}, volumeEntry{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestBadFiles holds each way of being wrong to its exact message, in which
// FILE stands for the name of the file.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	const ok = "port: 3000\nvolumes: [http://a:1]\n"
	tests := []struct {
		name    string
		content string
		want    string
	}{
		{"empty", "", "FILE: the file is empty"},
		{"only a comment", "# nothing\n", "FILE: the file is empty"},
		{"only a marker", "---\n", "FILE: the file is empty"},
		{"null", "null\n", "FILE: the file is empty"},
		{"a word", "hello\n", `FILE:1: want settings, each as "name: value", not "hello"`},
		{"a list", "- port: 3000\n", `FILE:1: want settings, each as "name: value", not a list`},
		{"misspelt", "port: 3000\n\nvolums:\n  - http://a:1\n",
			`FILE:3: unknown field "volums": did you mean "volumes"?`},
		{"far from any", ok + "frobnicate: 1\n",
			`FILE:3: unknown field "frobnicate": known are port, listen, shutdown_timeout, volumes, data, cluster_secret, volume_wait, ` +
				`credentials, region, domains, client_timeout, garbage_grace, leftover_grace, replicas, metadata_copies, storage_classes, body_memory, disk_reserve, metrics_token, log`},
		{"misspelt inside", ok + "credentials:\n  acces_key: abc\n  secret_key: 12345678\n",
			`FILE:4: unknown field "acces_key" in credentials: did you mean "access_key"?`},
		{"a key that is no word", ok + "? [a]\n: b\n", `FILE:3: unknown field ""` + knownMaster},
		{"twice", ok + "port: 3001\n", `FILE:3: field "port" is given twice, first in line 1`},
		{"twice inside", ok + "log:\n  level: info\n  level: warn\n",
			`FILE:5: field "level" in log is given twice, first in line 4`},
		{"two documents", ok + "---\nport: 1\n", "FILE:3: a second document begins here: one is wanted"},
		{"tab", "port: 3000\nvolumes:\n\t- http://a:1\n", "FILE:3: a tab in the indentation: use spaces"},
		{"no YAML", "port: 3000\nvolumes: [http://a:1\n", "FILE:2: not valid YAML: did not find expected ',' or ']'"},
		{"no YAML, in the first line", "[\n", "FILE:1: not valid YAML: did not find expected node content"},
		{"colon in a value", ok + "data: a: b\n", "FILE:3: not valid YAML: mapping values are not allowed in this context"},
		{"wrong indentation", "port: 3000\nvolumes:\n  - http://a:1\n data: x\n", "FILE:4: not valid YAML: did not find expected key"},
		{"no YAML in the second document", ok + "---\n[\n", "FILE:4: not valid YAML: did not find expected node content"},
		{"text for a number", "port: http\nvolumes: [http://a:1]\n", `FILE:1: port: want a whole number, not "http"`},
		{"quoted number", "port: \"3000\"\nvolumes: [http://a:1]\n", `FILE:1: port: want a whole number, not "3000"`},
		{"fraction", "port: 3000.5\nvolumes: [http://a:1]\n", `FILE:1: port: want a whole number, not "3000.5"`},
		{"list for a number", "port: [1]\nvolumes: [http://a:1]\n", "FILE:1: port: want a whole number, not a list"},
		{"no value", "port:\nvolumes: [http://a:1]\n", "FILE:1: port: has no value: want a whole number"},
		{"text for a list", "port: 3000\nvolumes: http://a:1\n",
			`FILE:2: volumes: want a list, each entry on a line of its own after "- ", not "http://a:1"`},
		{"nothing for a list", "port: 3000\nvolumes:\n",
			`FILE:2: volumes: want a list, each entry on a line of its own after "- ", not nothing`},
		{"a list for an entry", "port: 3000\nvolumes:\n  - http://b:1\n  - [http://a:1]\n",
			`FILE:4: volumes[1]: want settings, each as "name: value", not a list`},
		{"nothing for an entry", "port: 3000\nvolumes:\n  -\n", `FILE:3: volumes[0]: want settings, each as "name: value", not nothing`},
		{"misspelt in an entry", "port: 3000\nvolumes:\n  - url: http://b:1\n    wieght: 2\n",
			`FILE:4: unknown field "wieght" in volumes[0]: did you mean "weight"?`},
		{"an entry without a URL", "port: 3000\nvolumes:\n  - zone: roof\n",
			"FILE:3: volumes[0]: url is missing: say where the volume is, as http://host:port"},
		{"no URL in an entry", "port: 3000\nvolumes:\n  - zone: roof\n    url: nowhere\n", `FILE:3: volumes[0]: want http://host:port, not "nowhere"`},
		{"weight 0", "port: 3000\nvolumes:\n  - url: http://a:1\n    weight: 0\n", "FILE:4: volumes[0].weight: want 1 to 64, not 0"},
		{"weight", "port: 3000\nvolumes: [{url: http://a:1, weight: 65}]\n", "FILE:2: volumes[0].weight: want 1 to 64, not 65"},
		{"weight in words", "port: 3000\nvolumes: [{url: http://a:1, weight: two}]\n", `FILE:2: volumes[0].weight: want a whole number, not "two"`},
		{"long zone", "port: 3000\nvolumes: [{url: http://a:1, zone: " + strings.Repeat("z", 129) + "}]\n",
			"FILE:2: volumes[0].zone: want at most 128 bytes, not 129"},
		{"replicas 0", ok + "replicas: 0\n", "FILE:3: replicas: want 1 to 8, not 0"},
		{"metadata_copies 5", ok + "metadata_copies: 5\n", "FILE:3: metadata_copies: want 0 to 4, not 5"},
		{"metadata_copies -1", ok + "metadata_copies: -1\n", "FILE:3: metadata_copies: want 0 to 4, not -1"},
		{"replicas 9", ok + "replicas: 9\n", "FILE:3: replicas: want 1 to 8, not 9"},
		{"more replicas than volumes", ok + "replicas: 2\n", "FILE:3: replicas: 2 copies need 2 volumes, and the list has 1"},
		{"classes as a word", ok + "storage_classes: 4+2\n", `FILE:3: storage_classes: want names, each as "NAME: 4+2", not "4+2"`},
		{"class name", ok + "storage_classes: {cold: 1+1}\n",
			"FILE:3: storage_classes.cold: want a name of at most 64 capital letters, digits and _ that begins with a letter\n" +
				"FILE:3: storage_classes.cold: 1+1 needs 2 volumes, and the list has 1"},
		{"class name that is no word", ok + "storage_classes: {[A]: 1+1}\n", "FILE:3: storage_classes: want a name, not a list"},
		{"class twice", ok + "storage_classes:\n  A: 1+1\n  A: 1+1\n", "FILE:5: storage_classes.A is given twice, first in line 4"},
		{"no code", ok + "storage_classes: {COLD: six}\n", `FILE:3: storage_classes.COLD: want shards of data and of parity, such as 4+2, not "six"`},
		{"code is missing", ok + "storage_classes: {COLD: {min_size: 1MiB}}\n",
			"FILE:3: storage_classes.COLD: code is missing: want shards of data and of parity, such as 4+2"},
		{"no data", ok + "storage_classes: {COLD: 0+2}\n",
			"FILE:3: storage_classes.COLD: 0+2: want at least 1 shard of data, 1 to 7 of parity, and at most 64 together"},
		{"no parity", ok + "storage_classes:\n  COLD:\n    code: 2+0\n",
			"FILE:5: storage_classes.COLD.code: 2+0: want at least 1 shard of data, 1 to 7 of parity, and at most 64 together"},
		{"too much parity", ok + "storage_classes: {COLD: 9+8}\n", "FILE:3: storage_classes.COLD: 8 shards of parity: want at most 7"},
		{"more shards than volumes", ok + "storage_classes: {COLD: 4+2}\n", "FILE:3: storage_classes.COLD: 4+2 needs 6 volumes, and the list has 1"},
		{"min size", ok + "storage_classes: {COLD: {code: 1+1, min_size: big}}\n",
			`FILE:3: storage_classes.COLD.min_size: want a size such as 512MiB, 10GB or 4096, not "big"`},
		{"misspelt in a class", ok + "storage_classes: {COLD: {coed: 1+1}}\n", `FILE:3: unknown field "coed" in storage_classes.COLD: did you mean "code"?`},
		{"text for settings", ok + "log: debug\n", `FILE:3: log: want settings, each as "name: value", not "debug"`},
		{"too little memory", ok + "body_memory: 15MiB\n", `FILE:3: body_memory: want at least 16MiB, not 15MiB`},
		{"duration", ok + "garbage_grace: 10\n", `FILE:3: garbage_grace: want a duration such as 30s, 5m or 24h, not "10"`},
		{"negative duration", ok + "garbage_grace: -1s\n",
			`FILE:3: garbage_grace: want a duration such as 30s, 5m or 24h, not "-1s"`},
		{"size", ok + "disk_reserve: 10 apples\n",
			`FILE:3: disk_reserve: want a size such as 512MiB, 10GB or 4096, not "10 apples"`},
		{"port 0", "port: 0\nvolumes: [http://a:1]\n", "FILE:1: port: want 1 to 65535, not 0"},
		{"port too high", "port: 65536\nvolumes: [http://a:1]\n", "FILE:1: port: want 1 to 65535, not 65536"},
		{"port and listen", ok + "listen: :80\n", "FILE:3: listen: is given beside port: give one of them"},
		{"neither", "volumes: [http://a:1]\n", "FILE: port is missing: give port, or listen as host:port"},
		{"listen without a port", "listen: localhost\nvolumes: [http://a:1]\n",
			`FILE:1: listen: want host:port such as 127.0.0.1:3000, not "localhost"`},
		{"listen on a name", "listen: localhost:http\nvolumes: [http://a:1]\n",
			`FILE:1: listen: want a port from 0 to 65535 after the colon, not "http"`},
		{"no volumes", "port: 3000\n", "FILE: volumes is missing: list the volumes, each as http://host:port"},
		{"empty volumes", "port: 3000\nvolumes: []\n", "FILE:2: volumes: is empty: name at least one volume, as http://host:port"},
		{"no scheme", "port: 3000\nvolumes: [10.0.0.1:3001]\n", `FILE:2: volumes[0]: want http://host:port, not "10.0.0.1:3001"`},
		{"word", "port: 3000\nvolumes: [node1]\n", `FILE:2: volumes[0]: want http://host:port, not "node1"`},
		{"other scheme", "port: 3000\nvolumes: [ftp://a:1]\n", `FILE:2: volumes[0]: want http://host:port, not the scheme "ftp"`},
		{"no host", "port: 3000\nvolumes: [\"http://:3001\"]\n", `FILE:2: volumes[0]: want a host before the port in "http://:3001"`},
		{"path", "port: 3000\nvolumes: [http://a:1/b]\n",
			`FILE:2: volumes[0]: want http://host:port and nothing behind it, not "http://a:1/b"`},
		{"user", "port: 3000\nvolumes: [http://u:p@a:1]\n",
			`FILE:2: volumes[0]: want http://host:port without a user: volumes are opened by cluster_secret`},
		{"URL port", "port: 3000\nvolumes: [http://a:70000]\n", `FILE:2: volumes[0]: want a port from 1 to 65535, not "70000"`},
		{"same volume", "port: 3000\nvolumes:\n  - http://a:1\n  - http://b:1\n  - http://A:1/\n",
			"FILE:5: volumes[2]: http://a:1 is given twice, first in line 3"},
		{"short token", ok + "metrics_token: abc\n", "FILE:3: metrics_token: want at least 8 characters, not 3"},
		{"short secret", ok + "cluster_secret: hunter2\n", "FILE:3: cluster_secret: want at least 8 characters, not 7"},
		{"half of the credentials", ok + "credentials:\n  access_key: abc\n",
			"FILE:3: credentials: secret_key is missing beside access_key"},
		{"other half", ok + "credentials: {secret_key: 12345678}\n",
			"FILE:3: credentials: access_key is missing beside secret_key"},
		{"short access key", ok + "credentials: {access_key: ab, secret_key: 12345678}\n",
			"FILE:3: credentials: want an access key of 3 to 128 characters, not 2"},
		{"short secret key", ok + "credentials: {access_key: abc, secret_key: 1234567}\n",
			"FILE:3: credentials: want a secret key of 8 to 128 characters, not 7"},
		{"colon in access key", ok + "credentials: {access_key: \"a:b\", secret_key: 12345678}\n",
			"FILE:3: credentials: want an access key of printable ASCII characters other than space, colon, slash, comma and equals sign"},
		{"region", ok + "region: Frankfurt am Main\n",
			`FILE:3: region: want lower-case letters, digits and single hyphens, such as us-east-1, not "Frankfurt am Main"`},
		{"domain with a port", ok + "domains: [\"s3.example.com:3000\"]\n",
			`FILE:3: domains[0]: want a domain name in lower case without a port, such as s3.example.com, not "s3.example.com:3000"`},
		{"domain that is an address", ok + "domains: [10.0.0.1]\n",
			`FILE:3: domains[0]: want a domain name in lower case without a port, such as s3.example.com, not "10.0.0.1"`},
		{"same domain", ok + "domains: [a.b, a.b]\n", "FILE:3: domains[1]: a.b is given twice"},
		{"log format", ok + "log: {format: xml}\n", `FILE:3: log.format: want text or json, not "xml"`},
		{"log level", ok + "log:\n  level: loud\n", `FILE:4: log.level: want debug, info, warn or error, not "loud"`},
		{"several at once, in order", "volumes: [http://a:1]\nport: 99999\nregion: X\n",
			"FILE:2: port: want 1 to 65535, not 99999\n" +
				`FILE:3: region: want lower-case letters, digits and single hyphens, such as us-east-1, not "X"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := writeFile(t, "master.yaml", tt.content)
			_, err := loadMaster(file)
			if err == nil {
				t.Fatalf("no error, want %q", tt.want)
			}
			if got := strings.ReplaceAll(err.Error(), file, "FILE"); got != tt.want {
				t.Errorf("got:  %s\nwant: %s", got, tt.want)
			}
		})
	}
}

const knownMaster = `: known are port, listen, shutdown_timeout, volumes, data, cluster_secret, volume_wait, ` +
	`credentials, region, domains, client_timeout, garbage_grace, leftover_grace, replicas, metadata_copies, storage_classes, body_memory, disk_reserve, metrics_token, log`

func TestMissingFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "no.yaml")
	_, err := loadVolume(file)
	if want := "read configuration: open " + file + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestHugeFile(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "volume.yaml", strings.Repeat("#", maxConfigSize+1))
	_, err := loadVolume(file)
	if want := "read configuration: " + file + ": larger than 1048576 bytes"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestBadVolumeFiles(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"port: 3001\n":           "FILE: path is missing: name the directory that holds the volume",
		"port: 3001\npath: ''\n": "FILE:2: path: is empty: want a directory",
		"path: /x\n":             "FILE: port is missing: give port, or listen as host:port",
		"port: 3001\npath: /x\nvolumes: [http://a:1]\n": `FILE:3: unknown field "volumes": known are port, listen, shutdown_timeout, path, cluster_secret, disk_reserve, scrub_rate, compact_rate, metrics_token, log`,
	} {
		file := writeFile(t, "volume.yaml", content)
		_, err := loadVolume(file)
		if err == nil || strings.ReplaceAll(err.Error(), file, "FILE") != want {
			t.Errorf("%q: got %v, want %s", content, err, want)
		}
	}
}

func TestServerFile(t *testing.T) {
	t.Parallel()
	cfg, err := loadServer("", nil)
	if err != nil || cfg.address() != "127.0.0.1:3000" || cfg.Dirs[0].Path != "./data" {
		t.Errorf("without a file: %+v, %v", cfg, err)
	}
	file := writeFile(t, "server.yaml", "port: 4000\nreplicas: 2\ndirs:\n  - /disk1\n  - path: /disk2\n    zone: b\n    weight: 2\n")
	if cfg, err = loadServer(file, nil); err != nil || cfg.address() != ":4000" || len(cfg.Dirs) != 2 || cfg.Dirs[1].Weight != 2 || *cfg.Dirs[1].Zone != "b" {
		t.Errorf("with a file: %+v, %v", cfg, err)
	}
	if cfg, err = loadServer(writeFile(t, "server.yaml", "region: x\n"), nil); err != nil || cfg.address() != "127.0.0.1:3000" {
		t.Errorf("with a file that says little: %+v, %v", cfg, err)
	}
	cfg, err = serverSettings("127.0.0.1:5000", file, []string{"/disk3", "/disk4"})
	if err != nil || cfg.address() != "127.0.0.1:5000" || cfg.Port != 0 || cfg.Dirs[0].Path != "/disk3" || cfg.Dirs[1].Weight != 0 {
		t.Errorf("the command line does not win: %+v, %v", cfg, err)
	}
	for content, want := range map[string]string{
		"dirs: []\n":                       "FILE:1: dirs: name at least one directory",
		"dirs: [{zone: b}]\n":              "FILE:1: dirs[0]: path is missing: name a directory",
		"dirs: [{path: /a, weight: -1}]\n": "FILE:1: dirs[0].weight: want 1 to 64, not -1",
		"replicas: 3\n":                    "FILE:1: replicas: 3 copies need 3 volumes, and the list has 2",
	} {
		bad := writeFile(t, "server.yaml", content)
		_, err := loadServer(bad, []string{"/disk3", "/disk4"})
		if err == nil || strings.ReplaceAll(err.Error(), bad, "FILE") != want {
			t.Errorf("%q: got %v, want %s", content, err, want)
		}
	}
}

func TestByteSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]byteSize{
		"0": 0, "4096": 4096, "4096B": 4096, "1KiB": 1 << 10, "1kB": 1000, "512MiB": 512 << 20, "10 GB": 10e9, "2TiB": 2 << 40,
	} {
		if got, err := parseByteSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "B", "GiB", "-1", "1.5GiB", "1 G", "1gib", "1 1", "99999999999", "9PiBPiB", "+1", "0x10"} {
		if text == "99999999999" {
			text += "PiB"
		}
		if got, err := parseByteSize(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
}

func FuzzParseByteSize(f *testing.F) {
	for _, text := range []string{"0", "4096", "512MiB", "10 GB", "18446744073709551615PiB"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := parseByteSize(text)
		if err != nil {
			return
		}
		if again, err := parseByteSize(size.String()); err != nil || again != size {
			t.Errorf("%q is %d, written %q, read %d, %v", text, size, size, again, err)
		}
	})
}

// FuzzConfig looks for inputs that panic, and for errors that do not name the
// file.
func FuzzConfig(f *testing.F) {
	for _, content := range []string{
		"port: 3000\nvolumes:\n  - http://10.0.0.1:3001\n", "a: &a [*a]\n", "? {}\n: {}\n", "<<: {port: 1}\n", "---\n---\n",
		"credentials: {access_key: a}\n", "log: &l {level: info}\n", "storage_classes: {A: 1+1, B: {code: 2+1}}\n", "\ufeffport: 1\n", "- \n", "%YAML 1.1\n---\n",
	} {
		f.Add([]byte(content))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		cfg := defaultMaster()
		doc := newDocument("f.yaml")
		doc.decode(content, &cfg)
		if len(doc.problems) == 0 {
			cfg.checkAddress(doc)
			cfg.checkVolumes(doc)
			cfg.frontConfig.check(doc)
			cfg.storeConfig.check(doc, len(cfg.Volumes), true)
		}
		for _, err := range doc.problems {
			if !strings.HasPrefix(err.Error(), "f.yaml:") {
				t.Errorf("%v", err)
			}
		}
	})
}
