/**
 * A tracker in memory, with the real rules of the register.
 *
 * @module
 */

import type {
  GroupRegister,
  Heartbeat,
  HeartbeatReply,
  Level,
  NodeId,
  RegisterChange,
} from "@kedge/schema";
import { changeRegister, emptyRegister } from "@kedge/schema/register";
import type { RegisterAnswer, TrackerPort } from "../../node-agent/ports.ts";

/** One group, as all of its nodes see it. */
export class MemoryTracker {
  /** The register as it is. */
  current: GroupRegister = emptyRegister("group1", crypto.randomUUID());
  /** Of the group's settings. */
  level: Level = "B";
  /** Nobody gets an answer. */
  isDown = false;
  /** What operators want of each node. */
  readonly modes = new Map<NodeId, HeartbeatReply["mode"]>();
  /** What every node reported last. */
  readonly reports = new Map<NodeId, Heartbeat>();
  readonly #limits: { nextMs: number };

  /** A tracker that wants a report every `nextMs`. */
  constructor(nextMs = 100) {
    this.#limits = { nextMs };
  }

  /** Change the register as an operator or a node does. */
  change(change: RegisterChange): GroupRegister {
    const result = changeRegister(this.current, change);
    if (!result.ok) throw new Error(`refused: ${result.refusal}`);
    this.current = result.register;
    return this.current;
  }

  /** The tracker as one node sees it. */
  port(node: NodeId): TrackerPort {
    return {
      heartbeat: (report) => this.#answer(() => this.#heartbeat(node, report)),
      register: () => this.#answer(() => this.current),
      changeRegister: (gen, epoch, change) =>
        Promise.resolve(this.#changeRegister(gen, epoch, change)),
    };
  }

  #answer<T>(answer: () => T): Promise<T> {
    if (this.isDown) return Promise.reject(new Error("no tracker answers"));
    return Promise.resolve(answer());
  }

  #heartbeat(node: NodeId, report: Heartbeat): HeartbeatReply {
    this.reports.set(node, report);
    const peers = [...this.reports].filter(([other]) => other !== node)
      .map(([other, { peerAddress, url }]) => ({
        node: other,
        peerAddress,
        url,
      }));
    return {
      register: this.current,
      settings: { level: this.level, fileBytesMax: 1024 ** 4 },
      peers,
      signingKeys: [],
      mode: this.modes.get(node) ?? "active",
      nextMs: this.#limits.nextMs,
    };
  }

  #changeRegister(
    gen: string,
    epoch: number,
    change: RegisterChange,
  ): RegisterAnswer {
    if (this.isDown) return { outcome: "unknown", why: "no tracker answers" };
    if (gen !== this.current.gen || epoch !== this.current.epoch) {
      return { outcome: "refused", register: this.current };
    }
    const result = changeRegister(this.current, change);
    if (!result.ok) return { outcome: "refused", register: this.current };
    this.current = result.register;
    return { outcome: "changed", register: this.current };
  }
}
