#!/bin/sh
# In a normal build there is nothing of the mutants (core/include/mutants.h).
#
# Beside the sources is laid a copy in which every use of a mutant's macro is cut out: 0 stands in its
# place, or nothing. Of each file that has some, what the compiler gets to see (gcc -E) must be the same
# in both, token by token. Where it is not, and for some files in any case, so must be the objects that
# gcc, optimising, and clang, not, make of it.
# shellcheck source=tests/shell.inc
. tests/shell.inc

# A use ends with the parenthesis that closes it, perhaps lines below; lines are kept, because
# assertions name them.
# shellcheck disable=SC2016 # it is awk's
strip='
function cut(text,   name, at, depth, c, out) {
	while (match(text, /MUTANT_(STATE|INHERIT|SET|USE|ON|IF)/)) {
		out = out substr(text, 1, RSTART - 1)
		name = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		if (name == "MUTANT_STATE")
			continue
		if (match(text, /^_AT/)) {
			text = substr(text, 4)
		}
		depth = 0
		out = out (name ~ /INHERIT|SET|USE/ ? "((void)0)" : "0")
		for (at = 1; at <= length(text); at++) {
			c = substr(text, at, 1)
			if (c == "(")
				depth++
			else if (c == "\n")
				out = out c
			else if (c == ")" && --depth == 0)
				break
		}
		text = substr(text, at + 1)
	}
	return out text
}
{ all = all $0 "\n" }
END { printf "%s", cut(all) }'

mkdir "$scratch/tree"
cp -r core diff "$scratch/tree"
rm "$scratch/tree/core/mutants.c"
# Types make no code.
sed '/^#ifdef RMAPFUZZ_MUTANTS/,$d' core/include/mutants.h >"$scratch/tree/core/include/mutants.h"
echo '#endif' >>"$scratch/tree/core/include/mutants.h"
grep -rl --include='*.[ch]' MUTANT_ core diff | grep -v 'core/\(mutants.c\|include/mutants.h\)$' |
	LC_ALL=C sort >"$scratch/files"
while read -r file; do
	awk "$strip" "$file" >"$scratch/tree/$file"
done <"$scratch/files"
! grep -rn 'MUTANT_[A-Z]*(\|MUTANT_STATE' --include='*.[ch]' --exclude=mutants.h "$scratch/tree" || {
	echo "a use of a mutant was not stripped" >&2
	exit 1
}

# In DIRECTORY, so that the file's path is what the compiler is told: compile DIRECTORY COMMAND...
compile() {
	cd "$1" && shift && "$@" -std=c11 -D_GNU_SOURCE -fno-strict-aliasing -Icore/include -Icore \
		-Icore/rmap -Idiff/include -Idiff
}
# The tokens of a file; where one ends does not matter, which line it is on has been put into it.
tokens() {
	(compile "$1" gcc -E -P "$file") | tr -d '[:space:]'
}
same_objects() {
	for with in "gcc -O2" "clang -O0"; do
		command -v "${with% *}" >/dev/null || continue
		# shellcheck disable=SC2086 # two words
		(compile . $with -c "$file" -o "$scratch/with.o")
		# shellcheck disable=SC2086
		(compile "$scratch/tree" $with -c "$file" -o "$scratch/without.o")
		cmp "$scratch/with.o" "$scratch/without.o" || {
			echo "$file: mutants change what $with makes of it" >&2
			exit 1
		}
		objects=$((objects + 1))
	done
}

n=0
objects=0
while read -r file; do
	case $file in *.h) continue ;; esac
	tokens . >"$scratch/with"
	tokens "$scratch/tree" >"$scratch/without"
	n=$((n + 1))
	case $file in
	core/mremap.c | core/rmap/anon_vma_chain.c) same_objects ;;
	*) cmp -s "$scratch/with" "$scratch/without" || same_objects ;;
	esac
done <"$scratch/files"
[ "$n" -gt 10 ]
[ "$objects" -gt 0 ]

# The table is the tool's, for `mutants list`: no library of the machine has it.
for library in "$(dirname "$1")"/libcore.a "$(dirname "$1")"/libdiff.a; do
	[ -e "$library" ] || continue
	! strings -a "$library" | grep -E '^(VMA|MRE|FORK|COW|SEED)-[0-9]+$|^mutant_' || {
		echo "$library has something of the mutants" >&2
		exit 1
	}
done
echo "$n files are the same with mutants and without; $objects objects were compared"
