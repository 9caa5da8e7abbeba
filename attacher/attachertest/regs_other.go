//go:build !linux || !(amd64 || arm64)

package attachertest

import "massattach/attacher"

func regsOf(attacher.Frame) (r attacher.Regs)   { return r }
func frameOf(*attacher.Regs) (f attacher.Frame) { return f }
