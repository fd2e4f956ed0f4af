/**
 * Roles are decided by the volume register in the KV: real daemons, a real
 * tracker, clients that remember what they were told.
 *
 * Scenarios S13, S31 and S60 for block volumes; the table of promises.md §6.2.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { NBD_LIMITS } from "../../node-agent/nbd/limits.ts";
import { within } from "../helpers/eventually.ts";
import { namesOf } from "../helpers/mirror_fenced.ts";
import {
  bothInSync,
  fenced,
  freeze,
  healed,
  namesInSync,
  refusalOf,
} from "../helpers/mirror_fenced_pair.ts";
import { RESOURCE } from "../helpers/mirror_pair.ts";
import { Cable } from "../helpers/mirror_pair_cable.ts";
import { openExport } from "../helpers/mirror_pair_client.ts";
import type { MirrorLife } from "../helpers/mirror_pair_life.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

/** Requests of a load under way at a time. */
const DEPTH = 16;
/** How late a closed connection may be seen on a machine with much to do. */
const SLACK_MS = 3_000;
/** How a load ends whose server hangs up. */
const CLOSED =
  /^receiving failed: .*the server closed|^sending failed: .*(Broken pipe|reset)/;

const whole = ({ model }: MirrorLife) => ({ first: 0, count: model.pieces });

Deno.test("a peer that dies is shrunk out, then writes go on", async () => {
  await using scope = new Scope();
  const { tracker, life, a, b } = await fenced(scope, "shrink");
  equal((await tracker.register())?.epoch, 1);
  const load = await life.load(a);
  await load.until(200);
  await b.kill();
  const began = performance.now();
  await load.until(load.acknowledged + 100);
  say(`writes went on after ${Math.round(performance.now() - began)} ms`);
  deepEqual(await namesInSync(tracker), ["a"]);
  equal((await tracker.register())?.epoch, 2);

  await b.up();
  await healed({ tracker, a, b });
  await life.endsWell(load, a);
});

Deno.test("a node that is not in sync may not become Primary", async () => {
  await using scope = new Scope();
  const { tracker, life, a, b } = await fenced(scope, "promote");
  await b.kill();
  await life.write(a, 50);
  deepEqual(await namesInSync(tracker), ["a"]);
  await a.kill();
  await b.up();
  match(await refusalOf(b), /in sync by the register .*: node \d+ "a"/);

  await a.up();
  await a.promote();
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  await life.nothingIsLost(a);
  await bothInSync(tracker);
});

Deno.test("roles change hands, and the register with them", async () => {
  await using scope = new Scope();
  const { tracker, life, a, b } = await fenced(scope, "switch");
  await life.write(a, 100);
  await a.demote();
  await tracker.until("nobody is Primary", ({ primary }) => primary === null);
  deepEqual(await namesInSync(tracker), ["a", "b"]);
  await b.promote();
  const now = await bothInSync(tracker);
  equal(now.insync.find(({ name }) => name === "b")?.node, now.primary);
  await life.nothingIsLost(b);
});

for (const part of ["apart", "together"] as const) {
  Deno.test(`S60: a frozen Primary finds itself replaced (${part})`, async () => {
    await using scope = new Scope();
    const { tracker, life, a, b } = await fenced(scope, `S60 ${part}`);
    // Apart, nobody overwrites what the old Primary acknowledges late, so it is
    // seen whether it is there; together, stale reads are seen.
    const half = Math.floor(life.model.pieces / 2);
    const regions = part === "apart"
      ? [{ first: 0, count: half }, { first: half, count: half }]
      : [whole(life), whole(life)];
    const [region = whole(life), other = whole(life)] = regions;
    const old = await life.load(a, { depth: DEPTH, region });
    await old.until(200);
    await freeze(a);
    const began = performance.now();
    await b.promote();
    say(`taken over after ${Math.round(performance.now() - began)} ms`);
    const acknowledged = old.acknowledged;
    await life.write(b, 200, { region: other });
    deepEqual(await namesInSync(tracker), ["b"]);

    a.child.signal("SIGCONT");
    await a.until(
      "the old Primary to give up",
      ({ state }) => state.role === "Secondary",
    );
    match(
      await within(old.ended, {
        what: "the old Primary to close its clients' connections",
        deadlineMs: NBD_LIMITS.closeGraceMs + SLACK_MS,
      }),
      CLOSED,
    );
    // What the peer confirmed before it took over may still be answered: it is
    // there. Nothing that was sent later, and no stale read.
    const late = old.acknowledged - acknowledged;
    ok(late <= DEPTH, `${late} writes were acknowledged after the fact`);
    deepEqual(old.wrong, []);
    await healed({ tracker, a, b });
    await life.nothingIsLost(b);
    await life.disksAreEqual();
  });
}

Deno.test("S60: reads that wait in the socket of a frozen Primary", async () => {
  await using scope = new Scope();
  const { a, b } = await fenced(scope, "S60 reads");
  const block = (value: number) => new Uint8Array(4096).fill(value);
  using old = await openExport(a.exportSocket, RESOURCE);
  await old.request({ type: 1, cookie: 1n, offset: 0, data: block(1) });
  equal((await old.simple()).error, 0);
  await freeze(a);
  const reads = 200;
  for (let cookie = 2; cookie < 2 + reads; cookie++) {
    await old.request({ type: 0, cookie: BigInt(cookie), length: 4096 });
  }
  await b.promote();
  using now = await openExport(b.exportSocket, RESOURCE);
  await now.request({ type: 1, cookie: 1n, offset: 0, data: block(2) });
  equal((await now.simple()).error, 0);

  a.child.signal("SIGCONT");
  const answers: string[] = [];
  let end = "";
  const takeAll = async () => {
    while (answers.length < reads) {
      const { error } = await old.simple();
      if (error !== 0) answers.push(`error ${error}`);
      else answers.push(`value ${(await old.take(4096))[0]}`);
    }
    await old.simple();
  };
  await takeAll().catch((error) => end = `${error}`);
  match(end, /the server closed/);
  ok(answers.length > 0, "no read was answered");
  // EIO or ESHUTDOWN: it found out. Never what was overwritten since.
  deepEqual(answers.filter((each) => !/^error (5|108)$/.test(each)), []);
});

Deno.test("S13: of two nodes without a cable one goes on", async () => {
  await using scope = new Scope();
  const cable = Cable.lay(scope);
  const { hosts, dials } = cable;
  const { tracker, life, a, b } = await fenced(scope, "S13", { hosts, dials });
  const load = await life.load(a);
  await load.until(200);
  cable.cut();
  await load.until(load.acknowledged + 100);
  deepEqual(await namesInSync(tracker), ["a"]);
  match(await refusalOf(b), /may not be Primary/);
  await load.stop();
  life.wasGood(load);
  cable.heal();
  await healed({ tracker, a, b });
  await life.nothingIsLost(a);
  await life.disksAreEqual();
});

Deno.test("S13: an idle Primary without a cable may lose the role", async () => {
  await using scope = new Scope();
  const cable = Cable.lay(scope);
  const { hosts, dials } = cable;
  const { tracker, life, a, b } = await fenced(scope, "S13", { hosts, dials });
  await life.write(a, 100);
  // Whoever asks first wins; here the old Primary cannot ask.
  await freeze(a);
  cable.cut();
  await b.promote();
  a.child.signal("SIGCONT");
  await a.until(
    "the old Primary to give up",
    ({ state }) => state.role === "Secondary",
  );
  await life.write(b, 100);
  deepEqual(await namesInSync(tracker), ["b"]);
  cable.heal();
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  await life.nothingIsLost(b);
  await life.disksAreEqual();
});

for (const protocol of ["A", "B"] as const) {
  const name =
    `protocol ${protocol}: a Secondary that was restarted is out of sync`;
  Deno.test(name, async () => {
    await using scope = new Scope();
    const { tracker, life, a, b } = await fenced(scope, name, { protocol });
    const load = await life.load(a);
    await load.until(200);
    await Promise.all([a.kill(), b.kill()]);
    await load.ended;
    life.wasGood(load);
    deepEqual(await namesInSync(tracker), ["a", "b"]);
    await b.up();
    match(await refusalOf(b), /may not be Primary/);
    await a.up();
    await a.promote(); // it wrote everything itself
    await Promise.all([a.untilEqual(), b.untilEqual()]);
    await life.nothingIsLost(a);
    await life.disksAreEqual();
  });
}

Deno.test("a Primary without its disk leaves the good copy to its peer", async () => {
  await using scope = new Scope();
  const { tracker, life, a, b } = await fenced(scope, "leave");
  const load = await life.load(a);
  await load.until(100);
  await a.must({ kind: "detach", force: false });
  await load.until(load.acknowledged + 100);
  const left = await tracker.until(
    "the peer alone",
    (register) => namesOf(register).join() === "b",
  );
  equal(left.insync[0]?.node === left.primary, false);

  await a.must({ kind: "attach" });
  await a.untilEqual();
  await bothInSync(tracker);
  await a.must({ kind: "detach", force: false });
  await load.until(load.acknowledged + 50);
  await Promise.all([a.kill(), b.kill()]);
  await load.ended;
  await a.up(); // alone, with a disk that was good once
  match(await refusalOf(a), /in sync by the register .*: node \d+ "b"/);
  await b.up();
  await b.promote();
  await life.nothingIsLost(b);
  await healed({ tracker, a, b });
  await life.disksAreEqual();
});

Deno.test("nodes that disagree about fencing do not connect", async () => {
  await using scope = new Scope();
  const { life, a, b } = await fenced(scope, "disagree");
  await life.write(a, 20);
  await b.kill();
  await b.start({ KEDGE_MIRROR_FENCING: "off" });
  await b.create();
  await b.must({ kind: "attach" });
  await b.connect();
  await a.child.line(/disagree about fencing/);
  await b.until(
    "no connection",
    ({ state }) => state.connection === "StandAlone",
  );
});
