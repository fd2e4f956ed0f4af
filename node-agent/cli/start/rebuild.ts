/**
 * `kedge start --rebuild-kv`: the shared KV store was lost, the nodes have
 * everything. They join again under their old numbers, one of each group is
 * declared in sync, and all accept the new store.
 *
 * @module
 */

import { CliError, messageOf } from "../errors.ts";
import { removeToken } from "./joining.ts";
import type { Layout } from "./layout.ts";
import type { Operator } from "./operator.ts";
import type { PlannedAgent } from "./plan_core.ts";
import { type GroupRebuild, planRebuild } from "./rebuild_core.ts";

/** What {@linkcode Rebuild} works with. */
export interface RebuildParts {
  readonly layout: Layout;
  readonly agents: readonly PlannedAgent[];
  readonly operator: Operator;
  /** Tell the operator. */
  say(line: string): void;
}

/** See the module comment. */
export class Rebuild {
  readonly #parts: RebuildParts;
  readonly #groups: readonly GroupRebuild[];
  readonly #forced = new Set<string>();

  private constructor(parts: RebuildParts, groups: readonly GroupRebuild[]) {
    this.#parts = parts;
    this.#groups = groups;
  }

  /**
   * Put away the identities of all nodes that the new store does not know, so
   * that they join again.
   *
   * @param members Nodes that the new store knows already.
   * @throws {CliError} When a database cannot be read.
   */
  static async begin(
    parts: RebuildParts,
    members: ReadonlySet<number>,
  ): Promise<Rebuild> {
    const { databaseOwner } = await import("../../files/owner.ts");
    const found = parts.agents.flatMap((planned) => {
      const owner = ownerIn(databaseOwner, parts.layout.node(planned.index));
      return owner === undefined ? [] : [{ ...owner, planned }];
    });
    const groups = planRebuild(found);
    const returning = new Set(groups.flatMap(({ nodes }) => nodes));
    for (const { node, planned } of found) {
      if (members.has(node) || !returning.has(node)) continue;
      await putAway(`${parts.layout.node(planned.index)}/agent.json`);
      await removeToken(parts.layout, planned);
      parts.say(`node-${planned.index} joins again as node ${node}`);
    }
    return new Rebuild(parts, groups);
  }

  /**
   * Once all nodes have joined: bring every group a step closer.
   *
   * @returns What is still to come; `undefined` when nothing is.
   * @throws {CliError} When only an operator can decide, with the commands.
   */
  async step(): Promise<string | undefined> {
    for (const plan of this.#groups) {
      const line = await this.#stepOf(plan);
      if (line !== undefined) return line;
    }
    return undefined;
  }

  async #stepOf(plan: GroupRebuild): Promise<string | undefined> {
    const { operator, say } = this.#parts;
    const { group, truth } = plan;
    const views = await operator.groups();
    const view = views.find(({ register }) => register.group === group);
    const nodes = view?.nodes.filter(({ node }) => plan.nodes.includes(node));
    if (view === undefined || nodes?.length !== plan.nodes.length) {
      return `waiting for the nodes of ${group}`;
    }
    // Before its first full report a node does not say what it acts under.
    if (nodes.some(({ report }) => (report?.gen ?? null) === null)) {
      return `waiting for reports of ${group}`;
    }
    const stale = nodes.filter(({ report }) =>
      report?.gen !== view.register.gen
    );
    if (stale.length === 0) return undefined;
    if (plan.absent.length > 0) throw undecided(plan);
    if (!this.#forced.has(group)) {
      await operator.force(group, truth);
      this.#forced.add(group);
      say(`${group}: node ${truth} was in sync, the others copy from it`);
    }
    for (const { node } of stale) {
      await operator.confirm(node).catch((error) => {
        // Its report was late: the next force goes above its epoch.
        if (/group force/.test(messageOf(error))) this.#forced.delete(group);
      });
    }
    return `waiting until ${group} acts under the new store`;
  }
}

function ownerIn<Owner>(
  read: (folder: string) => Owner | undefined,
  folder: string,
): Owner | undefined {
  try {
    return read(folder);
  } catch (error) {
    throw new CliError(messageOf(error), `see ${folder}`);
  }
}

async function putAway(path: string): Promise<void> {
  await Deno.rename(path, `${path}.old`).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

function undecided({ group, nodes, truth, absent }: GroupRebuild): CliError {
  const confirms = nodes.map((node) => `kedge node confirm ${node}`);
  return new CliError(
    `Nodes ${absent.join(", ")} of ${group} may have newer files and are ` +
      "not here: nobody else can be declared in sync without losing those",
    `bring them back, or start again without --rebuild-kv and say: kedge group force ${group} ${truth} --accept-data-loss; ${
      confirms.join("; ")
    }`,
  );
}
