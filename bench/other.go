//go:build !linux

package bench

import (
	"context"
	"errors"

	"massattach/internal/report"
)

// Run answers that it can't: there is nothing to measure but on Linux.
func Run(context.Context, *Options) (*report.Bench, error) { return nil, errors.ErrUnsupported }

// CaseNames are what --case takes.
func CaseNames() []string { return nil }

// PeerNames are what --peers takes.
func PeerNames() []string { return nil }
