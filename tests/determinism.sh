#!/bin/sh
# determinism.sh TOOL: the same trace gives the same event hash whoever compiled the tool, at
# whatever optimisation, with and without sanitizers, twice in one process and in a fresh one.
#
# Builds four tools beside TOOL, which is gcc's at -O2 (kept between runs), and compares what
# `replay --hash` says of every trace in corpus/, and `run --hash` of generated ones.
set -eu

tool=$1
root=$(pwd)
work=$(dirname "$tool")/determinism
mkdir -p "$work"

fail() {
	echo "determinism: $*" >&2
	exit 1
}

# build NAME COMPILER FLAGS CMAKE-OPTION...
build() {
	name=$1
	compiler=$2
	flags=$3
	shift 3
	if ! {
		cmake -G Ninja -S "$root" -B "$work/$name" -DCMAKE_C_COMPILER="$compiler" \
			-DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="$flags" "$@" &&
			ninja -C "$work/$name" rmapfuzz
	} >"$work/$name.log" 2>&1; then
		tail -n 40 "$work/$name.log" >&2
		fail "cannot build $name"
	fi
}

build gcc-O0 gcc -O0
build clang-O0 clang -O0
build clang-O2 clang -O2
build clang-sanitizers clang -O1 -DSANITIZE=ON
builds="gcc-O0 clang-O0 clang-O2 clang-sanitizers"

# Every trace twice in one process: file names sorted, the whole list two times over.
find corpus -name '*.trace' | LC_ALL=C sort >"$work/traces"
[ -s "$work/traces" ] || fail "no traces in corpus/"
for name in given $builds; do
	binary=$work/$name/rmapfuzz
	[ "$name" != given ] || binary=$tool
	# shellcheck disable=SC2046 # names of ours, without blanks
	"$binary" replay --hash $(cat "$work/traces" "$work/traces") >"$work/$name.replay" ||
		fail "$name: replay --hash failed"
	{
		"$binary" run --seed 20040319 --traces 300 --ops 64 --hash &&
			"$binary" run --seed 7 --traces 300 --ops 64 --hash --faults --actors --machine all
	} >"$work/$name.run" || fail "$name: run --hash failed"
	[ -s "$work/$name.run" ] || fail "$name: run --hash printed nothing"
done

n=$(wc -l <"$work/traces")
[ "$(wc -l <"$work/given.replay")" = $((2 * n)) ] || fail "replay --hash printed too few lines"
head -n "$n" "$work/given.replay" >"$work/first"
tail -n "$n" "$work/given.replay" >"$work/second"
cmp "$work/first" "$work/second" || fail "a trace gave two hashes in one process"

for name in $builds; do
	cmp "$work/given.replay" "$work/$name.replay" || fail "replay: $name differs from $tool"
	cmp "$work/given.run" "$work/$name.run" || fail "run: $name differs from $tool"
done

# A fresh process for each trace.
while read -r trace; do
	"$tool" replay --hash "$trace"
done <"$work/traces" >"$work/fresh"
cmp "$work/first" "$work/fresh" || fail "a trace gave another hash in a fresh process"

echo "determinism: $n traces and 300 generated ones, 6 builds: the same hashes"
