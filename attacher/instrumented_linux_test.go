//go:build race

package attacher_test

import "time"

// Everything takes several times as long, and who is late by a look or two is no bug.
// Who is never found still is.
func init() { tracedBy = 2 * time.Second }
