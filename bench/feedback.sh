#!/bin/sh
# feedback.sh FUZZ_LOCKSTEP [RUNS [SEEDS]]: what state feedback and the structure-aware mutator are worth.
#
# bench/planted/*.sed each plant one fault in docs/plugin/minimal_rmap.c. For each, libFuzzer runs
# FUZZ_LOCKSTEP with the reference and that design, from no seeds, until it finds it or has done RUNS
# executions (default 20000), for SEEDS seeds (default 5), four ways. Printed: median executions to
# the finding, and how often it was found.
set -eu

fuzzer=$1
runs=${2:-20000}
seeds=${3:-5}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM

# Executions until DESIGN.so shows its fault with FEEDBACK, MUTATOR and SEED; RUNS + 1: not found.
executions() {
	mkdir "$scratch/corpus"
	if RMAP_BACKENDS="scan $scratch/$1.so" RMAP_FEEDBACK=$2 RMAP_MUTATOR=$3 \
		timeout -k 30 1h "$fuzzer" -seed="$4" -runs="$runs" -max_len=1024 \
		-print_final_stats=1 -artifact_prefix="$scratch/" "$scratch/corpus" \
		>"$scratch/log" 2>&1; then
		echo $((runs + 1))
	else
		sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/log"
	fi
	rm -rf "$scratch/corpus"
}

# Of numbers on standard input: "median (found of all)"
summary() {
	sort -n | awk -v runs="$runs" '
		{ n[NR] = $1; found += $1 <= runs }
		END {
			middle = n[int((NR + 1) / 2)]
			if (middle > runs)
				middle = ">" runs
			printf "%9s (%d/%d)", middle, found, NR
		}'
}

printf '%-16s %16s %16s %16s %16s\n' "planted fault" "both" "no feedback" "no mutator" "neither"
for fault in "$(dirname "$0")"/planted/*.sed; do
	name=$(basename "$fault" .sed)
	sed -f "$fault" docs/plugin/minimal_rmap.c >"$scratch/$name.c"
	! cmp -s docs/plugin/minimal_rmap.c "$scratch/$name.c" || {
		echo "$fault plants nothing" >&2
		exit 1
	}
	${CC:-cc} -std=gnu11 -shared -fPIC -Icore/include "$scratch/$name.c" -o "$scratch/$name.so"
	printf '%-16s' "$name"
	for setting in "1 1" "0 1" "1 0" "0 0"; do
		seed=1
		: >"$scratch/numbers"
		while [ "$seed" -le "$seeds" ]; do
			# shellcheck disable=SC2086 # two words
			executions "$name" $setting "$seed" >>"$scratch/numbers"
			seed=$((seed + 1))
		done
		printf ' %s' "$(summary <"$scratch/numbers")"
	done
	printf '\n'
done
