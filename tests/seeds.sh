#!/bin/sh
# seeds.sh TOOL: every seed says what it is for, has an expectation that shows it, passes, keeps its
# meaning as bytes and as text, and would fail if what it expects were something else.
# shellcheck source=tests/shell.inc
. tests/shell.inc

# The ops of a trace, without comments, expectations and blank lines.
plain() { "$tool" show --to text "$1" | sed '/^#/d; /^$/d; s/ *=>* [^=]*$//'; }

n=0
for seed in corpus/seed/*.trace; do
	name=$(basename "$seed" .trace)
	n=$((n + 1))
	sed -n '2,3p' "$seed" | grep '^# ' | grep -qv '^# expect' || fail "$name: it does not say what it is for"
	grep -q '^# expect: \|^[^#].* = ' "$seed" || fail "$name expects nothing"
	"$tool" show --to bytes "$seed" >"$scratch/bytes"
	"$tool" show --to text "$scratch/bytes" >"$scratch/back"
	"$tool" show --to bytes "$scratch/back" | cmp - "$scratch/bytes" ||
		fail "$name: bytes and text differ"
	"$tool" replay --quiet "$seed" >"$scratch/log" 2>&1 || fail "$name: $(cat "$scratch/log")"
done
[ "$n" -ge 60 ] || fail "only $n seeds"

# What targets start from: one file for each, none that triggers a mutant, in the target's form.
traces=$(find corpus -name mutants -prune -o -name '*.trace' -print | wc -l)
recordings=$(find corpus -name '*.strace' | wc -l)
for target in fuzz/fuzz_*.c; do
	target=$(basename "$target" .c)
	"$tool" seeds "$target" -o "$scratch/$target" || fail "no seeds for $target"
	wanted=$traces
	[ "$target" != fuzz_import ] || wanted=$recordings
	[ "$(find "$scratch/$target" -type f | wc -l)" = "$wanted" ] || fail "$target lacks seeds"
done
some="seed-cow_after_fork.trace"
"$tool" show --to bytes corpus/seed/cow_after_fork.trace >"$scratch/bytes"
cmp "$scratch/bytes" "$scratch/fuzz_lockstep/corpus-$some" || fail "fuzz_lockstep: other bytes"
tail -c +2 "$scratch/fuzz_single/corpus-$some" | cmp - "$scratch/bytes" ||
	fail "fuzz_single: other bytes"
cmp corpus/seed/cow_after_fork.trace "$scratch/fuzz_trace_text/corpus-$some" ||
	fail "fuzz_trace_text: another text"
for wrong in 'fuzz_lockstep' 'no_target -o x' "fuzz_import -o $scratch/none corpus/seed"; do
	status=0
	# shellcheck disable=SC2086 # words
	"$tool" seeds $wrong 2>"$scratch/log" || status=$?
	[ "$status" = 2 ] || fail "seeds $wrong: status $status"
done

# An expectation that is wrong is seen: every entry that is said to be there is said not to be.
changed=0
for seed in corpus/seed/*.trace; do
	sed 's/^\(# expect: p[0-9]* [^ ]* \)[rw][rw-].*/\1..../' "$seed" >"$scratch/other.trace"
	! cmp -s "$seed" "$scratch/other.trace" || continue
	changed=$((changed + 1))
	! "$tool" replay --quiet "$scratch/other.trace" >/dev/null 2>&1 ||
		fail "$(basename "$seed"): its expectations do not matter"
done
[ "$changed" -ge 20 ] || fail "only $changed seeds expect entries"

echo "seeds: passed, $n seeds"
