/* histogram.h - the slot of a value in a histogram by powers of two: plugin/ebpf_plugin/model/histogram.py. */

inline_u64 log2_slot(u64 value, u64 slots)
{
	u64 slot = 0;

#pragma unroll
	for (int i = 0; i < 63; i++) {
		if (i >= slots - 1 || !(value >> i))
			break;
		slot = i + 1;
	}
	return slot;
}
