package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"

	"tdkvs/volume/vfs"
)

// whereabouts is what a command was told of the store that it is to talk to.
type whereabouts struct {
	command                                string // in messages
	endpoint, accessKey, secretKey, region string
	regionGiven                            bool // else region is a default
	data, config                           string
}

// found is where a store is, and who may talk to it.
type found struct {
	base   string            // the endpoint, without a slash at its end
	keys   credentialsConfig // none: nobody gives any
	region string
}

// find finds endpoint and credentials: flags come before the configuration file
// of a store on this machine, its endpoint before the environment's, and its
// credentials behind. What a server has left in its own directory comes with the
// flag that names that, and last where none does.
func (w whereabouts) find(env lookupEnv) (found, error) {
	here, err := findBeside(w.config)
	if err != nil {
		return found{}, err
	}
	fromEnv, _ := env(envEndpoint)
	endpoint := cmp.Or(w.endpoint, here.endpoint, leftEndpoint(w.data), fromEnv, leftEndpoint(here.dir), defaultEndpoint)
	u, err := parseEndpoint(endpoint)
	if err != nil {
		return found{}, misusef("%s: %v", w.command, err)
	}
	keys, err := w.keys(env, here, u)
	if err != nil {
		return found{}, err
	}
	region := w.region
	if !w.regionGiven && here.region != "" {
		region = here.region
	}
	return found{base: u.Scheme + "://" + u.Host, keys: keys, region: region}, nil
}

// parseEndpoint reads a URL without a path.
func parseEndpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("the endpoint is a URL such as %s, not %q", defaultEndpoint, text)
	}
	return u, nil
}

// keys are the root credentials; none where nobody gives any.
func (w whereabouts) keys(env lookupEnv, here beside, endpoint *url.URL) (credentialsConfig, error) {
	if (w.accessKey == "") != (w.secretKey == "") {
		return credentialsConfig{}, misusef("%s: give both -access-key and -secret-key, or neither", w.command)
	}
	switch {
	case w.accessKey != "" && w.data != "":
		return credentialsConfig{}, misusef("%s: give keys or -data, not both", w.command)
	case w.accessKey != "":
		return credentialsConfig{AccessKey: w.accessKey, SecretKey: w.secretKey}, nil
	case w.data != "":
		return dataKeys(w.data)
	}
	given, err := givenCredentials(env, here.keys, here.file)
	if err != nil || given.source != fromNowhere {
		return given.credentialsConfig, err
	}
	return here.madeKeys(endpoint)
}

// dataKeys reads the credentials that a server has made in its first directory.
func dataKeys(dir string) (credentialsConfig, error) {
	fsys := vfs.OS()
	file := filepath.Join(dir, credentialsFile)
	if _, err := fsys.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return credentialsConfig{}, fmt.Errorf("there is no file %s: name the first directory of a server that has made its own credentials", file)
	}
	c, err := storedCredentials(fsys, dir, slog.New(slog.DiscardHandler))
	return c.credentialsConfig, err
}
