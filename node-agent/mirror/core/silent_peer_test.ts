/**
 * A peer that proves that it lives and does not go on with what was begun, or
 * begins the same for ever.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import { Pair } from "./volume_fixture.ts";
import type { CommandResult } from "./volume_types.ts";

/** A pair in sync, `a` Primary; every report of b as it was sent. */
function synced(): { readonly pair: Pair; readonly reports: MirrorFrame[] } {
  const pair = new Pair(1024 * 1024);
  const reports: MirrorFrame[] = [];
  const { core } = pair.a;
  const frame = core.frame.bind(core);
  core.frame = (each, epoch) => {
    if (each.kind === "report") reports.push(each);
    frame(each, epoch);
  };
  pair.up();
  core.roles.primary(true, () => {});
  pair.run();
  assert.equal(core.state.peerDisk, "UpToDate");
  return { pair, reports };
}

Deno.test("a report that is not answered holds writes for a while only", () => {
  const { pair: { a, nowMs } } = synced();
  a.core.link.negotiateAgain();
  const answers: boolean[] = [];
  a.core.writes.write(0, new Uint8Array(4096), (ok) => answers.push(ok));
  for (let late = 0; late < 40_000 && !a.isLinkClosed; late += 100) {
    a.core.tick(nowMs + late);
    a.work();
  }
  assert.ok(a.isLinkClosed, "the peer is given up");
  a.work();
  a.work();
  assert.deepEqual(answers, [true]);
});

Deno.test("a change of state that is not answered ends the connection", () => {
  const { pair: { b, nowMs } } = synced();
  const codes: number[] = [];
  b.core.disk.detach(false, ({ code }) => codes.push(code));
  for (let late = 0; late < 40_000 && !b.isLinkClosed; late += 100) {
    b.core.tick(nowMs + late);
  }
  b.work();
  assert.deepEqual(codes, [1], "our own rules decide");
  assert.equal(b.core.state.disk, "Diskless");
});

Deno.test("a transfer that the peer did not answer is refused in its own words", () => {
  for (const what of ["verify", "invalidate"] as const) {
    const { pair } = synced();
    const { b: { core } } = pair;
    const results: CommandResult[] = [];
    const done = (result: CommandResult) => results.push(result);
    if (what === "verify") core.verify.start({}, done);
    else core.roles.invalidate(done);
    pair.cut();
    assert.equal(results[0]?.code, -15, what);
    assert.match(results[0]?.why ?? "", /lost before the peer answered/);
  }
});

Deno.test("reports that come before ours are not kept without end", () => {
  const { pair, reports: [report] } = synced();
  const { a } = pair;
  assert.ok(report !== undefined);
  pair.cut();
  // Not stable: our report waits for a flush, which takes long.
  a.core.writes.write(0, new Uint8Array(4096), () => {});
  a.core.settle();
  a.work();
  a.core.settle();
  a.core.link.linkUp({ resolveConflicts: true });
  assert.equal(a.core.state.connection, "WFReportParams");
  for (let count = 0; count < 1_000 && !a.isLinkClosed; count++) {
    a.core.frame(report);
  }
  assert.ok(a.isLinkClosed, "the peer is given up");
  assert.ok(a.lines.some((line) => /Protocol error.*report/.test(line)));
});
