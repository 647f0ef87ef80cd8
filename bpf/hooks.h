/* hooks.h - the signature of a program for each way to reach a hook.
 *
 * The macros make functions around a body that the group's C file defines before it; the loader picks the functions that it
 * needs by their names (plugin/ebpf_plugin/model/group.py). A macro makes one function: of several, BCC 0.18 (Debian 11) finds
 * the first only.
 *
 * What only the running kernel or the user's configuration knows is a hole: an instruction that loads a number which the
 * loader fills in (plugin/ebpf_plugin/compile/bytecode.py). The verifier knows the number, and the kernel removes the branches
 * that it rules out. So `if (RETURN_MODE)` costs one instruction, and one text serves all kernels and configurations.
 *
 * A counter is written by one program at a time, and the kernel does not let a program interrupt itself on one CPU
 * (bpf_prog_active for probes and tracepoints, prog->active for trampolines), so a counter of a CPU needs no atomics. Those of
 * the network do: functions for IPv4 and IPv6 share them, and where kernels are preemptible one program can interrupt another.
 */
#include <linux/types.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define inline_int static __always_inline int
#define inline_u64 static __always_inline u64

#if defined(MACHINE_x86_64)
struct pt_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define REGS_ARG0(regs) ((regs)->di)
#define REGS_ARG1(regs) ((regs)->si)
#define REGS_ARG2(regs) ((regs)->dx)
#define REGS_ARG3(regs) ((regs)->cx)
#define REGS_ARG4(regs) ((regs)->r8)
#define REGS_RESULT(regs) ((regs)->ax)
#elif defined(MACHINE_aarch64)
struct pt_regs {
	u64 regs[31], sp, pc, pstate;
};
#define REGS_ARG0(regs) ((regs)->regs[0])
#define REGS_ARG1(regs) ((regs)->regs[1])
#define REGS_ARG2(regs) ((regs)->regs[2])
#define REGS_ARG3(regs) ((regs)->regs[3])
#define REGS_ARG4(regs) ((regs)->regs[4])
#define REGS_RESULT(regs) ((regs)->regs[0])
#else
#error "this architecture has no struct pt_regs in hooks.h yet"
#endif

/* The records of syscalls:sys_enter_* and syscalls:sys_exit_*, as in their `format` files. */
struct sys_enter {
	u64 common;
	s64 nr;
	u64 args[6];
};
struct sys_exit {
	u64 common;
	s64 nr;
	s64 result;
};

inline_u64 kernel_u64(u64 address)
{
	u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), (void *)address);
	return value;
}

/* Of tests: the 16 bytes of a process name, the only one whose events count; 0 in earnest. */
inline_int is_other(u64 *comm) { return comm[0] != TEST_COMM_LOW || comm[1] != TEST_COMM_HIGH; }
#define SKIP_OTHERS \
	if (TEST_COMM_LOW) { \
		u64 comm[2] = {}; \
		bpf_get_current_comm(comm, sizeof(comm)); \
		if (is_other(comm)) \
			return 0; \
	}
#define SKIP_OTHER_TASK(task) \
	if (TEST_COMM_LOW) { \
		u64 comm[2] = {}; \
		bpf_probe_read_kernel_str(comm, sizeof(comm), (void *)(task) + TASK_COMM); \
		if (is_other(comm)) \
			return 0; \
	}

/* Each makes one program. What it does is an expression of a function's call, in which stand
 * at a call: arg0, arg1, arg2 and so on; at a return: result, in a trampoline the arguments as well; at the two ends of a
 * system call: args[6] and result. */
#define ON_FENTRY(program, act) \
	int program##_fentry(u64 *ctx) \
	{ \
		u64 arg0 = ctx[0], arg1 = ctx[1], arg2 = ctx[2]; \
		SKIP_OTHERS return act; \
	}
#define ON_KPROBE(program, act) \
	int program##_kprobe(struct pt_regs *ctx) \
	{ \
		u64 arg0 = REGS_ARG0(ctx), arg1 = REGS_ARG1(ctx), arg2 = REGS_ARG2(ctx), arg3 = REGS_ARG3(ctx), arg4 = REGS_ARG4(ctx); \
		SKIP_OTHERS return act; \
	}

/* A trampoline has the result behind the function's arguments, whose number the loader knows from BTF: it replaces the place
 * in every load from ctx[RESULT]. The type matters: the upper half of a register that holds an int is undefined. A probe at a
 * return has no arguments to read: their registers hold anything by then. */
#define RESULT 4095
#define ON_FEXIT(program, type, act) \
	int program##_fexit(u64 *ctx) \
	{ \
		u64 arg0 = ctx[0], arg1 = ctx[1], arg2 = ctx[2], arg3 = ctx[3], arg4 = ctx[4]; \
		type result = ctx[RESULT]; \
		SKIP_OTHERS return act; \
	}
#define ON_KRETPROBE(program, type, act) \
	int program##_kretprobe(struct pt_regs *ctx) { type result = REGS_RESULT(ctx); SKIP_OTHERS return act; }

#define ON_SYS_ENTER(program, act) \
	int program##_sys_enter(struct sys_enter *ctx) { u64 *args = ctx->args; SKIP_OTHERS return act; }
#define ON_SYS_EXIT(program, act) \
	int program##_sys_exit(struct sys_exit *ctx) { s64 result = ctx->result; SKIP_OTHERS return act; }

/* raw tracepoints: arg0, arg1 and arg2 are those of the tracepoint, as far as it has them */
#define ON_RAW(program, act) \
	int program##_raw(u64 *ctx) { u64 arg0 = ctx[0], arg1 = ctx[1], arg2 = ctx[2]; SKIP_OTHERS return act; }
