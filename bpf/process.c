/* process.c - tasks created, ended and released, and the creations that failed.
 * Pairs with plugin/ebpf_plugin/groups/process.py, whose counters are this enum in the same order. */

enum process_counter { PROCESSES, THREADS, PROCESS_ERRORS, THREAD_ERRORS, EXITS, RELEASES, PROCESS_COUNTERS };

struct process_counters {
	u64 n[PROCESS_COUNTERS];
};
BPF_PERCPU_ARRAY(process_counters, struct process_counters, ROWS);

inline_int process_count_for(int row, int counter)
{
	struct process_counters *c = process_counters.lookup(&row);

	if (c)
		c->n[counter]++;
	return 0;
}

inline_int process_count(int counter)
{
	FOR_ITS_ROWS(process_count_for(row, counter))
	return 0;
}

/* a new task in the same thread group is a thread */
#define CLONE_THREAD 0x10000
inline_int created(u64 flags) { return process_count(flags & CLONE_THREAD ? THREADS : PROCESSES); }
inline_int not_created(u64 flags) { return process_count(flags & CLONE_THREAD ? THREAD_ERRORS : PROCESS_ERRORS); }

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
BPF_TABLE("lru_hash", u64, u64, clone_begun, 1024 + IN_FLIGHT);
BPF_TABLE("lru_hash", u64, u64, clone_error_begun, 1024 + IN_FLIGHT);

inline_int clone_call(u64 flags)
{
	u64 id = bpf_get_current_pid_tgid();

	clone_begun.update(&id, &flags);
	return 0;
}
inline_int clone_return(int result)
{
	u64 id = bpf_get_current_pid_tgid(), *flags = clone_begun.lookup(&id);

	if (flags && result > 0)
		created(*flags);
	clone_begun.delete(&id);
	return 0;
}
inline_int clone_error_call(u64 flags)
{
	u64 id = bpf_get_current_pid_tgid();

	clone_error_begun.update(&id, &flags);
	return 0;
}
inline_int clone_error_return(int result)
{
	u64 id = bpf_get_current_pid_tgid(), *flags = clone_error_begun.lookup(&id);

	if (flags && result < 0)
		not_created(*flags);
	clone_error_begun.delete(&id);
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
ON_FENTRY(do_exit, process_count(EXITS))
ON_KPROBE(do_exit, process_count(EXITS))
ON_RAW(sched_process_exit, process_count(EXITS))

/* release_task(task) runs in the parent or the reaper, sched:sched_process_free(task) after an RCU grace period in any
 * task: whose it was is told by the argument, not by who runs. */
inline_int released(u64 task)
{
	SKIP_OTHER_TASK(task)
	return process_count_for(ROW_OF_LATE(tgid_of(task)), RELEASES);
}
int release_task_fentry(u64 *ctx) { return released(ctx[0]); }
int release_task_kprobe(struct pt_regs *ctx) { return released(REGS_ARG0(ctx)); }
int sched_process_free_raw(u64 *ctx) { return released(ctx[0]); }
