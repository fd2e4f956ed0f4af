/**
 * What tests of growing a volume share: a pair in sync, wishes, and looks at
 * what came of them.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { ResizeWish } from "./resize_core.ts";
import { Pair, type TestNode } from "./volume_fixture.ts";

/** Size of every disk before it grows. */
export const OLD = 1024 * 1024;
const LARGEST: ResizeWish = {
  sizeBytes: 0,
  assumePeerHasSpace: false,
  assumeClean: false,
};

/** Connection, roles and disks as `/proc/drbd` says them. */
export function words(node: TestNode): string {
  const { connection, role, peerRole, disk, peerDisk } = node.core.state;
  return `${connection} ${role}/${peerRole} ${disk}/${peerDisk}`;
}

/** A pair in sync, `a` Primary. */
export function synced(
  config: ConstructorParameters<typeof Pair>[1] = {},
): Pair {
  const pair = new Pair(OLD, config);
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  assert.equal(words(pair.a), "Connected Primary/Secondary UpToDate/UpToDate");
  return pair;
}

/** What it came to; -999: no answer yet. */
export function resize(node: TestNode, wish: Partial<ResizeWish> = {}) {
  const answer: { code: number; why?: string | undefined } = { code: -999 };
  node.core.resize.start({ ...LARGEST, ...wish }, ({ code, why }) => {
    Object.assign(answer, { code, why });
  });
  return answer;
}

/** Write a block of `value`s; the answers, when they come. */
export function write(
  node: TestNode,
  offset: number,
  value: number,
): boolean[] {
  const answers: boolean[] = [];
  const data = new Uint8Array(4096).fill(value);
  node.core.writes.write(offset, data, (ok) => answers.push(ok));
  return answers;
}

/** Of both nodes: the size of the core, what is agreed, the bitmap's. */
export function sizes(pair: Pair): number[] {
  return [pair.a, pair.b].flatMap(({ core, persistent }) => [
    core.sizeBytes,
    persistent.agreedBytes,
    core.bitmap?.sizeBytes ?? -1,
  ]);
}

/** Not by deepEqual: to tell what differs takes it minutes. */
export function assertSameData({ a, b }: Pair): void {
  const { sizeBytes } = a.core;
  const [here, there] = [a, b].map(({ data }) => data.subarray(0, sizeBytes));
  assert.ok(here?.every((byte, at) => byte === there?.[at]));
}
