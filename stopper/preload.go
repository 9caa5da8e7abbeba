package stopper

import (
	"os"

	"massattach/stopper/notify"
)

// Programs is what notify style needs in the kernel; nil has none.
type Programs struct{ m notify.Mechanism }

// Preload loads that, for a mechanism by its name or the best that works here for
// "", so that the first arrest in notify style need not: it takes some 100 ms, and can
// be done beside an attach. All stoppers of this program share it, and it stays until
// Close. Where nothing can be loaded there is none, and the arrest says why.
func Preload(mechanism string) *Programs {
	m, err := notify.Open(os.Getpid(), mechanism)
	if err != nil {
		return nil
	}
	return &Programs{m}
}

// Close lets go of it; stoppers that use it keep theirs.
func (p *Programs) Close() error {
	if p == nil {
		return nil
	}
	return p.m.Close()
}
