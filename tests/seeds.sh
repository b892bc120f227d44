#!/bin/sh
# seeds.sh TOOL: every seed says what it is for, has an expectation that shows it, passes, keeps its
# meaning as bytes and as text, and would fail if what it expects were something else.
set -eu

tool=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM

fail() {
	echo "seeds: $*" >&2
	exit 1
}

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
