#!/bin/sh
# build.sh - every fuzz target for ClusterFuzzLite and OSS-Fuzz, into $OUT:
#
#   TARGET  TARGET_seed_corpus.zip  TARGET.options  TARGET.dict (where the input is text)
#
# The service says how to compile in CC, CXX, CFLAGS, CXXFLAGS and LIB_FUZZING_ENGINE, and where
# things are in SRC, OUT and WORK. Everything is linked in, because $OUT is all that is kept.
set -eu

: "${OUT:?}" "${WORK:?}" "${CC:?}" "${CXX:?}" "${LIB_FUZZING_ENGINE:?}"
source=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# The service copies this script beside the checkout and calls it inside.
[ -e "$source/fuzz/CMakeLists.txt" ] || source=$(pwd)
build=$WORK/rmapfuzz

cmake -G Ninja -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=
targets=
for file in "$source"/fuzz/fuzz_*.c; do
	targets="$targets $(basename "$file" .c)"
done
# shellcheck disable=SC2086 # a list of words
ninja -C "$build" rmapfuzz $targets

# What each target starts from, how much it takes at most, what words it knows.
seeds=$WORK/seeds
cd "$source"
for target in $targets; do
	cp "$build/fuzz/$target" "$OUT/"
	rm -rf "$seeds"
	"$build/rmapfuzz" seeds "$target" -o "$seeds"
	rm -f "$OUT/${target}_seed_corpus.zip"
	(cd "$seeds" && find . -type f | LC_ALL=C sort | zip -q -X "$OUT/${target}_seed_corpus.zip" -@)

	printf '[libfuzzer]\ntimeout = 60\n' >"$OUT/$target.options"
	case $target in
	fuzz_import) echo 'max_len = 16384' >>"$OUT/$target.options" ;;
	fuzz_trace_text)
		"$build/rmapfuzz" ops --dict >"$OUT/$target.dict"
		printf 'max_len = 4096\ndict = %s.dict\n' "$target" >>"$OUT/$target.options"
		;;
	*) echo 'max_len = 1024' >>"$OUT/$target.options" ;;
	esac
done
