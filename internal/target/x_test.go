package target_test
import ("testing";"massattach/internal/target";"time";"os";"strconv";"fmt")
func TestX(t *testing.T) {
	n,_ := strconv.Atoi(os.Getenv("N")); if n==0 {n=300}
	if n > 20000 { r,err := target.RaiseLimits(n); if err!=nil {t.Fatal(err)}; defer r() }
	t0:=time.Now()
	p := start(t, target.Mix(n))
	fmt.Println("start", time.Since(t0), p.Threads())
	fmt.Println("RSS", status(t, p.PID(), p.PID(), "VmRSS"))
	t1:=time.Now()
	account(t,p)
	fmt.Println("account", time.Since(t1))
	w,err := p.Window(background(t), time.Second)
	fmt.Println(w, err)
	t1=time.Now()
	a,err := p.Close()
	fmt.Println("close", time.Since(t1), a.EINTR, a.Early, a.Threads, err)
}
