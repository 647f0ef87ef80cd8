/* vfs.c - calls into the VFS layer, the bytes that they moved, and the calls that failed.
 * Pairs with plugin/ebpf_plugin/groups/vfs.py, whose counters are this enum in the same order. */

enum vfs_counter {
	READ_CALLS, READ_ERRORS, READ_BYTES,
	READV_CALLS, READV_ERRORS, READV_BYTES,
	WRITE_CALLS, WRITE_ERRORS, WRITE_BYTES,
	WRITEV_CALLS, WRITEV_ERRORS, WRITEV_BYTES,
	UNLINK_CALLS, UNLINK_ERRORS,
	UNLINKAT_CALLS, UNLINKAT_ERRORS,
	FSYNC_CALLS, FSYNC_ERRORS,
	FDATASYNC_CALLS, FDATASYNC_ERRORS,
	VFS_OPEN_CALLS, VFS_OPEN_ERRORS,
	CREATE_CALLS, CREATE_ERRORS,
	OPEN_CREATE_CALLS, OPEN_CREATE_ERRORS,
	VFS_COUNTERS
};

struct vfs_counters {
	u64 n[VFS_COUNTERS];
};
BPF_PERCPU_ARRAY(vfs_counters, struct vfs_counters, ROWS);

inline_int vfs_row_add(int row, int counter, u64 n)
{
	struct vfs_counters *c = vfs_counters.lookup(&row);

	if (c)
		c->n[counter] += n;
	return 0;
}

inline_int vfs_add(int counter, u64 n)
{
	FOR_ITS_ROWS(vfs_row_add(row, counter, n))
	return 0;
}

/* The counters of a function stand together: calls, errors and, for what moves them, bytes. */
#define CALLS_AND_ERRORS 0
#define CALLS_ERRORS_AND_BYTES 1
inline_int vfs_row_result(int row, int calls, int kind, s64 result)
{
	struct vfs_counters *c = vfs_counters.lookup(&row);

	if (!c)
		return 0;
	c->n[calls]++;
	if (result < 0)
		c->n[calls + 1]++;
	else if (kind == CALLS_ERRORS_AND_BYTES)
		c->n[calls + 2] += result;
	return 0;
}
inline_int vfs_result(int calls, int kind, s64 result)
{
	FOR_ITS_ROWS(vfs_row_result(row, calls, kind, result))
	return 0;
}
#define COUNT(calls, result) vfs_result(calls, CALLS_AND_ERRORS, result)
#define MOVE(calls, result) vfs_result(calls, CALLS_ERRORS_AND_BYTES, result)

/* What the caller's struct iovec array asks for, at most UIO_MAXIOV parts as in import_iovec(). */
struct iovec {
	u64 base, len;
};
inline_u64 iovec_bytes(u64 vec, u64 parts)
{
	u64 bytes = 0;

#pragma clang loop unroll(disable)
	for (u32 i = 0; i < 1024; i++) {
		struct iovec part = {};
		if (i >= parts)
			break;
		bpf_probe_read_user(&part, sizeof(part), (struct iovec *)vec + i);
		bytes += part.len;
	}
	return bytes;
}

/* A kprobe in entry mode knows only what was asked for; everything else counts what was moved. */
ON_KPROBE(vfs_read, MOVE(READ_CALLS, arg2))
ON_FEXIT(vfs_read, s64, MOVE(READ_CALLS, result))
ON_KRETPROBE(vfs_read, s64, MOVE(READ_CALLS, result))
ON_SYS_EXIT(read, MOVE(READ_CALLS, result))

ON_KPROBE(vfs_readv, MOVE(READV_CALLS, iovec_bytes(arg1, arg2)))
ON_FEXIT(vfs_readv, s64, MOVE(READV_CALLS, result))
ON_KRETPROBE(vfs_readv, s64, MOVE(READV_CALLS, result))
ON_SYS_EXIT(readv, MOVE(READV_CALLS, result))

ON_KPROBE(vfs_write, MOVE(WRITE_CALLS, arg2))
ON_FEXIT(vfs_write, s64, MOVE(WRITE_CALLS, result))
ON_KRETPROBE(vfs_write, s64, MOVE(WRITE_CALLS, result))
ON_SYS_EXIT(write, MOVE(WRITE_CALLS, result))

ON_KPROBE(vfs_writev, MOVE(WRITEV_CALLS, iovec_bytes(arg1, arg2)))
ON_FEXIT(vfs_writev, s64, MOVE(WRITEV_CALLS, result))
ON_KRETPROBE(vfs_writev, s64, MOVE(WRITEV_CALLS, result))
ON_SYS_EXIT(writev, MOVE(WRITEV_CALLS, result))

/* vfs_fsync() is there in every kernel, but fsync(2) and fdatasync(2) have it and what it calls inlined, each in another
 * way (Debian's 5.10 to 7.2): a probe on it sees nothing. So these are the functions of the system calls themselves. */
ON_FENTRY(sys_fsync, COUNT(FSYNC_CALLS, 0))
ON_KPROBE(sys_fsync, COUNT(FSYNC_CALLS, 0))
ON_FEXIT(sys_fsync, s64, COUNT(FSYNC_CALLS, result))
ON_KRETPROBE(sys_fsync, s64, COUNT(FSYNC_CALLS, result))
ON_FENTRY(sys_fdatasync, COUNT(FDATASYNC_CALLS, 0))
ON_KPROBE(sys_fdatasync, COUNT(FDATASYNC_CALLS, 0))
ON_FEXIT(sys_fdatasync, s64, COUNT(FDATASYNC_CALLS, result))
ON_KRETPROBE(sys_fdatasync, s64, COUNT(FDATASYNC_CALLS, result))
ON_SYS_EXIT(fsync, COUNT(FSYNC_CALLS, result))

ON_FENTRY(vfs_open, COUNT(VFS_OPEN_CALLS, 0))
ON_KPROBE(vfs_open, COUNT(VFS_OPEN_CALLS, 0))
ON_FEXIT(vfs_open, int, COUNT(VFS_OPEN_CALLS, result))
ON_KRETPROBE(vfs_open, int, COUNT(VFS_OPEN_CALLS, result))
ON_SYS_EXIT(vfs_open, COUNT(VFS_OPEN_CALLS, result))

/* What a system call asked for is known when it begins, whether it failed when it ends: this map carries the first
 * counter of the call from one to the other. An entry lives as long as its system call. */
BPF_HASH(vfs_begun, u64, u32, 4096);

inline_int begin(int calls)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 begun = calls; /* a copy: what helpers get the address of is no constant any more to older verifiers */

	if (RETURN_MODE)
		vfs_begun.update(&id, &begun);
	return vfs_add(calls, 1);
}

inline_int end(int calls, s64 result)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 *begun = vfs_begun.lookup(&id);

	if (!begun || *begun != calls)
		return 0;
	vfs_begun.delete(&id);
	return result < 0 ? vfs_add(calls + 1, 1) : 0;
}

#define AT_REMOVEDIR 0x200
ON_FENTRY(vfs_unlink, COUNT(UNLINK_CALLS, 0))
ON_KPROBE(vfs_unlink, COUNT(UNLINK_CALLS, 0))
ON_FEXIT(vfs_unlink, int, COUNT(UNLINK_CALLS, result))
ON_KRETPROBE(vfs_unlink, int, COUNT(UNLINK_CALLS, result))
ON_SYS_EXIT(unlink, COUNT(UNLINK_CALLS, result))
ON_SYS_ENTER(unlinkat, args[2] & AT_REMOVEDIR ? 0 : begin(UNLINKAT_CALLS))
ON_SYS_EXIT(unlinkat, end(UNLINKAT_CALLS, result))

ON_FENTRY(vfs_create, COUNT(CREATE_CALLS, 0))
ON_KPROBE(vfs_create, COUNT(CREATE_CALLS, 0))
ON_FEXIT(vfs_create, int, COUNT(CREATE_CALLS, result))
ON_KRETPROBE(vfs_create, int, COUNT(CREATE_CALLS, result))

/* open(O_CREAT) does not call vfs_create (fs/namei.c, lookup_open): it marks the file that it creates, and vfs_open
 * is called with the mark (include/linux/fs.h, since 4.19). FILE_F_MODE_OFFSET comes from BTF. */
#define FMODE_CREATED 0x100000
#ifdef FILE_F_MODE_OFFSET
inline_int opened(u64 file)
{
	u32 mode = 0;

	bpf_probe_read_kernel(&mode, sizeof(mode), (void *)file + FILE_F_MODE_OFFSET);
	return mode & FMODE_CREATED ? vfs_add(OPEN_CREATE_CALLS, 1) : 0;
}
ON_FENTRY(vfs_open_created, opened(arg1))
ON_KPROBE(vfs_open_created, opened(arg1))
#endif

#define O_CREAT 0100
#define S_IFMT 0170000
#define S_IFREG 0100000
inline_int maybe_create(u64 flags) { return flags & O_CREAT ? begin(OPEN_CREATE_CALLS) : 0; }
inline_int make_node(u32 mode)
{
	return (mode & S_IFMT) == 0 || (mode & S_IFMT) == S_IFREG ? begin(OPEN_CREATE_CALLS) : 0;
}
inline_u64 user_u64(u64 address)
{
	u64 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (void *)address);
	return value;
}
ON_SYS_ENTER(create_open, maybe_create(args[1]))
ON_SYS_ENTER(create_openat, maybe_create(args[2]))
ON_SYS_ENTER(create_openat2, maybe_create(user_u64(args[2]))) /* struct open_how begins with the flags */
ON_SYS_ENTER(create_creat, maybe_create(O_CREAT))
ON_SYS_ENTER(create_mknod, make_node(args[1]))
ON_SYS_ENTER(create_mknodat, make_node(args[2]))
ON_SYS_EXIT(create, end(OPEN_CREATE_CALLS, result))
