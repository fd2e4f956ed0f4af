/**
 * A connection over memory: what many waits leave behind.
 *
 * @module
 */

import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { GreetingRole } from "@kedge/schema/wire/mirror";
import { type ConnectionEvents, PeerConnection } from "./peer_connection.ts";

/** One end of a socket in memory. */
class End {
  other: End | undefined;
  readonly #chunks: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  #isClosed = false;

  setNoDelay(): void {}

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0 && !this.#isClosed) {
      await new Promise<void>((done) => this.#wake = done);
    }
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return null;
    into.set(chunk);
    return chunk.length;
  }

  write(bytes: Uint8Array): Promise<number> {
    this.other?.arrive(bytes.slice());
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  arrive(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#wake?.();
  }
}

async function greeted(end: End, role: GreetingRole): Promise<PeerConnection> {
  const nonce = (role === "dialer" ? "a" : "b").repeat(32);
  const hello = { resource: "r", volume: 0, node: role, integrity: "", nonce };
  const { connection } = await PeerConnection.greet(
    end as unknown as Deno.TcpConn,
    role,
    {
      hello,
      times: { greetingMs: 5_000, pingIntMs: 1e6, pingTimeoutMs: 1e6 },
      secret: () => undefined,
      accept: () => hello,
    },
  );
  return connection;
}

/** Both ends; what the first one says from now on is heard by nobody. */
async function joined(): Promise<[PeerConnection, PeerConnection]> {
  const [one, two] = [new End(), new End()];
  one.other = two;
  two.other = one;
  const both = [greeted(one, "dialer"), greeted(two, "acceptor")] as const;
  const connections = await Promise.all(both);
  one.other = undefined;
  return connections;
}

function waiting(wait: () => Promise<void>): ConnectionEvents {
  return {
    frame: () => {},
    batchEnd: wait,
    pinged: () => {},
    ponged: () => {},
    drained: () => {},
  };
}

const turn = () => new Promise<void>((done) => setTimeout(done, 0));

Deno.test("waits between reads leave nothing behind", async () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const [here, there] = await joined();
  let waits = 0;
  const ended = here.run(waiting(() => {
    waits++;
    return Promise.resolve();
  }));
  const heapAfter = async (count: number) => {
    for (const end = waits + count; waits < end;) {
      there.choose();
      if (waits % 100 === 0) await turn();
      await Promise.resolve();
    }
    await turn();
    collect();
    return Deno.memoryUsage().heapUsed;
  };
  const before = await heapAfter(2_000);
  const grownBytes = await heapAfter(20_000) - before;
  assert.ok(grownBytes < 1_500_000, `${grownBytes} bytes more`);
  there.close("the test is over");
  here.close("the test is over");
  await ended;
});

Deno.test("a connection that is closed waits for nothing any more", async () => {
  const [here, there] = await joined();
  const ended = here.run(waiting(() => new Promise(() => {})));
  await turn();
  here.close("enough");
  await ended;
  there.close("the test is over");
});

Deno.test("an answer to what was not asked yet counts for nothing", async () => {
  const [here, there] = await joined();
  const answered: number[] = [];
  const ended = here.run({
    ...waiting(() => Promise.resolve()),
    ponged: (sentMs) => answered.push(sentMs),
  });
  const body = new Uint8Array(8);
  for (const sentMs of [Infinity, NaN, performance.now() + 60_000, 1]) {
    new DataView(body.buffer).setFloat64(0, sentMs);
    there.out.putRaw("pong", body);
  }
  there.out.flush();
  await turn();
  there.close("the test is over");
  here.close("the test is over");
  await ended;
  assert.deepEqual(answered, [1]);
});

Deno.test("frames that take their time let others have their turn", async () => {
  const [here, there] = await joined();
  let turns = 0;
  const other = setInterval(() => turns++, 0);
  const at: number[] = [];
  const all = Promise.withResolvers<void>();
  const ended = here.run({
    ...waiting(() => Promise.resolve()),
    frame: () => {
      const endMs = performance.now() + 60;
      while (performance.now() < endMs);
      if (at.push(turns) === 6) all.resolve();
    },
  });
  for (let sequence = 1; sequence <= 6; sequence++) {
    there.send({ kind: "flush", sequence, barrier: false }, 0);
  }
  there.out.flush();
  await all.promise;
  clearInterval(other);
  there.close("the test is over");
  here.close("the test is over");
  await ended;
  assert.ok(new Set(at).size >= 3, `turns ${at}`);
});
