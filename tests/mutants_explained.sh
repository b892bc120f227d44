#!/bin/sh
# mutants_explained.sh TOOL, which has mutants: each known bug gets a bundle whose story blames
# no design that does not have it, and whose C program compiles.
# shellcheck source=tests/shell.inc
. tests/shell.inc

# blamed STORY: the designs that it says show something when they run alone, one per line
blamed() {
	sed -n 's/^Of the .* run alone, .* something: \(.*\)\.$/\1/p' "$1" | tr -d ' ' | tr , '\n'
}

# check_blame ID STORY: only designs that the table says it breaks, all if it says all
check_blame() {
	broken=$("$tool" mutants show "$1" | sed -n 's/^breaks *//p')
	if grep -q '^None of the ' "$2"; then
		fail "$1: no design shows it alone"
	elif grep -q '^Each of the ' "$2"; then
		[ "$broken" = all ] || fail "$1 breaks $broken, and all are blamed"
		return 0
	fi
	names=$(blamed "$2")
	[ -n "$names" ] || fail "$1: nobody is blamed"
	narrow=$((narrow + 1))
	[ "$broken" != all ] || return 0
	for name in $names; do
		case ,$broken, in
		*,"$name",*) ;;
		*) fail "$1 breaks $broken, and $name is blamed" ;;
		esac
	done
}

n=0
narrow=0
for trace in corpus/mutants/*.trace; do
	id=$(basename "$trace" .trace)
	n=$((n + 1))
	rm -rf "$scratch/bundle"
	"$tool" repro --as-it-is --mutant "$id" "$trace" -o "$scratch/bundle" >/dev/null 2>"$scratch/log" ||
		fail "$id: no bundle: $(cat "$scratch/log")"
	check_blame "$id" "$scratch/bundle/explain.txt"
	cc -std=gnu11 -Wall -Wextra -Werror -fsyntax-only "$scratch/bundle/repro.c" 2>"$scratch/log" ||
		fail "$id: the program does not compile: $(cat "$scratch/log")"
done
[ "$n" -ge 100 ] || fail "only $n mutants"
[ "$narrow" -ge 20 ] || fail "only $narrow stories blame less than everybody"

echo "mutants_explained: passed, $n mutants, $narrow of which are some designs' own"
