package procfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"

	"massattach/procfs"
)

// List the threads of a process, and look at each. A thread that ends meanwhile
// is no reason to give up.
func Example() {
	p, err := procfs.FS{}.Open(os.Getpid())
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	tids, err := p.AppendTIDs(nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, tid := range tids {
		st, err := p.Stat(tid)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended since
		}
		if err != nil {
			log.Fatal(err)
		}
		if st.TID == os.Getpid() {
			fmt.Println("found the leader")
		}
	}
	// Output: found the leader
}

// Start to work on the first threads before the last ones are listed.
func ExampleProcess_Chunks() {
	p, err := procfs.FS{}.Open(os.Getpid())
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	n := 0
	err = p.Chunks(func(tids []int) error {
		n += len(tids) // tids is reused: copy it to keep it
		return nil
	})
	fmt.Println(n > 0, err)
	// Output: true <nil>
}

// What the threads of a pool wait for.
func ExampleProcess_Threads() {
	p, err := procfs.FS{}.Open(os.Getpid())
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	sel := procfs.Selection{Comm: "pool-*", State: "SD"}
	for th, err := range p.Threads(sel, procfs.DetailSyscall|procfs.DetailWchan) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d %q %s %s\n", th.TID, th.Comm, th.Syscall, th.Wchan)
	}
	// Output:
}

// A number that a user gives for a process may be that of a thread.
func ExampleFS_Open() {
	_, err := procfs.FS{}.Open(1 << 30)
	if e, ok := errors.AsType[*procfs.NotLeaderError](err); ok {
		fmt.Println("try", e.TGID)
	}
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output: true
}
