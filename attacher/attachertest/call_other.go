//go:build !linux || (!amd64 && !arm64)

package attachertest

// The numbers of amd64.
const (
	nrEpollPwait   = 281
	nrSemop        = 65
	nrSigtimedwait = 128
	nrFutex        = 202
	nrPpoll        = 271
	nrNanosleep    = 35
	nrRead         = 0
	nrWrite        = 1
	nrRecvfrom     = 45
	nrClone        = 56
	nrExecve       = 59
)
