/* softirq.c - software interrupts: how often the handler of each vector ran, and for how long.
 * Pairs with plugin/ebpf_plugin/groups/softirq.py, which names the counters: calls, nanoseconds, and a histogram for each vector.
 *
 * A handler does not interrupt another on its CPU, so one place for each CPU holds when it began. Hardware interrupts that come
 * meanwhile are in its time. What runs in softirq context is not the work of the task that it interrupted: there are no rows. */
#include "histogram.h"

#define VECTORS 10 /* NR_SOFTIRQS, include/linux/interrupt.h, since 2.6.39 */
#define SLOTS (TIMER_US_0 - HI_US_0)
TABLE(softirq_begun, u32, u64); /* by CPU: ns, 0 outside of a handler */

inline_int began(void)
{
	u32 cpu = bpf_get_smp_processor_id();
	u64 *begun = lookup(softirq_begun, &cpu);

	if (begun)
		*begun = bpf_ktime_get_ns();
	return 0;
}
int softirq_entry_raw(u64 *ctx) { return began(); }

inline_int ended(u64 vector)
{
	u32 cpu = bpf_get_smp_processor_id();
	u64 *begun = lookup(softirq_begun, &cpu), ns;
	struct counters *c = counters_of(NO_ROW);

	/* one that was running when we came has not been seen to begin */
	if (!begun || !*begun || !c || vector >= VECTORS)
		return 0;
	ns = bpf_ktime_get_ns() - *begun;
	*begun = 0;
	c->n[HI_CALLS + vector]++;
	c->n[HI_NS + vector] += ns;
	c->n[HI_US_0 + vector * SLOTS + log2_slot(ns / 1000, SLOTS)]++;
	return 0;
}
int softirq_exit_raw(u64 *ctx) { return ended(ctx[0]); }
