#include "textflag.h"
#include "go_asm.h"

#define SYS_rt_sigprocmask 135
#define SYS_rt_sigreturn 139
#define SYS_clone 220
#define SYS_exit 93
#define SYS_futex 98
#define EINTR 4

// CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM|PARENT_SETTID|CHILD_CLEARTID
#define THREAD_FLAGS 0x350f00

// ADD_ONE adds 1 to the uint64 at p, by LDXR and STXR: every ARMv8 has them.
// A loop needs labels, and a macro can have none of its own: it jumps by
// instructions.
#define ADD_ONE(p) \
	LDAXR	(p), R16 \
	ADD	$1, R16 \
	STLXR	R16, (p), R17 \
	CBNZW	R17, -3(PC)

// The control block is in R19. Nothing here uses the stack, so that it stays
// untouched until a handler runs. R27 is the assembler's, R28 Go's g.

// func clone(flags, stack uintptr, t *tcb) int
TEXT ·clone(SB),NOSPLIT|NOFRAME,$0-32
	MOVD	flags+0(FP), R0
	MOVD	stack+8(FP), R1
	MOVD	t+16(FP), R19
	ADD	$tcb_tid, R19, R2
	MOVD	$0, R3
	MOVD	R2, R4
	MOVD	$SYS_clone, R8
	SVC
	CBZ	R0, child
	MOVD	R0, ret+24(FP)
	RET
child:
	JMP	thread<>(SB)

// func become(stack uintptr, t *tcb)
TEXT ·become(SB),NOSPLIT|NOFRAME,$0-16
	MOVD	t+8(FP), R19
	MOVD	stack+0(FP), R0
	MOVD	R0, RSP
	JMP	thread<>(SB)

TEXT thread<>(SB),NOSPLIT|NOFRAME,$0-0
start:
	MOVD	$2, R0
	ADD	$tcb_mask, R19, R1
	MOVD	$0, R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC
	MOVD	tcb_script(R19), R20
	MOVD	tcb_steps(R19), R21
	MOVD	ZR, tcb_steps(R19)
step:
	CBZ	R21, ready
	MOVD	step_nr(R20), R8
	MOVD	(step_args+0)(R20), R0
	MOVD	(step_args+8)(R20), R1
	MOVD	(step_args+16)(R20), R2
	MOVD	(step_args+24)(R20), R3
	MOVD	(step_args+32)(R20), R4
	MOVD	(step_args+40)(R20), R5
	SVC
	MOVD	R0, step_ret(R20)
	ADD	$step__size, R20
	SUB	$1, R21
	JMP	step
ready:
	MOVW	$1, R9
	ADD	$tcb_state, R19, R10
	STLRW	R9, (R10)
	MOVWU	tcb_mode(R19), R9
	CMPW	$const_modeSys, R9
	BEQ	sys
	CMPW	$const_modeSpin, R9
	BEQ	spin
	CMPW	$const_modeChurn, R9
	BEQ	churn
	CMPW	$const_modePair, R9
	BEQ	pair
	CMPW	$const_modeExit, R9
	BEQ	exit

block:
	MOVD	tcb_nr(R19), R8
	MOVD	(tcb_args+0)(R19), R0
	MOVD	(tcb_args+8)(R19), R1
	MOVD	(tcb_args+16)(R19), R2
	MOVD	(tcb_args+24)(R19), R3
	MOVD	(tcb_args+32)(R19), R4
	MOVD	(tcb_args+40)(R19), R5
	SVC
	CMN	$EINTR, R0
	BEQ	eintr
	ADD	$tcb_ctl, R19, R10
	LDARW	(R10), R9
	CBNZW	R9, command
	MOVD	tcb_early(R19), R9
	ADD	$1, R9
	MOVD	R9, tcb_early(R19)
	MOVD	R0, tcb_last(R19)
	JMP	block
eintr:
	// A wake-up by ctl is not lost: the call will return at once.
	MOVD	tcb_eintr(R19), R9
	ADD	$1, R9
	MOVD	R9, tcb_eintr(R19)
	JMP	block

sys:
	MOVD	tcb_nr(R19), R8
	MOVD	(tcb_args+0)(R19), R0
	MOVD	(tcb_args+8)(R19), R1
	MOVD	(tcb_args+16)(R19), R2
	MOVD	(tcb_args+24)(R19), R3
	MOVD	(tcb_args+32)(R19), R4
	MOVD	(tcb_args+40)(R19), R5
	SVC
	TBNZ	$63, R0, failed
	MOVD	tcb_calls(R19), R9
	ADD	$1, R9
	MOVD	R9, tcb_calls(R19)
	ADD	$tcb_ctl, R19, R10
	LDARW	(R10), R9
	CBZW	R9, sys
	JMP	command
failed:
	MOVD	tcb_early(R19), R9
	ADD	$1, R9
	MOVD	R9, tcb_early(R19)
	MOVD	R0, tcb_last(R19)
	ADD	$tcb_ctl, R19, R10
	LDARW	(R10), R9
	CBZW	R9, sys
	JMP	command

spin:
	MRS	CNTVCT_EL0, R11
again:
	MRS	CNTVCT_EL0, R12
	SUB	R11, R12, R13
	MOVD	R12, R11
	MOVD	tcb_calls(R19), R9
	ADD	$1, R9
	MOVD	R9, tcb_calls(R19)
	MOVD	tcb_gap(R19), R9
	CMP	R9, R13
	BLE	small
	MOVD	R13, tcb_gap(R19)
small:
	ADD	$tcb_ctl, R19, R10
	LDARW	(R10), R9
	CBZW	R9, again
	JMP	command

pair:
	// While it is in the call both words are the number of the round, and so are
	// the call's fifth and sixth argument.
	MOVD	tcb_first(R19), R4
	ADD	$1, R4
	MOVD	R4, tcb_first(R19)
	AND	$1023, R4, R9 // for a while, another one each time
	ADD	$1, R9
apart:
	YIELD
	SUB	$1, R9
	CBNZ	R9, apart
	MOVD	R4, tcb_second(R19)
	MOVD	R4, R5
	MOVD	tcb_nr(R19), R8
	MOVD	(tcb_args+0)(R19), R0
	MOVD	(tcb_args+8)(R19), R1
	MOVD	(tcb_args+16)(R19), R2
	MOVD	(tcb_args+24)(R19), R3
	SVC
	MOVD	tcb_calls(R19), R9
	ADD	$1, R9
	MOVD	R9, tcb_calls(R19)
	CBZ	R0, slept
	CMN	$EINTR, R0
	BEQ	woken
	MOVD	tcb_early(R19), R9
	ADD	$1, R9
	MOVD	R9, tcb_early(R19)
	MOVD	R0, tcb_last(R19)
	JMP	slept
woken:
	MOVD	tcb_eintr(R19), R9
	ADD	$1, R9
	MOVD	R9, tcb_eintr(R19)
slept:
	ADD	$tcb_ctl, R19, R10
	LDARW	(R10), R9
	CBZW	R9, pair
	JMP	command

churn:
	MOVW	$1, R9
	MOVW	R9, tcb_child(R19)
	MOVD	$THREAD_FLAGS, R0
	MOVD	tcb_stack(R19), R1
	ADD	$tcb_child, R19, R2
	MOVD	$0, R3
	MOVD	R2, R4
	MOVD	$SYS_clone, R8
	SVC
	CBZ	R0, exit
	TBNZ	$63, R0, failedClone
	MOVD	tcb_calls(R19), R9
	ADD	$1, R9
	MOVD	R9, tcb_calls(R19)
join:
	ADD	$tcb_child, R19, R0
	LDARW	(R0), R2
	CBZW	R2, joined
	// Not FUTEX_PRIVATE: the kernel wakes the shared one.
	MOVD	$0, R1
	MOVD	$0, R3
	MOVD	$SYS_futex, R8
	SVC
	CMN	$EINTR, R0
	BNE	join
	MOVD	tcb_eintr(R19), R9
	ADD	$1, R9
	MOVD	R9, tcb_eintr(R19)
	JMP	join
joined:
	ADD	$tcb_ctl, R19, R10
	LDARW	(R10), R9
	CBZW	R9, churn
	JMP	command
failedClone:
	MOVD	tcb_early(R19), R9
	ADD	$1, R9
	MOVD	R9, tcb_early(R19)
	MOVD	R0, tcb_last(R19)
	JMP	joined

command:
	ADD	$tcb_ctl, R19, R10
	LDARW	(R10), R9
	CMPW	$const_ctlEnd, R9
	BEQ	exit
	MOVW	ZR, tcb_word(R19)
	STLRW	ZR, (R10)
	JMP	start

exit:
	MOVD	$0, R0
	MOVD	$SYS_exit, R8
	SVC
	BRK
	JMP	exit

// onSignal(sig R0, info *siginfo R1): any register may be used, sigreturn
// restores them all. R30 is the way back.
TEXT onSignal<>(SB),NOSPLIT|NOFRAME,$0-0
	MOVD	·handlers(SB), R8
	ADD	$record_runs, R8, R9
	ADD	R0<<3, R9, R9
	ADD_ONE(R9)
	MOVD	$0, R9
	MOVD	RSP, R10
	MOVD	record_stackBase(R8), R11
	SUB	R11, R10
	MOVD	record_stackLen(R8), R11
	CMP	R11, R10
	BHS	foreign
	LSR	$const_stackShift, R10
	LSL	$const_tcbShift, R10
	MOVD	record_tcbBase(R8), R11
	ADD	R11, R10, R9
	MOVD	tcb_handled(R9), R11
	ADD	$1, R11
	MOVD	R11, tcb_handled(R9)
foreign:
	MOVW	8(R1), R10 // si_code SI_QUEUE
	CMNW	$1, R10
	BNE	done
	MOVD	24(R1), R10 // si_value
	LSR	$32, R10, R11
	MOVWU	R10, R10
	MOVWU	record_nslots(R8), R12
	CMP	R12, R11
	BHS	stray
	MOVD	$record_slots, R12
	ADD	R8, R12
	ADD	R11<<6, R12, R12
	MOVD	slot_tcb(R12), R13
	CMP	R13, R9
	BNE	payload
	MOVW	0(R1), R13
	CMPW	R13, R0
	BNE	payload
	MOVWU	record_sender(R8), R13
	CBZW	R13, order
	MOVWU	16(R1), R14 // si_pid
	CMPW	R13, R14
	BNE	payload
order:
	MOVD	slot_last(R12), R13
	ADD	$1, R13
	CMP	R13, R10
	BEQ	ordered
	ADD	$slot_order, R12, R13
	ADD_ONE(R13)
ordered:
	MOVD	R10, slot_last(R12)
	ADD	$slot_received, R12, R13
	ADD_ONE(R13)
	RET
payload:
	ADD	$slot_payload, R12, R13
	ADD_ONE(R13)
	JMP	order
stray:
	ADD	$record_strays, R8, R13
	ADD_ONE(R13)
done:
	RET

TEXT sigreturn<>(SB),NOSPLIT|NOFRAME,$0-0
	MOVD	$SYS_rt_sigreturn, R8
	SVC
	BRK

// func handlerPC() uintptr
TEXT ·handlerPC(SB),NOSPLIT,$0-8
	MOVD	$onSignal<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// func restorerPC() uintptr
TEXT ·restorerPC(SB),NOSPLIT,$0-8
	MOVD	$sigreturn<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// func ticks() int64
TEXT ·ticks(SB),NOSPLIT,$0-8
	MRS	CNTVCT_EL0, R0
	MOVD	R0, ret+0(FP)
	RET
