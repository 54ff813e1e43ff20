// Package conditional evaluates conditional and range requests as HTTP defines
// them (RFC 9110, sections 13 and 14). The S3 and the native API share it; what
// each answers is its own. It knows headers, ETags, times and sizes, and nothing
// of objects.
package conditional
