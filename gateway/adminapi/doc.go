// Package adminapi is the documents of the admin API, as its server writes and
// its client reads them. docs/admin-api.yaml describes them and the routes; a
// test holds the two together. It knows nothing of the engine.
package adminapi

// Prefix begins the path of every route.
const Prefix = "/-/admin/v1"
