/*
 * Processors, their TLBs, flushes and the gather: see tlb.h.
 *
 * What makes the checks cheap: a processor has one place for a page, so that asking whether it
 * remembers one is a comparison. mm->cpu_vm_mask says which processors to ask. Whoever writes an
 * entry that somebody remembers puts that one under suspicion, a flush clears it, and after the
 * op only those left under suspicion are looked at. Each page counts the TLB entries that name it.
 */
#include "internal.h"

#include <stdio.h>

/* Every bit of BITS, lowest first; the loop variable is I. */
#define FOR_EACH_BIT(i, bits)                                                                      \
	for (uint64_t left_##i = (bits), i;                                                        \
	     left_##i && (i = (uint64_t)__builtin_ctzll(left_##i), 1); left_##i &= left_##i - 1)

static uint32_t slot_of(uint32_t vpn)
{
	return vpn % TLB_SLOTS;
}

static bool remembers(const struct cpu *cpu, uint32_t vpn)
{
	return cpu->live >> slot_of(vpn) & 1 && cpu->tlb[slot_of(vpn)].vpn == vpn;
}

static void forget(struct cpu *cpu, uint32_t slot)
{
	cpu->tlb[slot].page->tlb_users--;
	cpu->live &= ~(1ull << slot);
	cpu->suspect &= ~(1ull << slot);
}

static void forget_all(struct cpu *cpu)
{
	FOR_EACH_BIT(slot, cpu->live)
	cpu->tlb[slot].page->tlb_users--;
	cpu->live = cpu->suspect = 0;
}

void tlb_reset(struct machine *machine)
{
	struct cpus *cpus = &machine->cpus;

	for (uint32_t i = 0; i < CPUS_MAX; i++) {
		forget_all(&cpus->cpu[i]);
		cpus->cpu[i].mm = NULL;
	}
	cpus->current = 0;
	cpus->current_mm = NULL;
	cpus->suspects = false;
	cpus->fault = (struct tlb_fault){0};
	cpus->counters = (struct tlb_counters){0};
	cpus->lose_flush = 0;
}

/* ---- processors ------------------------------------------------------------------------- */

uint32_t cpu_of_proc(const struct machine *machine, uint32_t proc)
{
	return proc % machine->config.cpus;
}

/* CPU's cr3 is loaded: with MM, or NULL for the kernel's own. */
static void load_cr3(struct machine *machine, uint32_t i, struct mm *mm)
{
	struct cpu *cpu = &machine->cpus.cpu[i];

	forget_all(cpu);
	machine->cpus.counters.cr3_loads++;
	if (cpu->mm)
		cpu->mm->cpu_vm_mask &= ~(1u << i);
	cpu->mm = mm;
	if (mm)
		mm->cpu_vm_mask |= 1u << i;
}

void switch_mm(struct machine *machine, uint32_t cpu, struct mm *mm)
{
	if (machine->cpus.cpu[cpu].mm != mm)
		load_cr3(machine, cpu, mm);
}

void leave_mm(struct machine *machine, struct mm *mm)
{
	FOR_EACH_BIT(i, mm->cpu_vm_mask)
	load_cr3(machine, (uint32_t)i, NULL);
}

void kernel_entry(struct machine *machine)
{
	struct cpus *cpus = &machine->cpus;

	cpus->counters.kernel_entries++;
	if (machine->config.split != SPLIT_4_4)
		return;
	forget_all(&cpus->cpu[cpus->current]);
	cpus->counters.cr3_loads += 2;
}

/* ---- access ------------------------------------------------------------------------------ */

const struct tlb_entry *tlb_find(const struct machine *machine, uint32_t i, const struct mm *mm,
				 uint32_t vpn, bool write)
{
	const pte_t need = write ? PTE_US | PTE_RW | PTE_D : PTE_US;
	const struct cpu *cpu = &machine->cpus.cpu[i];
	const struct tlb_entry *found = &cpu->tlb[slot_of(vpn)];

	if (cpu->mm != mm || !remembers(cpu, vpn) || (found->entry & need) != need)
		return NULL;
	return found;
}

void tlb_fill(struct machine *machine, uint32_t vpn, pte_t entry)
{
	struct cpu *cpu = &machine->cpus.cpu[machine->cpus.current];
	struct page *page = pfn_to_page(machine, pte_pfn(entry));
	uint32_t slot = slot_of(vpn);

	machine->cpus.counters.misses++;
	if (cpu->live >> slot & 1)
		forget(cpu, slot);
	cpu->tlb[slot] = (struct tlb_entry){vpn, page, entry};
	cpu->live |= 1ull << slot;
	page->tlb_users++;
}

/* ---- flushes ------------------------------------------------------------------------------ */

/* Tests have a flush forgotten, to see that it is missed. */
static bool is_lost(struct cpus *cpus)
{
	return cpus->lose_flush && !--cpus->lose_flush;
}

/* The others are told by an interrupt. */
static void count_flush(struct cpus *cpus, uint32_t mask)
{
	uint32_t others = mask & ~(1u << cpus->current);

	cpus->counters.flushes++;
	if (others)
		cpus->counters.ipis += (uint32_t)__builtin_popcount(others);
}

void flush_tlb_page(struct machine *machine, struct mm *mm, uint32_t vpn)
{
	struct cpus *cpus = &machine->cpus;

	if (!mm->cpu_vm_mask || is_lost(cpus))
		return;
	count_flush(cpus, mm->cpu_vm_mask);
	FOR_EACH_BIT(i, mm->cpu_vm_mask)
	{
		if (remembers(&cpus->cpu[i], vpn) &&
		    !MUTANT_IF(machine, SEED_19, i != cpus->current))
			forget(&cpus->cpu[i], slot_of(vpn));
	}
}

void flush_tlb_range(struct machine *machine, struct mm *mm, uint32_t first, uint32_t last)
{
	struct cpus *cpus = &machine->cpus;

	if (!mm->cpu_vm_mask || is_lost(cpus))
		return;
	count_flush(cpus, mm->cpu_vm_mask);
	FOR_EACH_BIT(i, mm->cpu_vm_mask)
	{
		struct cpu *cpu = &cpus->cpu[i];

		FOR_EACH_BIT(slot, cpu->live)
		{
			if (cpu->tlb[slot].vpn >= first && cpu->tlb[slot].vpn < last)
				forget(cpu, (uint32_t)slot);
		}
	}
}

void flush_tlb_mm(struct machine *machine, struct mm *mm)
{
	flush_tlb_range(machine, mm, 0, VPN_LIMIT);
}

/* ---- the gather ----------------------------------------------------------------------------- */

static void no_entries(struct mmu_gather *tlb)
{
	tlb->first = VPN_LIMIT;
	tlb->last = 0;
	tlb->nr = 0;
}

void tlb_gather_mmu(struct mmu_gather *tlb, struct machine *machine, struct mm *mm)
{
	tlb->machine = machine;
	tlb->mm = mm;
	no_entries(tlb);
}

void tlb_remove_tlb_entry(struct mmu_gather *tlb, uint32_t vpn)
{
	if (MUTANT_IF(tlb->machine, TLB_06,
		      tlb->first < tlb->last &&
			      find_vma(tlb->mm, tlb->first) != find_vma(tlb->mm, vpn)))
		return;
	if (vpn < tlb->first)
		tlb->first = vpn;
	if (vpn >= tlb->last)
		tlb->last = vpn + 1;
}

/* free_page_and_swap_cache: a slot that nobody else uses goes with the last mapping. */
static void let_go(struct machine *machine, struct page *page)
{
	if ((page->flags & (PG_SWAPCACHE | PG_LOCKED)) == PG_SWAPCACHE)
		remove_exclusive_swap_page(machine, page, 1);
	page_put(machine, page);
}

void tlb_finish_mmu(struct mmu_gather *tlb)
{
	if (tlb->first < tlb->last)
		flush_tlb_range(tlb->machine, tlb->mm, tlb->first, tlb->last);
	for (uint32_t i = 0; i < tlb->nr; i++)
		let_go(tlb->machine, tlb->page[i]);
	no_entries(tlb);
}

void tlb_remove_page(struct mmu_gather *tlb, struct page *page)
{
	if (MUTANT_IF(tlb->machine, TLB_01, page->tlb_users)) {
		let_go(tlb->machine, page);
		return;
	}
	tlb->page[tlb->nr++] = page;
	if (tlb->nr == FREE_PTE_NR)
		tlb_finish_mmu(tlb);
}

/* ---- checks ------------------------------------------------------------------------------- */

void tlb_suspect(struct machine *machine, const struct mm *mm, uint32_t vpn)
{
	FOR_EACH_BIT(i, mm->cpu_vm_mask)
	{
		struct cpu *cpu = &machine->cpus.cpu[i];

		if (!remembers(cpu, vpn))
			continue;
		cpu->suspect |= 1ull << slot_of(vpn);
		machine->cpus.suspects = true;
	}
}

/* CACHED must not be used any more, where the page table has ENTRY. Accessed does not count: 2.6.6
 * clears it without a flush. */
static bool is_stale(pte_t cached, pte_t entry)
{
	const pte_t allowed = PTE_P | PTE_US | PTE_RW | PTE_D;

	return pte_pfn(cached) != pte_pfn(entry) || (cached & allowed & ~entry);
}

static pte_t entry_now(const struct mm *mm, uint32_t vpn)
{
	struct ptep pte = pte_lookup(mm, vpn);

	return pte.table ? ptep_peek(pte) : 0;
}

static void blame(struct machine *machine, enum tlb_fault_kind kind, uint32_t i, uint32_t slot)
{
	const struct cpu *cpu = &machine->cpus.cpu[i];
	const struct tlb_entry *tlb = &cpu->tlb[slot];

	if (machine->cpus.fault.kind)
		return;
	machine->cpus.fault = (struct tlb_fault){
		.kind = kind,
		.cpu = i,
		.mm = cpu->mm->id,
		.vpn = tlb->vpn,
		.pfn = pte_pfn(tlb->entry),
		.cached = tlb->entry,
		.entry = entry_now(cpu->mm, tlb->vpn),
	};
}

void tlb_judge(struct machine *machine)
{
	for (uint32_t i = 0; i < machine->config.cpus; i++) {
		struct cpu *cpu = &machine->cpus.cpu[i];

		FOR_EACH_BIT(slot, cpu->suspect)
		{
			const struct tlb_entry *tlb = &cpu->tlb[slot];

			if (is_stale(tlb->entry, entry_now(cpu->mm, tlb->vpn)))
				blame(machine, TLB_STALE, i, (uint32_t)slot);
		}
		cpu->suspect = 0;
	}
	machine->cpus.suspects = false;
}

void tlb_freed(struct machine *machine, const struct page *page)
{
	for (uint32_t i = 0; i < machine->config.cpus; i++) {
		const struct cpu *cpu = &machine->cpus.cpu[i];

		FOR_EACH_BIT(slot, cpu->live)
		{
			if (cpu->tlb[slot].page == page)
				blame(machine, TLB_FREED, i, (uint32_t)slot);
		}
	}
}

const struct tlb_fault *machine_tlb_fault(const struct machine *machine)
{
	return machine->cpus.fault.kind ? &machine->cpus.fault : NULL;
}

int tlb_fault_print(const struct tlb_fault *fault, char *buf, size_t size)
{
	const char *what = fault->kind == TLB_FREED ? "is freed and" : "is";

	return snprintf(
		buf, size,
		"frame 0x%x %s what cpu %u takes page 0x%x of mm %u for (0x%llx), its entry "
		"is 0x%llx: a flush is missing",
		fault->pfn, what, fault->cpu, fault->vpn, fault->mm,
		(unsigned long long)fault->cached, (unsigned long long)fault->entry);
}

/* What CPU I remembers is true, and it is known to remember it. */
static const char *verify_cpu(const struct machine *machine, uint32_t i, char *buf, size_t size)
{
	const struct cpu *cpu = &machine->cpus.cpu[i];
	const struct mm *mm;

	TAILQ_FOREACH (mm, &machine->mms, link) {
		if ((mm->cpu_vm_mask >> i & 1) != (mm == cpu->mm)) {
			snprintf(buf, size, "mm %u: cpu_vm_mask is wrong about cpu %u", mm->id, i);
			return buf;
		}
	}
	FOR_EACH_BIT(slot, cpu->live)
	{
		const struct tlb_entry *tlb = &cpu->tlb[slot];

		if (is_stale(tlb->entry, entry_now(cpu->mm, tlb->vpn))) {
			snprintf(buf, size, "mm %u: cpu %u has a stale entry of page 0x%x",
				 cpu->mm->id, i, tlb->vpn);
			return buf;
		}
	}
	return NULL;
}

/* Pages count the entries that name them: the sum of the counts is the number of entries. */
static uint64_t entries(const struct machine *machine)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < machine->config.cpus; i++)
		n += (uint32_t)__builtin_popcountll(machine->cpus.cpu[i].live);
	return n;
}

const char *tlb_verify(const struct machine *machine, uint64_t users, char *buf, size_t size)
{
	const char *broken = NULL;

	if (machine->cpus.fault.kind) {
		tlb_fault_print(&machine->cpus.fault, buf, size);
		return buf;
	}
	for (uint32_t i = 0; i < machine->config.cpus && !broken; i++)
		broken = verify_cpu(machine, i, buf, size);
	if (!broken && entries(machine) != users) {
		snprintf(buf, size, "%llu TLB entries name pages, and these know of %llu",
			 (unsigned long long)entries(machine), (unsigned long long)users);
		broken = buf;
	}
	return broken;
}
