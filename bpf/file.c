/* file.c - file descriptors opened and closed, and the calls that failed.
 * Pairs with plugin/ebpf_plugin/groups/file.py, which names the counters. */

#define OPEN(failed) add_call(OPEN_CALLS, failed)
ON_FENTRY(do_sys_openat2, OPEN(0))
ON_KPROBE(do_sys_openat2, OPEN(0))
ON_FEXIT(do_sys_openat2, int, OPEN(result < 0))
ON_KRETPROBE(do_sys_openat2, int, OPEN(result < 0))
ON_SYS_EXIT(open, OPEN(result < 0))

#define CLOSE(failed) add_call(CLOSE_CALLS, failed)
ON_FENTRY(close_fd, CLOSE(0))
ON_KPROBE(close_fd, CLOSE(0))
ON_FEXIT(close_fd, int, CLOSE(result < 0))
ON_KRETPROBE(close_fd, int, CLOSE(result < 0))
ON_SYS_EXIT(close, CLOSE(result < 0))

/* returns the struct file, or NULL for a descriptor that is not open (fs/file.c, 6.8) */
#define CLOSE_FILE(failed) add_call(CLOSE_FILE_CALLS, failed)
ON_FENTRY(file_close_fd, CLOSE_FILE(0))
ON_KPROBE(file_close_fd, CLOSE_FILE(0))
ON_FEXIT(file_close_fd, u64, CLOSE_FILE(result == 0))
ON_KRETPROBE(file_close_fd, u64, CLOSE_FILE(result == 0))
