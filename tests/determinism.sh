#!/bin/sh
# determinism.sh TOOL: the same trace gives the same event hash whoever compiled the tool, at
# whatever optimisation, with and without sanitizers, twice in one process and in a fresh one.
#
# Builds three tools beside TOOL, which is gcc's at -O2, and a fourth with sanitizers if there is none
# in the build directory next to it (all are kept between runs), and compares what `replay --hash`
# says of every trace in corpus/, and `run --hash` of generated ones.
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
# A build with sanitizers that is there already is brought up to date.
sanitizers=$(dirname "$tool")/../asan
if [ -e "$sanitizers/build.ninja" ]; then
	ninja -C "$sanitizers" rmapfuzz >"$work/sanitizers.log" 2>&1 || fail "cannot build $sanitizers"
else
	sanitizers=$work/sanitizers
	build sanitizers clang -O1 -DSANITIZE=ON
fi
builds="gcc-O0 clang-O0 clang-O2 sanitizers"

# Every trace twice in one process: file names sorted, the whole list two times over.
find corpus -name '*.trace' | LC_ALL=C sort >"$work/traces"
[ -s "$work/traces" ] || fail "no traces in corpus/"

# hashes NAME: into NAME.replay and NAME.run
hashes() {
	case $1 in
	given) binary=$tool ;;
	sanitizers) binary=$sanitizers/rmapfuzz ;;
	*) binary=$work/$1/rmapfuzz ;;
	esac
	# shellcheck disable=SC2046 # names of ours, without blanks
	"$binary" replay --hash $(cat "$work/traces" "$work/traces") >"$work/$1.replay" ||
		fail "$1: replay --hash failed"
	{
		"$binary" run --seed 20040319 --traces 300 --ops 64 --hash &&
			"$binary" run --seed 7 --traces 300 --ops 64 --hash --faults --actors --machine all
	} >"$work/$1.run" || fail "$1: run --hash failed"
	[ -s "$work/$1.run" ] || fail "$1: run --hash printed nothing"
}

pids=
for name in given $builds; do
	hashes "$name" &
	pids="$pids $!"
done
for pid in $pids; do
	wait "$pid" || fail "no hashes to compare"
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

echo "determinism: $n traces and 300 generated ones, 5 builds: the same hashes"
