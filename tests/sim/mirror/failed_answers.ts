/**
 * Answers that are errors. With `on-no-data-accessible suspend-io` whatever is
 * asked waits until good data can be reached: it fails only where a person let
 * I/O go on (`resume-io`), or where the node is Primary no more. A flush may
 * fail: nobody knows whether the copy that went still has what it covers. With
 * `pass_on` an error of the only good copy is the application's.
 *
 * @module
 */

import type { SimNode } from "./sim_node.ts";

/** What may end a wait with an error at one node. */
export class FailedAnswers {
  #releases = 0;
  /** A person let I/O go on, and no data could be reached since. */
  #isGivenUp = false;

  constructor(readonly node: SimNode) {}

  /** What has been released until now: to be handed to {@link failed}. */
  get releases(): number {
    return this.#releases;
  }

  /** A person lets I/O go on. */
  release(): void {
    this.#releases++;
    this.#isGivenUp = this.node.core?.canReachData() === false;
  }

  /** The role is over: what was asked for in it is failed. */
  demoted(): void {
    this.#releases++;
  }

  /** The node's state has changed. */
  changed(): void {
    if (this.node.core?.canReachData() === true) this.#isGivenUp = false;
  }

  /**
   * What was asked for when `releases` were counted was not done. Who loses its
   * role says so in the same call, behind its answers.
   */
  failed(what: string, releases: number): void {
    const { node: { name, process, world } } = this;
    const { onNoData, onIoError } = world.plan;
    if (onNoData !== "suspend-io" || onIoError === "pass_on") return;
    const isGivenUp = this.#isGivenUp;
    world.scheduler.after(0, () => {
      const { node } = this;
      const isPrimary = node.process === process &&
        node.core?.state.role === "Primary";
      if (!isPrimary) return;
      if (this.#releases > releases || isGivenUp) return;
      world.fail(
        "suspend-io",
        `${name} failed ${what} although nobody let I/O go on`,
      );
    });
  }
}
