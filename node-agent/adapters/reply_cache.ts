/**
 * What a tracker said last, in `DATA/agent.cache`, so that an agent that starts
 * while no tracker answers still finds its peers and knows capabilities that
 * were given out before (promises.md F11). Only a hint: damaged or missing is
 * the same as nothing.
 *
 * @module
 */

import { HeartbeatReply } from "@kedge/schema";

/** The cache of one data folder. */
export class ReplyCache {
  readonly #path: string;
  #stored = "";
  #writing: Promise<void> | undefined;
  #next: string | undefined;

  /** Use `folder`, which exists. */
  constructor(folder: string) {
    this.#path = `${folder}/agent.cache`;
  }

  /** What was kept, if it can be read. */
  async load(): Promise<HeartbeatReply | undefined> {
    try {
      const json = JSON.parse(await Deno.readTextFile(this.#path));
      return HeartbeatReply.safeParse(json).data;
    } catch {
      return undefined;
    }
  }

  /** Keep an answer; the register in it may be old. Never throws. */
  keep(reply: HeartbeatReply): void {
    const { peers, signingKeys, peerKeys, settings, mode } = reply;
    const facts = JSON.stringify({
      peers,
      signingKeys,
      peerKeys,
      settings,
      mode,
    });
    if (facts === this.#stored) return;
    this.#stored = facts;
    this.#next = JSON.stringify(reply);
    this.#writing ??= this.#write().finally(() => this.#writing = undefined);
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const temporary = `${this.#path}.new`;
    while (this.#next !== undefined) {
      const text = this.#next;
      this.#next = undefined;
      try {
        await Deno.writeTextFile(temporary, text, { mode: 0o600 });
        await Deno.rename(temporary, this.#path);
      } catch {
        this.#stored = ""; // tried again with the next answer
      }
    }
  }
}
