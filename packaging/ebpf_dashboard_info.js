// The texts of ebpf.plugin's charts, written by tools/docs.py (make docs). To have them in the dashboard, in netdata.conf:
//
//     [web]
//         custom dashboard_info.js = ebpf_dashboard_info.js

customDashboard.menu = {
 "ebpf": {
  "title": "eBPF",
  "icon": "<i class=\"fas fa-bug\"></i>",
  "info": "What the kernel does with files, processes, TCP and UDP, counted by BPF programs."
 }
};

customDashboard.context = {
 "filesystem.file_descriptor": {
  "info": "Calls of open, openat, openat2 and creat, and calls of close, where the kernel gives out and takes back file descriptors. Sockets and pipes are counted when they are closed, but not when they are created. io_uring, close_range and what the kernel closes when a process ends are not counted. A rise of open without work to show for it often is a program that looks for files again and again."
 },
 "filesystem.file_error": {
  "info": "Calls of open and close that returned an error. Some are normal: programs look for a file in one directory after the other. A rise of open means files or permissions that are missing, or a limit of open files that is reached. A close that fails is a mistake in a program: the descriptor was not open."
 },
 "filesystem.vfs_io": {
  "info": "Calls of vfs_read, vfs_readv, vfs_write and vfs_writev: on files, pipes and terminals, and on sockets that a program treats as files. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. Most of it is served from memory, so this is not the load of a disk. A rise of calls without a rise of bytes is a program that reads or writes in small pieces."
 },
 "filesystem.vfs_io_bytes": {
  "info": "Bytes that vfs_read, vfs_readv, vfs_write and vfs_writev have moved, written ones below zero: on files, pipes and terminals, and on sockets that a program treats as files. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. Most of it is served from memory, so this is not the load of a disk."
 },
 "filesystem.vfs_io_error": {
  "info": "Calls of vfs_read, vfs_write, their variants and vfs_unlink that returned an error. Some are normal: EAGAIN says that there is nothing to read yet. A rise of write may be a full disk or a reader that is gone, one of delete a permission that is missing."
 },
 "filesystem.vfs_open": {
  "info": "Calls of vfs_open, for a file that was found: by programs, and by the kernel for programs that it starts. On a stacked file system (overlay) one open counts twice. By the tracepoint method, system calls that open are counted instead, found or not."
 },
 "filesystem.vfs_open_error": {
  "info": "Calls of vfs_open that returned an error. A file that does not exist is not among them, except by the tracepoint method, which counts system calls. A rise means that a device or a file system refuses."
 },
 "filesystem.vfs_create": {
  "info": "Calls of vfs_create, and of vfs_open for a file that open has just created. Directories, links and sockets are not counted. By the tracepoint method it is system calls that may create a file, even if it exists. A rise often is a program that works with temporary files, or a storm of log files."
 },
 "filesystem.vfs_create_error": {
  "info": "Calls of vfs_create that returned an error; by the tracepoint method, system calls that should create a file and failed. A rise means a full disk, a permission that is missing, or a quota."
 },
 "filesystem.vfs_deleted_objects": {
  "info": "Calls of vfs_unlink, by unlink and unlinkat. Directories are not counted. On a stacked file system (overlay) one deletion counts twice. A rise often is a program that works with temporary files, or a clean-up that is running."
 },
 "filesystem.vfs_fsync": {
  "info": "System calls by which a program waits until its file is on the disk. sync, msync and files opened with O_SYNC are not counted. Each one can take milliseconds: a rise makes databases and mail servers slow on a slow disk."
 },
 "filesystem.vfs_fsync_error": {
  "info": "System calls by which a program waits until its file is on the disk, and that returned an error. EINVAL is harmless: a pipe or a terminal cannot be synchronized. Anything else may be lost data: look into the kernel's log for errors of the disk."
 },
 "system.process_thread": {
  "info": "New tasks, at the end of the creation in the kernel: a task in an existing thread group is a thread, any other a process. Programs that replace a process by exec are not counted. Many new processes that live for a moment cost processor time that no list of running processes shows: look for scripts that start programs in a loop."
 },
 "system.exit": {
  "info": "Processes and threads that end (dimension process, in do_exit), and those whose last traces the kernel removes (dimension task, in release_task). A task that has ended and is not released is a zombie: its parent has not asked for its status. By the tracepoint method a release is counted up to 10 seconds late."
 },
 "system.process_status": {
  "info": "By how much the number of tasks has grown in the interval (process), and the number of zombies (zombie). Both are below zero when more tasks go than come. They swing around zero; one that stays above it means tasks that do not end, or parents that do not wait for their children."
 },
 "system.task_error": {
  "info": "Calls of fork, vfork, clone and clone3 that returned an error. On a healthy machine there are next to none: those that a signal interrupted, which are begun again. A rise means that a limit is reached (ulimit -u, pids.max of a control group, kernel.pid_max), or memory."
 },
 "ip.tcp_functions": {
  "info": "Calls of tcp_sendmsg, of tcp_recvmsg and of tcp_close, for all sockets of TCP and in all containers. A call is not a packet: one may move no byte, or a megabyte. MPTCP and the kernel's own TLS are not counted. A rise of calls without a rise of bytes is a program that sends in small pieces."
 },
 "ip.total_tcp_bandwidth": {
  "info": "Bytes that programs gave to TCP (below zero) and took from it, loopback included. Headers, retransmissions and what has arrived but was not read yet are not counted, so a network card shows more. sendfile is counted, MPTCP is not."
 },
 "ip.tcp_error": {
  "info": "Calls of tcp_sendmsg and tcp_recvmsg that returned an error. EAGAIN says \"not yet\" and is not counted. A rise means connections that were reset (ECONNRESET, EPIPE) or that timed out: look at the service on the other side."
 },
 "ip.tcp_retransmit": {
  "info": "Packets that TCP sent again because no acknowledgement came, the answers to connection requests included. A buffer of several segments counts once. A few are normal. A rise means packets that are lost: a link or a firewall that drops them, or a peer that is down."
 },
 "ip.udp_functions": {
  "info": "Calls of udp_sendmsg and udp_recvmsg, and of their variants for IPv6, in all containers. One call is one datagram at most, unless the kernel splits it (UDP_SEGMENT). Datagrams that arrive and that no program reads are not counted."
 },
 "ip.total_udp_bandwidth": {
  "info": "Bytes that programs gave to UDP (below zero) and took from it, loopback included. Headers, and datagrams that were dropped before a program read them, are not counted."
 },
 "ip.udp_error": {
  "info": "Calls of udp_sendmsg and udp_recvmsg that returned an error. EAGAIN says \"not yet\" and is not counted. A rise of sent means datagrams that are too large, or peers that nobody can reach; one of received, that a peer said that nobody listens (ECONNREFUSED)."
 },
 "ip.inbound_conn": {
  "info": "Connections of clients that were established, accepted by a program or not; by trampolines and probes, those that a program accepted. UDP has no connections to accept. If it falls to zero while clients try, the service cannot be reached; a rise without a reason may be a scan, or clients that connect for each request."
 },
 "ip.tcp_outbound_conn": {
  "info": "Calls of connect that sent a connection request, by the version of IP. Whether the peer answers is not known then. A connection to an IPv4 address by a socket of IPv6 counts as IPv4. A rise without more work often is a program that connects for each request, or that tries again and again."
 },
 "ebpf.outbound_bytes": {
  "info": "Bytes that programs sent (below zero) and received over connections that this machine began, by remote service, protocol and remote address. The busiest connections have dimensions of their own, <code>other</code> has the rest. What the options ports and ips leave out (by default public addresses and loopback) is not counted."
 },
 "ebpf.outbound_packets": {
  "info": "Calls that moved bytes over connections that this machine began, sent ones below zero, by remote service, protocol and remote address. The busiest connections have dimensions of their own, <code>other</code> has the rest. One call can be many packets on the wire. What the options ports and ips leave out (by default public addresses and loopback) is not counted."
 },
 "ebpf.outbound_retransmit": {
  "info": "Packets that TCP sent again over connections that this machine began, by remote service, protocol and remote address. The busiest connections have dimensions of their own, <code>other</code> has the rest. A rise of one dimension is one peer, or the way to it; a rise of all is this machine's own network. What the options ports and ips leave out (by default public addresses and loopback) is not counted."
 },
 "ebpf.inbound_bytes": {
  "info": "Bytes that services of this machine sent (below zero) and received, by local service and protocol, whoever the clients are. The busiest connections have dimensions of their own, <code>other</code> has the rest. What the options ports and ips leave out (by default public addresses and loopback) is not counted."
 },
 "ebpf.inbound_packets": {
  "info": "Calls by which services of this machine moved bytes, sent ones below zero, by local service and protocol, whoever the clients are. The busiest connections have dimensions of their own, <code>other</code> has the rest. One call can be many packets on the wire. What the options ports and ips leave out (by default public addresses and loopback) is not counted."
 },
 "ebpf.softirq_calls": {
  "info": "How often the kernel ran the handler of each kind of software interrupt (the tracepoint softirq_exit). Handlers that run in threads of their own, or by busy polling, are not counted. NET_RX rises with packets that arrive, BLOCK with disk operations that are done, TIMER, HRTIMER, SCHED and RCU with what is running."
 },
 "ebpf.softirq_time": {
  "info": "Time between the tracepoints softirq_entry and softirq_exit, summed over all CPUs: 1000 is one CPU that does nothing else. Hardware interrupts that arrive meanwhile are included. A vector that stays high takes its time from programs: for NET_RX, spread the network card's queues over more CPUs."
 },
 "ebpf.softirq_duration": {
  "info": "How many calls of the handler of VECTOR took how long: a dimension counts calls from its number of microseconds up to the next dimension's, the last one those of 1024 and more. Hardware interrupts that arrive meanwhile are included. Calls of milliseconds delay everything else on their CPU."
 },
 "apps.file_open": {
  "info": "Calls of open, openat, openat2 and creat of the application's processes, failed ones included. This is not how many files are open. A rise without more work often is a program that looks for files again and again."
 },
 "apps.file_open_error": {
  "info": "Calls of open, openat, openat2 and creat that returned an error. Some are normal: programs look for a file in one directory after the other. A rise means files or permissions that are missing, or a limit of open files that is reached."
 },
 "apps.file_closed": {
  "info": "Calls of close of the application's processes: of files, and of sockets and pipes as well. close_range, and what the kernel closes when a process ends, are not counted."
 },
 "apps.file_close_error": {
  "info": "Calls of close that returned an error. Nearly always the descriptor was not open, which is a mistake in a program: some day it may close a file that another part of the program has opened."
 },
 "apps.vfs_read_call": {
  "info": "Calls of vfs_read and vfs_readv of the application's processes, failed ones included. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. Most of it is served from memory, so this is not the load of a disk."
 },
 "apps.vfs_write_call": {
  "info": "Calls of vfs_write and vfs_writev of the application's processes, failed ones included. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. Most of it is served from memory, so this is not the load of a disk."
 },
 "apps.vfs_read_bytes": {
  "info": "Bytes that vfs_read and vfs_readv have given to the application's processes. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. Most of it is served from memory, so this is not the load of a disk."
 },
 "apps.vfs_write_bytes": {
  "info": "Bytes that vfs_write and vfs_writev have taken from the application's processes. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. What is written is in memory first, so this is not the load of a disk."
 },
 "apps.vfs_read_error": {
  "info": "Calls of vfs_read and vfs_readv that returned an error. Some are normal: EAGAIN says that there is nothing to read yet. A rise may be a disk that fails, or a connection that is gone."
 },
 "apps.vfs_write_error": {
  "info": "Calls of vfs_write and vfs_writev that returned an error. Some are normal: EAGAIN says that there is no room yet. A rise may be a full disk, or a reader that is gone (EPIPE)."
 },
 "apps.vfs_open": {
  "info": "Calls of vfs_open, for a file that was found. By the tracepoint method, system calls that open are counted instead, found or not."
 },
 "apps.vfs_open_error": {
  "info": "Calls of vfs_open that returned an error; by the tracepoint method, system calls that open and failed. A rise means files or permissions that are missing, or a limit of open files that is reached."
 },
 "apps.vfs_create": {
  "info": "Calls of vfs_create, and of vfs_open for a file that open has just created. By the tracepoint method it is system calls that may create a file, even if it exists. Directories, links and sockets are not counted."
 },
 "apps.vfs_create_error": {
  "info": "Calls of vfs_create that returned an error; by the tracepoint method, system calls that should create a file and failed. A rise means a full disk, a permission that is missing, or a quota."
 },
 "apps.file_deleted": {
  "info": "Calls of vfs_unlink, by unlink and unlinkat. Directories are not counted. A rise often is a program that works with temporary files."
 },
 "apps.vfs_fsync": {
  "info": "System calls by which a program waits until its file is on the disk. sync, msync and files opened with O_SYNC are not counted. Each one can take milliseconds, in which the program does nothing else."
 },
 "apps.vfs_fsync_error": {
  "info": "System calls by which a program waits until its file is on the disk, and that returned an error. EINVAL is harmless: a pipe or a terminal cannot be synchronized. Anything else may be lost data."
 },
 "apps.process_create": {
  "info": "New processes, in the application of the process that created them. Programs that replace a process by exec are not counted. A rise often is a script that starts programs in a loop."
 },
 "apps.thread_create": {
  "info": "New tasks in an existing thread group. A program that creates threads all the time pays for it: a pool of threads would not."
 },
 "apps.task_close": {
  "info": "Processes and threads whose last traces the kernel has removed, in the application that they were in. By the tracepoint method a release is counted up to 10 seconds late. If it stays below the number of tasks that end, zombies are left."
 },
 "apps.task_exit": {
  "info": "Processes and threads that end, in do_exit: by themselves, or by a signal. A service whose tasks end and are created anew all the time may be crashing."
 },
 "apps.task_error": {
  "info": "Calls of fork, vfork, clone and clone3 that returned an error. On a healthy machine there are next to none: those that a signal interrupted, which are begun again. A rise means that a limit is reached (ulimit -u, pids.max of a control group, kernel.pid_max), or memory."
 },
 "apps.total_bandwidth_sent": {
  "info": "Bytes that the application's processes gave to TCP and UDP, loopback included. Headers, retransmissions and other protocols are not counted."
 },
 "apps.total_bandwidth_recv": {
  "info": "Bytes that the application's processes took from TCP and UDP, loopback included. What has arrived and was not read, headers and other protocols are not counted."
 },
 "apps.bandwidth_tcp_send": {
  "info": "Calls of tcp_sendmsg of the application's processes, failed ones included. A call is not a packet. A rise of calls without a rise of bytes is a program that sends in small pieces."
 },
 "apps.bandwidth_tcp_recv": {
  "info": "Calls of tcp_recvmsg of the application's processes, failed ones included. Those that found nothing to read (EAGAIN) are among them. A rise of calls without a rise of bytes is a program that asks too often."
 },
 "apps.bandwidth_tcp_retransmit": {
  "info": "Packets that TCP sent again, in the application whose socket it is. Connections that were accepted by a listener which existed before the plugin started are in <code>other</code>. A rise means packets that are lost on the way to this application's peers."
 },
 "apps.bandwidth_udp_send": {
  "info": "Calls of udp_sendmsg of the application's processes, failed ones included. For a program that resolves names, a rise often means that its answers do not come."
 },
 "apps.bandwidth_udp_recv": {
  "info": "Calls of udp_recvmsg of the application's processes, failed ones included. Datagrams that arrive and are not read are not counted."
 },
 "apps.outbound_conn_v4": {
  "info": "Calls of connect that sent a connection request to an IPv4 address. Whether the peer answers is not known then. A rise without more work often is a program that connects for each request."
 },
 "apps.outbound_conn_v6": {
  "info": "Calls of connect that sent a connection request to an IPv6 address. Whether the peer answers is not known then. A rise without more work often is a program that connects for each request."
 },
 "ebpf.plugin_hooks": {
  "info": "Kinds of events that the enabled groups can count: those whose BPF programs are attached, and those that this kernel refuses. What is missing has no charts. A rise of missing after a new kernel means that functions were renamed or taken away: <code>ebpf.plugin --check</code> says which and why."
 },
 "ebpf.plugin_missed": {
  "info": "Events for which the kernel did not run a BPF program, because it was running on the same CPU already or all instances of a kretprobe were in use. The kernel counts them; the plugin asks every 60 ticks. The other charts are too low by this number. A few are normal where tracepoints are used on a busy machine."
 },
 "ebpf.plugin_table_full": {
  "info": "New processes, and processes with a new name, that could not be given an application. What they do is counted in <code>other</code>; charts of the whole machine have it. More processes than the option <code>pid table size</code> says are running: set it higher."
 },
 "cgroup.fd_open": {
  "info": "Calls of open, openat, openat2 and creat of the application's processes, failed ones included. This is not how many files are open. A rise without more work often is a program that looks for files again and again."
 },
 "services.fd_open": {
  "info": "Calls of open, openat, openat2 and creat of the application's processes, failed ones included. This is not how many files are open. A rise without more work often is a program that looks for files again and again."
 },
 "cgroup.fd_open_error": {
  "info": "Calls of open, openat, openat2 and creat that returned an error. Some are normal: programs look for a file in one directory after the other. A rise means files or permissions that are missing, or a limit of open files that is reached."
 },
 "services.fd_open_error": {
  "info": "Calls of open, openat, openat2 and creat that returned an error. Some are normal: programs look for a file in one directory after the other. A rise means files or permissions that are missing, or a limit of open files that is reached."
 },
 "cgroup.fd_close": {
  "info": "Calls of close of the application's processes: of files, and of sockets and pipes as well. close_range, and what the kernel closes when a process ends, are not counted."
 },
 "services.fd_close": {
  "info": "Calls of close of the application's processes: of files, and of sockets and pipes as well. close_range, and what the kernel closes when a process ends, are not counted."
 },
 "cgroup.fd_close_error": {
  "info": "Calls of close that returned an error. Nearly always the descriptor was not open, which is a mistake in a program: some day it may close a file that another part of the program has opened."
 },
 "services.fd_close_error": {
  "info": "Calls of close that returned an error. Nearly always the descriptor was not open, which is a mistake in a program: some day it may close a file that another part of the program has opened."
 },
 "cgroup.vfs_read": {
  "info": "Calls of vfs_read and vfs_readv of the application's processes, failed ones included. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. Most of it is served from memory, so this is not the load of a disk."
 },
 "services.vfs_read": {
  "info": "Calls of vfs_read and vfs_readv of the application's processes, failed ones included. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. Most of it is served from memory, so this is not the load of a disk."
 },
 "cgroup.vfs_write": {
  "info": "Calls of vfs_write and vfs_writev of the application's processes, failed ones included. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. Most of it is served from memory, so this is not the load of a disk."
 },
 "services.vfs_write": {
  "info": "Calls of vfs_write and vfs_writev of the application's processes, failed ones included. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. Most of it is served from memory, so this is not the load of a disk."
 },
 "cgroup.vfs_read_bytes": {
  "info": "Bytes that vfs_read and vfs_readv have given to the application's processes. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. Most of it is served from memory, so this is not the load of a disk."
 },
 "services.vfs_read_bytes": {
  "info": "Bytes that vfs_read and vfs_readv have given to the application's processes. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. Most of it is served from memory, so this is not the load of a disk."
 },
 "cgroup.vfs_write_bytes": {
  "info": "Bytes that vfs_write and vfs_writev have taken from the application's processes. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. What is written is in memory first, so this is not the load of a disk."
 },
 "services.vfs_write_bytes": {
  "info": "Bytes that vfs_write and vfs_writev have taken from the application's processes. I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here. What is written is in memory first, so this is not the load of a disk."
 },
 "cgroup.vfs_read_error": {
  "info": "Calls of vfs_read and vfs_readv that returned an error. Some are normal: EAGAIN says that there is nothing to read yet. A rise may be a disk that fails, or a connection that is gone."
 },
 "services.vfs_read_error": {
  "info": "Calls of vfs_read and vfs_readv that returned an error. Some are normal: EAGAIN says that there is nothing to read yet. A rise may be a disk that fails, or a connection that is gone."
 },
 "cgroup.vfs_write_error": {
  "info": "Calls of vfs_write and vfs_writev that returned an error. Some are normal: EAGAIN says that there is no room yet. A rise may be a full disk, or a reader that is gone (EPIPE)."
 },
 "services.vfs_write_error": {
  "info": "Calls of vfs_write and vfs_writev that returned an error. Some are normal: EAGAIN says that there is no room yet. A rise may be a full disk, or a reader that is gone (EPIPE)."
 },
 "cgroup.vfs_open": {
  "info": "Calls of vfs_open, for a file that was found. By the tracepoint method, system calls that open are counted instead, found or not."
 },
 "services.vfs_open": {
  "info": "Calls of vfs_open, for a file that was found. By the tracepoint method, system calls that open are counted instead, found or not."
 },
 "cgroup.vfs_open_error": {
  "info": "Calls of vfs_open that returned an error; by the tracepoint method, system calls that open and failed. A rise means files or permissions that are missing, or a limit of open files that is reached."
 },
 "services.vfs_open_error": {
  "info": "Calls of vfs_open that returned an error; by the tracepoint method, system calls that open and failed. A rise means files or permissions that are missing, or a limit of open files that is reached."
 },
 "cgroup.vfs_create": {
  "info": "Calls of vfs_create, and of vfs_open for a file that open has just created. By the tracepoint method it is system calls that may create a file, even if it exists. Directories, links and sockets are not counted."
 },
 "services.vfs_create": {
  "info": "Calls of vfs_create, and of vfs_open for a file that open has just created. By the tracepoint method it is system calls that may create a file, even if it exists. Directories, links and sockets are not counted."
 },
 "cgroup.vfs_create_error": {
  "info": "Calls of vfs_create that returned an error; by the tracepoint method, system calls that should create a file and failed. A rise means a full disk, a permission that is missing, or a quota."
 },
 "services.vfs_create_error": {
  "info": "Calls of vfs_create that returned an error; by the tracepoint method, system calls that should create a file and failed. A rise means a full disk, a permission that is missing, or a quota."
 },
 "cgroup.vfs_unlink": {
  "info": "Calls of vfs_unlink, by unlink and unlinkat. Directories are not counted. A rise often is a program that works with temporary files."
 },
 "services.vfs_unlink": {
  "info": "Calls of vfs_unlink, by unlink and unlinkat. Directories are not counted. A rise often is a program that works with temporary files."
 },
 "cgroup.vfs_fsync": {
  "info": "System calls by which a program waits until its file is on the disk. sync, msync and files opened with O_SYNC are not counted. Each one can take milliseconds, in which the program does nothing else."
 },
 "services.vfs_fsync": {
  "info": "System calls by which a program waits until its file is on the disk. sync, msync and files opened with O_SYNC are not counted. Each one can take milliseconds, in which the program does nothing else."
 },
 "cgroup.vfs_fsync_error": {
  "info": "System calls by which a program waits until its file is on the disk, and that returned an error. EINVAL is harmless: a pipe or a terminal cannot be synchronized. Anything else may be lost data."
 },
 "services.vfs_fsync_error": {
  "info": "System calls by which a program waits until its file is on the disk, and that returned an error. EINVAL is harmless: a pipe or a terminal cannot be synchronized. Anything else may be lost data."
 },
 "cgroup.process_create": {
  "info": "New processes, in the application of the process that created them. Programs that replace a process by exec are not counted. A rise often is a script that starts programs in a loop."
 },
 "services.process_create": {
  "info": "New processes, in the application of the process that created them. Programs that replace a process by exec are not counted. A rise often is a script that starts programs in a loop."
 },
 "cgroup.thread_create": {
  "info": "New tasks in an existing thread group. A program that creates threads all the time pays for it: a pool of threads would not."
 },
 "services.thread_create": {
  "info": "New tasks in an existing thread group. A program that creates threads all the time pays for it: a pool of threads would not."
 },
 "cgroup.task_exit": {
  "info": "Processes and threads that end, in do_exit: by themselves, or by a signal. A service whose tasks end and are created anew all the time may be crashing."
 },
 "services.task_exit": {
  "info": "Processes and threads that end, in do_exit: by themselves, or by a signal. A service whose tasks end and are created anew all the time may be crashing."
 },
 "cgroup.task_error": {
  "info": "Calls of fork, vfork, clone and clone3 that returned an error. On a healthy machine there are next to none: those that a signal interrupted, which are begun again. A rise means that a limit is reached (ulimit -u, pids.max of a control group, kernel.pid_max), or memory."
 },
 "services.task_error": {
  "info": "Calls of fork, vfork, clone and clone3 that returned an error. On a healthy machine there are next to none: those that a signal interrupted, which are begun again. A rise means that a limit is reached (ulimit -u, pids.max of a control group, kernel.pid_max), or memory."
 },
 "cgroup.net_bytes_send": {
  "info": "Bytes that the application's processes gave to TCP and UDP, loopback included. Headers, retransmissions and other protocols are not counted."
 },
 "services.net_bytes_send": {
  "info": "Bytes that the application's processes gave to TCP and UDP, loopback included. Headers, retransmissions and other protocols are not counted."
 },
 "cgroup.net_bytes_recv": {
  "info": "Bytes that the application's processes took from TCP and UDP, loopback included. What has arrived and was not read, headers and other protocols are not counted."
 },
 "services.net_bytes_recv": {
  "info": "Bytes that the application's processes took from TCP and UDP, loopback included. What has arrived and was not read, headers and other protocols are not counted."
 },
 "cgroup.net_tcp_send": {
  "info": "Calls of tcp_sendmsg of the application's processes, failed ones included. A call is not a packet. A rise of calls without a rise of bytes is a program that sends in small pieces."
 },
 "services.net_tcp_send": {
  "info": "Calls of tcp_sendmsg of the application's processes, failed ones included. A call is not a packet. A rise of calls without a rise of bytes is a program that sends in small pieces."
 },
 "cgroup.net_tcp_recv": {
  "info": "Calls of tcp_recvmsg of the application's processes, failed ones included. Those that found nothing to read (EAGAIN) are among them. A rise of calls without a rise of bytes is a program that asks too often."
 },
 "services.net_tcp_recv": {
  "info": "Calls of tcp_recvmsg of the application's processes, failed ones included. Those that found nothing to read (EAGAIN) are among them. A rise of calls without a rise of bytes is a program that asks too often."
 },
 "cgroup.net_udp_send": {
  "info": "Calls of udp_sendmsg of the application's processes, failed ones included. For a program that resolves names, a rise often means that its answers do not come."
 },
 "services.net_udp_send": {
  "info": "Calls of udp_sendmsg of the application's processes, failed ones included. For a program that resolves names, a rise often means that its answers do not come."
 },
 "cgroup.net_udp_recv": {
  "info": "Calls of udp_recvmsg of the application's processes, failed ones included. Datagrams that arrive and are not read are not counted."
 },
 "services.net_udp_recv": {
  "info": "Calls of udp_recvmsg of the application's processes, failed ones included. Datagrams that arrive and are not read are not counted."
 },
 "cgroup.net_conn_ipv4": {
  "info": "Calls of connect that sent a connection request to an IPv4 address. Whether the peer answers is not known then. A rise without more work often is a program that connects for each request."
 },
 "services.net_conn_ipv4": {
  "info": "Calls of connect that sent a connection request to an IPv4 address. Whether the peer answers is not known then. A rise without more work often is a program that connects for each request."
 },
 "cgroup.net_conn_ipv6": {
  "info": "Calls of connect that sent a connection request to an IPv6 address. Whether the peer answers is not known then. A rise without more work often is a program that connects for each request."
 },
 "services.net_conn_ipv6": {
  "info": "Calls of connect that sent a connection request to an IPv6 address. Whether the peer answers is not known then. A rise without more work often is a program that connects for each request."
 }
};
