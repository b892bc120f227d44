#!/bin/sh
# State coverage is complete: the seeds and ten thousand generated traces fill every cell of the
# matrix that can be reached, on every design. What the generator does by itself is nearly all.
# shellcheck source=tests/shell.inc
. tests/shell.inc

# How many reachable cells some design did not see: empty OPTIONS...
empty() {
	"$tool" run --quiet --coverage --traces 10000 --ops 64 --seed 1 "$@" 2>/dev/null |
		sed -n 's/.* filled on all of them, \([0-9]*\) not, .*/\1/p'
}

for corpus in "--corpus corpus/seed" ""; do
	# shellcheck disable=SC2086 # an option and its argument
	n=$(empty $corpus)
	most=0
	[ -n "$corpus" ] || most=60
	[ "${n:-99999}" -le "$most" ] ||
		fail "traces${corpus:+ and $corpus}: ${n:-all} reachable cells are empty, at most $most may be"
done
