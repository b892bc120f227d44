#!/bin/sh
# docs.sh TOOL: every command that a document shows works, and every file it links to exists.
#
# Each ```sh block of each document runs under `sh -e`, in a directory that looks like the
# repository (links to its top level, with TOOL as build/release/rmapfuzz), so that what a block
# writes lands in a place that is thrown away. Blocks that take longer than a test may, or whose end
# is a prompt, are marked ```console and are not run here: of each of their lines that begins with a
# "$", the command and its options must exist.
# shellcheck source=tests/shell.inc
. tests/shell.inc

root=$(pwd)

look=$scratch/repository
mkdir -p "$look/build/release" "$scratch/blocks"
for entry in "$root"/* "$root"/.c* "$root"/.e*; do
	case ${entry##*/} in
	build) ;;
	*) [ ! -e "$entry" ] || ln -s "$entry" "$look/${entry##*/}" ;;
	esac
done
ln -s "$tool" "$look/build/release/rmapfuzz"

# shown LINE: what is wrong with a command that is shown and not run; nothing if it could run
shown() {
	# shellcheck disable=SC2086 # words of a command line
	set -- $1
	case $1 in
	./dev) help=$(./dev help | grep "^  $2 ") || echo "./dev has no $2" ;;
	rmapfuzz | */rmapfuzz) help=$("$tool" "$2" --help) || echo "rmapfuzz has no $2" ;;
	sh) [ -e "$2" ] || echo "there is no $2" && return ;;
	*) return ;;
	esac
	case $help in
	*"option of "*) # of a command of the tool's
		# shellcheck disable=SC2046 # its words
		help="$help $("$tool" $(echo "$help" | sed 's/.*option of \([a-z ]*\).*/\1/') --help)"
		;;
	esac
	shift 2
	for word in "$@"; do
		case $word in
		'#') return ;;
		--*) case $help in *"${word%%=*}"*) ;; *) echo "there is no $word" ;; esac ;;
		esac
	done
}

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

	awk '
		/^```console *$/ { console = 1; next }
		/^```/ { console = 0 }
		console && /^\$ / { print substr($0, 3) }' "$document" >"$scratch/shown"
	while read -r line; do
		wrong=$(shown "$line")
		[ -z "$wrong" ] || {
			failed=$((failed + 1))
			echo "$document: \"$line\": $wrong"
		}
	done <"$scratch/shown"

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
