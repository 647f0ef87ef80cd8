/* process.c - tasks created, ended and released, and the creations that failed.
 * Pairs with plugin/ebpf_plugin/groups/process.py, whose counters are this enum in the same order. */

enum process_counter { PROCESSES, THREADS, PROCESS_ERRORS, THREAD_ERRORS, EXITS, RELEASES, PROCESS_COUNTERS };

struct process_counters {
	u64 n[PROCESS_COUNTERS];
};
BPF_PERCPU_ARRAY(process_counters, struct process_counters, 1);

inline_body process_count(int counter)
{
	int zero = 0;
	struct process_counters *c = process_counters.lookup(&zero);

	if (c)
		c->n[counter]++;
	return 0;
}

/* a new task in the same thread group is a thread */
#define CLONE_THREAD 0x10000
inline_body created(u64 flags) { return process_count(flags & CLONE_THREAD ? THREADS : PROCESSES); }
inline_body not_created(u64 flags) { return process_count(flags & CLONE_THREAD ? THREAD_ERRORS : PROCESS_ERRORS); }

/* task:task_newtask(task, clone_flags), at the end of a copy_process() that succeeded */
int task_newtask_raw(u64 *ctx) { SKIP_OTHERS return created(ctx[1]); }

/* A trampoline has the argument at the return as well, and always a struct: no kernel before 5.5 has trampolines. */
static __always_inline u64 args_flags(u64 arg)
{
	u64 flags = 0;

	bpf_probe_read_kernel(&flags, sizeof(flags), (void *)arg);
	return flags;
}
inline_body clone_decide(u64 flags, int result) { return result > 0 ? created(flags) : 0; }
inline_body clone_error_decide(u64 flags, int result) { return result < 0 ? not_created(flags) : 0; }
int clone_fexit(u64 *ctx) { SKIP_OTHERS return clone_decide(args_flags(ctx[0]), ctx[NARGS_clone]); }
int clone_error_fexit(u64 *ctx) { SKIP_OTHERS return clone_error_decide(args_flags(ctx[0]), ctx[NARGS_clone_error]); }

/* The argument of kernel_clone() is a struct kernel_clone_args, which begins with the flags; before 5.5, when it was
 * _do_fork(), it was the flags themselves. A kernel address is above every flag. */
static __always_inline u64 clone_flags(u64 arg) { return arg > 0xffffffffffULL ? args_flags(arg) : arg; }

/* Probes save the flags at the call, one map for each hook. */
BPF_HASH(clone_begun, u64, u64, 1024);
BPF_HASH(clone_error_begun, u64, u64, 1024);

inline_body clone_called(u64 arg, u64 b, u64 c)
{
	u64 id = bpf_get_current_pid_tgid(), flags = clone_flags(arg);

	clone_begun.update(&id, &flags);
	return 0;
}
inline_body clone_returned(int result)
{
	u64 id = bpf_get_current_pid_tgid(), *flags = clone_begun.lookup(&id);

	if (!flags)
		return 0;
	clone_decide(*flags, result);
	clone_begun.delete(&id);
	return 0;
}
inline_body clone_error_called(u64 arg, u64 b, u64 c)
{
	u64 id = bpf_get_current_pid_tgid(), flags = clone_flags(arg);

	clone_error_begun.update(&id, &flags);
	return 0;
}
inline_body clone_error_returned(int result)
{
	u64 id = bpf_get_current_pid_tgid(), *flags = clone_error_begun.lookup(&id);

	if (!flags)
		return 0;
	clone_error_decide(*flags, result);
	clone_error_begun.delete(&id);
	return 0;
}
ON_KPROBE(clone, clone_called)
ON_KRETPROBE(clone, int, clone_returned)
ON_KPROBE(clone_error, clone_error_called)
ON_KRETPROBE(clone_error, int, clone_error_returned)

/* the same for the system calls; clone3's flags begin its struct clone_args */
inline_body clone_begin(u64 flags)
{
	u64 id = bpf_get_current_pid_tgid();

	clone_error_begun.update(&id, &flags);
	return 0;
}
inline_body sys_clone_begun(u64 *args) { return clone_begin(args[0]); }
inline_body sys_clone3_begun(u64 *args)
{
	u64 flags = 0;

	bpf_probe_read_user(&flags, sizeof(flags), (void *)args[0]);
	return clone_begin(flags);
}
inline_body sys_clone_ended(s64 result) { return clone_error_returned(result); }
inline_body sys_fork_ended(s64 result) { return result < 0 ? not_created(0) : 0; }
ON_SYS_ENTER(clone, sys_clone_begun)
ON_SYS_ENTER(clone3, sys_clone3_begun)
ON_SYS_EXIT(clone, sys_clone_ended)
ON_SYS_EXIT(fork, sys_fork_ended)

/* do_exit() of every task, and sched:sched_process_exit, which stands in it */
inline_body exit_called(u64 a, u64 b, u64 c) { return process_count(EXITS); }
ON_CALL(do_exit, exit_called)
int sched_process_exit_raw(u64 *ctx) { SKIP_OTHERS return process_count(EXITS); }

/* release_task(task) runs in the parent or the reaper, sched:sched_process_free(task) after an RCU grace period in any
 * task: what tells whose it was is the argument */
inline_body released(u64 task)
{
	SKIP_OTHER_TASK(task)
	return process_count(RELEASES);
}
int release_task_fentry(u64 *ctx) { return released(ctx[0]); }
int release_task_kprobe(struct pt_regs *ctx) { u64 args[] = { REGS_ARGS(ctx) }; return released(args[0]); }
int sched_process_free_raw(u64 *ctx) { return released(ctx[0]); }
