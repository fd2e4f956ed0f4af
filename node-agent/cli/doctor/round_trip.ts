/**
 * The life of one small file in each group, seen from every node.
 *
 * @module
 */

import type { GroupView, Uploaded } from "@kedge/schema";
import { sendChange } from "../client/changes.ts";
import { allGroups } from "../client/cluster.ts";
import { apiError } from "../client/api_error.ts";
import {
  fetchWithin,
  filePath,
  type TrackerClient,
} from "../client/tracker_client.ts";
import { Uploader } from "../client/uploader.ts";
import type { CommandContext } from "../context.ts";
import { CliError, messageOf } from "../errors.ts";

/** What one step found. */
export interface Finding {
  /** Group, or "cluster". */
  readonly group: string;
  readonly step: string;
  readonly ok: boolean;
  readonly ms: number;
  /** What was seen, or what is wrong. */
  readonly why?: string | undefined;
  /** What to do about it. */
  readonly next?: string | undefined;
}

/** What it works with. */
export interface RoundTripParts {
  readonly client: TrackerClient;
  readonly context: CommandContext;
  readonly tell: (finding: Finding) => void;
}

const TEXT = "kedge doctor was here; ";
/** How long nodes may take to follow, in ms. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 100;

/** Tries groups. */
export class RoundTrip {
  readonly #parts: RoundTripParts;

  /** Nothing is done yet. */
  constructor(parts: RoundTripParts) {
    this.#parts = parts;
  }

  /**
   * Try every group, or one.
   *
   * @throws {CliError} When no tracker answers, or the group is not known.
   */
  async run(only: string | undefined): Promise<void> {
    const groups = (await allGroups(this.#parts.client))
      .filter(({ register }) => only === undefined || register.group === only);
    if (groups.length === 0) {
      throw new CliError(
        only === undefined ? "There is no group yet" : `No group "${only}"`,
        only === undefined ? "start an agent" : "kedge groups",
      );
    }
    for (const group of groups) {
      await this.#step(group, "every node is alive and in sync", () => {
        const ill = group.nodes.filter(({ alive, insync }) =>
          !alive || !insync
        );
        if (ill.length === 0) return Promise.resolve(`${group.nodes.length}`);
        const names = ill.map(({ node }) => `node ${node}`).join(", ");
        throw new CliError(`${names} is not`, "kedge status");
      });
      await this.#group(group);
    }
  }

  async #group(group: GroupView): Promise<void> {
    let file: Uploaded | undefined;
    await this.#step(
      group,
      "upload an appender file with metadata",
      async () => {
        file = await this.#upload(group.register.group);
        return file.id;
      },
    );
    if (file === undefined) return;
    const { id } = file;
    await this.#step(group, "read it from every node", async () => {
      await this.#everywhere(group, id, TEXT);
    });
    await this.#step(
      group,
      "append to it, and read that everywhere",
      async () => {
        await this.#append(id);
        await this.#everywhere(group, id, TEXT + TEXT);
      },
    );
    await this.#step(group, "read its metadata", async () => {
      const answer = await this.#parts.client.ask(filePath(id, "/meta"), {
        query: this.#parts.client.linkTo(id),
      });
      const meta = await answer.json();
      if (meta.by !== "doctor") throw new Error(JSON.stringify(meta));
    });
    await this.#step(group, "delete it, and no node has it", async () => {
      await this.#parts.client.done(filePath(id), { method: "DELETE" });
      await this.#everywhere(group, id, undefined);
    });
  }

  async #step(
    { register }: GroupView,
    step: string,
    act: () => Promise<string | void>,
  ): Promise<void> {
    const { context, tell } = this.#parts;
    const startMs = context.nowMs();
    const { group } = register;
    try {
      const why = await act() ?? undefined;
      tell({ group, step, ok: true, ms: context.nowMs() - startMs, why });
    } catch (error) {
      context.signal.throwIfAborted();
      const next = error instanceof CliError ? error.next : undefined;
      const ms = context.nowMs() - startMs;
      tell({ group, step, ok: false, ms, why: messageOf(error), next });
    }
  }

  async #upload(group: string): Promise<Uploaded> {
    const { client, context } = this.#parts;
    const uploader = new Uploader({
      client,
      signal: context.signal,
      sleep: context.sleep,
      wallMs: () => Date.now(),
    }, {
      level: undefined,
      group,
      appender: true,
      type: undefined,
      isIdempotent: false,
      meta: { by: "doctor" },
    });
    const bytes = new TextEncoder().encode(TEXT);
    const quiet = { onBytes() {}, onRetry() {} };
    return await uploader.upload(
      {
        name: "kedge-doctor.txt",
        sizeBytes: bytes.length,
        isRepeatable: true,
        open: () => Promise.resolve(ReadableStream.from([bytes])),
      },
      crypto.randomUUID(),
      quiet,
    );
  }

  async #append(id: string): Promise<void> {
    const { client, context } = this.#parts;
    await sendChange(
      {
        what: "append",
        id,
        method: "POST",
        suffix: "/append",
        bytes: new TextEncoder().encode(TEXT),
      },
      client,
      context,
    );
  }

  /** Every node that lives gives this text, or (`undefined`) has no such file. */
  async #everywhere(
    { nodes }: GroupView,
    id: string,
    wanted: string | undefined,
  ): Promise<void> {
    const { context } = this.#parts;
    for (const { node, alive, report } of nodes) {
      if (!alive || report === null) continue;
      const endMs = context.nowMs() + PATIENCE_MS;
      for (;;) {
        const found = await this.#read(report.url, id);
        if (found === wanted) break;
        if (context.nowMs() < endMs) {
          await context.sleep(PAUSE_MS, context.signal);
          continue;
        }
        const is = found === undefined
          ? "has no such file"
          : `gives "${found}"`;
        throw new CliError(`node ${node} ${is}`, "kedge status");
      }
    }
  }

  /** Its text; `undefined` when there is none. */
  async #read(base: string, id: string): Promise<string | undefined> {
    const { client, context } = this.#parts;
    const { signal } = context;
    const url = `${base}${client.contentPath(id)}`;
    const answer = await fetchWithin(client.network.fetch, url, { signal });
    if (answer.ok) return await answer.text();
    const error = await apiError(answer);
    if (error.status === 404) return undefined;
    throw error;
  }
}
