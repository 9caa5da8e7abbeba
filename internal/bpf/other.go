//go:build !linux || !(amd64 || arm64)

package bpf

import (
	"errors"
	"iter"
	"syscall"
	"time"
)

// Births is for Linux only.
type Births struct{}

func OpenBirths(int) (*Births, error) { return nil, errors.ErrUnsupported }

func BirthsSupported() error { return errors.ErrUnsupported }

func (*Births) Close() error               { return nil }
func (*Births) Wait() error                { return errors.ErrUnsupported }
func (*Births) Hear(time.Duration, *Heard) {}
func (*Births) Pending(int) bool           { return false }
func (*Births) Alive() int                 { return 0 }

// Tasks is for Linux only.
type Tasks struct{}

func OpenTasks(int) (*Tasks, error) { return nil, errors.ErrUnsupported }

func TasksSupported() error { return errors.ErrUnsupported }

func (*Tasks) Close() error                { return nil }
func (*Tasks) All() iter.Seq2[Task, error] { return func(func(Task, error) bool) {} }

// Notify is for Linux only.
type Notify struct{}

func OpenNotify() (*Notify, error) { return nil, errors.ErrUnsupported }

func NotifySupported() error { return errors.ErrUnsupported }

func (*Notify) Close() error                              { return nil }
func (*Notify) Add([]int) error                           { return errors.ErrUnsupported }
func (*Notify) Remove([]int) error                        { return errors.ErrUnsupported }
func (*Notify) Arm([]int) error                           { return errors.ErrUnsupported }
func (*Notify) Look() (pending, mute []int, err error)    { return nil, nil, errors.ErrUnsupported }
func (*Notify) Disarm([]int) (reported []int, err error)  { return nil, errors.ErrUnsupported }
func (*Notify) Merged(int, syscall.Signal) ([]byte, bool) { return nil, false }
