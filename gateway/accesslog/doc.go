// Package accesslog writes the lines of an access log: one for each request, in
// the form that the text and the JSON handler of log/slog give it, byte for byte,
// without the record and the attributes that those are made from. It is a handler
// of log/slog for everything else, so that all lines go the same way. It knows
// nothing of HTTP.
package accesslog
