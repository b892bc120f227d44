#!/bin/sh
# test_versions.sh TOOL: one file of each format version, as text and as bytes, is read by this build and
# means what it meant; migrate changes the first line and nothing else.
# shellcheck source=tests/shell.inc
. tests/shell.inc

current=$("$tool" --version | sed -n 's/.*trace format \([0-9]*\)).*/\1/p')
version=1
while [ "$version" -le "$current" ]; do
	text=corpus/versions/$version.trace
	[ -s "$text" ] || fail "there is no file of version $version"
	[ "$(head -n 1 "$text")" = "rmapfuzz trace $version" ] || fail "$text is another version"
	"$tool" replay --quiet "$text" >/dev/null || fail "$text"

	# The bytes were made when that version was current, and are not made again.
	"$tool" show --to text --from bytes "corpus/versions/$version.bin" >"$scratch/bytes"
	"$tool" show --to text "$text" | sed '/^#/d' >"$scratch/text"
	cmp -s "$scratch/bytes" "$scratch/text" || {
		diff "$scratch/bytes" "$scratch/text" || :
		fail "the bytes of version $version mean something else now"
	}

	cp "$text" "$scratch/old.trace"
	"$tool" migrate "$scratch/old.trace" >/dev/null
	[ "$(head -n 1 "$scratch/old.trace")" = "rmapfuzz trace $current" ] ||
		fail "version $version was not migrated"
	tail -n +2 "$text" >"$scratch/a"
	tail -n +2 "$scratch/old.trace" >"$scratch/b"
	cmp -s "$scratch/a" "$scratch/b" || fail "migrate changes more than the first line"
	version=$((version + 1))
done

# status STATUS COMMAND...
status() {
	expected=$1
	shift
	got=0
	"$@" >"$scratch/out" 2>&1 || got=$?
	[ "$got" = "$expected" ] || fail "$*: status $got: $(cat "$scratch/out")"
}
sed '1s/.*/rmapfuzz trace 999/' corpus/versions/1.trace >"$scratch/later.trace"
cp "$scratch/later.trace" "$scratch/kept"
status 125 "$tool" migrate "$scratch/later.trace"
status 125 "$tool" replay "$scratch/later.trace"
cmp -s "$scratch/later.trace" "$scratch/kept" || fail "what cannot be read was changed"
sed '1s/.*/rmapfuzz trace 0/' corpus/versions/1.trace >"$scratch/zero.trace"
status 125 "$tool" replay "$scratch/zero.trace"
echo nonsense >"$scratch/nonsense.trace"
status 2 "$tool" migrate "$scratch/nonsense.trace"
status 0 "$tool" migrate --check "$scratch/old.trace"
status 0 "$tool" migrate --check corpus/seed

echo "test_versions: passed"
