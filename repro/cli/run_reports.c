/*
 * rmapfuzz run: reports for machines that show them to people.
 *
 *   JUnit     a test case for each check of checks.def; a failure for each signature of it
 *   SARIF     a rule for each check, a result for each signature, the signature as fingerprint, so
 *             that a code-scanning service knows the same finding again
 *   Markdown  what a pull request should say, with minimized trace and story if there are any
 */
#include <inttypes.h>
#include <string.h>

#include "run.h"

#define SARIF_SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"

struct report {
	const struct run *run;
	double spent;
};

#define CHECK(id, name, help) help,
static const char *const check_help[NR_CHECKS] = {
#include "checks.def"
};
#undef CHECK

/* ---- JUnit --------------------------------------------------------------------------------- */

/* TEXT as XML character data or attribute value; what XML cannot hold becomes a question mark. */
static void print_xml(const char *text, FILE *out)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		switch (c) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(c < 0x20 && c != '\n' && c != '\t' ? '?' : c, out);
		}
	}
}

static void print_failure(const struct kind *kind, FILE *out)
{
	fputs("      <failure type=\"", out);
	print_xml(kind->finding.signature, out);
	fputs("\" message=\"", out);
	print_xml(kind->finding.message, out);
	fprintf(out, "\">found %" PRIu64 " times\n", kind->count);
	print_xml(kind->command, out);
	fputs("\n\n", out);
	print_xml(kind->story ? kind->story : kind->trace, out);
	fputs("</failure>\n", out);
}

static bool is_kind_of(const struct kind *kind, int check)
{
	return (int)kind->finding.check == check;
}

static uint32_t failed_checks(const struct run *run)
{
	uint32_t failed = 0;

	for (int check = 0; check < NR_CHECKS; check++) {
		bool any = false;

		for (uint32_t i = 0; i < run->nr_kinds; i++)
			any |= is_kind_of(&run->kinds[i], check);
		failed += any;
	}
	return failed;
}

static void print_junit(FILE *out, const void *what)
{
	const struct report *report = what;
	const struct run *run = report->run;
	uint32_t failed = failed_checks(run);

	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites tests=\"%d\" failures=\"%" PRIu32 "\" time=\"%.3f\">\n"
		"  <testsuite name=\"rmapfuzz run\" tests=\"%d\" failures=\"%" PRIu32
		"\" time=\"%.3f\">\n",
		NR_CHECKS, failed, report->spent, NR_CHECKS, failed, report->spent);
	for (int check = 0; check < NR_CHECKS; check++) {
		fputs("    <testcase classname=\"rmapfuzz.run\" name=\"", out);
		print_xml(diff_check_name((enum diff_check)check), out);
		fputs(": ", out);
		print_xml(check_help[check], out);
		fputs("\">\n", out);
		for (uint32_t i = 0; i < run->nr_kinds; i++) {
			if (is_kind_of(&run->kinds[i], check))
				print_failure(&run->kinds[i], out);
		}
		fputs("    </testcase>\n", out);
	}
	fputs("  </testsuite>\n</testsuites>\n", out);
}

/* ---- SARIF --------------------------------------------------------------------------------- */

static json_t *rules_json(void)
{
	json_t *rules = json_array();

	for (int check = 0; check < NR_CHECKS; check++)
		json_array_append_new(rules,
				      json_pack("{s:s,s:{s:s},s:{s:s}}", "id",
						diff_check_name((enum diff_check)check),
						"shortDescription", "text", check_help[check],
						"defaultConfiguration", "level", "error"));
	return rules;
}

/* The saved trace, if there is one, and the backend. */
static json_t *location_json(const struct kind *kind)
{
	json_t *location = json_pack("{s:[{s:s,s:s}]}", "logicalLocations", "name",
				     kind->finding.subject, "kind", "module");

	if (kind->path && strcmp(kind->path, "-") != 0)
		json_object_set_new(location, "physicalLocation",
				    json_pack("{s:{s:s},s:{s:i}}", "artifactLocation", "uri",
					      kind->path, "region", "startLine", 1));
	return location;
}

static json_t *result_json(const struct kind *kind)
{
	json_t *result =
		json_pack("{s:s,s:s,s:{s:o},s:[o],s:{s:s},s:I}", "ruleId",
			  diff_check_name(kind->finding.check), "level", "error", "message", "text",
			  json_sprintf("%s: %s. Again: %s", kind->finding.signature,
				       kind->finding.message, kind->command),
			  "locations", location_json(kind), "partialFingerprints", "signature/v1",
			  kind->finding.signature, "occurrenceCount", (json_int_t)kind->count);
	json_t *properties = json_pack("{s:s,s:s}", "command", kind->command, "trace", kind->trace);

	if (kind->minimal)
		json_object_set_new(properties, "minimal", json_string(kind->minimal));
	if (kind->story)
		json_object_set_new(properties, "story", json_string(kind->story));
	json_object_set_new(result, "properties", properties);
	return result;
}

static json_t *sarif_json(const struct report *report)
{
	const struct run *run = report->run;
	json_t *results = json_array();

	for (uint32_t i = 0; i < run->nr_kinds; i++)
		json_array_append_new(results, result_json(&run->kinds[i]));
	return json_pack("{s:s,s:s,s:[{s:{s:{s:s,s:s,s:o}},s:o,s:[{s:b,s:i}]}]}", "$schema",
			 SARIF_SCHEMA, "version", "2.1.0", "runs", "tool", "driver", "name",
			 "rmapfuzz", "version", RMAPFUZZ_VERSION, "rules", rules_json(), "results",
			 results, "invocations", "executionSuccessful", true, "exitCode",
			 run->nr_kinds ? CLI_FINDING : CLI_OK);
}

static void print_sarif(FILE *out, const void *what)
{
	json_t *sarif = sarif_json(what);

	json_dumpf(sarif, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	fputc('\n', out);
	json_decref(sarif);
}

/* ---- Markdown ------------------------------------------------------------------------------- */

static void print_markdown_kind(const struct kind *kind, FILE *out)
{
	fprintf(out,
		"\n### `%s`\n\n%s. Found %" PRIu64 " time%s; the first again by\n\n```\n%s\n```\n",
		kind->finding.signature, kind->finding.message, kind->count,
		kind->count == 1 ? "" : "s", kind->command);
	if (kind->story)
		fprintf(out, "\n```\n%s```\n", kind->story);
	fprintf(out, "\n<details><summary>%s</summary>\n\n```\n%s```\n</details>\n",
		kind->minimal ? "minimized trace" : "trace",
		kind->minimal ? kind->minimal : kind->trace);
}

static void print_markdown(FILE *out, const void *what)
{
	const struct report *report = what;
	const struct run *run = report->run;
	const struct diff_stats *stats = diff_stats(run->diff);
	char names[CLI_NAMES_MAX];

	cli_backend_names(&run->arguments->lockstep.diff, ", ", names, sizeof(names));
	fprintf(out, "## rmapfuzz: %s\n\n", run->nr_kinds ? "the reverse maps disagree" : "clean");
	fprintf(out, "| | |\n|---|---|\n| backends | %s |\n| machine | %s |\n", names,
		run->arguments->machine);
	fprintf(out,
		"| seed | 0x%" PRIx64 " |\n| traces, operations | %" PRIu64 ", %" PRIu64
		" |\n| walks judged | %" PRIu64 " |\n| findings | %" PRIu64 " of %" PRIu32
		" kinds |\n",
		run->arguments->seed, stats->traces, stats->ops, stats->walks, run->findings,
		run->nr_kinds);
	for (uint32_t i = 0; i < run->nr_kinds; i++)
		print_markdown_kind(&run->kinds[i], out);
}

/* ---- all of them ----------------------------------------------------------------------------- */

int run_write_reports(const struct run *run, double spent)
{
	const struct run_arguments *arguments = run->arguments;
	const struct {
		const char *path;
		void (*print)(FILE *out, const void *what);
	} reports[] = {
		{arguments->junit, print_junit},
		{arguments->sarif, print_sarif},
		{arguments->markdown, print_markdown},
	};
	const struct report report = {run, spent};
	int status = CLI_OK;

	for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
		if (reports[i].path)
			status = cli_graver(
				status, cli_write_file(reports[i].path, reports[i].print, &report));
	}
	return status;
}
