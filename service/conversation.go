package service

import (
	"context"
	"iter"
)

// conversationPage is how many conversations are read from the store at a time.
const conversationPage = 500

// conversations walks over all conversations of u, former groups included.
func (s *Service) conversations(ctx context.Context, u UserID) iter.Seq2[ConvRef, error] {
	return func(yield func(ConvRef, error) bool) {
		var after Cursor
		for {
			refs, next, err := s.store.Conversations(ctx, u, after, conversationPage)
			if err != nil {
				yield(ConvRef{}, err)
				return
			}
			for _, ref := range refs {
				if !yield(ref, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			after = next
		}
	}
}
