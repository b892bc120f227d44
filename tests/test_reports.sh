#!/bin/sh
# test_reports.sh TOOL: the reports of `rmapfuzz run` are well-formed, say the same as the run, and
# hold what is needed to understand a finding without running anything.
# shellcheck source=tests/shell.inc
. tests/shell.inc

# report STATUS OPTION...: a run with all reports
report() {
	expected=$1
	shift
	status=0
	"$tool" run --quiet --traces 40 --junit "$scratch/junit.xml" --sarif "$scratch/run.sarif" \
		--markdown "$scratch/run.md" "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
	[ "$status" = "$expected" ] || fail "$*: status $status: $(cat "$scratch/err")"
	if command -v xmllint >/dev/null; then
		xmllint --noout "$scratch/junit.xml" || fail "$*: JUnit is not XML"
	fi
}

# has FILE TEXT, lacks FILE TEXT
has() { grep -qF -- "$2" "$scratch/$1" || fail "$1 does not say: $2"; }
lacks() { ! grep -qF -- "$2" "$scratch/$1" || fail "$1 says: $2"; }

# All is well.
report 0
has junit.xml 'failures="0"'
has junit.xml 'name="unmapped: a walk finds'
lacks junit.xml '<failure'
has run.sarif '"version": "2.1.0"'
has run.sarif '"results": []'
has run.sarif '"exitCode": 0'
has run.md '## rmapfuzz: clean'

# A design that loses moved pages, in a name that XML would trip over if it were not careful.
sed 's/(\*link)->pte = pte_addr_of(to);/(void)to;/' docs/plugin/minimal_rmap.c >"$scratch/bad.c"
${CC:-cc} -std=gnu11 -shared -fPIC -Icore/include "$scratch/bad.c" -o "$scratch/a&b.so"
report 1 --backends scan --backend "$scratch/a&b.so" --keep-going --explain --out "$scratch/"
lacks junit.xml 'failures="0"'
has junit.xml '<failure type='
has junit.xml 'a&amp;b.so'
has junit.xml 'minimal_rmap went wrong at operation'
has run.sarif '"signature/v1": "'
has run.sarif '"ruleId": "'
has run.sarif "\"uri\": \"$scratch/"
has run.md 'the reverse maps disagree'
has run.md 'minimal_rmap went wrong at operation'
has run.md '1-minimal, certified'
# As many results as kinds, each with a rule that exists.
kinds=$(grep -c '"signature/v1"' "$scratch/run.sarif")
[ "$kinds" = "$(grep -c '<failure ' "$scratch/junit.xml")" ] || fail "JUnit and SARIF disagree"
[ "$kinds" = "$(grep -c '^### ' "$scratch/run.md")" ] || fail "Markdown and SARIF disagree"
sed -n 's/.*"ruleId": \("[a-z]*"\).*/\1/p' "$scratch/run.sarif" | sort -u | while read -r rule; do
	has run.sarif "\"id\": $rule"
done
# The command that a report gives shows the finding again.
again=$(sed -n 's/^rmapfuzz run /run /p' "$scratch/run.md" | head -n 1)
status=0
# shellcheck disable=SC2086 # a command line
"$tool" $again >"$scratch/out" 2>&1 || status=$?
[ "$status" = 1 ] || fail "\"$again\" has status $status"

# A report that cannot be written is an error, and the others are written all the same.
rm -f "$scratch/run.md"
status=0
"$tool" run --quiet --traces 1 --junit "$scratch/no/such" --markdown "$scratch/run.md" \
	2>"$scratch/err" || status=$?
[ "$status" = 3 ] || fail "status $status for a report that cannot be written"
has err 'no/such'
has run.md 'clean'

# A corpus comes first; what it finds names the file.
mkdir "$scratch/corpus"
cp corpus/seed/mremap*.trace "$scratch/corpus/" 2>/dev/null || cp corpus/seed/*.trace "$scratch/corpus/"
report 1 --backends scan --backend "$scratch/a&b.so" --corpus "$scratch/corpus" --traces 1
has run.md 'rmapfuzz replay '

echo "test_reports: passed"
