package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"tdkvs/volume/vfs"
)

// Where root credentials come from, the first that is there.
const (
	envAccessKey    = "TDKVS_ACCESS_KEY"
	envSecretKey    = "TDKVS_SECRET_KEY"
	credentialsFile = "credentials" // in the first directory of a server
)

// Lengths of generated keys, in characters of 62 kinds: 119 and 238 bits.
const (
	generatedAccessKey = 20
	generatedSecretKey = 40
)

// credentials are the root credentials and where they came from. The zero value
// means that there are none: protected mode.
type credentials struct {
	credentialsConfig
	source credentialsSource
	file   string // the file, for those that came from one
}

type credentialsSource int

const (
	fromNowhere credentialsSource = iota
	fromEnvironment
	fromConfig
	fromFile // the one that this store made
)

// givenCredentials returns those of the environment, else those of the
// configuration file, else none.
func givenCredentials(env lookupEnv, cfg credentialsConfig, configFile string) (credentials, error) {
	access, hasAccess := env(envAccessKey)
	secret, hasSecret := env(envSecretKey)
	switch {
	case hasAccess != hasSecret:
		missing, given := envAccessKey, envSecretKey
		if hasAccess {
			missing, given = given, missing
		}
		return credentials{}, fmt.Errorf("%s is set and %s is not: set both or neither", given, missing)
	case hasAccess:
		c := credentials{credentialsConfig: credentialsConfig{AccessKey: access, SecretKey: secret}, source: fromEnvironment}
		if access == "" || secret == "" {
			return credentials{}, fmt.Errorf("%s or %s is empty: give both a value or unset both", envAccessKey, envSecretKey)
		}
		if err := c.check(); err != nil {
			return credentials{}, fmt.Errorf("%s and %s: %w", envAccessKey, envSecretKey, err)
		}
		return c, nil
	case cfg != (credentialsConfig{}):
		return credentials{credentialsConfig: cfg, source: fromConfig, file: configFile}, nil
	}
	return credentials{}, nil
}

// storedCredentials reads the credentials of a server's first directory, and
// makes them when there are none. The caller holds the lock of that directory.
func storedCredentials(fsys vfs.FS, dir string, log *slog.Logger) (credentials, error) {
	file := filepath.Join(dir, credentialsFile)
	info, err := fsys.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeCredentials(fsys, file)
	case err != nil:
		return credentials{}, fmt.Errorf("root credentials: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		log.Warn("the file of the root credentials is open to other users of this machine: chmod 600 it",
			"file", file, "mode", fmt.Sprintf("%04o", mode))
	}
	content, err := vfs.ReadFile(fsys, file)
	if err != nil {
		return credentials{}, fmt.Errorf("root credentials: %w", err)
	}
	c := credentials{source: fromFile, file: file}
	doc := newDocument(file)
	doc.decode(content, &c.credentialsConfig)
	if len(doc.problems) == 0 {
		if err := c.check(); err != nil {
			doc.failf(0, "%v", err)
		}
	}
	if err := doc.err(); err != nil {
		return credentials{}, fmt.Errorf("root credentials: %w (remove the file to have new ones made)", err)
	}
	return c, nil
}

func makeCredentials(fsys vfs.FS, file string) (credentials, error) {
	c := credentials{source: fromFile, file: file}
	c.AccessKey = randomText(generatedAccessKey)
	c.SecretKey = randomText(generatedSecretKey)
	content := fmt.Sprintf("# The root credentials of this store, made on its first start. Whoever has them\n"+
		"# has everything in it: keep this file to yourself.\naccess_key: %s\nsecret_key: %s\n",
		c.AccessKey, c.SecretKey)
	if err := vfs.WriteFileAtomic(fsys, file, []byte(content)); err != nil {
		return credentials{}, fmt.Errorf("root credentials: %w", err)
	}
	return c, nil
}

// randomText returns n letters and digits from the system's generator of
// randomness. It begins with a letter, so that no reader takes it for a number.
func randomText(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	const letters = 52
	text := make([]byte, 0, n)
	var b [1]byte
	for len(text) < n {
		rand.Read(b[:]) // never fails, by its contract
		// Values that would make some characters likelier than others are
		// thrown away.
		limit := len(alphabet)
		if len(text) == 0 {
			limit = letters
		}
		if int(b[0]) < 256-256%limit {
			text = append(text, alphabet[int(b[0])%limit])
		}
	}
	return string(text)
}
