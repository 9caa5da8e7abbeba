//go:build !linux || !(amd64 || arm64)

package sys

import (
	"errors"
	"syscall"
	"time"
)

const CanRestart = false

// Regs has no registers here.
type Regs struct{}

// CallRegs is for Linux only.
func CallRegs(int, [6]uint64, uint64, uint64) Regs { return Regs{} }

var interrupted map[int]Call

var endsEarly map[int]early

var cutShort []int

func Seize(int, int) error                  { return errors.ErrUnsupported }
func Interrupt(int) error                   { return errors.ErrUnsupported }
func Cont(int, syscall.Signal) error        { return errors.ErrUnsupported }
func Listen(int) error                      { return errors.ErrUnsupported }
func Detach(int, syscall.Signal) error      { return errors.ErrUnsupported }
func EventMessage(int) (int, error)         { return 0, errors.ErrUnsupported }
func GetSiginfo(int, *Siginfo) error        { return errors.ErrUnsupported }
func SetSiginfo(int, *Siginfo) error        { return errors.ErrUnsupported }
func GetRegs(int, *Regs) error              { return errors.ErrUnsupported }
func SetRegs(int, *Regs) error              { return errors.ErrUnsupported }
func GetFrame(int) (Frame, error)           { return Frame{Nr: -1}, errors.ErrUnsupported }
func Result(int) (int64, error)             { return 0, errors.ErrUnsupported }
func SetResult(int, int64) error            { return errors.ErrUnsupported }
func Restart(int) error                     { return errors.ErrUnsupported }
func Look(int, bool) (WaitStatus, error)    { return WaitStatus{}, errors.ErrUnsupported }
func ReapExit(int) (WaitStatus, error)      { return WaitStatus{}, errors.ErrUnsupported }
func Reap(int) (WaitStatus, error)          { return WaitStatus{}, errors.ErrUnsupported }
func ReapStop(int) (WaitStatus, error)      { return WaitStatus{}, errors.ErrUnsupported }
func HasChildren() bool                     { return false }
func QuietChildren() error                  { return errors.ErrUnsupported }
func MakeInterrupting(syscall.Signal) error { return errors.ErrUnsupported }
func Ignored(syscall.Signal) bool           { return false }
func Kill(int, syscall.Signal) error        { return errors.ErrUnsupported }
func CPU() (int, error)                     { return 0, errors.ErrUnsupported }
func RaisePriority(int) (restore func())    { return func() {} }
func IsThread(int, int) bool                { return false }
func Gettid() int                           { return 0 }
func ReadMemory(int, uint64, []byte) error  { return errors.ErrUnsupported }
func WriteMemory(int, uint64, []byte) error { return errors.ErrUnsupported }
func SocketTimeout(int, int, int, bool) (time.Duration, error) {
	return 0, errors.ErrUnsupported
}
func Nap(d time.Duration) { time.Sleep(d) }
