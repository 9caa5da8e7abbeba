//go:build !linux

package serve

import "errors"

type process struct {
	pid   int
	start uint64
	ended chan struct{}
}

func openProcess(int) (*process, error) { return nil, errors.ErrUnsupported }

func (p *process) Close() {}
