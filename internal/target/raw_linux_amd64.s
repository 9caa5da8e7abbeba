#include "textflag.h"
#include "go_asm.h"

#define SYS_rt_sigprocmask 14
#define SYS_rt_sigreturn 15
#define SYS_clone 56
#define SYS_exit 60
#define SYS_futex 202
#define EINTR 4

// CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM|PARENT_SETTID|CHILD_CLEARTID
#define THREAD_FLAGS 0x350f00

// The control block is in R12, which the kernel leaves alone. Nothing here
// uses the stack, so that it stays untouched until a handler runs.

// func clone(flags, stack uintptr, t *tcb) int
TEXT ·clone(SB),NOSPLIT,$0-32
	MOVQ	flags+0(FP), DI
	MOVQ	stack+8(FP), SI
	MOVQ	t+16(FP), R12
	LEAQ	tcb_tid(R12), DX
	MOVQ	DX, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	child
	MOVQ	AX, ret+24(FP)
	RET
child:
	JMP	thread<>(SB)

// func become(stack uintptr, t *tcb)
TEXT ·become(SB),NOSPLIT,$0-16
	MOVQ	t+8(FP), R12
	MOVQ	stack+0(FP), AX
	MOVQ	AX, SP
	JMP	thread<>(SB)

TEXT thread<>(SB),NOSPLIT|NOFRAME,$0-0
start:
	MOVL	$SYS_rt_sigprocmask, AX
	MOVL	$2, DI
	LEAQ	tcb_mask(R12), SI
	XORL	DX, DX
	MOVL	$8, R10
	SYSCALL
	MOVQ	tcb_script(R12), R13
	MOVQ	tcb_steps(R12), R15
	MOVQ	$0, tcb_steps(R12)
step:
	TESTQ	R15, R15
	JZ	ready
	MOVQ	step_nr(R13), AX
	MOVQ	(step_args+0)(R13), DI
	MOVQ	(step_args+8)(R13), SI
	MOVQ	(step_args+16)(R13), DX
	MOVQ	(step_args+24)(R13), R10
	MOVQ	(step_args+32)(R13), R8
	MOVQ	(step_args+40)(R13), R9
	SYSCALL
	MOVQ	AX, step_ret(R13)
	ADDQ	$step__size, R13
	DECQ	R15
	JMP	step
ready:
	MOVL	$1, tcb_state(R12)
	MOVL	tcb_mode(R12), AX
	CMPL	AX, $const_modeSys
	JEQ	sys
	CMPL	AX, $const_modeSpin
	JEQ	spin
	CMPL	AX, $const_modeChurn
	JEQ	churn
	CMPL	AX, $const_modePair
	JEQ	pair
	CMPL	AX, $const_modeExit
	JEQ	exit

block:
	MOVQ	tcb_nr(R12), AX
	MOVQ	(tcb_args+0)(R12), DI
	MOVQ	(tcb_args+8)(R12), SI
	MOVQ	(tcb_args+16)(R12), DX
	MOVQ	(tcb_args+24)(R12), R10
	MOVQ	(tcb_args+32)(R12), R8
	MOVQ	(tcb_args+40)(R12), R9
	SYSCALL
	CMPQ	AX, $-EINTR
	JEQ	eintr
	CMPL	tcb_ctl(R12), $const_ctlRun
	JNE	command
	INCQ	tcb_early(R12)
	MOVQ	AX, tcb_last(R12)
	JMP	block
eintr:
	// A wake-up by ctl is not lost: the call will return at once.
	INCQ	tcb_eintr(R12)
	JMP	block

sys:
	MOVQ	tcb_nr(R12), AX
	MOVQ	(tcb_args+0)(R12), DI
	MOVQ	(tcb_args+8)(R12), SI
	MOVQ	(tcb_args+16)(R12), DX
	MOVQ	(tcb_args+24)(R12), R10
	MOVQ	(tcb_args+32)(R12), R8
	MOVQ	(tcb_args+40)(R12), R9
	SYSCALL
	TESTQ	AX, AX
	JS	failed
	INCQ	tcb_calls(R12)
	CMPL	tcb_ctl(R12), $const_ctlRun
	JEQ	sys
	JMP	command
failed:
	INCQ	tcb_early(R12)
	MOVQ	AX, tcb_last(R12)
	CMPL	tcb_ctl(R12), $const_ctlRun
	JEQ	sys
	JMP	command

spin:
	RDTSC
	SHLQ	$32, DX
	ORQ	DX, AX
	MOVQ	AX, BX
again:
	RDTSC
	SHLQ	$32, DX
	ORQ	DX, AX
	MOVQ	AX, CX
	SUBQ	BX, CX
	MOVQ	AX, BX
	INCQ	tcb_calls(R12)
	CMPQ	CX, tcb_gap(R12) // signed: counters of two CPUs may differ
	JLE	small
	MOVQ	CX, tcb_gap(R12)
small:
	CMPL	tcb_ctl(R12), $const_ctlRun
	JEQ	again
	JMP	command

pair:
	// While it is in the call both words are the number of the round, and so are
	// the call's fifth and sixth argument.
	INCQ	tcb_first(R12)
	MOVQ	tcb_first(R12), AX
	ANDL	$1023, AX // for a while, another one each time
	INCQ	AX
apart:
	PAUSE
	DECQ	AX
	JNZ	apart
	MOVQ	tcb_first(R12), R8
	MOVQ	R8, tcb_second(R12)
	MOVQ	R8, R9
	MOVQ	tcb_nr(R12), AX
	MOVQ	(tcb_args+0)(R12), DI
	MOVQ	(tcb_args+8)(R12), SI
	MOVQ	(tcb_args+16)(R12), DX
	MOVQ	(tcb_args+24)(R12), R10
	SYSCALL
	INCQ	tcb_calls(R12)
	TESTQ	AX, AX
	JZ	slept
	CMPQ	AX, $-EINTR
	JEQ	woken
	INCQ	tcb_early(R12)
	MOVQ	AX, tcb_last(R12)
	JMP	slept
woken:
	INCQ	tcb_eintr(R12)
slept:
	CMPL	tcb_ctl(R12), $const_ctlRun
	JEQ	pair
	JMP	command

churn:
	// calls counts births, tcb_last the last errno; ends are births less one
	// at most.
	MOVL	$1, tcb_child(R12)
	MOVQ	$THREAD_FLAGS, DI
	MOVQ	tcb_stack(R12), SI
	LEAQ	tcb_child(R12), DX
	MOVQ	DX, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	exit
	JS	failedClone
	INCQ	tcb_calls(R12)
join:
	MOVL	tcb_child(R12), DX
	TESTL	DX, DX
	JZ	joined
	// Not FUTEX_PRIVATE: the kernel wakes the shared one.
	MOVL	$SYS_futex, AX
	LEAQ	tcb_child(R12), DI
	XORL	SI, SI
	XORL	R10, R10
	SYSCALL
	CMPQ	AX, $-EINTR
	JNE	join
	INCQ	tcb_eintr(R12)
	JMP	join
joined:
	CMPL	tcb_ctl(R12), $const_ctlRun
	JEQ	churn
	JMP	command
failedClone:
	INCQ	tcb_early(R12)
	MOVQ	AX, tcb_last(R12)
	JMP	joined

command:
	CMPL	tcb_ctl(R12), $const_ctlEnd
	JEQ	exit
	MOVL	$0, tcb_word(R12)
	MOVL	$const_ctlRun, tcb_ctl(R12)
	JMP	start

exit:
	XORL	DI, DI
	MOVL	$SYS_exit, AX
	SYSCALL
	INT	$3
	JMP	exit

// onSignal(sig DI, info *siginfo SI): any register may be used, sigreturn
// restores them all.
TEXT onSignal<>(SB),NOSPLIT|NOFRAME,$0-0
	MOVQ	·handlers(SB), R8
	LEAQ	record_runs(R8), R9
	LOCK
	INCQ	(R9)(DI*8)
	XORL	R9, R9
	MOVQ	SP, AX
	SUBQ	record_stackBase(R8), AX
	CMPQ	AX, record_stackLen(R8)
	JAE	foreign
	SHRQ	$const_stackShift, AX
	SHLQ	$const_tcbShift, AX
	ADDQ	record_tcbBase(R8), AX
	MOVQ	AX, R9
	INCQ	tcb_handled(R9)
foreign:
	CMPL	8(SI), $-1 // si_code SI_QUEUE
	JNE	done
	MOVQ	24(SI), AX // si_value
	MOVQ	AX, CX
	SHRQ	$32, CX
	MOVL	AX, AX
	CMPL	CX, record_nslots(R8)
	JAE	stray
	SHLQ	$6, CX
	LEAQ	record_slots(R8), R10
	ADDQ	CX, R10
	CMPQ	R9, slot_tcb(R10)
	JNE	payload
	CMPL	DI, 0(SI)
	JNE	payload
	MOVL	record_sender(R8), BX
	TESTL	BX, BX
	JZ	order
	CMPL	BX, 16(SI) // si_pid
	JNE	payload
order:
	MOVQ	slot_last(R10), BX
	INCQ	BX
	CMPQ	AX, BX
	JEQ	ordered
	LOCK
	INCQ	slot_order(R10)
ordered:
	MOVQ	AX, slot_last(R10)
	LOCK
	INCQ	slot_received(R10)
	RET
payload:
	LOCK
	INCQ	slot_payload(R10)
	JMP	order
stray:
	LOCK
	INCQ	record_strays(R8)
done:
	RET

TEXT sigreturn<>(SB),NOSPLIT|NOFRAME,$0-0
	MOVL	$SYS_rt_sigreturn, AX
	SYSCALL
	INT	$3

// func handlerPC() uintptr
TEXT ·handlerPC(SB),NOSPLIT,$0-8
	LEAQ	onSignal<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func restorerPC() uintptr
TEXT ·restorerPC(SB),NOSPLIT,$0-8
	LEAQ	sigreturn<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func ticks() int64
TEXT ·ticks(SB),NOSPLIT,$0-8
	RDTSC
	SHLQ	$32, DX
	ORQ	DX, AX
	MOVQ	AX, ret+0(FP)
	RET
