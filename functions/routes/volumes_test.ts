import assert from "node:assert/strict";
import { keys } from "@kedge/schema";
import {
  type ChangeVolumeBody,
  JoinMirrorReply,
  MirrorList,
  type VolumeChange,
  VolumeList,
  VolumeRegister,
} from "@kedge/schema/volume";
import {
  answerOf,
  refusalOf,
  type TestTracker,
  testTracker,
} from "../testing.ts";

const PATH = "/v1/volumes/mysql/0/register";
const FORCE = "/v1/volumes/mysql/0/force";

type Host = Awaited<ReturnType<TestTracker["joinMirror"]>>;

function memberOf({ node }: Host, name: string) {
  return { node, name, disk: `${node}`.padStart(16, "A") };
}

function post(
  tracker: TestTracker,
  host: Host,
  body: Omit<ChangeVolumeBody, "request"> & { readonly request?: string },
) {
  return tracker.ask(`POST ${PATH}`, {
    auth: host.auth,
    body: { request: crypto.randomUUID(), ...body },
  });
}

function underOf({ gen, epoch }: VolumeRegister) {
  return { gen, epoch };
}

/** Two hosts; the first one made the register. */
async function volume(tracker: TestTracker) {
  const hosts = {
    a: await tracker.joinMirror("alfa"),
    b: await tracker.joinMirror("bravo"),
  };
  const [a, b] = [memberOf(hosts.a, "alfa"), memberOf(hosts.b, "bravo")];
  const create = { kind: "create", member: a, mode: "C", above: 0 } as const;
  const register = await answerOf(
    post(tracker, hosts.a, { under: null, change: create }),
    VolumeRegister,
  );
  return { hosts, a, b, create, register };
}

Deno.test("the first Primary makes the register, everybody reads it", async () => {
  using tracker = await testTracker();
  const { hosts, a, register } = await volume(tracker);
  assert.equal(register.epoch, 1);
  assert.deepEqual(register.insync, [a]);
  const read = tracker.ask(`GET ${PATH}`, { auth: hosts.b.auth });
  assert.deepEqual(await answerOf(read, VolumeRegister), register);
  const list = await answerOf(tracker.ask("GET /v1/volumes"), VolumeList);
  assert.deepEqual(list.volumes, [register]);
});

Deno.test("a volume without a register is a 404 that says the next step", async () => {
  using tracker = await testTracker();
  const { auth, ...host } = await tracker.joinMirror();
  const read = await refusalOf(tracker.ask(`GET ${PATH}`, { auth }));
  assert.equal(read.type, "/problems/volume-not-found");
  assert.match(String(read.next), /primary --force/);
  const under = { gen: crypto.randomUUID(), epoch: 1 };
  const change = { kind: "shrink", member: memberOf({ auth, ...host }, "x") };
  const refused = await refusalOf(post(tracker, { auth, ...host }, {
    under,
    change: change as VolumeChange,
  }));
  assert.equal(refused.status, 404);
});

Deno.test("a change under another epoch is refused with the register", async () => {
  using tracker = await testTracker();
  const { hosts, a, b, register } = await volume(tracker);
  const { gen, epoch } = register;
  const grow = { kind: "grow", member: a, peer: b } as const;
  const grown = await answerOf(
    post(tracker, hosts.a, { under: { gen, epoch }, change: grow }),
    VolumeRegister,
  );
  const promote = { kind: "promote", member: b, mode: "C" } as const;
  const promoted = await answerOf(
    post(tracker, hosts.b, { under: underOf(grown), change: promote }),
    VolumeRegister,
  );
  assert.equal(promoted.primary, b.node);

  // The old Primary comes too late.
  const shrink = { kind: "shrink", member: a } as const;
  const late = await refusalOf(
    post(tracker, hosts.a, { under: { gen, epoch }, change: shrink }),
  );
  assert.equal(late.type, "/problems/stale-epoch");
  assert.deepEqual(late.register, promoted);
  const foreign = await refusalOf(post(tracker, hosts.a, {
    under: { gen: crypto.randomUUID(), epoch: promoted.epoch },
    change: shrink,
  }));
  assert.equal(foreign.type, "/problems/wrong-generation");
});

Deno.test("a refusal names who is in sync", async () => {
  using tracker = await testTracker();
  const { hosts, b, register } = await volume(tracker);
  const refused = await refusalOf(post(tracker, hosts.b, {
    under: underOf(register),
    change: { kind: "promote", member: b, mode: "C" },
  }));
  assert.equal(refused.type, "/problems/volume-refused");
  assert.equal(refused.refusal, "not-in-sync");
  assert.match(String(refused.detail), /in sync: node 1 "alfa" \(Primary\)/);
});

Deno.test("the same request twice is one change, also creating and forcing", async () => {
  using tracker = await testTracker();
  const { hosts, a, create, register } = await volume(tracker);
  const { request } = register;
  const again = post(tracker, hosts.a, {
    under: null,
    request,
    change: create,
  });
  assert.deepEqual(await answerOf(again, VolumeRegister), register);
  const other = await refusalOf(
    post(tracker, hosts.a, { under: null, change: create }),
  );
  assert.equal(other.refusal, "exists");

  for (const kind of ["shrink", "force"] as const) {
    const change: VolumeChange = kind === "shrink"
      ? { kind, member: a }
      : { kind, member: a, mode: "C", above: 0 };
    const { gen, epoch } = await answerOf(
      tracker.ask(`GET ${PATH}`, { auth: hosts.a.auth }),
      VolumeRegister,
    );
    const body = {
      under: { gen, epoch },
      request: crypto.randomUUID(),
      change,
    };
    const answers = [
      await answerOf(post(tracker, hosts.a, body), VolumeRegister),
      await answerOf(post(tracker, hosts.a, body), VolumeRegister),
    ];
    assert.deepEqual(answers[0], answers[1]);
  }
});

Deno.test("a node speaks only for its own copy", async () => {
  using tracker = await testTracker();
  const { hosts, a, b, register } = await volume(tracker);
  const changes: VolumeChange[] = [
    { kind: "shrink", member: a },
    { kind: "leave", by: a.node },
    { kind: "grow", member: a, peer: b },
    { kind: "demote", member: a },
    { kind: "promote", member: a, mode: "C" },
    { kind: "force", member: a, mode: "C", above: 0 },
  ];
  for (const change of changes) {
    const refused = post(tracker, hosts.b, {
      under: underOf(register),
      change,
    });
    assert.equal((await refusalOf(refused)).status, 403, change.kind);
  }
});

Deno.test("an operator's word counts with and without a register", async () => {
  using tracker = await testTracker();
  const { b, register } = await volume(tracker);
  const forced = await answerOf(
    tracker.ask(`POST ${FORCE}`, { body: { member: b, above: 7 } }),
    VolumeRegister,
  );
  assert.equal(forced.epoch, 1007);
  assert.equal(forced.primary, b.node);
  assert.equal(forced.gen, register.gen);
  await tracker.kv.commit({ deletes: [keys.volume("mysql", 0)] });
  const made = await answerOf(
    tracker.ask(`POST ${FORCE}`, { body: { member: b, above: 1007 } }),
    VolumeRegister,
  );
  assert.equal(made.epoch, 2007);
});

Deno.test("of two promotions at once one wins", async () => {
  using tracker = await testTracker();
  const { hosts, a, b, register } = await volume(tracker);
  const both = await answerOf(
    post(tracker, hosts.a, {
      under: underOf(register),
      change: { kind: "grow", member: a, peer: b },
    }),
    VolumeRegister,
  );
  const answers = await Promise.all([
    post(tracker, hosts.a, {
      under: underOf(both),
      change: { kind: "promote", member: a, mode: "C" },
    }),
    post(tracker, hosts.b, {
      under: underOf(both),
      change: { kind: "promote", member: b, mode: "C" },
    }),
  ]);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
  for (const answer of answers) await answer.body?.cancel();
});

Deno.test("a host joins once with a token, and may repeat it", async () => {
  using tracker = await testTracker();
  const { token, host, node, credential } = await tracker.joinMirror();
  const join = (body: unknown) =>
    tracker.ask("POST /v1/mirrors/join", { body, auth: null });
  const again = await answerOf(
    join({ token, host, name: "alfa" }),
    JoinMirrorReply,
  );
  assert.equal(again.node, node);
  assert.notEqual(again.credential, credential);
  const stranger = { token, host: crypto.randomUUID(), name: "bravo" };
  assert.equal((await refusalOf(join(stranger))).type, "/problems/bad-token");
  // The credential of the answer that was lost counts no more.
  const auth = `Kedge-Node ${node}:${credential}`;
  const old = await refusalOf(tracker.ask(`GET ${PATH}`, { auth }));
  assert.equal(old.status, 401);
});

Deno.test("hosts and nodes of the file store have different numbers", async () => {
  using tracker = await testTracker();
  const numbers = [
    (await tracker.joinMirror()).node,
    (await tracker.join()).node,
    (await tracker.joinMirror()).node,
  ];
  assert.equal(new Set(numbers).size, 3);
  // A token that a node of the file store used is no token for a host.
  const { auth } = await tracker.join();
  const read = tracker.ask(`GET ${PATH}`, { auth });
  assert.equal((await refusalOf(read)).status, 404);
});

Deno.test("a host that is removed is nobody any more", async () => {
  using tracker = await testTracker();
  const { node, auth } = await tracker.joinMirror();
  const list = await answerOf(tracker.ask("GET /v1/mirrors"), MirrorList);
  assert.deepEqual(list.mirrors.map(({ name }) => name), ["alfa"]);
  const removed = await tracker.ask(`DELETE /v1/mirrors/${node}`);
  assert.equal(removed.status, 204);
  const read = await refusalOf(tracker.ask(`GET ${PATH}`, { auth }));
  assert.equal(read.status, 401);
  const again = await refusalOf(tracker.ask(`DELETE /v1/mirrors/${node}`));
  assert.equal(again.status, 404);
});
