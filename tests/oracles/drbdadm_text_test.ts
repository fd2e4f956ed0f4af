/**
 * What our drbdadm prints beside what the real ones printed: dry runs of `up`
 * and `adjust`, XML.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  parseDrbdText,
  resolveResource,
  resourcesOn,
} from "@kedge/schema/drbd-conf";
import { adjustLines } from "../../node-agent/cli/drbdadm/adjust_core.ts";
import { dumpXml } from "../../node-agent/cli/drbdadm/dump_xml_text.ts";
import { saidOptions } from "../../node-agent/cli/drbdadm/said_options.ts";
import { upLines } from "../../node-agent/cli/drbdadm/up.ts";
import {
  adjustCases,
  answer,
  answers,
  isTaken,
  parseSample,
  samples,
} from "./drbd_conf_samples.ts";

const SAMPLES = samples();

/**
 * Samples whose dry run differs on purpose: stacked resources and proxies are
 * parsed but not run; an option that stands twice is said once.
 */
const UP_DIFFERS = new Set(["14-stacked", "19-proxy", "78-duplicate-option"]);

Deno.test({
  name: "drbdadm -d up says what 8.4 says",
  ignore: SAMPLES.length === 0,
  fn() {
    let compared = 0;
    for (const sample of SAMPLES) {
      if (!isTaken(sample.name, "v84") || UP_DIFFERS.has(sample.name)) continue;
      const verdict = parseSample(sample);
      assert.ok("conf" in verdict, sample.name);
      const conf = { ...verdict.conf, warnings: [] };
      for (const file of answers(sample.name)) {
        const host = /^v84\.up\.(.+)\.out$/.exec(file)?.[1];
        if (host === undefined) continue;
        const targets = resourcesOn(conf, { host }).map((resourceName) => ({
          config: resolveResource(conf, { host, resourceName }),
          volume: undefined,
        }));
        const said = targets.map(({ config }) =>
          saidOptions(conf, config, { host })
        );
        assert.deepEqual(
          upLines(targets, said).map(comparable),
          answer(sample.name, file).trimEnd().split("\n").map(comparable),
          `${sample.name} on ${host}`,
        );
        compared++;
      }
    }
    assert.ok(compared > 10, `only ${compared} were compared`);
  },
});

/** Without the program's folder; options in a fixed order. */
function comparable(line: string): string {
  const words = line.replace(/^\S*\/(drbdsetup)-84/, "$1").split(" ");
  const isOption = (word: string) => word.startsWith("--");
  return [
    ...words.filter((word) => !isOption(word)),
    ...words.filter(isOption).sort(),
  ].join(" ");
}

/** Stacked resources and proxies; an unknown name is kept as it is written. */
const XML_DIFFERS = new Set([
  "14-stacked",
  "19-proxy",
  "66-resync-after-unknown",
]);

Deno.test({
  name: "drbdadm dump-xml says what 8.4 says",
  ignore: SAMPLES.length === 0,
  fn() {
    let compared = 0;
    for (const sample of SAMPLES) {
      const xml = answer(sample.name, "v84.xml.out");
      if (xml === "" || XML_DIFFERS.has(sample.name)) continue;
      const verdict = parseSample(sample);
      if (!("conf" in verdict)) continue;
      assert.deepEqual(
        dumpXml(verdict.conf, undefined).map((line) => line.trim()).sort(),
        xml.trimEnd().replaceAll(`in/${sample.name}/`, "").split("\n")
          .map((line) => line.trim()).sort(),
        sample.name,
      );
      compared++;
    }
    assert.ok(compared > 10, `only ${compared} were compared`);
  },
});

const CASES = adjustCases();

Deno.test({
  name: "drbdadm -d adjust changes what 9.34 changes, in 8.4's words",
  ignore: CASES.length === 0,
  fn() {
    const config = (text: string) =>
      resolveResource(parseDrbdText(text), {
        host: "alice",
        resourceName: "web",
      });
    const base = CASES.find(({ name }) => name.startsWith("1-"));
    assert.ok(base !== undefined);
    for (const { name, wanted, commands } of CASES) {
      // What runs is not the base there.
      if (["8-", "9-", "10-"].some((start) => name.startsWith(start))) continue;
      const lines = adjustLines({
        wanted: config(wanted),
        running: config(base.wanted),
        status: {
          resource: "web",
          node: "alice",
          peerNode: "bob",
          local: "",
          remote: "",
          exports: [],
          pending: [],
          volumes: [],
        },
      });
      // 8.4 attaches a new disk with its options from the start.
      const isNew = commands.includes("new-minor");
      const verbs = (text: readonly string[]) =>
        [
          ...new Set(
            text.flatMap((line) => /^drbdsetup (\S+)/.exec(line)?.[1] ?? [])
              .map((verb) => WORD_OF_84[verb] ?? verb)
              .filter((verb) =>
                verb !== "" && !(isNew && verb === "disk-options")
              ),
          ),
        ].sort();
      assert.deepEqual(verbs(lines), verbs(commands.split("\n")), name);
    }
  },
});

/** Commands that 8.4 has in another way; "" are a part of another one. */
const WORD_OF_84: Readonly<Record<string, string>> = {
  "peer-device-options": "disk-options",
  "new-path": "",
  "del-path": "",
};
