/**
 * Resources whose Worker died: when they are started again, and what of them.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { MirrorCommand } from "@kedge/schema/mirror/control-api";
import { eventually } from "../../../tests/helpers/eventually.ts";
import {
  type MirrorState,
  UNCONFIGURED_STATE,
} from "../decisions/mirror_state.ts";
import { Revivals } from "./revivals.ts";

const NAME = "r";
const OPTIONS = { exportAddress: undefined, deviceNodes: false };
const ALL_WELL: MirrorState = {
  ...UNCONFIGURED_STATE,
  role: "Primary",
  disk: "UpToDate",
  connection: "Connected",
};

/** A host whose starts end as told, and what was asked of it. */
function host(starts: readonly number[], pausesMs: readonly number[] = [0, 0]) {
  const left = [...starts];
  const asked: string[] = [];
  const warnings: string[] = [];
  const clock = { ms: 0 };
  const revivals = new Revivals({
    start: ({ name }) => {
      asked.push(`start ${name}`);
      return Promise.resolve({ code: left.shift() ?? 1 });
    },
    command: (_name, { command, volume }: {
      command: MirrorCommand;
      volume?: number | undefined;
    }) => {
      asked.push(`${command.kind} ${volume}`);
      return Promise.resolve({ code: 1 });
    },
    log: { warn: (text) => void warnings.push(text) },
    nowMs: () => clock.ms,
    pausesMs,
  });
  const fell = (...states: readonly MirrorState[]) =>
    revivals.fell({
      config: { name: NAME } as Parameters<Revivals["fell"]>[0]["config"],
      options: OPTIONS,
      states: new Map(states.entries()),
      why: "a bug",
      gone: Promise.resolve(),
    });
  const said = (what: RegExp) =>
    eventually(() => warnings.some((text) => what.test(text)), {
      what: String(what),
    });
  return { revivals, asked, warnings, fell, said, clock };
}

Deno.test("what was attached and connected is so again, and a Primary is told of", async () => {
  const { asked, fell, said, revivals, warnings } = host([]);
  fell(ALL_WELL);
  assert.match(revivals.whyDead(NAME) ?? "", /died \(a bug\).*not mirrored/);
  await said(/runs again/);
  assert.deepEqual(asked, ["start r", "attach 0", "connect 0"]);
  assert.match(warnings.at(-1) ?? "", /was Primary: "drbdadm primary r"/);
  assert.deepEqual(revivals.fallen, []);
});

Deno.test("a failed disk and a connection that was given up stay so", async () => {
  const { asked, fell, said, warnings } = host([]);
  const state: MirrorState = { ...ALL_WELL, role: "Secondary" };
  fell(
    { ...state, disk: "Failed" },
    { ...state, connection: "StandAlone" },
    { ...state, disk: "Diskless", connection: "StandAlone" },
  );
  await said(/runs again/);
  assert.deepEqual(asked, ["start r", "connect 0", "attach 1"]);
  assert.doesNotMatch(warnings.at(-1) ?? "", /Primary/);
});

Deno.test("one that dies again before it is as it was is made as it was", async () => {
  const { asked, fell, said } = host([]);
  fell(ALL_WELL, { ...ALL_WELL, disk: "Failed" });
  fell(); // of what the new one should be it has said nothing yet
  await said(/runs again/);
  assert.deepEqual(asked, ["start r", "attach 0", "connect 0", "connect 1"]);
});

Deno.test("one that dies again and again is left to a person", async () => {
  const { asked, fell, said, revivals, clock } = host([20, 20, 1]);
  fell(ALL_WELL);
  await said(/too often/);
  assert.deepEqual(asked, ["start r", "start r"]);
  const [fallen] = revivals.fallen;
  assert.match(fallen?.why ?? "", /until somebody runs "drbdadm up r"/);
  // Much later it counts anew.
  clock.ms += 11 * 60_000;
  fell(ALL_WELL);
  await said(/runs again/);
});

Deno.test("nothing is started that a person ended or started meanwhile", async () => {
  const ended = host([], [60_000]);
  ended.fell(ALL_WELL);
  ended.revivals.forget(NAME); // "down"
  ended.revivals.close();
  ended.fell(ALL_WELL);
  const started = host([161]); // it is there already
  started.fell(ALL_WELL);
  await eventually(() => started.revivals.fallen.length === 0, {
    what: "nothing left to do",
  });
  assert.deepEqual(started.asked, ["start r"]);
  assert.deepEqual([ended.asked, ended.revivals.fallen], [[], []]);
});
