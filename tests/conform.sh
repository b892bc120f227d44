#!/bin/sh
# The machine against recordings of real kernels: it agrees with them, it is seen to disagree when
# it should, and what is no recording is refused. usage: conform.sh TOOL
# shellcheck source=tests/shell.inc
. tests/shell.inc

log=corpus/real-2.6

# expect STATUS COMMAND...: run it, keep its output
expect() {
	status=$1
	shift
	got=0
	"$@" >"$scratch/out" 2>&1 || got=$?
	[ "$got" = "$status" ] || {
		cat "$scratch/out" >&2
		fail "status $got instead of $status: $*"
	}
}

# Both kernels' own reverse maps, every operation.
expect 0 "$tool" conform "$log/linux-2.6.6.log" "$log/linux-2.6.7.log"
[ "$(grep -c 'agrees on 9000 operations in 6 sequences, 3 of them nonlinear' "$scratch/out")" = 2 ] ||
	fail "not every operation was compared"
grep -q 'excuse lru-pagevec used 30 times' "$scratch/out" || fail "the excuse did not fire"
[ "$(grep -c 'excuse file-entry-0 used \(18\|29\) times' "$scratch/out")" = 2 ] ||
	fail "the excuse for entries that the recorder did not tell apart did not fire"

# Designs that merge areas like the recorded kernel agree as well; others show where.
expect 0 "$tool" conform -q --backend objrmap "$log/linux-2.6.6.log"
expect 0 "$tool" conform -q --backend anon_vma_direct "$log/linux-2.6.7.log"
expect 1 "$tool" conform --backend scan "$log/linux-2.6.7.log"
grep -q 'linux-2.6.7.log:126: p6 mremap: the kernel returned' "$scratch/out" ||
	fail "the difference was not placed"

# A recording that was tampered with: one result, one page state, one map count.
tamper() {
	sed "$1" "$log/linux-2.6.6.log" >"$scratch/linux-2.6.6.log"
	cmp -s "$log/linux-2.6.6.log" "$scratch/linux-2.6.6.log" && fail "nothing changed by $1"
	expect 1 "$tool" conform "$scratch/linux-2.6.6.log"
}
tamper '100,1400s/ munmap \(.*\) = 0 0/ munmap \1 = ffffffff 22/'
tamper '100,1400s/=f\([0-9]*\)w1$/=f\1r1/'
tamper '100,1400s/=f\([0-9]*\)r3$/=f\1r4/'

# What is no recording.
refused() {
	expect 2 "$tool" conform "$1"
	[ "$(wc -l <"$scratch/out")" = 1 ] || fail "more than one line about $1"
}
head -c 4096 "$tool" >"$scratch/binary-2.6.6.log"
refused "$scratch/binary-2.6.6.log"
head -n 200 "$log/linux-2.6.6.log" | cut -c1-12 >"$scratch/cut-2.6.6.log"
refused "$scratch/cut-2.6.6.log"
: >"$scratch/empty-2.6.6.log"
refused "$scratch/empty-2.6.6.log"
refused "$scratch/missing-2.6.6.log"
refused "$scratch"
refused README.md
echo "conform: ok"
