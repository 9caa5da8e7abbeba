package threadset_test

import (
	"errors"
	"fmt"
	"slices"

	"massattach/threadset"
)

// Two passes over a process: the first seizes all, the second those who came
// meanwhile.
func Example() {
	var set threadset.Set
	tracer := set.Shard(900)

	first := []int{100, 101, 102}
	tracer.Found(set.Fresh(first, nil), false)
	tracer.Apply([]int{100, 101}, threadset.Seized)
	tracer.Apply([]int{102}, threadset.Missing) // SEIZE said ESRCH

	second := []int{100, 101, 103}
	fresh := set.Fresh(second, nil)
	fmt.Println("fresh:", fresh)
	tracer.Found(fresh, true)
	tracer.Apply(fresh, threadset.Seized)

	t := set.Totals()
	fmt.Printf("found %d = attached %d + vanished %d; born %d\n", t.Found, t.Attached, t.Vanished, t.Born)
	// Output:
	// fresh: [103]
	// found 4 = attached 3 + vanished 1; born 1
}

func ExampleShard_Move() {
	var set threadset.Set
	tracer := set.Shard(900)
	tracer.Found([]int{100}, false)
	tracer.Move(100, threadset.Seized)
	tracer.Move(100, threadset.Interrupted)
	t, _ := tracer.Move(100, threadset.Stopped)
	fmt.Println(t.TID, t.Phase)

	_, err := tracer.Move(100, threadset.Interrupted)
	fmt.Println(err)
	var refused *threadset.MoveError
	fmt.Println(errors.As(err, &refused) && refused.Phase == threadset.Held)
	// Output:
	// 100 held
	// thread 100: interrupted: impossible while held
	// true
}

func ExampleSet_In() {
	var set threadset.Set
	tracer := set.Shard(900)
	tracer.Found([]int{100, 101, 102}, false)
	tracer.Apply([]int{101, 102}, threadset.Seized)
	for t := range set.In(threadset.Found) {
		fmt.Println(t.TID)
	}
	fmt.Println(len(slices.Collect(set.In(threadset.Running))), set.Counts().Live())
	// Output:
	// 100
	// 2 2
}
