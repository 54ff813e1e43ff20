package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tdkvs/volume/vfs"
)

// envOf makes a lookupEnv of name, value pairs.
func envOf(pairs ...string) lookupEnv {
	values := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func TestGivenCredentials(t *testing.T) {
	t.Parallel()
	config := credentialsConfig{AccessKey: "config-key", SecretKey: "config-secret"}
	tests := []struct {
		name   string
		env    lookupEnv
		config credentialsConfig
		want   credentialsConfig
		source credentialsSource
		err    string
	}{
		{name: "none", env: envOf()},
		{name: "config", env: envOf(), config: config, want: config, source: fromConfig},
		{name: "environment", env: envOf(envAccessKey, "abc", envSecretKey, "12345678"),
			want: credentialsConfig{"abc", "12345678"}, source: fromEnvironment},
		{name: "environment before config", env: envOf(envAccessKey, "abc", envSecretKey, "12345678"), config: config,
			want: credentialsConfig{"abc", "12345678"}, source: fromEnvironment},
		{name: "only the access key", env: envOf(envAccessKey, "abc"), config: config,
			err: "TDKVS_ACCESS_KEY is set and TDKVS_SECRET_KEY is not: set both or neither"},
		{name: "only the secret key", env: envOf(envSecretKey, "12345678"),
			err: "TDKVS_SECRET_KEY is set and TDKVS_ACCESS_KEY is not: set both or neither"},
		{name: "empty", env: envOf(envAccessKey, "", envSecretKey, ""), config: config,
			err: "TDKVS_ACCESS_KEY or TDKVS_SECRET_KEY is empty: give both a value or unset both"},
		{name: "short access key", env: envOf(envAccessKey, "ab", envSecretKey, "12345678"),
			err: "TDKVS_ACCESS_KEY and TDKVS_SECRET_KEY: want an access key of 3 to 128 characters, not 2"},
		{name: "short secret key", env: envOf(envAccessKey, "abc", envSecretKey, "1234567"),
			err: "TDKVS_ACCESS_KEY and TDKVS_SECRET_KEY: want a secret key of 8 to 128 characters, not 7"},
		{name: "control character", env: envOf(envAccessKey, "abc", envSecretKey, "1234567\n8"),
			err: "TDKVS_ACCESS_KEY and TDKVS_SECRET_KEY: want a secret key without control characters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := givenCredentials(tt.env, tt.config, "x.yaml")
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Fatalf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil || got.credentialsConfig != tt.want || got.source != tt.source {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestStoredCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	first, err := storedCredentials(vfs.OS(), dir, log)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{19}$`).MatchString(first.AccessKey) ||
		!regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{39}$`).MatchString(first.SecretKey) {
		t.Errorf("made %+v", first)
	}
	info, err := os.Stat(filepath.Join(dir, "credentials"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	second, err := storedCredentials(vfs.OS(), dir, log)
	if err != nil || second != first {
		t.Errorf("read back %+v, %v; want %+v", second, err, first)
	}
	other, err := storedCredentials(vfs.OS(), t.TempDir(), log)
	if err != nil || other.SecretKey == first.SecretKey || other.AccessKey == first.AccessKey {
		t.Errorf("two stores share keys: %+v, %v", other, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestStoredCredentialsDurable takes the power away right after a first start
// has read its keys out: they must be there again.
func TestStoredCredentialsDurable(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	disk := vfs.NewMem()
	if err := disk.MkdirAll("/data"); err != nil {
		t.Fatal(err)
	}
	first, err := storedCredentials(disk, "/data", log)
	if err != nil {
		t.Fatal(err)
	}
	again, err := storedCredentials(disk.CrashClone(), "/data", log)
	if err != nil || again != first {
		t.Errorf("after a power cut: %+v, %v; want %+v", again, err, first)
	}
}

// TestStoredCredentialsOpen: keys that other users can read still work, and the
// log says what to do.
func TestStoredCredentialsOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "credentials")
	if err := os.WriteFile(file, []byte("access_key: abc\nsecret_key: 12345678\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	got, err := storedCredentials(vfs.OS(), dir, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil || got.AccessKey != "abc" || got.SecretKey != "12345678" {
		t.Errorf("got %+v, %v", got, err)
	}
	if !strings.Contains(out.String(), "level=WARN") || !strings.Contains(out.String(), "mode=0644") {
		t.Errorf("no warning: %s", out.String())
	}
}

func TestStoredCredentialsDamaged(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"":                  "root credentials: FILE: the file is empty (remove the file to have new ones made)",
		"access_key: abc\n": "root credentials: FILE: secret_key is missing beside access_key (remove the file to have new ones made)",
		"access_key: abc\nsecretkey: x\n": `root credentials: FILE:2: unknown field "secretkey": did you mean "secret_key"?` +
			" (remove the file to have new ones made)",
	} {
		file := writeFile(t, "credentials", content)
		_, err := storedCredentials(vfs.OS(), filepath.Dir(file), slog.New(slog.DiscardHandler))
		if err == nil || strings.ReplaceAll(err.Error(), file, "FILE") != want {
			t.Errorf("%q: got %v, want %s", content, err, want)
		}
	}
}

func TestRandomText(t *testing.T) {
	t.Parallel()
	seen := map[byte]int{}
	const n = 62 * 1000
	for _, c := range []byte(randomText(n)) {
		seen[c]++
	}
	for c, count := range seen {
		// Nine standard deviations either way.
		if count < 700 || count > 1300 {
			t.Errorf("%q occurs %d times in %d", c, count, n)
		}
	}
	if len(seen) != 62 {
		t.Errorf("%d characters occur, want 62", len(seen))
	}
}
