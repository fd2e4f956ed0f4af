/**
 * A split brain that ends with `--discard-my-data`: what is thrown away is in a
 * file, and can be written back into the volume.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  listUndoFiles,
  restoreUndo,
} from "../../node-agent/mirror/volume/undo_reader.ts";
import {
  LocalNode,
  type LocalPair,
  makeEqualDisks,
} from "../helpers/mirror_pair_local.ts";
import { Scope } from "../helpers/scope.ts";

const BLOCK_BYTES = 4096;
const block = (letter: string) =>
  new Uint8Array(BLOCK_BYTES).fill(letter.charCodeAt(0));

async function startPair(scope: Scope, net: string, netOptions = "") {
  const pair: LocalPair = { net, dir: await scope.tempDir(), netOptions };
  makeEqualDisks(pair);
  const a = new LocalNode("a", pair);
  const b = new LocalNode("b", pair);
  scope.defer(() => a[Symbol.dispose]());
  scope.defer(() => b[Symbol.dispose]());
  for (const node of [a, b]) await node.must({ kind: "attach" });
  return { a, b, dir: pair.dir };
}

/** Both write alone: blocks 5 and 9 on `b`, block 5 on `a`. */
async function splitBrain(a: LocalNode, b: LocalNode): Promise<void> {
  await a.must({ kind: "primary", force: false });
  assert.ok(await a.write(5 * BLOCK_BYTES, block("A")));
  await a.must({ kind: "secondary" });
  await b.must({ kind: "primary", force: false });
  assert.ok(await b.write(5 * BLOCK_BYTES, block("B")));
  assert.ok(await b.write(9 * BLOCK_BYTES, block("B")));
  await b.must({ kind: "secondary" });
  await Promise.all([a.connect(), b.connect()]);
}

async function discard(a: LocalNode, b: LocalNode): Promise<void> {
  for (const node of [a, b]) {
    await node.until("alone", ({ connection }) => connection === "StandAlone");
  }
  await b.must({ kind: "connect", discardMyData: true, tentative: false });
  await a.connect();
  await a.untilEqual();
  await b.untilEqual();
}

Deno.test("what --discard-my-data throws away can be brought back", async () => {
  await using scope = new Scope();
  const { a, b, dir } = await startPair(scope, "127.77.1");
  await splitBrain(a, b);
  await discard(a, b);
  const data = () => Deno.readFileSync(`${dir}/b.data`);
  const at = (bytes: Uint8Array, number: number) =>
    String.fromCharCode(bytes[number * BLOCK_BYTES] ?? 0);
  assert.deepEqual([at(data(), 5), at(data(), 9)], ["A", "\0"]);

  const files = listUndoFiles(`${dir}/undo-b`);
  assert.equal(files.length, 1, b.log.join("\n"));
  const [file] = files;
  assert.ok(file?.isWhole);
  assert.ok(file.keptBytes >= 2 * BLOCK_BYTES);
  assert.deepEqual(listUndoFiles(`${dir}/undo-a`), []);

  await a.must({ kind: "primary", force: false });
  const { writtenBytes: written } = await restoreUndo(file.path, {
    sizeBytes: a.volume.core.sizeBytes,
    write: async (offset, content) => {
      assert.ok(await a.write(offset, content));
    },
    flush: async () => {
      assert.ok(await a.flush());
    },
  });
  assert.equal(written, file.keptBytes);
  for (const name of ["a", "b"]) {
    const bytes = Deno.readFileSync(`${dir}/${name}.data`);
    assert.deepEqual([at(bytes, 5), at(bytes, 9)], ["B", "B"], name);
  }
});

Deno.test("what a policy throws away is kept as well", async () => {
  await using scope = new Scope();
  const policy = "after-sb-0pri discard-least-changes;";
  const { a, b, dir } = await startPair(scope, "127.77.3", policy);
  await splitBrain(a, b);
  await a.untilEqual();
  await b.untilEqual();
  const [file] = listUndoFiles(`${dir}/undo-a`);
  assert.ok(file?.isWhole, a.log.join("\n"));
  const old = new Uint8Array(a.volume.core.sizeBytes);
  await restoreUndo(file.path, {
    sizeBytes: old.length,
    write: (offset, content) => Promise.resolve(old.set(content, offset)),
    flush: () => Promise.resolve(),
  });
  assert.equal(old[5 * BLOCK_BYTES], "A".charCodeAt(0));
});

Deno.test("a resync without a split brain keeps nothing", async () => {
  await using scope = new Scope();
  const { a, b, dir } = await startPair(scope, "127.77.2");
  await a.must({ kind: "primary", force: false });
  assert.ok(await a.write(0, block("A")));
  await Promise.all([a.connect(), b.connect()]);
  await a.untilEqual();
  assert.deepEqual(listUndoFiles(`${dir}/undo-b`), []);
});
