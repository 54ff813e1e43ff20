// Package cors decides which requests of web pages from other origins a bucket
// allows: the rules of a CORS configuration, whether they are valid, and which
// of them matches a request. Sources: AWS "Elements of a CORS configuration" and
// PutBucketCors; WHATWG Fetch for what browsers make of the answer.
//
// The package knows nothing of XML, of storage or of who sent a request: CORS
// says what a browser may show to a page, never who may do what.
package cors
