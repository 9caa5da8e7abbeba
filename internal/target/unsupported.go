//go:build !linux || !(amd64 || arm64)

package target

import (
	"context"
	"errors"
	"fmt"
)

// errHere says what is wrong with this platform.
var errHere = fmt.Errorf("target: only on linux, on amd64 and arm64: %w", errors.ErrUnsupported)

// Main does nothing here.
func Main() {}

// Start answers errors.ErrUnsupported here.
func Start(context.Context, Spec) (*Target, error) { return nil, errHere }

// RaiseLimits answers errors.ErrUnsupported here.
func RaiseLimits(int) (restore func() error, err error) { return nil, errHere }

type process struct{}

func (*process) childPID() int     { return 0 }
func (*Target) runs([]string) bool { return false }

// Close answers errors.ErrUnsupported here.
func (*Target) Close() (Account, error) { return Account{}, errHere }

// Kill answers errors.ErrUnsupported here.
func (*Target) Kill() error { return errHere }

// Wait answers errors.ErrUnsupported here.
func (*Target) Wait(context.Context) (Exit, error) { return Exit{}, errHere }
