/* cgroup_rows.c - which of the rows behind the applications' an event belongs to: that of the control group (v2) of who runs. Before
 * all other main text, if [global] cgroups = yes. Pairs with plugin/ebpf_plugin/cgroups.py, which gives rows to those that the
 * kernel asks about. Row 0 is `other`.
 */
BPF_TABLE("hash", u64, u32, cgroup_rows, CGROUPS_KNOWN);
BPF_TABLE("hash", u64, u8, cgroups_asked, 256);

inline_u64 row_of_cgroup(void)
{
	u64 id = bpf_get_current_cgroup_id();
	u32 *row = cgroup_rows.lookup(&id);
	u8 yes = 1;

	if (row)
		return *row;
	cgroups_asked.update(&id, &yes);
	return 0;
}
