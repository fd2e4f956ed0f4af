import assert from "node:assert/strict";
import {
  type AdjustStep,
  adjustSteps,
  parseDrbdText,
  resolveResource,
  type ResourceConfig,
} from "@kedge/schema/drbd-conf";
import { adjustCases } from "./drbd_conf_samples.ts";
import { readTree, type Statement } from "./drbd_conf_tree.ts";
import { readCommand } from "./drbd_conf_up.ts";

const CASES = adjustCases();
const SELF = { host: "alice", resourceName: "web" };

Deno.test({
  name: "drbd.conf: adjust changes what 9.34 would change",
  ignore: CASES.length === 0,
  fn() {
    for (const { name, wanted, running, commands } of CASES) {
      // Its only difference is that the connection is not up.
      if (running.includes("_cstate StandAlone")) continue;
      const steps = adjustSteps(
        resolveShown(running),
        resolveResource(parseDrbdText(wanted), SELF),
      );
      assert.deepEqual(kindsOf(steps), stepsOf(commands), name);
    }
  },
});

function kindsOf(steps: readonly AdjustStep[]): string[] {
  return [...new Set(steps.map(({ kind }) => kind))].sort();
}

/** Kinds of steps that some commands amount to. */
const STEP_BY_COMMAND: ReadonlyMap<string, AdjustStep["kind"]> = new Map([
  ["new-resource", "resource-options"],
  ["resource-options", "resource-options"],
  ["disconnect", "disconnect"],
  ["connect", "connect"],
  ["net-options", "net-options"],
  ["detach", "detach"],
  ["attach", "attach"],
  ["disk-options", "disk-options"],
  ["peer-device-options", "resync-options"],
]);

function stepsOf(commands: string): string[] {
  const lines = commands.split("\n").map((line) => readCommand(line).args);
  const isNew = new Set(
    lines.filter(([command]) => command === "new-minor").map((args) => args[3]),
  );
  const kinds = lines.flatMap(([command = "", , , volume]) => {
    // Ours connects and attaches with the right options from the start.
    if (command === "peer-device-options" && isNew.has(volume)) return [];
    return STEP_BY_COMMAND.get(command) ?? [];
  });
  return [...new Set(kinds)].sort();
}

/** What `drbdsetup show` printed, as a resource; `undefined` for nothing. */
function resolveShown(text: string): ResourceConfig | undefined {
  const [resource] = readTree(text);
  if (resource === undefined) return undefined;
  const connection = only(resource, "connection");
  const path = only(connection, "path");
  const host = only(resource, "_this_host");
  const volumes = all(host, "volume").map(print).join(" ");
  const address = (name: string) =>
    `address ${only(path, name).words.slice(1).join(" ")};`;
  const file = `resource web { ${all(resource, "options").map(print)}
    on alice { node-id 0; ${address("_this_host")} ${volumes} }
    on bob { node-id 1; ${address("_remote_host")} ${volumes} }
    connection { host alice; host bob; ${all(connection, "net").map(print)}
      ${all(connection, "volume").map(print).join(" ")} } }`;
  return resolveResource(parseDrbdText(file), SELF);
}

function all(parent: Statement, name: string): Statement[] {
  return (parent.body ?? []).filter(({ words }) => words[0] === name);
}

function only(parent: Statement, name: string): Statement {
  const [found] = all(parent, name);
  assert.ok(found, name);
  return found;
}

/** A statement as it stands in a file, without what only `show` says. */
function print({ words, body }: Statement): string {
  if (body === undefined) return `${words.join(" ")};`;
  const kept = body.filter((each) => !each.words[0]?.startsWith("_"));
  return `${words.join(" ")} { ${kept.map(print).join(" ")} }`;
}
