#!/bin/sh
# In a normal build there is nothing of the mutants (core/include/mutants.h).
#
# Each source file that has some is compiled twice: as it is, and with every use of a mutant's macro
# replaced by 0 or by nothing, in a copy of the tree whose mutants.h is empty. The objects must be
# equal byte for byte: those of gcc, optimised, and of clang, not.
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM

# A use ends with the parenthesis that closes it, perhaps lines below; lines are kept, because
# assertions name them.
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
rm "$scratch/tree/core/mutants.c" "$scratch/tree/core/include/mutants.def"
printf '#include <stdbool.h>\n#include <stdint.h>\nstruct mutant_state;\n' \
	>"$scratch/tree/core/include/mutants.h"
grep -rl --include='*.[ch]' MUTANT_ core diff | grep -v 'core/\(mutants.c\|include/mutants.h\)$' |
	LC_ALL=C sort >"$scratch/files"
while read -r file; do
	awk "$strip" "$file" >"$scratch/tree/$file"
done <"$scratch/files"
! grep -rn MUTANT_ "$scratch/tree" || {
	echo "a use of a mutant was not stripped" >&2
	exit 1
}

# compile DIRECTORY OBJECT COMPILER OPTION: the file's path is what the compiler is told
compile() {
	(cd "$1" && $3 -std=c11 -D_GNU_SOURCE -fno-strict-aliasing "$4" -Icore/include -Icore \
		-Icore/rmap -Idiff/include -Idiff -c "$file" -o "$2")
}

n=0
while read -r file; do
	case $file in *.h) continue ;; esac
	for with in "gcc -O2" "clang -O0"; do
		compiler=${with% *}
		command -v "$compiler" >/dev/null || continue
		compile . "$scratch/with.o" "$compiler" "${with#* }"
		compile "$scratch/tree" "$scratch/without.o" "$compiler" "${with#* }"
		cmp "$scratch/with.o" "$scratch/without.o" || {
			echo "$file: mutants change what $with makes of it" >&2
			exit 1
		}
		n=$((n + 1))
	done
done <"$scratch/files"
[ "$n" -gt 0 ]

# The table is the tool's, for `mutants list`: no library of the machine has it.
for library in "$(dirname "$1")"/libcore.a "$(dirname "$1")"/libdiff.a; do
	[ -e "$library" ] || continue
	! strings -a "$library" | grep -E '^(VMA|MRE|FORK|COW|SEED)-[0-9]+$|^mutant_' || {
		echo "$library has something of the mutants" >&2
		exit 1
	}
done
echo "$n objects are the same with mutants and without"
