/* rows.c - which row of the counters an event belongs to: that of its process's application. Before all other main text.
 *
 * A process is known by its tgid. Who is not known is in row 0, `other`, so the rows' sum is always the whole.
 */
struct application {
	u32 row;
	u32 unused;
	u64 task; /* the address of the process's task, 0 if the collector has entered it */
};
BPF_TABLE("hash", u32, struct application, applications, APPS_PROCESSES);

inline_u64 tgid_of(u64 task) { return kernel_u64(task + TASK_TGID) & 0xffffffff; }
inline_u64 row_of(u32 tgid)
{
	struct application *application = applications.lookup(&tgid);

	return application ? application->row : 0;
}

/* Rows of processes that are gone: what is told of their threads may come after what is told of them (RCU). */
BPF_TABLE("lru_hash", u32, u32, applications_gone, 4096);
inline_u64 row_of_late(u32 tgid)
{
	struct application *application = applications.lookup(&tgid);
	u32 *row = application ? &application->row : applications_gone.lookup(&tgid);

	return row ? *row : 0;
}
