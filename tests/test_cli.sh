#!/bin/sh
# test_cli.sh TOOL: exit status, where output goes, and one clear line for every kind of bad input.
set -eu

tool=$(CDPATH='' cd -- "$(dirname -- "$1")" && pwd)/$(basename -- "$1")
work=$(mktemp -d)
trap 'chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
failed=0
checks=0

fail() {
	failed=$((failed + 1))
	echo "test_cli: $*" >&2
	sed 's/^/    out: /' "$work/out" >&2
	sed 's/^/    err: /' "$work/err" >&2
}

# run STATUS ARGUMENT...: the tool, its output in $work/out and $work/err
run() {
	expected=$1
	shift
	what=$*
	checks=$((checks + 1))
	status=0
	"$tool" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	[ "$status" = "$expected" ] || fail "$what: status $status, expected $expected"
}

says() { # says FILE TEXT
	checks=$((checks + 1))
	grep -qF -- "$2" "$work/$1" || fail "$what: \"$2\" is not in $1"
}

lines() { # lines FILE N
	checks=$((checks + 1))
	[ "$(wc -l <"$work/$1")" = "$2" ] || fail "$what: $1 has not $2 lines"
}

# ---- usage -----------------------------------------------------------------------------------

run 0 --version
says out "rmapfuzz "
run 0 --help
says out "replay"
run 0 run --help
says out "--seed"
run 2
run 2 frobnicate
says err 'there is no command "frobnicate"'
lines err 1
run 2 --frobnicate
run 2 run --frobnicate
run 2 run --ops many
says err '"many"'
run 2 run --ops -1
run 2 run --seed 0xyz
run 2 run --seed 99999999999999999999999
run 2 run --traces 1x
run 2 run --time soon
run 2 run --machine vax
says err "vax"
run 2 run --backends scan,vax
says err 'there is no backend "vax"'
run 2 run --backends scan,scan
says err "twice"
run 2 run --backends ''
run 2 run stray
run 2 replay
run 2 backends stray

# ---- backends ----------------------------------------------------------------------------------

run 0 backends
says out "pte_chain"
run 0 backends --json
says out '"name":"scan"'
lines out 1

# ---- run ---------------------------------------------------------------------------------------

run 0 run --traces 50 --ops 32 --seed 7
lines out 0
[ "$(head -n 1 "$work/err" | cut -c 1-13)" = "rmapfuzz run " ] || fail "the seed is not first"
says err "seed=0x7"
says err "50 traces, 1600 ops"
says err "excuse mremap-narrowed"
says err "nothing found"
run 0 run --traces 20 --quiet --machine random --faults --check-every 1
lines err 0
run 0 run --traces 20 --quiet --machine all --backends scan,anon_vma
run 0 run --traces 3 --quiet --seed 0123456789abcdef0123456789ABCDEF01234567
run 0 run --traces 1000000000 --quiet --time 0.2
run 0 run --traces 20 --hash --quiet
lines out 20
cp "$work/out" "$work/hashes"
run 0 run --traces 20 --hash --quiet
cmp -s "$work/out" "$work/hashes" || fail "the same seed gave other hashes"
run 0 run --traces 20 --hash --quiet --seed 2
! cmp -s "$work/out" "$work/hashes" || fail "another seed gave the same hashes"
run 0 run --traces 20 --json --quiet
lines out 1
says out '"traces":20'
says out '"findings":[]'

# A finding: status 1, the report on stderr, the trace on stdout, and it can be replayed.
run 1 run --traces 5 --canary 3 --quiet
says err "finding: canary:"
says err "=>"
says err "rmapfuzz run --seed 0x1 --traces 1 --ops 64 --canary 3"
says out "rmapfuzz trace 1"
cp "$work/out" "$work/found.trace"
run 0 replay "$work/found.trace"
run 1 run --traces 5 --canary 3 --json --quiet
lines out 1
says out '"signature":"canary:'
run 1 run --traces 5 --canary 3 --keep-going
says err "5 findings"
run 1 run --traces 5 --canary 3 --out "$work/saved.trace" --quiet
lines out 0
[ -s "$work/saved.trace" ] || fail "nothing was saved"
mkdir "$work/directory"
run 1 run --traces 1 --canary 3 --out "$work/directory" --quiet
run 0 replay "$work/directory"
says out "1 passed, 0 failed"
run 3 run --traces 5 --canary 3 --out "$work/no/such/file" --quiet
says err "No such file"
if [ -w /dev/full ]; then
	status=0
	"$tool" backends >/dev/full 2>"$work/err" || status=$?
	[ "$status" = 3 ] || fail "a full disk: status $status"
fi

# ---- replay ---------------------------------------------------------------------------------------

cat >"$work/good.trace" <<'END'
rmapfuzz trace 1
machine tiny
mmap p0 w0 2 rw anon|fixed
write p0 w0
# expect: p0 w0 w-
p1 = fork p0
# expect: mappers p1 w0 2
swapout p1 w0
END
sed 's/mappers p1 w0 2/mappers p1 w0 1/' "$work/good.trace" >"$work/bad.trace"
run 0 replay "$work/good.trace"
says out "passed  $work/good.trace"
says out "1 passed, 0 failed"
run 1 replay "$work/good.trace" "$work/bad.trace"
says out "FAILED  $work/bad.trace: expect:fork:scan:mappers"
says out "1 passed, 1 failed"
says err "line 7"
run 0 replay --expect expect:fork:scan:mappers "$work/bad.trace"
run 1 replay --expect expect:fork:scan:pages "$work/bad.trace"
run 1 replay --expect unmapped:swapout:scan:missed "$work/good.trace"
says out "the expected finding did not appear"
run 0 replay --machine 64g --backends scan,pte_chain --quiet --check-every 1 "$work/good.trace"
lines out 1
run 0 replay --trace --stop-at 1 "$work/good.trace"
[ "$(grep -c ' -> ' "$work/out")" = 1 ] || fail "--stop-at 1 ran more than one operation"
run 0 replay --stop-at 0 "$work/bad.trace"
run 2 replay --stop-at x "$work/bad.trace"
run 0 replay --trace "$work/good.trace"
says out "swapout p1 w0 -> success"
says out "p1 w0 |s-|"
run 0 replay --json "$work/good.trace"
says out '"passed":true'
run 1 replay --json "$work/bad.trace"
says out '"signature":"expect:fork:scan:mappers"'
run 0 replay --hash "$work/good.trace" "$work/good.trace"
lines out 2
[ "$(sort -u "$work/out" | wc -l)" = 1 ] || fail "a trace gave two hashes"

status=0
"$tool" replay - <"$work/good.trace" >"$work/out" 2>"$work/err" || status=$?
[ "$status" = 0 ] || fail "standard input: status $status"

# ---- bad input: one line that says which file, which line, what ---------------------------------------

bad() { # bad STATUS TEXT ARGUMENT...
	wanted=$2
	expected=$1
	shift 2
	run "$expected" "$@"
	lines err 1
	says err "$wanted"
}

bad 2 "$work/missing: No such file or directory" replay "$work/missing"
: >"$work/empty.trace"
bad 2 "$work/empty.trace: is empty" replay "$work/empty.trace"
mkdir "$work/nothing"
bad 2 "$work/nothing: there are no traces in it" replay "$work/nothing"
printf 'rmapfuzz trace 1\nmachine tiny\nmunmap p0\n' >"$work/short.trace"
bad 2 "$work/short.trace:3: " replay "$work/short.trace"
printf 'rmapfuzz trace 1\nmachine tiny\nread p0 99999999999\n' >"$work/absurd.trace"
bad 2 "$work/absurd.trace:3: " replay "$work/absurd.trace"
printf 'rmapfuzz trace 99\nread p0 w0\n' >"$work/future.trace"
bad 125 "$work/future.trace:1: " replay "$work/future.trace"
head -c 2000 "$tool" >"$work/binary.trace"
bad 2 "$work/binary.trace:1: " replay "$work/binary.trace"
if [ "$(id -u)" != 0 ]; then
	cp "$work/good.trace" "$work/secret.trace"
	chmod 0 "$work/secret.trace"
	bad 2 "$work/secret.trace: Permission denied" replay "$work/secret.trace"
fi
run 2 replay "$work/good.trace" "$work/missing" "$work/bad.trace"
says out "1 passed, 2 failed"

# Any bytes are a trace, if they are meant as bytes.
cp "$work/binary.trace" "$work/binary"
run 0 replay --quiet "$work/binary"
run 0 replay --quiet --bytes "$work/good.trace"

# Mutants are listed by every build, and run by their own only.
run 0 mutants list
says out "VMA-08 "
run 0 mutants show vma_08
says out "mprotect p0"
run 2 mutants show VMA-00
says err 'there is no mutant "VMA-00"'
if "$tool" mutants list --json | grep -q '"built":false'; then
	run 2 mutants run VMA-08
	says err "RMAPFUZZ_MUTANTS"
	run 2 run --mutant VMA-08
	says err "RMAPFUZZ_MUTANTS"
else
	run 1 mutants run VMA-08
	says out "reached"
	run 1 replay --mutant VMA-08 corpus/mutants/VMA-08.trace
	run 0 replay --mutant VMA-08 corpus/mutants/VMA-01.trace
	# Trials that are done are not done again.
	run 0 mutants score -o "$work/score" --seeds 2 -n 200 -j 2 COW-10 AVC-04
	says out "| COW-10 |"
	says err "6 trials done, 0 were there"
	cp "$work/score/trials.tsv" "$work/trials"
	run 0 mutants score -o "$work/score" --seeds 2 -n 200 COW-10 AVC-04
	says err "0 trials done, 6 were there"
	cmp "$work/trials" "$work/score/trials.tsv" || failed=$((failed + 1))
	run 2 mutants score -o "$work/score" --engines luck
	run 2 mutants score -o "$work/score" --engines afl
	run 2 mutants score -o "$work/score" --configs without-doubt
	# What nobody looks at is not seen.
	run 1 replay --mutant VMA-15 corpus/mutants/VMA-15.trace
	run 0 replay --mutant VMA-15 --without counts corpus/mutants/VMA-15.trace
fi

echo "test_cli: $checks checks, $failed failed"
[ "$failed" = 0 ]
