/**
 * Who this agent is, in `DATA/agent.json`: number, group and secrets that the
 * tracker gave it once. Written durably before anything relies on it, readable
 * by the owner only.
 *
 * @module
 */

import { z } from "zod";
import { GroupName, NodeId, StoreId } from "@kedge/schema";

/** Who an agent is. */
export const Identity = z.strictObject({
  /** Its number. */
  node: NodeId,
  /** Its group. */
  group: GroupName,
  /** Its password towards trackers. */
  credential: z.string().min(32),
});
/** Who an agent is. */
export type Identity = z.infer<typeof Identity>;

/** What stands in the file before and after the join. */
const IdentityFile = z.strictObject({
  /** Identity of the database that is made, or was made, for this node. */
  firstStore: StoreId,
  /** Missing until the join has succeeded. */
  identity: Identity.optional(),
});

/** The identity file of one data folder. */
export class IdentityStore {
  readonly #folder: string;

  /** Use the file in `folder`, which is made when missing. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Read the file, or begin one. The store ID is fixed before the join, so that
   * a join that is repeated after a crash is the same join.
   *
   * @returns The store ID to join with, and the identity once there is one.
   * @throws {Error} When the file is there but damaged; it is never replaced.
   */
  async open(): Promise<z.infer<typeof IdentityFile>> {
    await Deno.mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const text = await readIfPresent(this.#path);
    if (text !== undefined) return parse(text, this.#path);
    const begun = { firstStore: crypto.randomUUID() };
    await this.#write(begun);
    return begun;
  }

  /** Remember who this agent is; durable when it resolves. */
  async save(firstStore: string, identity: Identity): Promise<void> {
    await this.#write({ firstStore, identity });
  }

  get #path(): string {
    return `${this.#folder}/agent.json`;
  }

  async #write(content: z.infer<typeof IdentityFile>): Promise<void> {
    const temporary = `${this.#path}.new`;
    await Deno.writeTextFile(temporary, JSON.stringify(content, null, 2), {
      mode: 0o600,
    });
    await flush(temporary);
    await Deno.rename(temporary, this.#path);
    await flush(this.#folder);
  }
}

function parse(text: string, path: string): z.infer<typeof IdentityFile> {
  try {
    return IdentityFile.parse(JSON.parse(text));
  } catch {
    throw new Error(
      `Cannot read who this agent is: "${path}" is damaged. Restore it from a ` +
        "copy, or move it away and join again with a new token (`kedge token " +
        "create`, --token-file): the node keeps its number and its files",
    );
  }
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function flush(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true });
  await file.sync();
}
