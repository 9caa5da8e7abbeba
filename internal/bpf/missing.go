package bpf

// MissingError says that something can't be done here, and what is missing.
type MissingError struct {
	Op     string // "hear of births"
	Reason string // a sentence
	Err    error
}

func (e *MissingError) Error() string { return "can't " + e.Op + ": " + e.Reason }

func (e *MissingError) Unwrap() error { return e.Err }
