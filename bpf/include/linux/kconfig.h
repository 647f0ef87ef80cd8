/* BCC includes this before everything else; its helpers.h leaves out parts without CONFIG_BPF_SYSCALL. */
#define CONFIG_BPF_SYSCALL 1
