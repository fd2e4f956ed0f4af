/**
 * Lets this host's Secondaries take over when their Primary is gone.
 *
 * @module
 */

import type {
  CommandReply,
  MirrorEvent,
} from "@kedge/schema/mirror/control-api";
import type { Log } from "../../ports.ts";
import { pause } from "../pause.ts";
import {
  takeoverPauseMs,
  type TakeoverPolicy,
  takeoverSign,
} from "./takeover_core.ts";

/** What is needed of the host. */
export interface TakeoverHost {
  /** Hear every event, until the returned function is called. */
  listen(listener: (event: MirrorEvent) => void): () => void;
  protocolOf(resource: string): "A" | "B" | "C" | undefined;
  command(
    resource: string,
    request: { command: { kind: "primary"; force: false } },
  ): Promise<CommandReply>;
}

/** See the module comment. */
export class Takeover {
  readonly #asking = new Map<string, AbortController>();
  readonly #wonMs = new Map<string, number>();
  readonly #unlisten: () => void;

  constructor(
    readonly host: TakeoverHost,
    readonly options: { readonly policy: TakeoverPolicy; readonly log: Log },
  ) {
    this.#unlisten = host.listen((event) => this.#heard(event));
  }

  /** Ask for nothing any more. */
  close(): void {
    this.#unlisten();
    for (const resource of [...this.#asking.keys()]) this.#stop(resource);
  }

  #heard({ resource, kind, before, after }: MirrorEvent): void {
    if (kind === "destroy") return this.#stop(resource);
    const protocol = this.host.protocolOf(resource);
    if (before === undefined || after === undefined) return;
    if (protocol === undefined) return;
    const { policy } = this.options;
    const sign = takeoverSign(before, after, { policy, protocol });
    if (sign === "end") return this.#stop(resource);
    if (sign === "none" || this.#asking.has(resource)) return;
    const stop = new AbortController();
    this.#asking.set(resource, stop);
    this.#ask(resource, stop.signal).finally(() => {
      if (this.#asking.get(resource) === stop) this.#asking.delete(resource);
    });
  }

  #stop(resource: string): void {
    this.#asking.get(resource)?.abort();
    this.#asking.delete(resource);
  }

  async #ask(resource: string, signal: AbortSignal): Promise<void> {
    const { log } = this.options;
    let said = "";
    for (let asked = 0;; asked++) {
      const wonMs = this.#wonMs.get(resource) ?? -Infinity;
      const sinceWonMs = performance.now() - wonMs;
      await pause(takeoverPauseMs(asked, sinceWonMs), signal);
      if (signal.aborted) return;
      const reply = await this.#promote(resource);
      if (reply.code === 1) {
        this.#wonMs.set(resource, performance.now());
        return log.warn(`${resource}: its Primary is gone, took over`);
      }
      const why = reply.why ?? `refused (${reply.code})`;
      if (why !== said) log.warn(`${resource}: cannot take over: ${why}`);
      said = why;
    }
  }

  async #promote(resource: string): Promise<CommandReply> {
    const command = { kind: "primary", force: false } as const;
    try {
      return await this.host.command(resource, { command });
    } catch (error) {
      return { code: 20, why: String(error) };
    }
  }
}
