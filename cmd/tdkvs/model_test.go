package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tdkvs/gateway/adminapi"
	"tdkvs/gateway/modeltest"
)

// modelCluster is a master and its volumes, as processes. At each start they have
// other addresses.
type modelCluster struct {
	t       *testing.T
	dir     string
	volumes []*program
	master  *program
	client  *http.Client
}

const modelVolumes = 3

// TestProcessModel sends a random stream to a master and its volumes, which are
// killed, and ended, and started again. TDKVS_MODEL_STEPS is its length.
func TestProcessModel(t *testing.T) {
	t.Parallel()
	steps := 150
	if text := os.Getenv("TDKVS_MODEL_STEPS"); text != "" {
		var err error
		if steps, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	modeltest.Run(t, modeltest.Config{
		Streams: 1, Steps: steps, Seed: uint64(time.Now().UnixNano()), Replay: os.Getenv("TDKVS_MODEL_REPLAY"), RealTime: true, Shrink: 20,
		Deployments: []modeltest.Deployment{{Name: "processes", Open: func(func() time.Time) (modeltest.Store, error) {
			c := &modelCluster{t: t, dir: t.TempDir(), client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableCompression: true}}}
			return c, c.start()
		}}},
	})
}

// start starts all processes.
func (c *modelCluster) start() error {
	var urls []string
	c.volumes = nil
	for i := range modelVolumes {
		file := writeFile(c.t, "volume.yaml", fmt.Sprintf("listen: 127.0.0.1:0\npath: %s\ncluster_secret: %s\n", filepath.Join(c.dir, fmt.Sprint("volume", i)), clusterSecret))
		p, _ := launchProgram(c.t, nil, "volume", "-config", file)
		p.waitLog(c.t, "msg=serving")
		m := regexp.MustCompile(`msg=serving address=(\S+)`).FindStringSubmatch(p.stderr.String())
		c.volumes = append(c.volumes, p)
		urls = append(urls, "http://"+m[1])
	}
	file := writeFile(c.t, "master.yaml", fmt.Sprintf("listen: 127.0.0.1:0\ndata: %s\ncluster_secret: %s\nvolumes: [%s]\nreplicas: 2\nstorage_classes: {STANDARD_IA: {code: 2+1, min_size: 4KiB}}\n",
		filepath.Join(c.dir, "master"), clusterSecret, strings.Join(urls, ", ")))
	c.master = startProgram(c.t, nil, "master", "-config", file)
	if c.master.endpoint == "" {
		return fmt.Errorf("the master does not serve:\n%s", c.master.stderr.String())
	}
	return nil
}

// end ends all processes, the master first.
func (c *modelCluster) end(s os.Signal) error {
	var errs []error
	for _, p := range append([]*program{c.master}, c.volumes...) {
		p.signal(c.t, s)
		if code := p.wait(c.t); s == syscall.SIGTERM && code != exitDone {
			errs = append(errs, fmt.Errorf("ended with code %d:\n%s", code, p.stderr.String()))
		}
	}
	c.client.CloseIdleConnections()
	return errors.Join(errs...)
}

func (c *modelCluster) Serve(r *http.Request) (modeltest.Answer, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return modeltest.Answer{}, err
	}
	to, err := http.NewRequestWithContext(c.t.Context(), r.Method, c.master.endpoint+r.RequestURI, bytes.NewReader(body))
	if err != nil {
		return modeltest.Answer{}, err
	}
	to.Header, to.Host = r.Header, r.Host
	resp, err := c.client.Do(to)
	if err != nil {
		return modeltest.Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	body, err = io.ReadAll(resp.Body)
	return modeltest.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, err
}

func (c *modelCluster) Restart(kill bool) error {
	s := os.Signal(syscall.SIGTERM)
	if kill {
		s = syscall.SIGKILL
	}
	if err := c.end(s); err != nil {
		return err
	}
	return c.start()
}

// admin makes a request of the admin API; what is refused was not to be changed.
func (c *modelCluster) admin(method, path, body string, into any) error {
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.master.endpoint+adminapi.Prefix+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusConflict:
		return fmt.Errorf("%s %s %s: %d %s", method, path, body, resp.StatusCode, answer)
	case into == nil || resp.StatusCode == http.StatusConflict:
		return nil
	}
	return json.Unmarshal(answer, into)
}

func (c *modelCluster) Change(choice uint64) (string, error) {
	volume, n := 1+choice%modelVolumes, choice/16
	switch choice % 4 {
	case 0:
		weight := fmt.Sprintf(`{"weight":%d}`, 1+n%4)
		return "weights", c.admin(http.MethodPatch, fmt.Sprint("/volumes/", volume), weight, nil)
	case 1:
		return "copies", c.admin(http.MethodPut, "/replicas", fmt.Sprintf(`{"replicas":%d}`, 1+n%3), nil)
	case 2:
		return "rebalance", c.admin(http.MethodPost, "/rebalance", "", nil)
	}
	return "nothing", nil
}

// Check waits until all is where it should be, and has every byte checked.
func (c *modelCluster) Check() error {
	var check adminapi.Check
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err := c.admin(http.MethodGet, "/check", "", &check); err != nil {
			return err
		}
		switch {
		case check.State == adminapi.CheckRunning:
		case check.State == adminapi.CheckDone && check.Report.Clean && len(check.Report.Pending) == 0:
			return nil
		default:
			if err := c.admin(http.MethodPost, "/check", `{"deep":true,"bytes_per_second":-1}`, nil); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("the store does not come to be whole: %+v", check.Report)
}

func (c *modelCluster) Close() error { return c.end(syscall.SIGTERM) }
