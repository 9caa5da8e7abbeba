package target

import (
	"encoding/json"
	"fmt"
	"time"
)

// A request is one line to a target, or to its parent. The number comes back
// in the reply.
type request struct {
	ID int64  `json:"id"`
	Op string `json:"op"`

	TID     int           `json:"tid,omitempty"`
	PID     int           `json:"pid,omitempty"`
	Kind    string        `json:"kind,omitempty"`
	Name    string        `json:"name,omitempty"`
	N       int           `json:"n,omitempty"`
	Signal  int           `json:"signal,omitempty"`
	Block   []int         `json:"block,omitempty"`
	Unblock []int         `json:"unblock,omitempty"`
	Timeout time.Duration `json:"timeout_ns,omitempty"`
	Spec    *Spec         `json:"spec,omitempty"`
	Argv    []string      `json:"argv,omitempty"`
	Send    *Send         `json:"send,omitempty"`
	Flood   *Flood        `json:"flood,omitempty"`
}

// A reply is one line from a target.
type reply struct {
	ID     int64           `json:"id,omitempty"`
	Error  string          `json:"error,omitempty"`
	Errno  int             `json:"errno,omitempty"` // what Error wraps
	Result json.RawMessage `json:"result,omitempty"`

	hello // without an ID
}

// A hello is the first line of a target, and of what it execs.
type hello struct {
	Ready   *bool       `json:"ready,omitempty"`
	PID     int         `json:"pid,omitempty"`
	Threads int         `json:"threads,omitempty"`
	Image   int         `json:"image,omitempty"` // how many execs came before
	SysV    SysV        `json:"sysv,omitzero"`
	Limit   *LimitError `json:"limit,omitempty"`
}

// A LimitError says which limit of the machine is too low for a target.
type LimitError struct {
	Threads int    `json:"threads"` // asked for
	Limit   string `json:"limit"`
	Have    int64  `json:"have"`
	Need    int64  `json:"need"`
	Fix     string `json:"fix"` // a command, for root
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("target: %d threads need %s of at least %d, it is %d: as root: %s", e.Threads, e.Limit, e.Need, e.Have, e.Fix)
}
