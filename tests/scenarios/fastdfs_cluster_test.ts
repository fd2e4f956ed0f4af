/**
 * FastDFS's clients on a real cluster: what FastDFS loses, swaps or hides for
 * minutes is there, on every member, at once.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { eventually } from "../helpers/eventually.ts";
import {
  downloadBody,
  field,
  idIn,
  named,
  nameOf,
  RawFastdfs,
  u64,
  uploadBody,
} from "../helpers/fastdfs_raw.ts";
import { type FastdfsStack, startFastdfs } from "../helpers/fastdfs_stack.ts";
import { Random } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";

/** Uploads that are under way when a node is killed. */
const WRITERS = 4;

function storageAt(stack: FastdfsStack, index: number): Promise<RawFastdfs> {
  return RawFastdfs.connect({ hostname: stack.storage(index), port: 23_000 });
}

function trackerOf(stack: FastdfsStack): Promise<RawFastdfs> {
  return RawFastdfs.connect({ hostname: stack.host, port: 22_122 });
}

async function ask(
  stack: FastdfsStack,
  index: number,
  [command, body]: readonly [number, Buffer],
): Promise<Buffer> {
  using storage = await storageAt(stack, index);
  const { status, body: answer } = await storage.call(command, body);
  assert.equal(status, 0, `command ${command} at ${index}`);
  return answer;
}

// FastDFS's replica answers 2 for up to a second, and 300 s are waited before
// it is asked at all; with links its slave files never arrive.
Deno.test("fastdfs: a file is on every member when its upload is answered", async () => {
  await using scope = new Scope();
  const stack = await startFastdfs(scope);
  for (const size of [5, 300_000]) {
    const content = Buffer.from(new Random(size).bytes(size));
    const master = idIn(await ask(stack, 1, [11, uploadBody(content)]));
    const slave = Buffer.concat([
      u64(nameOf(master).length),
      u64(content.length),
      field("_small", 16),
      field("jpg", 6),
      nameOf(master),
      content,
    ]);
    const slaveId = idIn(await ask(stack, 2, [21, slave]));
    for (const id of [master, slaveId]) {
      for (const index of [1, 2]) {
        assert.deepEqual(
          await ask(stack, index, [14, downloadBody(id)]),
          content,
        );
      }
    }
    await ask(stack, 2, [12, named(master)]);
    using other = await storageAt(stack, 1);
    assert.equal((await other.call(14, downloadBody(master))).status, 2);
  }
});

// FastDFS compares lengths, and never looks again: it serves the wrong bytes, or
// answers 2 for ever (weaknesses 7 and 12).
Deno.test("fastdfs: other bytes of the same length, and a missing file, are noticed by who reads", async () => {
  await using scope = new Scope();
  const stack = await startFastdfs(scope);
  const content = Buffer.from(new Random(7).bytes(300_000));
  const [rotten = "", missing = ""] = await Promise.all(
    [0, 1].map(async () =>
      idIn(await ask(stack, 1, [11, uploadBody(content)]))
    ),
  );
  const path = (id: string) =>
    `${stack.data}/node-2/store/data/${id.split("/").slice(2).join("/")}`;
  await Deno.writeFile(path(rotten), new Uint8Array(300_000));
  await Deno.remove(path(missing));
  for (const id of [rotten, missing]) {
    using storage = await storageAt(stack, 2);
    await eventually(async () => {
      const { status, body } = await storage.call(14, downloadBody(id));
      if (status === 0) assert.deepEqual(body, content, "never other bytes");
      return status === 0;
    }, { what: "the file from the other member" });
    await eventually(
      async () =>
        Buffer.compare(
          await Deno.readFile(path(id)).catch(() => new Uint8Array()),
          content,
        ) === 0,
      { what: "the copy to be mended" },
    );
  }
});

// In FastDFS one of two such appends vanishes, and members end swapped.
Deno.test("fastdfs: changes sent to different members all count, in one order", async () => {
  await using scope = new Scope();
  const stack = await startFastdfs(scope);
  const id = idIn(await ask(stack, 1, [23, uploadBody(Buffer.from("|"))]));
  const append = (text: string) =>
    [
      24,
      Buffer.concat([
        u64(nameOf(id).length),
        u64(text.length),
        nameOf(id),
        Buffer.from(text),
      ]),
    ] as const;
  const parts = Array.from({ length: 10 }, (_, n) => `<${n}>`);
  await Promise.all(
    parts.map((part, n) => ask(stack, 1 + n % 2, append(part))),
  );
  const [one, two] = [
    String(await ask(stack, 1, [14, downloadBody(id)])),
    String(await ask(stack, 2, [14, downloadBody(id)])),
  ];
  assert.equal(one, two);
  const length = 1 + parts.join("").length;
  assert.equal(one.length, length);
  for (const part of parts) assert(one.includes(part), `${part} in ${one}`);

  const large = "x".repeat(200_000);
  await ask(stack, 2, append(large));
  const final = idIn(await ask(stack, 2, [38, nameOf(id)]));
  for (const index of [1, 2]) {
    const body = await ask(stack, index, [14, downloadBody(final)]);
    assert.equal(String(body), one + large);
  }
});

// FastDFS hands a stopped storage out for 212 s.
Deno.test("fastdfs: a storage that hangs is soon not offered any more", async () => {
  await using scope = new Scope();
  const stack = await startFastdfs(scope);
  const hung = stack.ready.agents[1];
  assert(hung !== undefined);
  const hungAt = field(stack.storage(2), 15);
  using tracker = await trackerOf(stack);
  await eventually(async () => {
    const { body } = await tracker.call(106);
    return body.indexOf(hungAt) > 0;
  }, { what: "both members to be offered" });
  Deno.kill(hung.pid, "SIGSTOP");
  try {
    await eventually(async () => {
      const { status, body } = await tracker.call(106);
      return status === 0 && body.indexOf(hungAt) < 0;
    }, { what: "the hung member to be left out", deadlineMs: 40_000 });
    for (let n = 0; n < 10; n++) {
      assert((await tracker.call(101)).body.indexOf(hungAt) < 0);
    }
    const id = idIn(await ask(stack, 1, [11, uploadBody(Buffer.from("on"))]));
    const fetch = await tracker.call(102, named(id));
    assert(fetch.body.indexOf(hungAt) < 0);
  } finally {
    Deno.kill(hung.pid, "SIGCONT");
  }
});

// FastDFS loses what was acknowledged since its last flush of the binlog.
Deno.test("fastdfs: kill -9 during uploads loses nothing that was answered", async () => {
  await using scope = new Scope();
  const stack = await startFastdfs(scope);
  const victim = stack.ready.agents[1];
  assert(victim !== undefined);
  const answered = new Map<string, Buffer>();
  let isOver = false;
  const writers = Array.from({ length: WRITERS }, async (_, seed) => {
    const random = new Random(seed + 1);
    while (!isOver) {
      const content = Buffer.from(random.bytes(random.between(1, 90_000)));
      try {
        using storage = await storageAt(stack, random.between(1, 2));
        const { status, body } = await storage.call(11, uploadBody(content));
        if (status === 0) answered.set(idIn(body), content);
      } catch {
        // It was killed.
      }
    }
  });
  await eventually(() => answered.size > 100, { what: "some uploads" });
  Deno.kill(victim.pid, "SIGKILL");
  const atKill = answered.size;
  await eventually(() => answered.size > atKill + 50, { what: "some more" });
  isOver = true;
  await Promise.all(writers);

  for (const [id, content] of answered) {
    assert.deepEqual(await ask(stack, 1, [14, downloadBody(id)]), content, id);
  }
  await eventually(async () => {
    using storage = await storageAt(stack, 2);
    return (await storage.call(111)).status === 0;
  }, { what: "the killed member to return", deadlineMs: 40_000 });
  for (const [id, content] of answered) {
    const again = await eventually(
      () => ask(stack, 2, [14, downloadBody(id)]),
      { what: `${id} at the member that was killed` },
    );
    assert.deepEqual(again, content, id);
  }
});
