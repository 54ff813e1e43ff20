// Package sigv4 verifies AWS Signature Version 4 as Amazon S3 speaks it:
// Authorization headers, presigned URLs and the aws-chunked bodies that sign
// each chunk, a trailer, both or neither.
//
// Sources: AWS "Authenticating Requests (AWS Signature Version 4)" with its
// pages "Signature Calculations for the Authorization Header: Transferring
// Payload in a Single Chunk", "... in Multiple Chunks", "... Including Trailing
// Headers (Chunked Upload)" and "Authenticating Requests: Using Query
// Parameters"; the error texts are those that AWS answers.
//
// Verify needs only the head of a request. It promises that every header whose
// name begins with x-amz-, the host, the path and the whole query are covered by
// the signature. The body is covered by what Verify found out about it: a hash
// (checked by package checksum), signed chunks (checked by Result.Body) or,
// declared by the client, nothing.
//
// The package knows secrets only through a lookup function, holds no identities,
// and decides nothing about permissions. Sign and Presign are its other half,
// for tools and tests.
package sigv4
