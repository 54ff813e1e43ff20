package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"tdkvs/volume/vfs"
)

// beside is a store on this machine, as its configuration file has it.
type beside struct {
	file     string // empty: none was named, and it is a server without one
	endpoint string // empty: not known
	region   string
	keys     credentialsConfig
	dir      string // the first of a server: its own credentials lie there; empty: a master
}

// findBeside reads the configuration file of a master or of a server, whichever
// it is: only a master's has volumes.
func findBeside(file string) (beside, error) {
	if file == "" {
		return beside{dir: defaultServerDir}, nil
	}
	ofMaster, err := isMasterFile(file)
	if err != nil {
		return beside{}, err
	}
	if !ofMaster {
		cfg, err := loadServer(file, nil)
		if err != nil {
			return beside{}, err
		}
		return beside{file: file, endpoint: reachAt(cfg.address()), region: cfg.Region, keys: cfg.Credentials, dir: cfg.Dirs[0].Path}, nil
	}
	cfg, err := loadMaster(file)
	return beside{file: file, endpoint: reachAt(cfg.address()), region: cfg.Region, keys: cfg.Credentials}, err
}

// isMasterFile reports whether a configuration file, if one is named, is a master's:
// only that has volumes. What is wrong with it is for whoever reads it to say.
func isMasterFile(file string) (bool, error) {
	if file == "" {
		return false, nil
	}
	content, err := readBounded(file)
	if err != nil {
		return false, fmt.Errorf("read configuration: %w", err)
	}
	var what struct {
		Volumes yaml.Node `yaml:"volumes"`
	}
	_ = yaml.Unmarshal(content, &what) // see above
	return !what.Volumes.IsZero(), nil
}

// reachAt is where a process on this machine is reached that listens on an
// address; empty where only that process knows.
func reachAt(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "0" {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// endpointFile says, in the first directory of a server or in that of a master,
// where it was last reached on this machine.
const endpointFile = "endpoint"

// leaveEndpoint writes where the process is reached that listens on an address.
func leaveEndpoint(dir, address string) error {
	return vfs.WriteFileAtomic(vfs.OS(), filepath.Join(dir, endpointFile), []byte(reachAt(address)+"\n"))
}

// leftEndpoint reads where a store was last reached; empty where it never was.
func leftEndpoint(dir string) string {
	if dir == "" {
		return ""
	}
	content, err := readBounded(filepath.Join(dir, endpointFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// madeKeys are those that a server has made itself; none where it has not, or
// where another machine is asked.
func (b beside) madeKeys(endpoint *url.URL) (credentialsConfig, error) {
	if ip := net.ParseIP(endpoint.Hostname()); b.dir == "" || endpoint.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) && b.file == "" {
		return credentialsConfig{}, nil
	}
	if _, err := vfs.OS().Stat(filepath.Join(b.dir, credentialsFile)); errors.Is(err, fs.ErrNotExist) {
		return credentialsConfig{}, nil
	}
	return dataKeys(b.dir)
}
