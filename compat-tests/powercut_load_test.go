package compattests

// act is a write of a crew on a disk that is recorded: what the key was to hold, and how many events the disk had seen
// when the request was about to be sent, and when its acknowledgement was there.
type act struct {
	key   string
	value value
	began int
	acked int // -1: never
}

// recall makes a writer's memory what it was when the disk had seen so many events: what was acknowledged until then,
// and what was under way.
func (w *writer) recall(cut int) {
	clear(w.known)
	clear(w.maybe)
	for _, a := range w.acts {
		switch {
		case a.acked >= 0 && a.acked <= cut:
			w.known[a.key] = a.value
			delete(w.maybe, a.key)
		case a.began <= cut:
			w.maybe[a.key] = append(w.maybe[a.key], a.value)
		}
	}
}
