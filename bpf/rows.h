/* rows.h - which rows of a group's counters an event belongs to, and how it is added there.
 *
 * Counters have a row for each application, or only one; behind those, if they are wanted, one for each control group. An event
 * adds to one row of either kind. A row has the counters of each CPU, and the collector has them mapped in its memory. Pairs
 * with plugin/ebpf_plugin/groups/rows.py.
 */

/* A process is known by its tgid. One that is not known is in row 0, `other`, so the sum of the rows is always the whole. */
struct application {
	u32 row;
	u32 task; /* task_id() of the process, 0 if the collector has entered it */
};
TABLE(applications, u32, struct application);

/* Copies of rows in an array, which is read ten times faster than the hash. A process may have the slot of its tgid modulo
 * ROW_SLOTS: the tgid in the upper half and the row in the lower, read and written at once. Where another process has it,
 * the hash is read. Only who writes the hash writes slots: apps.c and collect/applications.py. */
struct row_slots {
	u64 copies[ROW_SLOTS];
};
TABLE(row_slots, u32, struct row_slots);
static __always_inline volatile u64 *slot_of(u32 tgid)
{
	struct row_slots *slots = value_of(row_slots);

	return &slots->copies[tgid % ROW_SLOTS];
}

inline_u64 tgid_of(u64 task) { return kernel_u64(task + TASK_TGID) & 0xffffffff; }
inline_u64 row_of(u32 tgid)
{
	struct application *application;
	u64 row = *slot_of(tgid) - ((u64)tgid << 32);

	if (row < MAX_APPS) /* no other tgid's slot gives so little */
		return row;
	application = lookup(applications, &tgid);
	return application ? application->row : 0;
}
#define ROW_OF_CURRENT (APPS ? row_of(bpf_get_current_pid_tgid() >> 32) : 0)
#define NO_ROW 0 /* of what no process does */

/* Rows of processes that have ended: the release of their threads may be traced after their own (RCU). */
TABLE(applications_gone, u32, u32);
inline_u64 row_of_exited(u64 task)
{
	struct application *application;
	u32 tgid, *row;

	if (!APPS)
		return 0;
	tgid = tgid_of(task);
	application = lookup(applications, &tgid);
	row = application ? &application->row : lookup(applications_gone, &tgid);
	return row ? *row : 0;
}

/* Control groups of version 2, behind APP_ROWS. The collector gives rows to those that are asked for here; until then their
 * events are in the first of these rows, `other`. */
TABLE(cgroup_rows, u64, u32);
TABLE(cgroups_asked, u64, u8);
inline_u64 row_of_cgroup(void)
{
	u64 id = bpf_get_current_cgroup_id();
	u32 *row = lookup(cgroup_rows, &id);
	u8 yes = 1;

	if (row)
		return APP_ROWS + *row;
	update(cgroups_asked, &id, &yes);
	return APP_ROWS;
}

/* Evaluates `add` twice at most: `row` is that of the application, then that of the control group. */
#define FOR_EACH_ROW(add) \
	{ \
		{ \
			u32 row = ROW_OF_CURRENT; \
			add; \
		} \
		if (CGROUPS) { \
			u32 row = row_of_cgroup(); \
			add; \
		} \
	}

/* The counters of a row on this CPU, which a program does not leave while it runs. */
struct counters {
	u64 n[COUNTERS];
};
static __always_inline struct counters *counters_on(u32 cpu, u32 row)
{
	u32 place = row * CPUS + cpu;

	return lookup(counters, &place);
}
static __always_inline struct counters *counters_of(u32 row) { return counters_on(bpf_get_smp_processor_id(), row); }

inline_int add_to_row(u32 row, int counter, u64 n)
{
	struct counters *c = counters_of(row);

	if (c)
		c->n[counter] += n;
	return 0;
}
inline_int add(int counter, u64 n)
{
	FOR_EACH_ROW(add_to_row(row, counter, n))
	return 0;
}

/* A call, and whether it failed: `calls` and, behind it, the counter of errors. */
inline_int add_call_to_row(u32 row, int calls, int failed)
{
	struct counters *c = counters_of(row);

	if (!c)
		return 0;
	c->n[calls]++;
	if (failed)
		c->n[calls + 1]++;
	return 0;
}
inline_int add_call(int calls, int failed)
{
	FOR_EACH_ROW(add_call_to_row(row, calls, failed))
	return 0;
}
