package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/s3api"
	"tdkvs/s3api/sigv4"
)

// Operator is what the admin API needs of the engine.
type Operator interface {
	Checker
	BackupKeeper
	Cluster(ctx context.Context) master.ClusterStatus
	FindVolume(name string) (meta.VolumeID, bool)
	DrainVolume(ctx context.Context, number meta.VolumeID) error
	CancelDrain(ctx context.Context, number meta.VolumeID) error
	LoseVolume(ctx context.Context, number meta.VolumeID) error
	ConfigureVolume(ctx context.Context, number meta.VolumeID, s master.VolumeSettings) error
	SetReplicas(ctx context.Context, bucket string, n int) error
	StartRebalance(ctx context.Context) error
	ListDamage(ctx context.Context, after []byte, limit int) ([]master.Damage, error)
	RebalanceStatus(ctx context.Context) (master.RebalanceStatus, error)
	ChangeRebalance(ctx context.Context, c master.RebalanceChange) error
	VolumeStats() []master.VolumeStats
	Stats() master.Stats
	Locate(ctx context.Context, bucket, key, versionID string) (master.Location, error)
	Object(ctx context.Context, bucket, key, versionID string) (meta.Object, error)
	Bucket(ctx context.Context, name string) (meta.Bucket, error)
	ListBuckets(ctx context.Context, req meta.BucketsRequest) (meta.BucketsPage, error)
	Usage(ctx context.Context, bucket string) (meta.Usage, error)
}

// Admin is what the admin API works with.
type Admin struct {
	Operator Operator
	// AddVolume finds a volume and takes it into the cluster. An address that is
	// none is ErrVolumeURL. Nil: the store can not be given volumes while it runs.
	AddVolume func(ctx context.Context, v adminapi.NewVolume) (metadb.Volume, error)
	// Version is the program's.
	Version string
}

// ErrVolumeURL is returned by Admin.AddVolume, wrapped.
var ErrVolumeURL = errors.New("not the address of a volume")

// adminRequest is a request that may do what it asks for.
type adminRequest struct {
	*http.Request
	name  string     // the part of the path that is a name, decoded
	query url.Values // of known parameters, each at most once
	body  []byte
}

// adminRoute is one row of the table of routes.
type adminRoute struct {
	method    string
	path      string // behind the prefix; "{volume}" stands for one segment, not empty
	operation string
	query     []string // the parameters that it takes
	status    int      // of a success
	serve     func(*gateway, *adminRequest) (any, error)
}

// adminRoutes is the table of the admin API.
func adminRoutes() []adminRoute {
	object := []string{"bucket", "key", "versionId"}
	return []adminRoute{
		{"GET", "/cluster", "AdminCluster", nil, 200, (*gateway).adminCluster},
		{"GET", "/volumes", "AdminListVolumes", nil, 200, (*gateway).adminVolumes},
		{"POST", "/volumes", "AdminAddVolume", nil, 201, (*gateway).adminAddVolume},
		{"DELETE", "/volumes/{volume}", "AdminDeleteVolume", nil, 202, (*gateway).adminDeleteVolume},
		{"PATCH", "/volumes/{volume}", "AdminChangeVolume", nil, 202, (*gateway).adminChangeVolume},
		{"POST", "/volumes/{volume}/lost", "AdminLoseVolume", nil, 202, (*gateway).adminLoseVolume},
		{"POST", "/volumes/{volume}/cancel", "AdminCancelDelete", nil, 202, (*gateway).adminCancelDelete},
		{"GET", "/rebalance", "AdminRebalance", nil, 200, (*gateway).adminRebalance},
		{"PATCH", "/rebalance", "AdminChangeRebalance", nil, 200, (*gateway).adminChangeRebalance},
		{"POST", "/rebalance", "AdminStartRebalance", nil, 202, (*gateway).adminStartRebalance},
		{"GET", "/replicas", "AdminReplicas", nil, 200, (*gateway).adminReplicas},
		{"PUT", "/replicas", "AdminSetReplicas", nil, 202, (*gateway).adminSetReplicas},
		{"GET", "/damage", "AdminDamage", []string{"after", "limit"}, 200, (*gateway).adminDamage},
		{"GET", "/stats", "AdminStats", nil, 200, (*gateway).adminStats},
		{"DELETE", "/check", "AdminCancelCheck", nil, 200, (*gateway).adminCancelCheck},
		{"GET", "/check", "AdminCheck", nil, 200, (*gateway).adminCheckStatus},
		{"POST", "/check", "AdminStartCheck", nil, 202, (*gateway).adminStartCheck},
		{"GET", "/backups", "AdminBackups", nil, 200, (*gateway).adminBackups},
		{"POST", "/backups", "AdminBeginBackup", nil, 201, (*gateway).adminBeginBackup},
		{"DELETE", "/backups/{backup}", "AdminEndBackup", nil, 200, (*gateway).adminEndBackup},
		{"GET", "/backups/{backup}", "AdminBackup", nil, 200, (*gateway).adminBackup},
		{"GET", "/backups/{backup}/rows", "AdminBackupRows", nil, 200, (*gateway).adminBackupRows},
		{"POST", "/backups/{backup}/bodies", "AdminBackupBodies", nil, 200, (*gateway).adminBackupBodies},
		{"GET", "/locate", "AdminLocate", object, 200, (*gateway).adminLocate},
		{"GET", "/buckets", "AdminListBuckets", []string{"after", "limit", "prefix"}, 200, (*gateway).adminBuckets},
		{"GET", "/buckets/{bucket}", "AdminBucket", nil, 200, (*gateway).adminBucket},
		{"PATCH", "/buckets/{bucket}", "AdminChangeBucket", nil, 202, (*gateway).adminChangeBucket},
		{"GET", "/objects", "AdminObject", object, 200, (*gateway).adminObject},
	}
}

// match compares an escaped path, behind the prefix, with the route's, and
// returns the name in it.
func (a adminRoute) match(path string) (name string, ok bool) {
	want, got := strings.Split(a.path, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return "", false
	}
	for i, segment := range want {
		switch {
		case !strings.HasPrefix(segment, "{"):
			if segment != got[i] {
				return "", false
			}
		case got[i] == "":
			return "", false
		default:
			name = got[i]
		}
	}
	return name, true
}

// isAdmin reports whether a path is one of the admin API.
func isAdmin(r *http.Request) bool {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), adminapi.Prefix)
	return ok && (path == "" || path[0] == '/')
}

// admin serves the admin API. Who asks comes first: strangers learn nothing of
// which routes there are.
func (g *gateway) admin(w http.ResponseWriter, r *http.Request) {
	info := s3api.InfoOf(w)
	info.Operation = "Admin"
	status, answer, err := g.adminAnswer(r, info)
	if stream, ok := answer.(adminStream); ok && err == nil {
		if err = g.sendStream(w, status, stream); err == nil {
			return
		}
	}
	if err != nil {
		g.failAdmin(w, info, err)
		return
	}
	writeAdmin(w, info, status, answer)
}

func (g *gateway) adminAnswer(r *http.Request, info *s3api.RequestInfo) (int, any, error) {
	signed, err := g.authenticateAdmin(r, info)
	if err != nil {
		return 0, nil, err
	}
	route, name, err := findAdminRoute(r)
	if err != nil {
		return 0, nil, err
	}
	info.Operation = route.operation
	req := &adminRequest{Request: r}
	if req.name, err = url.PathUnescape(name); err != nil {
		return 0, nil, badAdmin("InvalidArgument", "malformed percent-encoding in the path")
	}
	if req.query, err = readQuery(r.URL.RawQuery, route.query); err != nil {
		return 0, nil, err
	}
	if req.body, err = readAdminBody(r, signed); err != nil {
		return 0, nil, err
	}
	answer, err := route.serve(g, req)
	return route.status, answer, err
}

// authenticateAdmin lets only root in, by a signature of Version 4 in the
// headers: neither a password on the wire nor a URL that others may have got
// hold of. In protected mode everybody on this machine is root.
func (g *gateway) authenticateAdmin(r *http.Request, info *s3api.RequestInfo) (*sigv4.Result, error) {
	if g.cfg.Credentials == nil {
		return sigv4.Unverified(r)
	}
	signed := new(sigv4.Result) // anonymous
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); !strings.EqualFold(scheme, "Basic") {
		var err error
		if signed, err = g.verifier.Verify(r); err != nil {
			return nil, err
		}
	}
	if signed.Kind != sigv4.Header {
		return nil, &failure{status: http.StatusUnauthorized, code: "Unauthorized",
			message: "the admin API takes requests that are signed with the root credentials (AWS Signature Version 4, in the Authorization header)",
			header:  http.Header{"Www-Authenticate": {"AWS4-HMAC-SHA256"}}}
	}
	c, err := g.cfg.Credentials(r.Context(), signed.AccessKey)
	if err != nil {
		return nil, err
	}
	info.AccessKey = signed.AccessKey
	if !c.Identity.Root {
		return nil, &failure{status: http.StatusForbidden, code: "AccessDenied", message: "the admin API is for the root credentials only"}
	}
	return signed, nil
}

// findAdminRoute finds the row of a request.
func findAdminRoute(r *http.Request) (adminRoute, string, error) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), adminapi.Prefix)
	var allow []string
	for _, route := range adminRoutes() {
		name, ok := route.match(path)
		switch {
		case ok && route.method == r.Method:
			return route, name, nil
		case ok:
			allow = append(allow, route.method)
		}
	}
	if allow == nil {
		return adminRoute{}, "", &failure{status: http.StatusNotFound, code: "NoSuchRoute", message: "the admin API has no such path"}
	}
	slices.Sort(allow)
	return adminRoute{}, "", checkMethod(r, strings.Join(allow, ", "))
}

// readQuery takes the known parameters of a query, each at most once.
func readQuery(raw string, known []string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, badAdmin("InvalidArgument", "malformed query")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			return nil, badAdmin("InvalidArgument", "unknown parameter "+strconv.Quote(clip(name, 40)))
		case len(values) > 1:
			return nil, badAdmin("InvalidArgument", "the parameter "+name+" is given twice")
		}
	}
	return query, nil
}

func badAdmin(code, message string) *failure {
	return &failure{status: http.StatusBadRequest, code: code, message: message}
}

// writeAdmin sends a document.
func writeAdmin(w http.ResponseWriter, info *s3api.RequestInfo, status int, document any) {
	b, err := json.MarshalIndent(document, "", "  ")
	if err != nil { // documents are made of what JSON can write
		status, b, info.Err = http.StatusInternalServerError, []byte("{}"), err
	}
	b = append(b, '\n')
	info.Status = status
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client is gone when this fails
}
