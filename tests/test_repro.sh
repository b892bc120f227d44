#!/bin/sh
# test_repro.sh TOOL: bundles are complete, their programs compile without a warning, and where a
# real kernel promises the same as the simulated one, they do the same on this one.
# shellcheck source=tests/shell.inc
. tests/shell.inc

# bundle TRACE OPTION...: into $scratch/bundle
bundle() {
	rm -rf "$scratch/bundle"
	"$tool" repro "$@" -o "$scratch/bundle" 2>"$scratch/err" ||
		fail "$*: $(cat "$scratch/err")"
	${CC:-cc} -Wall -Wextra -Werror -o "$scratch/program" "$scratch/bundle/repro.c" ||
		fail "$*: the program does not compile"
}

# What Linux does today is what it did then.
for name in cow_after_fork exec_drops_everything brk_heap file_shared file_private_cow \
	file_beyond_end madvise_dontneed mprotect_round_trip mremap_moves_shared_page munmap_middle \
	shared_anonymous truncate_mapped region_names zero_page; do
	bundle "corpus/seed/$name.trace"
	grep -q '^verdict   clean$' "$scratch/bundle/README" || fail "$name: not clean"
	[ ! -e "$scratch/bundle/explain.txt" ] || fail "$name: a story of nothing"
	timeout 60 "$scratch/program" >"$scratch/out" 2>&1 || {
		cat "$scratch/out"
		fail "$name: this kernel does something else"
	}
	grep -q ' 0 differences$' "$scratch/out" || fail "$name: no summary"
done

# Any trace makes a program that compiles.
for trace in corpus/seed/*.trace; do
	"$tool" repro "$trace" -o "$scratch/bundle" || fail "$trace: no bundle"
	${CC:-cc} -Wall -Wextra -Werror -fsyntax-only "$scratch/bundle/repro.c" ||
		fail "$trace: the program does not compile"
done

# A program can tell a difference: here, a token that nobody wrote.
bundle corpus/seed/cow_after_fork.trace
sed 's/write_page(\(.*\), 0x4[0-9a-f]*)/write_page(\1, 0x1234)/' "$scratch/bundle/repro.c" \
	>"$scratch/other.c"
${CC:-cc} -o "$scratch/other" "$scratch/other.c"
status=0
timeout 60 "$scratch/other" >"$scratch/out" 2>&1 || status=$?
[ "$status" = 1 ] || fail "wrong contents have status $status"
grep -q '^!= ' "$scratch/out" || fail "wrong contents are not shown"

# A finding, from a design that forgets what mremap moves: shortened, told, and seen again.
sed 's/(\*link)->pte = pte_addr_of(to);/(void)to;/' docs/plugin/minimal_rmap.c >"$scratch/bad.c"
${CC:-cc} -std=gnu11 -shared -fPIC -Icore/include "$scratch/bad.c" -o "$scratch/bad.so"
"$tool" run --quiet --backends scan --backend "$scratch/bad.so" -o "$scratch/found.trace" >/dev/null 2>&1 || :
bundle --backends scan --backend "$scratch/bad.so" "$scratch/found.trace"
for file in README repro.trace repro.bin explain.txt repro.c; do
	[ -s "$scratch/bundle/$file" ] || fail "no $file"
done
grep -q 'minimal_rmap went wrong at operation' "$scratch/bundle/explain.txt" || fail "no story"
"$tool" replay --quiet --backends scan --backend "$scratch/bad.so" "$scratch/bundle/repro.trace" >/dev/null ||
	fail "the trace does not show what its bundle says"
"$tool" show --to text "$scratch/bundle/repro.bin" >"$scratch/text"
sed '/^#/d' "$scratch/bundle/repro.trace" | cmp -s - "$scratch/text" || fail "bytes and text differ"

# ---- triage -------------------------------------------------------------------------------------

mkdir "$scratch/artifacts"
for seed in 1 2 3 4 5 6; do
	"$tool" run --quiet --backends scan --backend "$scratch/bad.so" --seed $seed \
		-o "$scratch/artifacts/a$seed.trace" >/dev/null 2>&1 || :
	"$tool" show --to bytes "$scratch/artifacts/a$seed.trace" -o "$scratch/artifacts/crash-$seed"
done
cp corpus/seed/zero_page.trace "$scratch/artifacts/clean"
printf 'rmapfuzz trace 99\n' >"$scratch/artifacts/future.trace"

# triage STATUS OPTION...
triage() {
	expected=$1
	shift
	status=0
	"$tool" triage "$scratch/artifacts" -o "$scratch/sorted" "$@" >"$scratch/out" \
		2>"$scratch/err" || status=$?
	[ "$status" = "$expected" ] || fail "triage: status $status: $(cat "$scratch/out" "$scratch/err")"
}
triage 1 --backends scan --backend "$scratch/bad.so"
grep -q '^14 inputs: .* 1 clean, 1 unreadable; 0 earlier' "$scratch/out" ||
	fail "triage: $(tail -n 1 "$scratch/out")"
for trace in "$scratch"/sorted/*.trace; do
	signature=$(sed -n 's/^# signature: //p' "$trace")
	"$tool" replay --quiet --backends scan --backend "$scratch/bad.so" --expect "$signature" "$trace" >/dev/null ||
		fail "triage: $trace does not show $signature"
	[ -s "${trace%.trace}.txt" ] || fail "triage: $trace has no story"
done
# Again: known by now, and left as they are. Repaired: gone.
cp "$trace" "$scratch/before"
triage 1 --backends scan --backend "$scratch/bad.so"
grep -q '(known)$' "$scratch/out" || fail "triage does not know its own"
cmp -s "$trace" "$scratch/before" || fail "triage rewrites what is known"
triage 0
grep -q '^gone: ' "$scratch/err" || fail "triage does not say what is gone"

# An input that kills the process is sorted, minimized and told like the others.
sed 's/^\tif (link)$/\tif (page->mapcount == 3)\n\t\t__builtin_trap();\n\tif (link)/' \
	docs/plugin/minimal_rmap.c >"$scratch/trap.c"
${CC:-cc} -std=gnu11 -shared -fPIC -Icore/include "$scratch/trap.c" -o "$scratch/trap.so"
rm -rf "$scratch/artifacts" "$scratch/sorted"
mkdir "$scratch/artifacts"
cat >"$scratch/artifacts/a" <<'TRACE'
rmapfuzz trace 1
machine tiny
mmap p0 w0 8 rw anon|fixed
write p0 w3
write p0 w2
p1 = fork p0
read p1 w1
p2 = fork p1
write p2 w2
munmap p2 w0 8
exit p1
TRACE
triage 1 --backends scan --backend "$scratch/trap.so"
grep -q 'crash:[a-z]*:SIG' "$scratch/out" || fail "a crash is not sorted: $(cat "$scratch/out")"
crash=$(echo "$scratch"/sorted/crash-*.trace)
[ "$(grep -cv '^#' "$crash")" -le 8 ] || fail "a crash is not minimized: $(cat "$crash")"
grep -q '^finding: crash:' "${crash%.trace}.txt" || fail "a crash has no story"

echo "test_repro: passed"
