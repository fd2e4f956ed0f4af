/**
 * Changes of a simulated agent on their way into its log, and their answers.
 *
 * @module
 */

import type { Change } from "@kedge/schema/change";
import type { Level, NodeId } from "@kedge/schema";
import type { ReplicaEffect } from "../../node-agent/sync/replica_messages.ts";
import type { SimAgent } from "./sim_agent.ts";
import type { Content, SimRecord } from "./sim_store.ts";

/** The answer to a change. */
export type CommitResult =
  | {
    readonly kind: "ok";
    readonly level: Level;
    readonly holders: readonly NodeId[];
  }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "uncertain" };

/** A change on its way into the log. */
export interface CommitRequest {
  readonly change: Change;
  readonly content: Content | undefined;
  readonly level: Level;
  readonly large: boolean;
  readonly key: string | undefined;
  readonly origin: NodeId | undefined;
  readonly then: (result: CommitResult) => void;
}

/** See the module comment. */
export class AgentCommits {
  readonly #agent: SimAgent;
  readonly #commits = new Map<number, CommitRequest>();
  /** Changes whose base was gone when they were stored. */
  readonly #overtaken = new Set<number>();

  constructor(agent: SimAgent) {
    this.#agent = agent;
  }

  /** The process ended. */
  clear(): void {
    this.#commits.clear();
    this.#overtaken.clear();
  }

  /** A change was handed to the core. */
  begin(op: number, request: CommitRequest): void {
    this.#commits.set(op, request);
  }

  /** A change gets its place in the log. */
  append(effect: ReplicaEffect & { readonly kind: "append" }): void {
    const { op, sequence, durable } = effect;
    const agent = this.#agent;
    const request = this.#commits.get(op);
    if (request === undefined) throw new Error("append of an unknown change");
    const { change, content, large, key } = request;
    const record: SimRecord = {
      serial: agent.world.next(),
      change,
      content,
      large,
      key,
      isOwners: request.origin !== undefined,
    };
    agent.log.push(record);
    if (agent.log.length !== sequence) throw new Error("sequence out of step");
    agent.world.history.numbered(agent, sequence, record);
    agent.disk.write(durable, {
      store: () => {
        if (agent.store.append(record) === "needs-content") {
          agent.world.mark("overtaken before it was stored");
          this.#overtaken.add(op);
          agent.log[sequence - 1] = { ...record, isHole: true };
        }
        return { head: sequence };
      },
      written: () => agent.links.pumpAll(),
    });
    agent.links.pumpAll();
  }

  /** It is as safe as was asked. */
  answer(effect: ReplicaEffect & { readonly kind: "answer" }): void {
    const agent = this.#agent;
    const request = this.#commits.get(effect.op);
    if (request === undefined) return;
    if (this.#overtaken.delete(effect.op)) {
      return this.finish(effect.op, { kind: "refused", why: "overtaken" });
    }
    agent.world.history.answered(agent, request, effect);
    const { level, holders } = effect;
    if (level !== request.level) agent.world.mark("answered at a lower level");
    this.finish(effect.op, { kind: "ok", level, holders });
  }

  /** The client is told. */
  finish(op: number, result: CommitResult): void {
    const request = this.#commits.get(op);
    this.#commits.delete(op);
    // Later: the effects of one input are carried out before the next input.
    if (request !== undefined) {
      this.#agent.after(0.01, () => request.then(result));
    }
  }
}
