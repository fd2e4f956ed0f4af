import assert from "node:assert/strict";
import { type DrbdConf, printDrbdConf } from "@kedge/schema/drbd-conf";
import { checkStale, Ledger } from "./drbd_conf_differences.ts";
import {
  answer,
  isTaken,
  type Oracle,
  parseSample,
  type Sample,
  samples,
} from "./drbd_conf_samples.ts";
import { canonical, readTree, RULES } from "./drbd_conf_tree.ts";

const SAMPLES = samples();
const ignore = SAMPLES.length === 0;
const ORACLES: readonly Oracle[] = ["v84", "v934"];

/** The rule by which we take what DRBD does not, if a file needed one. */
function leniencyOf(conf: DrbdConf): string | undefined {
  return conf.warnings.some(({ code }) => code === "prose-skipped")
    ? "prose"
    : undefined;
}

Deno.test({
  name: "drbd.conf: samples are taken if DRBD 8.4 or 9.34 takes them",
  ignore,
  fn() {
    const ledger = new Ledger();
    for (const sample of SAMPLES) {
      const { name } = sample;
      const isTheirs = ORACLES.some((oracle) => isTaken(name, oracle));
      const verdict = parseSample(sample);
      const rule = "conf" in verdict ? leniencyOf(verdict.conf) : undefined;
      const isLenient = !isTheirs && rule !== undefined &&
        ledger.rulesFor("verdict").includes(rule);
      if (isLenient) ledger.markNeeded("verdict", rule);
      const why = "error" in verdict ? verdict.error.message : "accepted";
      assert.equal("conf" in verdict, isTheirs || isLenient, `${name}: ${why}`);
    }
    checkStale(ledger, "verdict");
  },
});

Deno.test({
  name:
    "drbd.conf: refusals have exit code 10, DRBD's place, and mostly its words",
  ignore,
  fn() {
    let refused = 0;
    let sameWords = 0;
    for (const sample of SAMPLES) {
      const verdict = parseSample(sample, { strict: true });
      if (!("error" in verdict)) continue;
      refused += 1;
      const { error } = verdict;
      assert.equal(error.exitCode, 10);
      const theirs = ORACLES.map((oracle) => {
        const text = answer(sample.name, `${oracle}.dump.err`);
        return text.split("\n")[0]?.replace(/ \(TK \d+\)$/, "") ?? "";
      });
      const [first = ""] = error.message.split("\n");
      const places = theirs.map(placeIn);
      assert.ok(places.includes(placeIn(first)), `${sample.name}: ${first}`);
      if (theirs.includes(first)) sameWords += 1;
    }
    assert.ok(sameWords > 0.8 * refused, `${sameWords} of ${refused}`);
  },
});

/** `FILE:LINE:` of a message. */
function placeIn(line: string): string {
  return /^[^\s:]+:\d+:/.exec(line)?.[0] ?? "nowhere";
}

Deno.test({
  name: "drbd.conf: strict takes no sample that both DRBD 8.4 and 9.34 refuse",
  ignore,
  fn() {
    for (const sample of SAMPLES) {
      const expected = ORACLES.some((oracle) => isTaken(sample.name, oracle));
      const isOurs = "conf" in parseSample(sample, { strict: true });
      assert.equal(isOurs, expected, sample.name);
    }
  },
});

for (const oracle of ORACLES) {
  const subject = oracle === "v84" ? "dump 8.4" : "dump 9.34";
  Deno.test({
    name: `drbd.conf: the ${subject} of every sample has our structure`,
    ignore,
    fn() {
      const ledger = new Ledger();
      let compared = 0;
      for (const sample of SAMPLES) {
        if (!isTaken(sample.name, oracle)) continue;
        compared += 1;
        compareDump(sample, { oracle, subject, ledger });
      }
      assert.ok(compared > 0);
      checkStale(ledger, subject);
    },
  });
}

function compareDump(
  sample: Sample,
  { oracle, subject, ledger }: {
    readonly oracle: Oracle;
    readonly subject: "dump 8.4" | "dump 9.34";
    readonly ledger: Ledger;
  },
): void {
  const { name } = sample;
  const verdict = parseSample(sample);
  assert.ok("conf" in verdict, name);
  const rules = ledger.rulesFor(subject);
  const theirs = answer(name, `${oracle}.dump.out`);
  const compare = (some: readonly string[]) =>
    trees(verdict.conf, theirs, some);
  const pair = compare(rules);
  assert.deepEqual(pair.ours, pair.theirs, `${name} against ${oracle}`);
  for (const rule of rules) {
    const without = compare(rules.filter((other) => other !== rule));
    if (JSON.stringify(without.ours) !== JSON.stringify(without.theirs)) {
      ledger.markNeeded(subject, rule);
    }
  }
}

function trees(conf: DrbdConf, dump: string, rules: readonly string[]) {
  const pair = { ours: readTree(printDrbdConf(conf)), theirs: readTree(dump) };
  for (const name of rules) {
    const rule = RULES.get(name);
    assert.ok(rule, `docs/drbd-conf.md names a rule that is none: ${name}`);
    rule(pair);
  }
  return { ours: canonical(pair.ours), theirs: canonical(pair.theirs) };
}
