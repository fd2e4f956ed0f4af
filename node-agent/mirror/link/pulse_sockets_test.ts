/**
 * Who lives answers, and only to those who have the key.
 *
 * @module
 */

import assert from "node:assert/strict";
import { eventually } from "../../../tests/helpers/eventually.ts";
import { PulseAsker, PulseResponder } from "./pulse_sockets.ts";
import { freePorts } from "./rendezvous_fixture.ts";

const session = { session: "ab".repeat(16), key: new Uint8Array(32).fill(1) };

async function rig(
  work: (rig: {
    responder: PulseResponder;
    asker: PulseAsker;
    answers: () => number;
    log: string[];
    port: number;
  }) => Promise<void>,
  key = session.key,
): Promise<void> {
  const local = { hostname: "127.0.0.1", port: freePorts()[0] };
  const log: string[] = [];
  let answers = 0;
  const responder = new PulseResponder(local, (text) => log.push(text));
  const asker = new PulseAsker({ ...session, key }, local, () => answers++);
  try {
    const { port } = local;
    await work({ responder, asker, answers: () => answers, log, port });
  } finally {
    responder.close();
    asker.close();
  }
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

Deno.test("a pulse is answered while the session is known", async () => {
  await rig(async ({ responder, asker, answers }) => {
    responder.add(session);
    await eventually(() => {
      asker.ask();
      return answers() > 0;
    }, { what: "an answer" });
    responder.remove(session.session);
    await pause(50);
    const before = answers();
    asker.ask();
    await pause(100);
    assert.equal(answers(), before);
    responder.add(session); // the next connection
    await eventually(() => {
      asker.ask();
      return answers() > before;
    }, { what: "an answer again" });
  });
});

Deno.test("a wrong key is not answered", async () => {
  await rig(async ({ responder, asker, answers }) => {
    responder.add(session);
    for (let count = 0; count < 5; count++) {
      asker.ask();
      await pause(20);
    }
    assert.equal(answers(), 0);
  }, new Uint8Array(32).fill(2));
});

Deno.test("a port that is taken is said, and nothing breaks", async () => {
  await rig(async ({ responder, asker, answers, log, port }) => {
    const other = new PulseResponder({ hostname: "127.0.0.1", port }, () => {});
    other.add({ ...session, session: "cd".repeat(16) });
    await pause(50);
    responder.add(session);
    await eventually(() => log.length > 0, { what: "a complaint" });
    assert.match(log[0] ?? "", /No pulse on UDP 127\.0\.0\.1/);
    asker.ask();
    await pause(50);
    assert.equal(answers(), 0);
    other.close();
  });
});
