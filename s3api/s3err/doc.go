// Package s3err is the error that an S3 client sees: a code, a message, an HTTP
// status and the extra elements that some codes carry in the XML answer.
//
// The codes with their statuses and usual messages stand in one table, taken
// from AWS "Error responses" and from what AWS is seen to answer. The package
// knows nothing of HTTP handlers, XML or the engine: whoever finds an error
// says what it is, one place in package s3api writes it.
package s3err
