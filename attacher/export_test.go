package attacher

// ImpossibleMoves is how often the owner of a thread and the table of phases
// disagreed: a mistake of this package's.
func (s *Session) ImpossibleMoves() int64 { return s.stats.impossible.Load() }

var GivenBetween = givenBetween
