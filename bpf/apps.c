/* apps.c - keeps the table of processes that rows.h reads: at fork the parent's application, with a name the name's.
 * Pairs with plugin/ebpf_plugin/groups/apps.py; collect/applications.py decides about names that are new.
 */

struct comm {
	char text[16];
};
#define STAYS 0xffffffff /* in the row that it is in */
struct decision {
	u32 row;
	u32 ask; /* the command line may say otherwise: the collector has to look */
};
TABLE(apps_names, struct comm, struct decision);
/* processes that the collector has to look at; it takes them out */
struct question {
	struct comm comm;
	u32 task;
};
TABLE(apps_asked, u32, struct question);

/* rows that ever had a process */
struct apps_rows {
	u8 had[MAX_APPS];
};
TABLE(apps_rows, u32, struct apps_rows);

/* Tells tasks apart that have the same tgid, one after the other: of the address, whose lowest 6 bits are always 0
 * (L1_CACHE_BYTES, kernel/fork.c), the next 32. */
inline_u64 task_id(u64 task) { return task >> 6 & 0xffffffff; }

/* The hash says which row a process is in, and its slot copies that. Who writes does it in this order: the hash; the slot, if
 * no other process has it; then check_slot(), which empties a slot of the process that does not say what the hash says. So
 * if two write at the same time, on two CPUs or here and in the collector, the slot says in the end what the last of them
 * wrote to the hash, or nothing, and readers go to the hash. */
inline_int empty_slot(u32 tgid)
{
	volatile u64 *slot = slot_of(tgid);

	if (*slot >> 32 == tgid)
		*slot = 0;
	return 0;
}
inline_int check_slot(u32 tgid)
{
	struct application *application = lookup(applications, &tgid);
	volatile u64 *slot = slot_of(tgid);
	u64 copy = *slot;

	if (copy >> 32 == tgid && !(application && application->row == (copy & 0xffffffff)))
		*slot = 0;
	return 0;
}
inline_int fill_slot(u32 tgid, u32 row)
{
	volatile u64 *slot = slot_of(tgid);
	u64 copy = *slot;

	if (!copy || copy >> 32 == tgid)
		*slot = (u64)tgid << 32 | row;
	return 0;
}

inline_int take_out(u32 tgid)
{
	delete(applications, &tgid);
	return check_slot(tgid);
}
inline_int place(u32 tgid, u32 row, u32 task)
{
	struct application application = {.row = row, .task = task};
	u32 zero = 0;
	struct apps_rows *rows = lookup(apps_rows, &zero);

	if (rows && row < MAX_APPS)
		rows->had[row] = 1;
	if (update(applications, &tgid, &application)) {
		take_out(tgid);
		return add_to_row(NO_ROW, APPS_FULL, 1);
	}
	fill_slot(tgid, row);
	/* again, if freed() has just taken it for the process that had the number before; its lock also is a barrier */
	insert(applications, &tgid, &application);
	return check_slot(tgid);
}

/* task:task_newtask(task, clone_flags): the parent runs, and the child does not yet. A parent that is not known has not been
 * looked at yet, and its child will be when it is. */
#define NEW_THREAD 0x10000
inline_int forked(u64 task, u64 flags)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32, child = tgid_of(task);
	struct application *parent;

	if (flags & NEW_THREAD)
		return 0;
	parent = lookup(applications, &tgid);
	if (parent)
		return place(child, parent->row, task_id(task));
	return take_out(child); /* who had the number before */
}
int apps_newtask_raw(u64 *ctx) { return forked(ctx[0], ctx[1]); }

/* task:task_rename(task, comm): exec, prctl(PR_SET_NAME), a kernel thread that gets its name. Of a process only the first
 * thread's name counts; the one that calls exec has become the first by then. */
inline_int renamed(u64 task, u64 text)
{
	u32 tgid = tgid_of(task), pid = kernel_u64(task + TASK_PID) & 0xffffffff;
	struct question question = {.task = task_id(task)};
	struct application *application;
	struct decision *decision;

	if (pid != tgid || tgid == 1) /* the first process stays `other`, as in the agent */
		return 0;
	bpf_probe_read_kernel_str(question.comm.text, sizeof(question.comm.text), (void *)text);
	decision = lookup(apps_names, &question.comm);
	application = lookup(applications, &tgid);
	if (decision && decision->row != STAYS)
		place(tgid, decision->row, question.task);
	else if (application && application->task != question.task)
		application->task = question.task; /* another one, if a thread has called exec */
	if (decision && !decision->ask)
		delete(apps_asked, &tgid);
	else
		add_to_row(NO_ROW, update(apps_asked, &tgid, &question) ? APPS_UNASKED : APPS_QUESTIONS, 1);
	return 0;
}
int apps_rename_raw(u64 *ctx) { return renamed(ctx[0], ctx[1]); }

/* sched:sched_process_exit(task), in that task: of the first thread, whose slot another process may have from now on. Threads
 * that are left find their row in the hash. Some kernels do not tell of each release, and the slot would stay taken. */
inline_int exited(void)
{
	u64 id = bpf_get_current_pid_tgid();

	return (u32)id == id >> 32 ? empty_slot(id >> 32) : 0;
}
int apps_end_raw(u64 *ctx) { return exited(); }

/* sched:sched_process_free(task), of the first thread when all others are gone. The tgid may have been given to another
 * process meanwhile; that one has another task. */
inline_int freed(u64 task)
{
	u32 tgid = tgid_of(task), pid = kernel_u64(task + TASK_PID) & 0xffffffff;
	struct application *application = pid == tgid ? lookup(applications, &tgid) : 0;
	struct question *question = pid == tgid ? lookup(apps_asked, &tgid) : 0;
	u32 row, id = task_id(task);

	if (question && question->task == id)
		delete(apps_asked, &tgid);
	if (application && (application->task == id || !application->task)) {
		row = application->row;
		update(applications_gone, &tgid, &row);
		take_out(tgid);
	}
	return 0;
}
int apps_free_raw(u64 *ctx) { return freed(ctx[0]); }
