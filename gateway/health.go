package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/s3api"
)

// healthz says that the process is up.
func (g *gateway) healthz(w http.ResponseWriter, r *http.Request, _ *s3api.RequestInfo) error {
	if err := checkMethod(r, "GET, HEAD"); err != nil {
		return err
	}
	writeText(w, http.StatusOK, "ok", nil)
	return nil
}

// readiness is the answer of readyz.
type readiness struct {
	Ready    bool              `json:"ready"`
	Metadata metadataReadiness `json:"metadata"`
	Volumes  []volumeReadiness `json:"volumes"`
}

type metadataReadiness struct {
	State string `json:"state"` // ok or failed
	Error string `json:"error,omitempty"`
}

// volumeReadiness is the state of one volume. Name and error tell of the inside
// of the store, so only clients on its own machine see them.
type volumeReadiness struct {
	Number meta.VolumeID `json:"number"`
	UUID   string        `json:"uuid"`
	State  string        `json:"state"` // ok, draining, full, read-only or unreachable
	Name   string        `json:"name,omitempty"`
	Error  string        `json:"error,omitempty"`
}

// readyz says whether the store serves: 200 when the metadata is open and enough
// volumes take data for a write to be acknowledged, else 503; in JSON, with every
// volume, for some may be down all the same. It waits for no volume.
func (g *gateway) readyz(w http.ResponseWriter, r *http.Request, info *s3api.RequestInfo) error {
	if err := checkMethod(r, "GET, HEAD"); err != nil {
		return err
	}
	out := readinessOf(g.cfg.Health(r.Context()), loopback(r.RemoteAddr))
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	status := http.StatusOK
	if !out.Ready {
		status = http.StatusServiceUnavailable
	}
	info.Status = status
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client is gone when this fails
	return nil
}

func readinessOf(h master.Health, detailed bool) readiness {
	out := readiness{Ready: h.Ready, Metadata: metadataReadiness{State: "ok"}, Volumes: []volumeReadiness{}}
	if h.Metadata != "" {
		out.Metadata.State = "failed"
		if detailed {
			out.Metadata.Error = h.Metadata
		}
	}
	for _, v := range h.Volumes {
		state := volumeReadiness{Number: v.Number, UUID: v.UUID}
		var detail string
		state.State, detail = volumeHealth(v)
		if state.State == adminapi.OK && v.Draining {
			state.State = adminapi.Draining
		}
		if detailed {
			state.Name, state.Error = v.Name, detail
		}
		out.Volumes = append(out.Volumes, state)
	}
	return out
}

// volumeHealth is the state of a volume in a word, and why.
func volumeHealth(v master.VolumeHealth) (state, detail string) {
	switch {
	case v.Err != nil:
		return adminapi.Unreachable, v.Err.Error()
	case v.Status.ReadOnly != "":
		return adminapi.ReadOnly, v.Status.ReadOnly
	case v.Status.Full:
		return adminapi.Full, ""
	}
	return adminapi.OK, ""
}
