/**
 * Stores for tests: opened in a temporary folder, with short words for what an
 * agent does with them.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { KIB, RECORD_BODY_BYTES_MAX } from "@kedge/schema";
import type { Change, ChangeBody, FileEntry } from "@kedge/schema/change";
import {
  encodeFileId,
  encodeFileName,
  parseFileId,
} from "@kedge/schema/file-id";
import type { ContentSource, LogRecordWithContent, Staged } from "../ports.ts";
import { openStore, type Store, type StoreOptions } from "./store.ts";

/** A log that keeps its warnings. */
export class QuietLog {
  /** Every warning so far. */
  readonly warnings: string[] = [];
  /** Nobody reads these. */
  info(): void {}
  /** Keep it. */
  warn(message: string, facts: Record<string, unknown> = {}): void {
    this.warnings.push(`${message} ${JSON.stringify(facts)}`);
  }
}

/** Bodies of middle size are written at once. */
export const EARLY = {
  sizeBytesMin: 16 * KIB,
  togetherBytesMin: 16 * KIB,
  rushCount: 1,
} as const;

/** Options for a small store below `dir`. */
export function storeOptions(
  dir: string,
  more: Partial<StoreOptions> = {},
): StoreOptions {
  return {
    dataDir: `${dir}/data`,
    storePaths: [`${dir}/p0`],
    node: 1,
    group: "group1",
    reserve: { kind: "bytes", bytes: 0 },
    clock: { monotonicMs: () => performance.now(), wallMs: () => Date.now() },
    log: new QuietLog(),
    reserveFileBytes: 0,
    early: EARLY,
    ...more,
  };
}

/** A store with the moves of an agent that has no peers. */
export class TestStore {
  /** The store itself. */
  readonly store: Store;

  private constructor(store: Store) {
    this.store = store;
  }

  /** Open a store below `dir`. */
  static async open(
    dir: string,
    more: Partial<StoreOptions> = {},
  ): Promise<TestStore> {
    return new TestStore(await openStore(storeOptions(dir, more)));
  }

  /** Stage bytes; `inRecord` as a door does that has them whole. */
  stage(
    bytes: Uint8Array,
    durable = true,
    inRecord = false,
  ): Promise<Staged> {
    return this.store.files.stage({
      inlineBytesMax: inRecord ? RECORD_BODY_BYTES_MAX : undefined,
      body: bytes,
      sizeBytesMax: 1e12,
      sizeBytes: bytes.length,
      durable,
    });
  }

  /** Append a change as the next record of our log. */
  async log(
    change: Change,
    content: ContentSource = { kind: "none" },
    options: { durable?: boolean; key?: string } = {},
  ): Promise<LogRecordWithContent> {
    const { log } = this.store;
    this.#next = Math.max(this.#next, log.head()) + 1;
    const record = { sequence: this.#next, change, content };
    this.announce("will", change.entry);
    await log.append(record, options.durable ?? true, options.key);
    this.announce("did", change.entry);
    return record;
  }

  /** Called before a change is stored and once it is. */
  announce: (what: "will" | "did", entry: FileEntry) => void = () => {};

  #next = 0;

  /** Upload bytes as a new file. */
  async upload(
    bytes: Uint8Array,
    options: {
      appender?: boolean;
      durable?: boolean;
      key?: string;
      inRecord?: boolean;
    } = {},
  ): Promise<FileEntry> {
    const { durable = true, inRecord } = options;
    const staged = await this.stage(bytes, durable, inRecord);
    const appender = options.appender ?? false;
    const id = this.store.files.newId({ staged, extension: "bin", appender });
    const entry = newEntry(id, staged);
    const change: Change = { entry, body: { kind: "whole" } };
    await this.log(change, { kind: "staged", staged }, options);
    return entry;
  }

  /** Change a part of a file; `offset` at its end is an append. */
  async write(
    entry: FileEntry,
    offset: number,
    bytes: Uint8Array,
    durable = true,
  ): Promise<FileEntry> {
    const staged = await this.stage(bytes, durable);
    const edit = { kind: "range", offset, staged } as const;
    const next = await this.store.files.foresee(entry, edit);
    const body: ChangeBody = {
      kind: "range",
      offset,
      lengthBytes: bytes.length,
      baseEpoch: entry.epoch,
      baseVersion: entry.version,
    };
    const changed = {
      ...entry,
      ...next,
      version: entry.version + 1,
      sha256: null,
    };
    const content: ContentSource = { kind: "staged", staged };
    await this.log({ entry: changed, body }, content, { durable });
    return changed;
  }

  /** Cut a file, or extend it with zeros. */
  async truncate(entry: FileEntry, sizeBytes: number): Promise<FileEntry> {
    const edit = { kind: "truncate", sizeBytes } as const;
    const next = await this.store.files.foresee(entry, edit);
    const body: ChangeBody = {
      kind: "truncate",
      baseEpoch: entry.epoch,
      baseVersion: entry.version,
    };
    const changed = {
      ...entry,
      ...next,
      version: entry.version + 1,
      sha256: null,
    };
    await this.log({ entry: changed, body });
    return changed;
  }

  /** Delete a file. */
  async delete(entry: FileEntry, durable = true): Promise<FileEntry> {
    const version = entry.version + 1;
    const buried: FileEntry = { ...entry, state: "tombstone", version };
    const change: Change = { entry: buried, body: { kind: "none" } };
    await this.log(change, { kind: "none" }, { durable });
    return buried;
  }

  /** All bytes of a file, or of a part. */
  async read(
    entry: FileEntry,
    span?: { from: number; lengthBytes: number },
  ): Promise<Uint8Array> {
    const body = await this.store.files.read(entry, span);
    return body instanceof Uint8Array ? body : await new Response(body).bytes();
  }

  /** Stop. */
  close(clean = true): Promise<void> {
    return this.store.close({ clean });
  }
}

/** The entry of a new file. */
export function newEntry(
  id: string,
  content: Pick<Staged, "sizeBytes" | "crc32" | "sha256">,
): FileEntry {
  const parsed = parseFileId(id);
  return {
    id,
    state: "present",
    epoch: 1,
    version: 1,
    origin: typeof parsed?.origin === "number" ? parsed.origin : 1,
    sizeBytes: content.sizeBytes,
    crc32: content.crc32,
    sha256: content.sha256,
    type: null,
    name: null,
    meta: {},
    createdS: parsed?.createdS ?? 0,
    appender: parsed?.kind === "appender",
    master: null,
  };
}

/** Facts about bytes. */
export function factsOf(bytes: Uint8Array) {
  return {
    sizeBytes: bytes.length,
    crc32: crc32(bytes),
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}

/** Bytes that differ from seed to seed. */
export function someBytes(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let at = 0; at < length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  return bytes;
}

/** Where a file lies in a store below `dir`. */
export function diskPath(dir: string, id: string, pathIndex = 0): string {
  const parts = id.split("/").slice(2).join("/");
  return `${dir}/p${pathIndex}/data/${parts}`;
}

/** Work in a folder that is gone afterwards. */
export async function withDir(
  work: (dir: string) => Promise<void> | void,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A record of node 2 that makes a file, of `seed` times 500 bytes. */
export function foreignRecord(seed: number, sizeBytes: number = 500 * seed) {
  const bytes = someBytes(sizeBytes, seed);
  const facts = factsOf(bytes);
  const name = encodeFileName({
    ...facts,
    ...{ origin: 2, createdS: 1_800_000_000, appender: false },
    ...{ random: seed, digits: 0, extension: "" },
  });
  const place = { group: "group1", pathIndex: 0, high: 1, low: 2 };
  const entry = { ...newEntry(encodeFileId(place, name), facts), origin: 2 };
  return {
    change: { entry, body: { kind: "whole" } },
    content: { kind: "inline", bytes },
  } as const;
}
