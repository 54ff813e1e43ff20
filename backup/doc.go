// Package backup keeps backups of a store: it writes what a store gives it to a
// file, a directory or an S3 bucket, each time only what is not there yet, and
// reads it back. It checks every byte that it reads, and knows nothing of what a
// row or a body means.
//
// A backup is a list of rows, and the bodies that belong to them. Bodies have an
// id that is theirs for ever; they are cut into runs of 8 MiB, and runs are packed
// together. A pack is named by the SHA-256 of what is in it. Each backup has its own
// complete list of rows, which says where the runs are, so that every backup can be
// restored alone, and removed alone; packs are shared.
//
//	tdkvs-backup.json            what this place is
//	packs/3f/3fb2...             packs, by the SHA-256 of their content
//	backups/<id>/rows-000001     the rows, in parts
//	backups/<id>/packs           which packs they refer to
//	backups/<id>/manifest        written last: a backup without one does not count
//	locks/<kind>-<id>            who is at work
//
// A file is a tar archive of the same. Nothing is ever changed in place, and what
// a backup needs is there before its manifest is. docs/formats.md draws the bytes.
package backup
