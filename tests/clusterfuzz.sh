#!/bin/sh
# clusterfuzz.sh TOOL: .clusterfuzzlite/build.sh under the environment that the services document,
# and the checks that they make of what it built: names, entry point, instrumentation, a few runs,
# nothing written where nothing may be, no library that the run-time image lacks.
# shellcheck source=tests/shell.inc
. tests/shell.inc

# build SANITIZER FLAGS
build() {
	rm -rf "$scratch/out" "$scratch/work"
	mkdir -p "$scratch/out" "$scratch/work"
	flags="-O1 -fno-omit-frame-pointer -gline-tables-only $2 -fsanitize=fuzzer-no-link"
	env SRC="$(pwd)/.." OUT="$scratch/out" WORK="$scratch/work" SANITIZER="$1" \
		FUZZING_ENGINE=libfuzzer ARCHITECTURE=x86_64 CC=clang CXX=clang++ CFLAGS="$flags" \
		CXXFLAGS="$flags" LIB_FUZZING_ENGINE=-fsanitize=fuzzer \
		sh .clusterfuzzlite/build.sh >"$scratch/log" 2>&1 || {
		tail -n 40 "$scratch/log"
		fail "build.sh fails with $1"
	}
}

# calls FILE PATTERN: how many calls of it there are
calls() { objdump -d --no-show-raw-insn "$1" | grep -c "call.*<$2" || :; }

# A few runs from somewhere else, with the seed that the services use.
runs() {
	target=$1
	rm -rf "$scratch/seeds" "$scratch/elsewhere"
	mkdir -p "$scratch/seeds" "$scratch/elsewhere"
	unzip -q "$scratch/out/${target}_seed_corpus.zip" -d "$scratch/seeds"
	[ -n "$(ls "$scratch/seeds")" ] || fail "$target has no seeds"
	(cd "$scratch/elsewhere" && env -i "$scratch/out/$target" -seed=1337 -runs=4 \
		"$scratch/seeds" </dev/null) >"$scratch/log" 2>&1 || {
		tail -n 40 "$scratch/log"
		fail "$target fails"
	}
	[ -z "$(ls -A "$scratch/elsewhere")" ] || fail "$target writes where it runs"
	edges=$(sed -n 's/^INFO: Loaded .*(\([0-9]*\) inline 8-bit counters.*/\1/p' "$scratch/log")
	[ "${edges:-0}" -ge 100 ] || fail "$target has ${edges:-no} edges"
}

check_target() {
	file=$scratch/out/$1
	[ -x "$file" ] || fail "$1 was not built"
	case $1 in *[!a-zA-Z0-9_-]*) fail "$1: a name with other characters" ;; esac
	grep -q LLVMFuzzerTestOneInput "$file" || fail "$1 has no entry point"
	[ -s "$scratch/out/$1.options" ] || fail "$1 has no options"
	if ldd "$file" | grep -E 'jansson|bsd|xml' >&2; then
		fail "$1 needs a library that will not be there"
	fi
	dict=$(sed -n 's/^dict = //p' "$scratch/out/$1.options")
	[ -z "$dict" ] || [ -s "$scratch/out/$dict" ] || fail "$1 has no $dict"
}

# check CALLED LEAST: of each target
check() {
	for source in fuzz/fuzz_*.c; do
		target=$(basename "$source" .c)
		check_target "$target"
		n=$(calls "$scratch/out/$target" "$1")
		[ "$n" -ge "$2" ] || fail "$target has $n calls of $1, less than $2"
		runs "$target"
	done
}

build address "-fsanitize=address -fsanitize-address-use-after-scope"
check __asan 1000
build undefined "-fsanitize=undefined -fno-sanitize-recover=undefined"
check __ubsan 168

echo "clusterfuzz: passed"
