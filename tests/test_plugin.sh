#!/bin/sh
# test_plugin.sh TOOL: a backend outside the tree runs under all oracles, a broken one is found,
# and what cannot be loaded is refused with one line and status 2.
# shellcheck source=tests/shell.inc
. tests/shell.inc

source=docs/plugin/minimal_rmap.c

# compile SOURCE OBJECT OPTION...
compile() {
	from=$1
	to=$2
	shift 2
	${CC:-cc} -std=gnu11 -Wall -Wextra -Wno-unused-parameter -shared -fPIC -Icore/include "$@" \
		"$from" -o "$to"
}

# refused OBJECT PATTERN
refused() {
	status=0
	"$tool" run --backend "$1" --traces 1 >"$scratch/out" 2>&1 || status=$?
	[ "$status" = 2 ] || fail "$1: status $status instead of 2"
	grep -q "$2" "$scratch/out" || fail "$1: no \"$2\" in: $(cat "$scratch/out")"
}

# In lockstep with everybody, and alone with the reference; with failures, too.
compile $source "$scratch/good.so" -Werror
"$tool" run --quiet --backend "$scratch/good.so" --traces 400
"$tool" run --quiet --backends scan --backend "$scratch/good.so" --traces 400 --faults \
	--machine all
"$tool" replay --quiet --backend "$scratch/good.so" corpus/seed >/dev/null

# One line less: each of these bugs has a name that the oracle gives it.
# broken SED-COMMAND PATTERN
broken() {
	sed "$1" $source >"$scratch/broken.c"
	cmp -s $source "$scratch/broken.c" && fail "the line to break is not there: $1"
	compile "$scratch/broken.c" "$scratch/broken.so"
	status=0
	"$tool" run --backend "$scratch/broken.so" --traces 2000 --out "$scratch/found.trace" \
		>"$scratch/out" 2>&1 || status=$?
	[ "$status" = 1 ] || fail "$1: status $status instead of 1"
	grep -q "^finding: $2" "$scratch/out" || fail "$1: no \"$2\" in: $(head -5 "$scratch/out")"
	# What it saved shows the same again.
	signature=$(sed -n 's/^finding: //p' "$scratch/out" | head -1)
	"$tool" replay --quiet --backend "$scratch/broken.so" --expect "$signature" \
		"$scratch/found.trace" >/dev/null || fail "$1: not found again"
}
broken '/^\tpage->rmap.ptr = node;/d' '[a-z]*:[a-z]*:minimal_rmap:'
broken 's/^\tkmem_cache_free(machine, nodes(machine), gone);//' '[a-z]*:end:minimal_rmap:'
broken 's/(\*link)->pte = pte_addr_of(to);/(void)to;/' '[a-z]*:[a-z]*:minimal_rmap:'

# What is not a backend.
refused "$scratch/absent.so" 'absent.so'
echo 'int nothing;' >"$scratch/empty.c"
compile "$scratch/empty.c" "$scratch/empty.so"
refused "$scratch/empty.so" 'has no RMAP_PLUGIN'
sed 's/#define RMAP_PLUGIN_VERSION .*/#define RMAP_PLUGIN_VERSION 99999/' \
	core/include/rmap_plugin.h >"$scratch/rmap_plugin.h"
compile $source "$scratch/other.so" "-I$scratch" -include "$scratch/rmap_plugin.h"
refused "$scratch/other.so" 'version 99999'
sed 's/\.walk = walk,//' $source >"$scratch/lame.c"
compile "$scratch/lame.c" "$scratch/lame.so" -Wno-unused-function
refused "$scratch/lame.so" 'has no walk()'
sed 's/\.name = "minimal_rmap"/.name = "scan"/' $source >"$scratch/twin.c"
compile "$scratch/twin.c" "$scratch/twin.so"
refused "$scratch/twin.so" 'there is a backend "scan" already'

echo "test_plugin: passed"
