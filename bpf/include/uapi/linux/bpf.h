/* BCC carries the BPF interface itself, under this name. */
#include <bcc/bpf.h>
