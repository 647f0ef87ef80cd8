/* vfs.c - calls into the VFS layer, the bytes that they moved, and the calls that failed.
 * Pairs with plugin/ebpf_plugin/groups/vfs.py, which names the counters: calls, errors and, of what moves them, bytes. */

inline_int moved_by_row(u32 row, int calls, s64 result)
{
	struct counters *c = counters_of(row);

	if (!c)
		return 0;
	c->n[calls]++;
	if (result < 0)
		c->n[calls + 1]++;
	else
		c->n[calls + 2] += result;
	return 0;
}
inline_int moved(int calls, s64 result)
{
	FOR_EACH_ROW(moved_by_row(row, calls, result))
	return 0;
}

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
ON_KPROBE(vfs_read, moved(READ_CALLS, arg2))
ON_FEXIT(vfs_read, s64, moved(READ_CALLS, result))
ON_KRETPROBE(vfs_read, s64, moved(READ_CALLS, result))
ON_SYS_EXIT(read, moved(READ_CALLS, result))

ON_KPROBE(vfs_readv, moved(READV_CALLS, iovec_bytes(arg1, arg2)))
ON_FEXIT(vfs_readv, s64, moved(READV_CALLS, result))
ON_KRETPROBE(vfs_readv, s64, moved(READV_CALLS, result))
ON_SYS_EXIT(readv, moved(READV_CALLS, result))

ON_KPROBE(vfs_write, moved(WRITE_CALLS, arg2))
ON_FEXIT(vfs_write, s64, moved(WRITE_CALLS, result))
ON_KRETPROBE(vfs_write, s64, moved(WRITE_CALLS, result))
ON_SYS_EXIT(write, moved(WRITE_CALLS, result))

ON_KPROBE(vfs_writev, moved(WRITEV_CALLS, iovec_bytes(arg1, arg2)))
ON_FEXIT(vfs_writev, s64, moved(WRITEV_CALLS, result))
ON_KRETPROBE(vfs_writev, s64, moved(WRITEV_CALLS, result))
ON_SYS_EXIT(writev, moved(WRITEV_CALLS, result))

/* vfs_fsync() is there in every kernel, but fsync(2) and fdatasync(2) have it and what it calls inlined, each in another
 * way (Debian's 5.10 to 7.2): a probe on it sees nothing. So these are the functions of the system calls themselves. */
ON_FENTRY(sys_fsync, add_call(FSYNC_CALLS, 0))
ON_KPROBE(sys_fsync, add_call(FSYNC_CALLS, 0))
ON_FEXIT(sys_fsync, s64, add_call(FSYNC_CALLS, result < 0))
ON_KRETPROBE(sys_fsync, s64, add_call(FSYNC_CALLS, result < 0))
ON_FENTRY(sys_fdatasync, add_call(FDATASYNC_CALLS, 0))
ON_KPROBE(sys_fdatasync, add_call(FDATASYNC_CALLS, 0))
ON_FEXIT(sys_fdatasync, s64, add_call(FDATASYNC_CALLS, result < 0))
ON_KRETPROBE(sys_fdatasync, s64, add_call(FDATASYNC_CALLS, result < 0))
ON_SYS_EXIT(fsync, add_call(FSYNC_CALLS, result < 0))

ON_FENTRY(vfs_open, add_call(VFS_OPEN_CALLS, 0))
ON_KPROBE(vfs_open, add_call(VFS_OPEN_CALLS, 0))
ON_FEXIT(vfs_open, int, add_call(VFS_OPEN_CALLS, result < 0))
ON_KRETPROBE(vfs_open, int, add_call(VFS_OPEN_CALLS, result < 0))
ON_SYS_EXIT(vfs_open, add_call(VFS_OPEN_CALLS, result < 0))

/* What a system call asked for is known when it begins, whether it failed when it ends: this map carries the first
 * counter of the call from one to the other. An entry lives as long as its system call. */
TABLE(vfs_begun, u64, u32);

inline_int begin(int calls)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 begun = calls; /* a copy: what helpers get the address of is no constant any more to older verifiers */

	if (RETURN_MODE)
		update(vfs_begun, &id, &begun);
	return add(calls, 1);
}

inline_int end(int calls, s64 result)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 *begun = lookup(vfs_begun, &id);

	if (!begun || *begun != calls)
		return 0;
	delete(vfs_begun, &id);
	return result < 0 ? add(calls + 1, 1) : 0;
}

#define AT_REMOVEDIR 0x200
ON_FENTRY(vfs_unlink, add_call(UNLINK_CALLS, 0))
ON_KPROBE(vfs_unlink, add_call(UNLINK_CALLS, 0))
ON_FEXIT(vfs_unlink, int, add_call(UNLINK_CALLS, result < 0))
ON_KRETPROBE(vfs_unlink, int, add_call(UNLINK_CALLS, result < 0))
ON_SYS_EXIT(unlink, add_call(UNLINK_CALLS, result < 0))
ON_SYS_ENTER(unlinkat, args[2] & AT_REMOVEDIR ? 0 : begin(UNLINKAT_CALLS))
ON_SYS_EXIT(unlinkat, end(UNLINKAT_CALLS, result))

ON_FENTRY(vfs_create, add_call(CREATE_CALLS, 0))
ON_KPROBE(vfs_create, add_call(CREATE_CALLS, 0))
ON_FEXIT(vfs_create, int, add_call(CREATE_CALLS, result < 0))
ON_KRETPROBE(vfs_create, int, add_call(CREATE_CALLS, result < 0))

/* open(O_CREAT) does not call vfs_create (fs/namei.c, lookup_open): it marks the file that it creates, and vfs_open
 * is called with the mark (include/linux/fs.h, since 4.19). FILE_F_MODE comes from BTF. */
#define FMODE_CREATED 0x100000
inline_int opened(u32 mode) { return mode & FMODE_CREATED ? add(OPEN_CREATE_CALLS, 1) : 0; }
/* a trampoline's pointers are known to the verifier, which lets it read them */
ON_FENTRY(vfs_open_created, opened(*(u32 *)(arg1 + FILE_F_MODE)))
ON_KPROBE(vfs_open_created, opened(kernel_u64(arg1 + FILE_F_MODE)))

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
