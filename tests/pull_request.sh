#!/bin/sh
# pull_request.sh TOOL: a change that breaks a backend by one line turns the job red, and the job's
# output is enough to know which backend, at which operation, on which page, by what trace.
# shellcheck source=tests/shell.inc
. tests/shell.inc

mkdir "$scratch/change"
for entry in CMakeLists.txt core diff repro fuzz tests bench corpus docs dev; do
	cp -R "$entry" "$scratch/change/"
done
cd "$scratch/change"
# The half of a split area that is new is on no list.
sed 's/\.vma_split = anon_vma_copy,//' core/rmap/anon_vma.c >"$scratch/broken.c"
! cmp -s core/rmap/anon_vma.c "$scratch/broken.c" || fail "the line to break is not there"
cp "$scratch/broken.c" core/rmap/anon_vma.c

# What ./dev check does, but for the rest of the build.
cmake -G Ninja -S . -B build/release -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release >/dev/null
ninja -C build/release --quiet rmapfuzz
mkdir -p build/reports
status=0
build/release/rmapfuzz run --seed 1 --traces 20000 --explain --out build/reports/ \
	--junit build/reports/run.xml --sarif build/reports/run.sarif \
	--markdown build/reports/run.md >"$scratch/log" 2>&1 || status=$?
[ "$status" = 1 ] || fail "status $status"

for said in 'anon_vma' 'went wrong at operation' '=>' 'minimized to' 'again '; do
	grep -q -- "$said" "$scratch/log" || fail "the log does not say \"$said\""
done
grep -q 'the reverse maps disagree' build/reports/run.md || fail "the summary says nothing"
grep -q '"ruleId"' build/reports/run.sarif || fail "no alert"

echo "pull_request: passed"
