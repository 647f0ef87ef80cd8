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
BPF_PERCPU_ARRAY(vfs_counters, struct vfs_counters, 1);

inline_body vfs_add(int counter, u64 n)
{
	int zero = 0;
	struct vfs_counters *c = vfs_counters.lookup(&zero);

	if (c)
		c->n[counter] += n;
	return 0;
}

/* The counters of a function stand together: calls, errors and, for reads and writes, bytes. */
inline_body vfs_count(int calls, s64 result)
{
	int zero = 0;
	struct vfs_counters *c = vfs_counters.lookup(&zero);

	if (!c)
		return 0;
	c->n[calls]++;
	if (result < 0)
		c->n[calls + 1]++;
	return 0;
}

inline_body vfs_move(int calls, s64 result)
{
	int zero = 0;
	struct vfs_counters *c = vfs_counters.lookup(&zero);

	if (!c)
		return 0;
	c->n[calls]++;
	if (result < 0)
		c->n[calls + 1]++;
	else
		c->n[calls + 2] += result;
	return 0;
}

/* struct iovec of the caller, summed as import_iovec() does: at most UIO_MAXIOV (1024) parts */
struct iovec {
	u64 base, len;
};
static __always_inline u64 iovec_bytes(struct iovec *vec, u64 parts)
{
	u64 bytes = 0;

#pragma clang loop unroll(disable)
	for (u32 i = 0; i < 1024; i++) {
		struct iovec part = {};
		if (i >= parts)
			break;
		bpf_probe_read_user(&part, sizeof(part), vec + i);
		bytes += part.len;
	}
	return bytes;
}

/* A kprobe in entry mode knows only what was asked for; everything else counts what was moved. */
inline_body read_called(u64 file, u64 buf, u64 bytes) { return vfs_move(READ_CALLS, bytes); }
inline_body readv_called(u64 file, u64 vec, u64 parts) { return vfs_move(READV_CALLS, iovec_bytes((void *)vec, parts)); }
inline_body write_called(u64 file, u64 buf, u64 bytes) { return vfs_move(WRITE_CALLS, bytes); }
inline_body writev_called(u64 file, u64 vec, u64 parts) { return vfs_move(WRITEV_CALLS, iovec_bytes((void *)vec, parts)); }
inline_body read_returned(s64 result) { return vfs_move(READ_CALLS, result); }
inline_body readv_returned(s64 result) { return vfs_move(READV_CALLS, result); }
inline_body write_returned(s64 result) { return vfs_move(WRITE_CALLS, result); }
inline_body writev_returned(s64 result) { return vfs_move(WRITEV_CALLS, result); }
ON_KPROBE(vfs_read, read_called)
ON_KPROBE(vfs_readv, readv_called)
ON_KPROBE(vfs_write, write_called)
ON_KPROBE(vfs_writev, writev_called)
ON_RETURN(vfs_read, s64, read_returned)
ON_RETURN(vfs_readv, s64, readv_returned)
ON_RETURN(vfs_write, s64, write_returned)
ON_RETURN(vfs_writev, s64, writev_returned)
ON_SYS_EXIT(read, read_returned)
ON_SYS_EXIT(readv, readv_returned)
ON_SYS_EXIT(write, write_returned)
ON_SYS_EXIT(writev, writev_returned)

/* vfs_fsync() is there in every kernel, but fsync(2) and fdatasync(2) have it and what it calls inlined, each in another
 * way (Debian's 5.10 to 7.2): a probe on it sees nothing. So these are the functions of the system calls themselves. */
inline_body fsync_called(u64 a, u64 b, u64 c) { return vfs_count(FSYNC_CALLS, 0); }
inline_body fdatasync_called(u64 a, u64 b, u64 c) { return vfs_count(FDATASYNC_CALLS, 0); }
inline_body fsync_returned(s64 result) { return vfs_count(FSYNC_CALLS, result); }
inline_body fdatasync_returned(s64 result) { return vfs_count(FDATASYNC_CALLS, result); }
ON_CALL(sys_fsync, fsync_called)
ON_CALL(sys_fdatasync, fdatasync_called)
ON_RETURN(sys_fsync, s64, fsync_returned)
ON_RETURN(sys_fdatasync, s64, fdatasync_returned)
ON_SYS_EXIT(fsync, fsync_returned)

inline_body vfs_open_called(u64 a, u64 b, u64 c) { return vfs_count(VFS_OPEN_CALLS, 0); }
inline_body vfs_open_returned(s64 result) { return vfs_count(VFS_OPEN_CALLS, result); }
ON_CALL(vfs_open, vfs_open_called)
ON_RETURN(vfs_open, int, vfs_open_returned)
ON_SYS_EXIT(vfs_open, vfs_open_returned)

/* What a system call asked for is known when it begins, whether it failed when it ends: this map carries the first
 * counter of the call from one to the other. An entry lives as long as its system call. */
BPF_HASH(vfs_begun, u64, u32, 4096);

inline_body vfs_begin(int calls)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 begun = calls; /* a copy: what helpers get the address of is no constant any more to older verifiers */

	if (RETURN_MODE)
		vfs_begun.update(&id, &begun);
	return vfs_add(calls, 1);
}

inline_body vfs_end(int calls, s64 result)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 *begun = vfs_begun.lookup(&id);

	if (!begun || *begun != calls)
		return 0;
	vfs_begun.delete(&id);
	return result < 0 ? vfs_add(calls + 1, 1) : 0;
}

inline_body unlink_called(u64 a, u64 b, u64 c) { return vfs_count(UNLINK_CALLS, 0); }
inline_body unlink_returned(s64 result) { return vfs_count(UNLINK_CALLS, result); }
ON_CALL(vfs_unlink, unlink_called)
ON_RETURN(vfs_unlink, int, unlink_returned)
ON_SYS_EXIT(unlink, unlink_returned)

#define AT_REMOVEDIR 0x200
inline_body unlinkat_begun(u64 *args) { return args[2] & AT_REMOVEDIR ? 0 : vfs_begin(UNLINKAT_CALLS); }
inline_body unlinkat_ended(s64 result) { return vfs_end(UNLINKAT_CALLS, result); }
ON_SYS_ENTER(unlinkat, unlinkat_begun)
ON_SYS_EXIT(unlinkat, unlinkat_ended)

inline_body create_called(u64 a, u64 b, u64 c) { return vfs_count(CREATE_CALLS, 0); }
inline_body create_returned(s64 result) { return vfs_count(CREATE_CALLS, result); }
ON_CALL(vfs_create, create_called)
ON_RETURN(vfs_create, int, create_returned)

/* open(O_CREAT) does not call vfs_create (fs/namei.c, lookup_open): it marks the file that it creates, and vfs_open
 * is called with the mark (include/linux/fs.h, since 4.19). FILE_F_MODE_OFFSET comes from BTF. */
#define FMODE_CREATED 0x100000
#ifdef FILE_F_MODE_OFFSET
inline_body open_created(u64 path, u64 file, u64 c)
{
	u32 mode = 0;

	bpf_probe_read_kernel(&mode, sizeof(mode), (void *)file + FILE_F_MODE_OFFSET);
	return mode & FMODE_CREATED ? vfs_add(OPEN_CREATE_CALLS, 1) : 0;
}
ON_CALL(vfs_open_created, open_created)
#endif

#define O_CREAT 0100
#define S_IFMT 0170000
#define S_IFREG 0100000
inline_body create_begun(int asked) { return asked ? vfs_begin(OPEN_CREATE_CALLS) : 0; }
inline_body create_ended(s64 result) { return vfs_end(OPEN_CREATE_CALLS, result); }
inline_body open_begun(u64 *args) { return create_begun(args[1] & O_CREAT); }
inline_body openat_begun(u64 *args) { return create_begun(args[2] & O_CREAT); }
inline_body openat2_begun(u64 *args)
{
	u64 flags = 0; /* struct open_how begins with them */

	bpf_probe_read_user(&flags, sizeof(flags), (void *)args[2]);
	return create_begun(flags & O_CREAT);
}
inline_body creat_begun(u64 *args) { return create_begun(1); }
inline_body mknod_type(u32 mode) { return create_begun((mode & S_IFMT) == 0 || (mode & S_IFMT) == S_IFREG); }
inline_body mknod_begun(u64 *args) { return mknod_type(args[1]); }
inline_body mknodat_begun(u64 *args) { return mknod_type(args[2]); }
ON_SYS_ENTER(create_open, open_begun)
ON_SYS_ENTER(create_openat, openat_begun)
ON_SYS_ENTER(create_openat2, openat2_begun)
ON_SYS_ENTER(create_creat, creat_begun)
ON_SYS_ENTER(create_mknod, mknod_begun)
ON_SYS_ENTER(create_mknodat, mknodat_begun)
ON_SYS_EXIT(create, create_ended)
