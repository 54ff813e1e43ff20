// Package policy is the access policy language of AWS as S3 bucket policies use
// it: it parses a document strictly, checks it against a bucket, and decides
// whether it allows or denies a request.
//
// The language is that of the AWS "IAM JSON policy elements reference"; what a
// bucket policy may say, and when it is public, follow AWS "Bucket policies for
// Amazon S3" and "Blocking public access to your Amazon S3 storage". The package
// is pure: it knows nothing of HTTP, of the engine or of the operations, and
// every value of a request comes from the caller.
package policy
