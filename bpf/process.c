/* process.c - tasks created, ended and released, and the creations that failed.
 * Pairs with plugin/ebpf_plugin/groups/process.py, which names the counters. */

/* a new task in the same thread group is a thread */
#define CLONE_THREAD 0x10000
inline_int created(u64 flags) { return add(flags & CLONE_THREAD ? THREADS : PROCESSES, 1); }
inline_int not_created(u64 flags) { return add(flags & CLONE_THREAD ? THREAD_ERRORS : PROCESS_ERRORS, 1); }

/* task:task_newtask(task, clone_flags), at the end of a copy_process() that succeeded */
ON_RAW(task_newtask, created(arg1))

/* kernel_clone() has one argument, a struct kernel_clone_args, which begins with the flags. */
inline_u64 flags_at(u64 args)
{
	u64 flags = 0;

	bpf_probe_read_kernel(&flags, sizeof(flags), (void *)args);
	return flags;
}

/* A trampoline has the argument at the return as well. No kernel has trampolines and not the struct (both 5.5). */
ON_FEXIT(clone, int, result > 0 ? created(flags_at(ctx[0])) : 0)
ON_FEXIT(clone_error, int, result < 0 ? not_created(flags_at(ctx[0])) : 0)

/* Before 5.5, when it was _do_fork(), the argument was the flags themselves; a kernel address is above every flag. */
inline_u64 clone_flags(u64 arg) { return arg > 0xffffffffffULL ? flags_at(arg) : arg; }

/* Probes and system calls save the flags at the call. Each hook has its map: which of two kretprobes of a function runs
 * first is nobody's promise. What was begun and never seen to end makes room (LRU). */
TABLE(clone_begun, u64, u64);
TABLE(clone_error_begun, u64, u64);

inline_int clone_call(u64 flags)
{
	u64 id = bpf_get_current_pid_tgid();

	update(clone_begun, &id, &flags);
	return 0;
}
inline_int clone_return(int result)
{
	u64 id = bpf_get_current_pid_tgid(), *flags = lookup(clone_begun, &id);

	if (flags && result > 0)
		created(*flags);
	delete(clone_begun, &id);
	return 0;
}
inline_int clone_error_call(u64 flags)
{
	u64 id = bpf_get_current_pid_tgid();

	update(clone_error_begun, &id, &flags);
	return 0;
}
inline_int clone_error_return(int result)
{
	u64 id = bpf_get_current_pid_tgid(), *flags = lookup(clone_error_begun, &id);

	if (flags && result < 0)
		not_created(*flags);
	delete(clone_error_begun, &id);
	return 0;
}
ON_KPROBE(clone, clone_call(clone_flags(arg0)))
ON_KRETPROBE(clone, int, clone_return(result))
ON_KPROBE(clone_error, clone_error_call(clone_flags(arg0)))
ON_KRETPROBE(clone_error, int, clone_error_return(result))

inline_u64 clone3_flags(u64 args)
{
	u64 flags = 0; /* struct clone_args begins with them */

	bpf_probe_read_user(&flags, sizeof(flags), (void *)args);
	return flags;
}
ON_SYS_ENTER(clone, clone_error_call(args[0]))
ON_SYS_ENTER(clone3, clone_error_call(clone3_flags(args[0])))
ON_SYS_EXIT(clone, clone_error_return(result))
ON_SYS_EXIT(fork, result < 0 ? not_created(0) : 0)

/* do_exit() of every task, and sched:sched_process_exit, which stands in it */
ON_FENTRY(do_exit, add(EXITS, 1))
ON_KPROBE(do_exit, add(EXITS, 1))
ON_RAW(sched_process_exit, add(EXITS, 1))

/* release_task(task) runs in the parent or the reaper, sched:sched_process_free(task) after an RCU grace period in any
 * task: whose it was is told by the argument, not by who runs. */
inline_int released(u64 task)
{
	SKIP_OTHER_TASK(task)
	return add_to_row(row_of_exited(task), RELEASES, 1);
}
int release_task_fentry(u64 *ctx) { return released(ctx[0]); }
int release_task_kprobe(struct pt_regs *ctx) { return released(REGS_ARG0(ctx)); }
int sched_process_free_raw(u64 *ctx) { return released(ctx[0]); }
