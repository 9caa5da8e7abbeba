package notify

import "massattach/internal/bpf"

// taskWork has a thread do a work of the kernel's on its way back to user mode:
// what TIF_NOTIFY_RESUME is for.
type taskWork struct{ *bpf.Notify }

func openTaskWork(int) (Mechanism, error) {
	n, err := bpf.OpenNotify()
	if err != nil {
		return nil, err
	}
	return taskWork{n}, nil
}

func (taskWork) Name() string         { return TaskWork }
func (taskWork) Guarantee() Guarantee { return Strict }

// Remove does not say that it could not: who is left in is passed over when it is
// nobody's tracee any more.
func (w taskWork) Remove(tids []int) { _ = w.Notify.Remove(tids) }

func (w taskWork) Look() (Look, error) {
	pending, mute, err := w.Notify.Look()
	return Look{Pending: pending, Mute: mute}, err
}
