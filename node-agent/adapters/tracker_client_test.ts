import assert from "node:assert/strict";
import type { Heartbeat, HeartbeatReply, JoinBody } from "@kedge/schema";
import { emptyRegister } from "@kedge/schema/register";
import {
  joinCluster,
  TrackerClient,
  TrackerRefusal,
} from "./tracker_client.ts";

const REGISTER = emptyRegister("group1", crypto.randomUUID());
const REPLY: HeartbeatReply = {
  register: REGISTER,
  settings: { level: "B", fileBytesMax: 1000 },
  peers: [],
  signingKeys: [],
  mode: "active",
  nextMs: 1000,
};
const CREDENTIAL = "c".repeat(40);
const REPORT = { load: 0 } as unknown as Heartbeat;

/** A tracker that answers what a test says. */
function tracker(answer: (request: Request) => Response | Promise<Response>) {
  const requests: Request[] = [];
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
  }, (request) => {
    requests.push(request.clone());
    return answer(request);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function client(trackers: string[], timeoutMs = 2000): TrackerClient {
  return new TrackerClient({
    trackers,
    node: 7,
    group: "group1",
    credential: CREDENTIAL,
    timeoutMs,
  });
}

/** A port on which nobody listens. */
function deadUrl(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return `http://127.0.0.1:${port}`;
}

Deno.test("TrackerClient reports with its credential and checks the answer", async () => {
  await using server = tracker(() => Response.json(REPLY));
  const asked = client([`${server.url}/`]);
  assert.deepEqual(await asked.heartbeat(REPORT), REPLY);
  const [request] = server.requests;
  assert.equal(new URL(request?.url ?? "").pathname, "/v1/nodes/7/heartbeat");
  assert.equal(
    request?.headers.get("authorization"),
    `Kedge-Node 7:${CREDENTIAL}`,
  );
  asked.close();
});

Deno.test("TrackerClient asks the next tracker when one does not answer", async () => {
  await using server = tracker(() => Response.json(REGISTER));
  await using failing = tracker(() => new Response("no", { status: 500 }));
  const asked = client([deadUrl(), failing.url, server.url]);
  assert.deepEqual(await asked.register(), REGISTER);
  assert.deepEqual(await asked.register(), REGISTER);
  assert.equal(failing.requests.length, 1, "the good one is kept");
  asked.close();
});

Deno.test("TrackerClient does not go round with what is refused", async () => {
  await using first = tracker(() => new Response("{}", { status: 401 }));
  await using second = tracker(() => Response.json(REPLY));
  const asked = client([first.url, second.url]);
  await assert.rejects(asked.heartbeat(REPORT), (error) => {
    assert(error instanceof TrackerRefusal);
    assert.equal(error.status, 401);
    assert(!error.message.includes(CREDENTIAL));
    return true;
  });
  assert.equal(second.requests.length, 0);
  asked.close();
});

Deno.test("TrackerClient refuses an answer that is not one, or has no end", async () => {
  await using wrong = tracker(() => Response.json({ register: {} }));
  await using endless = tracker(() =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
      }),
    )
  );
  const asked = client([wrong.url]);
  await assert.rejects(asked.register(), /not valid/);
  asked.close();
  const flooded = client([endless.url]);
  await assert.rejects(flooded.register(), /too long/);
  flooded.close();
});

const SHRINK = { kind: "shrink", node: 2, by: 1 } as const;

Deno.test("changeRegister() tells changed, refused and unknown apart", async () => {
  const cases: [() => Response, unknown][] = [
    [() => Response.json(REGISTER), { outcome: "changed", register: REGISTER }],
    [
      () => Response.json({ register: REGISTER }, { status: 409 }),
      { outcome: "refused", register: REGISTER },
    ],
    [
      () => Response.json({ detail: "gone" }, { status: 404 }),
      { outcome: "refused", register: undefined },
    ],
  ];
  for (const [answer, wanted] of cases) {
    await using server = tracker(answer);
    const asked = client([server.url]);
    const got = await asked.changeRegister(REGISTER.gen, 1, SHRINK);
    assert.deepEqual(got, wanted);
    asked.close();
  }
});

Deno.test("changeRegister() is unknown after 5xx, silence or a lost answer, and asks only once", async () => {
  const never = Promise.withResolvers<Response>();
  await using failing = tracker(() => new Response("{}", { status: 503 }));
  await using silent = tracker(() => never.promise);
  await using other = tracker(() => Response.json(REGISTER));
  for (const url of [failing.url, silent.url, deadUrl()]) {
    const asked = client([url, other.url], 300);
    const got = await asked.changeRegister(REGISTER.gen, 1, SHRINK);
    assert.equal(got.outcome, "unknown");
    assert.equal(other.requests.length, 0);
    asked.close();
  }
  never.resolve(new Response("{}"));
});

Deno.test("joinCluster() sends the token in the body and gives the identity", async () => {
  const identity = {
    node: 3,
    group: "group1",
    credential: CREDENTIAL,
    reply: REPLY,
  };
  await using server = tracker(() => Response.json(identity));
  const body = { token: "t".repeat(20) } as unknown as JoinBody;
  assert.deepEqual(await joinCluster([deadUrl(), server.url], body), identity);
  const [request] = server.requests;
  assert.equal(request?.headers.get("authorization"), null);
  assert.deepEqual(await request?.json(), body);
});
