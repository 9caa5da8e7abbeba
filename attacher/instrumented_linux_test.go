//go:build race

package attacher_test

import "time"

// Everything takes several times as long, and who is late by a look or two is no bug.
// Who is never found still is.
func init() { tracedBy = time.Duration(size(5_000, 2_000)) * time.Millisecond }
