package gateway

import (
	"bytes"
	"encoding/xml"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"tdkvs/s3api"
	"tdkvs/s3api/s3err"
)

// What those are told whom protected mode turns away.
const (
	strangerText = "this store has no credentials yet, so it serves clients on its own machine only; " +
		"to open it to others, set TDKVS_ACCESS_KEY and TDKVS_SECRET_KEY, or credentials in its configuration file, and restart it"
	foreignPageText = "this store has no credentials yet, so it does not answer web pages of other sites, " +
		"nor to host names it does not know; set credentials to lift this"
)

// protect turns a request away that did not come from this machine, or that a
// web page of another site made this machine's browser send. What a request says
// of itself in forwarding headers does not count.
func (g *gateway) protect(r *http.Request) error {
	if !loopback(r.RemoteAddr) {
		return &failure{status: http.StatusForbidden, message: strangerText}
	}
	if !g.knownHost(r.Host) || !sameOrigin(r) {
		return &failure{status: http.StatusForbidden, message: foreignPageText}
	}
	return nil
}

// loopback reports whether a peer is on this machine.
func loopback(remote string) bool {
	addr, err := netip.ParseAddrPort(remote)
	return err == nil && addr.Addr().Unmap().WithZone("").IsLoopback()
}

// knownHost reports whether a Host header can be meant for this store: an
// address, localhost, or one of its domains. A name that somebody else's DNS
// points at 127.0.0.1 is none of them.
func (g *gateway) knownHost(host string) bool {
	name := hostName(host)
	if name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") || net.ParseIP(name) != nil {
		return true
	}
	for _, d := range g.cfg.Domains {
		d = strings.ToLower(strings.Trim(d, "."))
		if name == d || strings.HasSuffix(name, "."+d) {
			return true
		}
	}
	return false
}

// sameOrigin reports whether a request has no Origin, or this store's own.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// public are the pages that anybody may see, for load balancers and the like.
func public(r *http.Request) bool {
	path := r.URL.EscapedPath()
	return path == "/-/healthz" || path == "/-/readyz"
}

// refuse answers a request that was turned away before it was routed, in the
// language of its path.
func (g *gateway) refuse(w http.ResponseWriter, r *http.Request, info *s3api.RequestInfo, err error) {
	if isAdmin(r) && !g.virtualHost(r.Host) {
		g.failAdmin(w, info, err)
		return
	}
	if isOwn(r.URL.EscapedPath()) && !g.virtualHost(r.Host) {
		g.fail(w, r, info, err)
		return
	}
	f := classify(err)
	info.Err, info.Status, info.ErrorCode = err, f.status, s3err.AccessDenied
	writeXML(w, r, f, g.cfg.HostID)
}

// writeXML sends an S3 error document.
func writeXML(w http.ResponseWriter, r *http.Request, f *failure, hostID string) {
	var doc bytes.Buffer
	doc.WriteString(xml.Header + "<Error>")
	for _, e := range [...][2]string{
		{"Code", s3err.AccessDenied}, {"Message", f.message}, {"Resource", r.URL.Path},
		{"RequestId", w.Header().Get("X-Amz-Request-Id")}, {"HostId", hostID},
	} {
		doc.WriteString("<" + e[0] + ">")
		_ = xml.EscapeText(&doc, []byte(e[1])) // a buffer takes everything
		doc.WriteString("</" + e[0] + ">")
	}
	doc.WriteString("</Error>")
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(doc.Len()))
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(doc.Bytes()) // the client is gone when this fails
	}
}
