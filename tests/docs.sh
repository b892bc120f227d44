#!/bin/sh
# docs.sh TOOL: every command that a document shows works, and every file it links to exists.
#
# Each ```sh block of each document runs under `sh -e`, in a directory that looks like the
# repository (links to its top level, with TOOL as build/release/rmapfuzz), so that what a block
# writes lands in a place that is thrown away. Blocks that take longer than a test may are marked
# ```console and are not run here: ./dev test and .ci/run are what runs this, and
# ./dev test itself uses ./dev fuzz.
set -eu

tool=$(CDPATH='' cd -- "$(dirname -- "$1")" && pwd)/$(basename -- "$1")
root=$(pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM

look=$scratch/repository
mkdir -p "$look/build/release" "$scratch/blocks"
for entry in "$root"/* "$root"/.c* "$root"/.e*; do
	case ${entry##*/} in
	build) ;;
	*) [ ! -e "$entry" ] || ln -s "$entry" "$look/${entry##*/}" ;;
	esac
done
ln -s "$tool" "$look/build/release/rmapfuzz"

documents=$(find . -name '*.md' -not -path './build/*' -not -path './.git/*' | LC_ALL=C sort)
failed=0
blocks=0

for document in $documents; do
	# One file per block, named by the line it starts on.
	rm -f "$scratch"/blocks/*
	awk -v to="$scratch/blocks/" '
		/^```sh *$/ { out = sprintf("%s%05d", to, NR); printf "" >out; next }
		/^```/ { if (out) close(out); out = "" }
		out { print >out }' "$document"
	for block in "$scratch"/blocks/*; do
		[ -e "$block" ] || continue
		blocks=$((blocks + 1))
		(cd "$look" && timeout 120 sh -e "$block") >"$scratch/out" 2>&1 </dev/null || {
			status=$?
			failed=$((failed + 1))
			echo "$document:$(basename "$block" | sed 's/^0*//'): status $status from"
			sed 's/^/    /' "$block"
			echo "  which printed"
			tail -n 20 "$scratch/out" | sed 's/^/    /'
		}
	done

	# [text](relative/path) and [text](relative/path#anchor)
	grep -o '](\([^)#: ]*\)[^): ]*)' "$document" | sed 's/^](//; s/[)#].*//' >"$scratch/links" || :
	while read -r link; do
		[ -e "$(dirname "$document")/$link" ] || {
			failed=$((failed + 1))
			echo "$document: links to $link, which does not exist"
		}
	done <"$scratch/links"
done

echo "docs: $blocks blocks run, $failed failures"
[ "$failed" = 0 ] && [ "$blocks" -gt 0 ]
