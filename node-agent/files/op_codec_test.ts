import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import type { Step } from "./merge_core.ts";
import { packOp, unpackOp } from "./op_codec.ts";
import type { Op } from "./worker_messages.ts";

const entry: FileEntry = {
  id: "group1/M00/00/01/AQAAADuaygCAAeJAAAAQAAAAMDk0000077",
  state: "present",
  epoch: 1,
  version: 1,
  origin: 1,
  sizeBytes: 3,
  crc32: 7,
  sha256: null,
  type: "text/plain",
  name: 'a line\nand "another" \u2028 one',
  meta: { key: "value\n" },
  createdS: 1,
  appender: false,
  master: null,
};
const body = { kind: "whole" } as const;
const step: Step = {
  entry,
  body,
  content: { kind: "inline", at: 0, length: 3 },
  pathIndex: 0,
  key: { key: "k", id: entry.id, sha256: "", epoch: 1, usedMs: 5 },
};
const bare: Step = { ...step, content: { kind: "none" }, key: undefined };

Deno.test("unpackOp() gives back what packOp() was given", () => {
  const record = JSON.stringify({ entry, body, key: "k" });
  const ops: Op[] = [
    { kind: "append", sequence: 9, record, step, key: step.key },
    { kind: "append", sequence: 10, record, step: bare, key: undefined },
    {
      kind: "apply",
      origin: 2,
      incarnation: 4,
      first: 1,
      steps: [step, bare],
    },
    { kind: "adopt", steps: [bare, step] },
  ];
  for (const op of ops) {
    const packed = packOp(op);
    assert.equal(typeof packed, "string", op.kind);
    assert.deepEqual(unpackOp(packed), op);
  }
});

Deno.test("packOp() leaves ops with staging files as they are", () => {
  const content = {
    kind: "whole",
    token: "t",
    pathIndex: 0,
    crc32: 7,
    sizeBytes: 3,
    blockCrcs: Uint8Array.of(1, 2, 3, 4),
  } as const;
  const op: Op = { kind: "adopt", steps: [step, { ...step, content }] };
  assert.equal(packOp(op), op);
  assert.equal(unpackOp(op), op);
});
