// Package checksum is the integrity of request bodies as S3 defines it: the
// additional checksums (CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512,
// XXHASH128, XXHASH3, XXHASH64) in header or trailer, Content-MD5,
// x-amz-content-sha256, the ETag, and the arithmetic of multipart checksums.
//
// Source: AWS "Checking object integrity in Amazon S3" and the API reference of
// PutObject, UploadPart, CreateMultipartUpload and CompleteMultipartUpload; the
// error texts are those that AWS answers.
//
// A Payload reads a body once and knows all its digests at the end. It promises
// that its last byte is released only after every check passed, so a reader that
// counts bytes instead of waiting for io.EOF does not store a bad body either.
package checksum
