/* file.c - file descriptors opened and closed, and the calls that failed.
 * Pairs with plugin/ebpf_plugin/groups/file.py, whose counters are this enum in the same order. */

enum file_counter { OPEN_CALLS, OPEN_ERRORS, CLOSE_CALLS, CLOSE_ERRORS, CLOSE_FILE_CALLS, CLOSE_FILE_ERRORS, FILE_COUNTERS };

struct file_counters {
	u64 n[FILE_COUNTERS];
};
BPF_PERCPU_ARRAY(file_counters, struct file_counters, 1);

inline_body file_count(int calls, int errors, int failed)
{
	int zero = 0;
	struct file_counters *c = file_counters.lookup(&zero);

	if (!c)
		return 0;
	c->n[calls]++;
	if (failed)
		c->n[errors]++;
	return 0;
}

inline_body open_called(u64 a, u64 b, u64 c) { return file_count(OPEN_CALLS, OPEN_ERRORS, 0); }
inline_body open_returned(s64 result) { return file_count(OPEN_CALLS, OPEN_ERRORS, result < 0); }
ON_CALL(do_sys_openat2, open_called)
ON_RETURN(do_sys_openat2, int, open_returned)
ON_SYS_EXIT(open, open_returned)

inline_body close_called(u64 a, u64 b, u64 c) { return file_count(CLOSE_CALLS, CLOSE_ERRORS, 0); }
inline_body close_returned(s64 result) { return file_count(CLOSE_CALLS, CLOSE_ERRORS, result < 0); }
ON_CALL(close_fd, close_called)
ON_RETURN(close_fd, int, close_returned)
ON_SYS_EXIT(close, close_returned)

/* returns the struct file, or NULL for a descriptor that is not open (fs/file.c, 6.8) */
inline_body close_file_called(u64 a, u64 b, u64 c) { return file_count(CLOSE_FILE_CALLS, CLOSE_FILE_ERRORS, 0); }
inline_body close_file_returned(u64 file) { return file_count(CLOSE_FILE_CALLS, CLOSE_FILE_ERRORS, file == 0); }
ON_CALL(file_close_fd, close_file_called)
ON_RETURN(file_close_fd, u64, close_file_returned)
