package s3api

import (
	"errors"
	"fmt"
	"math/bits"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tdkvs/s3api/s3err"
)

// router finds the row of the table that serves a request. It is built once;
// matching allocates nothing for a request without a query.
type router struct {
	scopes [scopes]scopeRoutes
}

// scopeRoutes are the rows of one scope. Conditions are numbered within it, so
// that a set of them is one word.
type scopeRoutes struct {
	bits      map[string]uint64           // by condition, as written in the table
	query     map[string][]queryCondition // by parameter
	header    []headerCondition
	selectors map[string]uint64 // parameter -> the conditions that it decides
	methods   map[string][]route
}

type queryCondition struct {
	bit   uint64
	value string // "" means any
}

type headerCondition struct {
	bit          uint64
	name, prefix string
}

// route is one row, ready to be matched.
type route struct {
	op    *operation
	needs uint64          // the conditions of the row
	takes map[string]bool // the selectors that it takes, as condition or parameter
}

// bucketSelectorsOnKeys are the sub-resources of a bucket that AWS recognises on
// a key's path, too, instead of serving the object. Here they are refused there;
// all others are ignored, as on AWS.
func bucketSelectorsOnKeys() []string {
	return []string{"accelerate", "cors", "delete", "inventory", "lifecycle", "location", "logging", "notification",
		"policy", "replication", "requestPayment", "versioning", "versions", "website"}
}

// newRouter builds the router. It returns an error when two rows could both
// claim the same request.
func newRouter(ops []operation) (*router, error) {
	rt := new(router)
	for s := range rt.scopes {
		rt.scopes[s] = scopeRoutes{bits: map[string]uint64{}, query: map[string][]queryCondition{},
			selectors: map[string]uint64{}, methods: map[string][]route{}}
	}
	for _, name := range bucketSelectorsOnKeys() {
		rt.scopes[scopeObject].selectors[name] = 0
	}
	for i := range ops {
		if err := rt.scopes[ops[i].scope].add(&ops[i]); err != nil {
			return nil, err
		}
	}
	for s := range rt.scopes {
		for _, routes := range rt.scopes[s].methods {
			slices.SortFunc(routes, func(a, b route) int { return b.weight() - a.weight() })
		}
	}
	return rt, nil
}

// weight is the number of conditions.
func (r route) weight() int { return bits.OnesCount64(r.needs) }

// add enters one row.
func (s *scopeRoutes) add(op *operation) error {
	r := route{op: op, takes: map[string]bool{}}
	for i, c := range op.query {
		bit, err := s.bit(c)
		if err != nil {
			return err
		}
		r.needs |= bit
		names, value, _ := strings.Cut(c, "=")
		for name := range strings.SplitSeq(names, "|") {
			if qc := (queryCondition{bit, value}); !slices.Contains(s.query[name], qc) {
				s.query[name] = append(s.query[name], qc)
			}
			if i == 0 && value == "" { // the others only refine the choice
				s.selectors[name] |= bit
			}
			r.takes[name] = true
		}
	}
	for _, c := range op.header {
		bit, err := s.bit("header " + c)
		if err != nil {
			return err
		}
		r.needs |= bit
		name, prefix, _ := strings.Cut(c, "=")
		if hc := (headerCondition{bit, http.CanonicalHeaderKey(name), prefix}); !slices.Contains(s.header, hc) {
			s.header = append(s.header, hc)
		}
	}
	for _, p := range op.params {
		r.takes[p] = true
	}
	for _, other := range s.methods[op.method] {
		if other.needs == r.needs {
			return fmt.Errorf("s3api: operations %s and %s have the same conditions", other.op.name, op.name)
		}
	}
	s.methods[op.method] = append(s.methods[op.method], r)
	return nil
}

// bit numbers a condition.
func (s *scopeRoutes) bit(condition string) (uint64, error) {
	if b, ok := s.bits[condition]; ok {
		return b, nil
	}
	if len(s.bits) == 64 {
		return 0, errors.New("s3api: more than 64 conditions in one scope")
	}
	b := uint64(1) << len(s.bits)
	s.bits[condition] = b
	return b, nil
}

// match returns the row that serves a request. Where there is none, the error
// is MethodNotAllowed; where the query names several sub-resources,
// InvalidArgument, as AWS answers it.
func (rt *router) match(method string, sc scope, query url.Values, header http.Header) (*operation, error) {
	if err := refuseCopySource(method, query, header); err != nil {
		return nil, err
	}
	s := &rt.scopes[sc]
	have := s.satisfied(query, header)
	var best *route
	routes := s.methods[method]
	for i := range routes {
		r := &routes[i]
		if best != nil && r.weight() < best.weight() {
			break
		}
		if r.needs&^have != 0 || !s.takesAll(r, query) {
			continue
		}
		if best != nil {
			return nil, s.refuse(method, sc, query)
		}
		best = r
	}
	if best == nil {
		return nil, s.refuse(method, sc, query)
	}
	return best.op, nil
}

// satisfied returns the conditions that a request satisfies.
func (s *scopeRoutes) satisfied(query url.Values, header http.Header) uint64 {
	var have uint64
	for name, values := range query {
		for _, c := range s.query[name] {
			if c.value == "" || slices.Contains(values, c.value) {
				have |= c.bit
			}
		}
	}
	for _, c := range s.header {
		if v := header[c.name]; len(v) > 0 && strings.HasPrefix(v[0], c.prefix) {
			have |= c.bit
		}
	}
	return have
}

// anySelector in a row's params means that it takes all of them.
const anySelector = "*"

// takesAll reports whether r knows every selector of the query.
func (s *scopeRoutes) takesAll(r *route, query url.Values) bool {
	if len(query) == 0 || r.takes[anySelector] {
		return true
	}
	for name := range query {
		if _, selects := s.selectors[name]; selects && !r.takes[name] {
			return false
		}
	}
	return true
}

// refuse says why no row serves a request.
func (s *scopeRoutes) refuse(method string, sc scope, query url.Values) error {
	var selectors []string
	for name := range query {
		if _, ok := s.selectors[name]; ok {
			selectors = append(selectors, name)
		}
	}
	slices.Sort(selectors)
	if err := misplaced(method, sc, selectors, query); err != nil {
		return err
	}
	if len(selectors) > 1 {
		return s3err.Argument("Conflicting query string parameters: "+strings.Join(selectors, ", "), "ResourceType", selectors[0])
	}
	resource := sc.String()
	if len(selectors) == 1 {
		resource = strings.ToUpper(strings.TrimSuffix(selectors[0], "Id"))
	}
	e := s3err.Of(s3err.MethodNotAllowed).With("Method", method).With("ResourceType", resource)
	if allowed := s.allowed(selectors); len(allowed) > 0 {
		e = e.With("AllowedMethods", strings.Join(allowed, ", "))
	}
	return e
}

// misplaced is the answer to a sub-resource that AWS knows to be out of place,
// nil for any other.
func misplaced(method string, sc scope, selectors []string, query url.Values) error {
	if sc != scopeObject || len(selectors) != 1 {
		return nil
	}
	switch name := selectors[0]; {
	case method == http.MethodGet && name == "uploads":
		return s3err.New(s3err.InvalidRequest, "Key is not expected for the GET method ?uploads subresource")
	case method == http.MethodGet && name == "versions":
		return s3err.New(s3err.InvalidRequest, "There is no such thing as the ?versions sub-resource for a key")
	case method == http.MethodPut && name == "partNumber":
		return s3err.Argument("This operation does not accept partNumber without uploadId", "partNumber", query.Get("partNumber"))
	}
	return nil
}

// refuseCopySource refuses a copy's header on a request that is no copy: who
// sends it expects more than he would get.
func refuseCopySource(method string, query url.Values, header http.Header) error {
	source := header["X-Amz-Copy-Source"]
	if len(source) == 0 || method == http.MethodPut || method == http.MethodOptions || method == http.MethodPost && !query.Has("uploadId") {
		return nil
	}
	return s3err.Argument("You can only specify a copy source header for copy requests.", "x-amz-copy-source", source[0])
}

// allowed returns the methods of the rows that a selector, or no selector,
// leads to by itself.
func (s *scopeRoutes) allowed(selectors []string) []string {
	if len(selectors) > 1 {
		return nil
	}
	var this, others uint64
	for name, bit := range s.selectors {
		if slices.Contains(selectors, name) {
			this |= bit
		} else {
			others |= bit
		}
	}
	var methods []string
	for m, routes := range s.methods {
		if m == http.MethodOptions {
			continue
		}
		leads := func(r route) bool {
			return r.needs&others == 0 && (r.needs&this != 0 || len(selectors) == 0 && r.needs == 0)
		}
		if slices.ContainsFunc(routes, leads) {
			methods = append(methods, m)
		}
	}
	slices.Sort(methods)
	return methods
}
