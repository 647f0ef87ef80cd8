/* file.c - file descriptors opened and closed, and the calls that failed.
 * Pairs with plugin/ebpf_plugin/groups/file.py, whose counters are this enum in the same order. */

enum file_counter { OPEN_CALLS, OPEN_ERRORS, CLOSE_CALLS, CLOSE_ERRORS, CLOSE_FILE_CALLS, CLOSE_FILE_ERRORS, FILE_COUNTERS };

struct file_counters {
	u64 n[FILE_COUNTERS];
};
BPF_PERCPU_ARRAY(file_counters, struct file_counters, ROWS);

inline_int file_add(int row, int calls, int errors, int failed)
{
	struct file_counters *c = file_counters.lookup(&row);

	if (!c)
		return 0;
	c->n[calls]++;
	if (failed)
		c->n[errors]++;
	return 0;
}

inline_int file_count(int calls, int errors, int failed)
{
	FOR_ITS_ROWS(file_add(row, calls, errors, failed))
	return 0;
}

#define OPEN(failed) file_count(OPEN_CALLS, OPEN_ERRORS, failed)
ON_FENTRY(do_sys_openat2, OPEN(0))
ON_KPROBE(do_sys_openat2, OPEN(0))
ON_FEXIT(do_sys_openat2, int, OPEN(result < 0))
ON_KRETPROBE(do_sys_openat2, int, OPEN(result < 0))
ON_SYS_EXIT(open, OPEN(result < 0))

#define CLOSE(failed) file_count(CLOSE_CALLS, CLOSE_ERRORS, failed)
ON_FENTRY(close_fd, CLOSE(0))
ON_KPROBE(close_fd, CLOSE(0))
ON_FEXIT(close_fd, int, CLOSE(result < 0))
ON_KRETPROBE(close_fd, int, CLOSE(result < 0))
ON_SYS_EXIT(close, CLOSE(result < 0))

/* returns the struct file, or NULL for a descriptor that is not open (fs/file.c, 6.8) */
#define CLOSE_FILE(failed) file_count(CLOSE_FILE_CALLS, CLOSE_FILE_ERRORS, failed)
ON_FENTRY(file_close_fd, CLOSE_FILE(0))
ON_KPROBE(file_close_fd, CLOSE_FILE(0))
ON_FEXIT(file_close_fd, u64, CLOSE_FILE(result == 0))
ON_KRETPROBE(file_close_fd, u64, CLOSE_FILE(result == 0))
