// Package postpolicy reads the policies of browser upload forms and decides
// whether a form keeps them. Source: AWS "POST Policy"; the texts of errors are
// those that AWS answers.
//
// A policy is a promise that the holder of a key signed for a form that somebody
// else fills in. Reading is strict: what is not understood is refused, never
// passed over, and every field of the form must be covered by a condition. The
// package knows nothing of signatures, HTTP or the object that is stored.
package postpolicy
