package master_test

import (
	"context"
	"slices"
)

// wantDamaged wants just these keys on the list of what is damaged.
func (s *store) wantDamaged(keys ...string) {
	s.t.Helper()
	list, err := s.ListDamage(context.Background(), nil, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, x := range list {
		if x.Bucket != bucket || x.Cause == "" || x.Found.IsZero() {
			s.t.Errorf("damage %+v", x)
		}
		got = append(got, x.Key)
	}
	slices.Sort(keys)
	if !slices.Equal(got, keys) {
		s.t.Errorf("damaged: %q, want %q", got, keys)
	}
}
