/**
 * After the faults: is everything that was acknowledged there, everywhere, with
 * the right bytes, and do all nodes list the same?
 *
 * @module
 */

import assert from "node:assert/strict";
import type { FileInfo } from "@kedge/schema";
import { type Api, readFile, sha256 } from "./api.ts";
import type { Agent, Cluster } from "./cluster.ts";
import { eventually, pause } from "./eventually.ts";

/** One file that was acknowledged. */
export interface Acknowledged {
  readonly id: string;
  /** SHA-256 of its content, in hex. */
  readonly sha256: string;
}

/** What two nodes must agree on about a file. */
function essence(file: FileInfo): string {
  const { id, size, crc32, sha256, version, meta } = file;
  return JSON.stringify({ id, size, crc32, sha256, version, meta });
}

/**
 * Wait until every node lists the same files.
 *
 * @returns What they list.
 */
export async function untilSame(
  cluster: Cluster,
  deadlineMs = 30_000,
): Promise<FileInfo[]> {
  const nodes = cluster.agents.map(({ node }) => node);
  return await eventually(async () => {
    const lists = await Promise.all(nodes.map((n) => cluster.api.list(n)));
    const [first = [], ...others] = lists;
    for (const other of others) {
      const difference = firstDifference(first, other);
      if (difference !== undefined) throw new Error(difference);
    }
    return first;
  }, { what: "all nodes to list the same files", deadlineMs, pauseMs: 300 });
}

/**
 * Read every acknowledged file from every node, and compare the bytes.
 *
 * @throws {assert.AssertionError} Naming up to ten files that are lost or wrong.
 */
export async function expectAllReadable(
  cluster: Cluster,
  acknowledged: readonly Acknowledged[],
): Promise<void> {
  const faults: string[] = [];
  const queue = cluster.agents.flatMap((agent) =>
    acknowledged.map((file) => ({ agent, file }))
  );
  const worker = async () => {
    for (let job = queue.pop(); job !== undefined; job = queue.pop()) {
      const { agent, file } = job;
      const fault = await faultOf(agent.url, file);
      if (fault === undefined) continue;
      await pause(2_000);
      const later = await faultOf(agent.url, file);
      faults.push(
        `${fault} at ${agent.name}; 2 s later: ${later ?? "good"}; ` +
          `on disk: ${cluster.agents.map((a) => onDisk(a, file.id))}; logs:\n` +
          cluster.agents.flatMap((a) => linesAbout(a, file.id)).join("\n"),
      );
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  assert.equal(
    faults.length,
    0,
    `${faults.length} of ${acknowledged.length} × ${cluster.agents.length}:\n${
      faults.slice(0, 10).join("\n")
    }`,
  );
}

async function faultOf(
  url: string,
  file: Acknowledged,
): Promise<string | undefined> {
  try {
    const bytes = await readFile(url, file.id);
    if (await sha256(bytes) === file.sha256) return undefined;
    return `WRONG BYTES: ${file.id}`;
  } catch (error) {
    return `LOST: ${error}`;
  }
}

function linesAbout(agent: Agent, id: string): string[] {
  return agent.child.text.split("\n").filter((line) => line.includes(id))
    .slice(-5).map((line) => `  ${agent.name}: ${line}`);
}

function onDisk(agent: Agent, id: string): string {
  const [, , hh, ll, name] = id.split("/");
  const path = `${agent.dir}/store/data/${hh}/${ll}/${name}`;
  try {
    return `${agent.name} ${Deno.statSync(path).size} bytes`;
  } catch {
    return `${agent.name} nothing`;
  }
}

/** Wait until a file is gone at every node (404), and expect it to stay gone. */
export async function expectGone(
  cluster: Cluster,
  ids: readonly string[],
  readStatus: (base: string, id: string) => Promise<number>,
): Promise<void> {
  for (const { url, name } of cluster.agents) {
    for (const id of ids) {
      await eventually(async () => {
        const status = await readStatus(url, id);
        if (status === 404) return true;
        throw new Error(`status ${status}`);
      }, { what: `${id} to be gone at ${name}` });
    }
  }
}

/** Files with equal content, listed under several IDs; empty ones are equal. */
export function duplicates(files: readonly FileInfo[]): string[] {
  const seen = new Map<string, string>();
  const twice: string[] = [];
  for (const { id, sha256, size } of files) {
    if (sha256 === null || size === 0) continue;
    const other = seen.get(sha256);
    if (other !== undefined) twice.push(`${other} and ${id}`);
    seen.set(sha256, id);
  }
  return twice;
}

/** IDs that a node lists. */
export async function idsAt(api: Api, node: number): Promise<Set<string>> {
  return new Set((await api.list(node)).map(({ id }) => id));
}

function firstDifference(a: FileInfo[], b: FileInfo[]): string | undefined {
  if (a.length !== b.length) return `${a.length} files against ${b.length}`;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i], b[i]];
    if (x === undefined || y === undefined) return "a hole in a list";
    if (essence(x) !== essence(y)) return `${essence(x)} against ${essence(y)}`;
  }
  return undefined;
}
