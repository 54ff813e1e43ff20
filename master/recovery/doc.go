// Package recovery makes the metadata of a store anew from the journal that its
// volumes keep of it: it asks all volumes who they are, finds the newest snapshot and
// the commits since, gives them to a metadata store that is being made, and judges
// whether that is all there was. What is missing is told exactly, and refused until
// whoever asks accepts that very loss.
//
// It reads the volumes and writes nothing to them.
package recovery
