// Package programs runs real programs under real load, to be attached to: a JVM
// with 3,000 threads, PostgreSQL, nginx, Redis, a Go server, node, and a shell
// with job control.
//
//	func TestMain(m *testing.M) {
//		programs.Main()
//		os.Exit(m.Run())
//	}
//
//	p, err := programs.Nginx.Start(ctx)
//	...
//	defer p.Close()
//	crew, err := p.Attach(func(pid int) (io.Closer, error) { return attacher.Attach(ctx, pid, nil) })
//	...
//	load, err := p.Load(ctx, 10*time.Second) // its load generator's complaints are the error
//	err = crew.Close()
//	err = p.Check() // what it has logged
//	err = p.Free()  // nobody is left traced or stopped
//
// It judges what attaching does to a program, and so shares no code with what
// it judges: it imports nothing of the module.
//
// # Who is whose child
//
// Between this process and each program or load generator stands a supervisor,
// which is this process's executable again (see [Main]). It is the program's
// parent, so that a tracer in this process is nobody's whose waits matter, and
// adopts whom the program leaves behind. When this process ends, however it
// does, the supervisor ends all of them and removes their files.
//
// Programs listen at Unix sockets or at 127.0.0.1 only, on ports and in
// directories of their own, beside whatever the system may run.
package programs
