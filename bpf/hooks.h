/* hooks.h - the signature of a program for each way to reach a hook.
 *
 * The macros make functions around a body that the group's C file defines before it; the loader picks the functions that it
 * needs by their names (plugin/ebpf_plugin/group.py). Bodies touch maps and so must stand in the C file itself: BCC
 * rewrites map calls in the main text only, not in macros or included files.
 *
 * Every counter is written by one program at a time, and the kernel does not let a program interrupt itself on one CPU
 * (bpf_prog_active for probes and tracepoints, prog->active for trampolines), so per-CPU counters need no atomics.
 */
#include <linux/types.h>

#if defined(MACHINE_x86_64)
struct pt_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define REGS_ARGS(regs) (regs)->di, (regs)->si, (regs)->dx
#define REGS_RESULT(regs) ((regs)->ax)
#elif defined(MACHINE_aarch64)
struct pt_regs {
	u64 regs[31], sp, pc, pstate;
};
#define REGS_ARGS(regs) (regs)->regs[0], (regs)->regs[1], (regs)->regs[2]
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

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define inline_body static __always_inline int

/* Tests compile with TEST_COMM_LOW and _HIGH, the 16 bytes of a process name: only that process's events count. */
#ifdef TEST_COMM_LOW
static __always_inline int is_other(u64 *comm) { return comm[0] != TEST_COMM_LOW || comm[1] != TEST_COMM_HIGH; }
#define SKIP_OTHERS { u64 comm[2] = {}; bpf_get_current_comm(comm, sizeof(comm)); if (is_other(comm)) return 0; }
#define SKIP_OTHER_TASK(task) \
	{ u64 comm[2] = {}; bpf_probe_read_kernel_str(comm, sizeof(comm), (void *)(task) + TASK_COMM_OFFSET); if (is_other(comm)) return 0; }
#else
#define SKIP_OTHERS
#define SKIP_OTHER_TASK(task)
#endif

/* body(u64 arg0, u64 arg1, u64 arg2), run when the function is called */
#define ON_FENTRY(program, body) \
	int program##_fentry(u64 *ctx) { SKIP_OTHERS return body(ctx[0], ctx[1], ctx[2]); }
#define ON_KPROBE(program, body) \
	int program##_kprobe(struct pt_regs *ctx) { SKIP_OTHERS return body(REGS_ARGS(ctx)); }
#define ON_CALL(program, body) ON_FENTRY(program, body) ON_KPROBE(program, body)

/* body(type result), run when the function has returned. NARGS_<program> is the number of the function's arguments (BTF):
 * a trampoline has the result behind them. The cast matters: the upper half of a register that holds an int is undefined.
 * A return body never sees arguments: at return their registers hold anything. */
#define ON_FEXIT(program, type, body) \
	int program##_fexit(u64 *ctx) { SKIP_OTHERS return body((type)ctx[NARGS_##program]); }
#define ON_KRETPROBE(program, type, body) \
	int program##_kretprobe(struct pt_regs *ctx) { SKIP_OTHERS return body((type)REGS_RESULT(ctx)); }
#define ON_RETURN(program, type, body) ON_FEXIT(program, type, body) ON_KRETPROBE(program, type, body)

/* body(u64 *args) and body(s64 result) at the two ends of a system call */
#define ON_SYS_ENTER(program, body) \
	int program##_sys_enter(struct sys_enter *ctx) { SKIP_OTHERS return body(ctx->args); }
#define ON_SYS_EXIT(program, body) \
	int program##_sys_exit(struct sys_exit *ctx) { SKIP_OTHERS return body(ctx->result); }
