/**
 * The programs of one `kedge start`: brought up in order, kept running, watched
 * until an upload would succeed, stopped in order.
 *
 * @module
 */

import { z } from "zod";
import type { GroupView } from "@kedge/schema";
import { CliError, messageOf } from "../errors.ts";
import { identityOf, provideToken, removeToken } from "./joining.ts";
import { writeWhole } from "./layout.ts";
import type { Operator } from "./operator.ts";
import type { PlannedAgent } from "./plan_core.ts";
import { Rebuild } from "./rebuild.ts";
import { agentSpec, type ProgramContext, trackerSpec } from "./programs.ts";
import { lastLines, type ProgramSpec, startProgram } from "./program.ts";
import { type AgentFacts, missing } from "./readiness_core.ts";
import { Supervised, type SupervisorPorts } from "./supervisor.ts";

/** Deaths before the first success after which waiting makes no sense. */
const DEATHS_MAX = 5;
/** Pause between two looks while waiting, in milliseconds. */
const LOOK_MS = 100;

/** The line that an agent prints when it serves. */
const ReadyLine = z.object({
  ready: z.literal(true),
  node: z.int(),
  group: z.string(),
  url: z.string(),
});

/** An agent as `kedge start --json` prints it. */
export interface RunningAgent {
  readonly node: number;
  readonly group: string;
  readonly url: string;
  readonly pid: number;
}

/** An agent that cannot start, as `kedge start --json` prints it. */
export interface DownAgent {
  /** Such as `node-1`. */
  readonly name: string;
  readonly why: string;
}

/** A port that was free when it was chosen is taken: choose others. */
export class PortTakenError extends CliError {}

/** What a cluster needs of the world. */
export interface ClusterPorts {
  /** Tell the operator. */
  say(line: string): void;
  nowMs(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
}

/** One agent with what it said. */
interface AgentSlot {
  readonly planned: PlannedAgent;
  readonly program: Supervised;
  said: z.infer<typeof ReadyLine> | undefined;
  /** Taken out of the cluster by an operator: it is not started any more. */
  isRemoved: boolean;
  /** Why it cannot start; the others go on without it. */
  down: string | undefined;
}

/** The running programs. */
export class LocalCluster {
  readonly #context: ProgramContext;
  readonly #operator: Operator;
  readonly #ports: ClusterPorts;
  readonly #tracker: Supervised;
  readonly #agents: AgentSlot[];
  #saving: Promise<void> = Promise.resolve();

  /** Nothing runs yet. */
  constructor(
    context: ProgramContext,
    operator: Operator,
    ports: ClusterPorts,
  ) {
    this.#context = context;
    this.#operator = operator;
    this.#ports = ports;
    const supervisor: SupervisorPorts = {
      start: startProgram,
      say: (line) => ports.say(line),
      nowMs: () => ports.nowMs(),
      sleep: (ms, signal) => ports.sleep(ms, signal),
      onChange: () => this.#saveRunning(),
    };
    this.#tracker = new Supervised(
      "tracker",
      () => Promise.resolve(trackerSpec(context)),
      supervisor,
    );
    this.#agents = context.plan.agents.map((planned) => {
      const slot: AgentSlot = {
        planned,
        said: undefined,
        isRemoved: false,
        down: undefined,
        program: new Supervised(
          `node-${planned.index}`,
          () => this.#prepareAgent(slot),
          supervisor,
        ),
      };
      return slot;
    });
  }

  /** Process number of the tracker. */
  get trackerPid(): number {
    return this.#tracker.pid ?? 0;
  }

  /** The agents that have said that they serve. */
  get agents(): RunningAgent[] {
    return this.#agents.flatMap(({ said, program }) =>
      said === undefined ? [] : [{
        node: said.node,
        group: said.group,
        url: said.url,
        pid: program.pid ?? 0,
      }]
    );
  }

  /** The agents that could not start; they are tried again and again. */
  get down(): DownAgent[] {
    return this.#agents.flatMap(({ down, program: { name } }) =>
      down === undefined ? [] : [{ name, why: down }]
    );
  }

  /**
   * Bring everything up and wait until an upload would succeed. An agent that
   * cannot start any more does not keep the others from serving.
   *
   * @param level Level of new groups and, if given, of old ones.
   * @param isComplete Whether nodes that were removed are a failure.
   * @param rebuildsKv The shared KV store was lost: make it again.
   * @throws {PortTakenError} When another program took a port.
   * @throws {CliError} When too few programs can start.
   */
  async start(
    level: string | undefined,
    isComplete = false,
    rebuildsKv = false,
  ): Promise<void> {
    this.#tracker.start();
    await this.#until(async () =>
      await this.#operator.isUp() ? undefined : "waiting for the tracker"
    );
    const groups = new Set(this.#context.plan.agents.map((one) => one.group));
    for (const group of groups) {
      await this.#operator.createGroup(group, level);
      if (level !== undefined) await this.#operator.setLevel(group, level);
    }
    const rebuild = rebuildsKv ? await this.#rebuild() : undefined;
    await this.#mustKnowOurNodes();
    for (const slot of this.#agents) {
      slot.program.start();
      // New nodes join one after the other, so that node-1 becomes node 1.
      if (await this.#isNew(slot)) {
        await this.#until(() =>
          Promise.resolve(
            slot.said === undefined && slot.down === undefined &&
              !slot.isRemoved
              ? `waiting for ${slot.program.name} to join`
              : undefined,
          )
        );
      }
    }
    if (rebuild !== undefined) await this.#until(() => rebuild.step());
    await this.#until(() => this.#whatIsMissing(groups));
    const removed = this.#agents.filter(({ isRemoved }) => isRemoved);
    if (!isComplete || removed.length === 0) return;
    const folders = removed.map(({ planned }) =>
      this.#context.layout.node(planned.index)
    );
    throw new CliError(
      `Fewer replicas than --replicas: ${
        removed.map(({ program }) => program.name).join(", ")
      } removed by an operator`,
      `rm -r ${folders.join(" ")}   (a new node takes its place)`,
    );
  }

  async #rebuild(): Promise<Rebuild> {
    const { layout, plan } = this.#context;
    const members = await this.#members();
    if (members === undefined) {
      throw new CliError("The tracker does not say which nodes it knows");
    }
    const { agents } = plan;
    const say = (line: string) => this.#ports.say(line);
    const parts = { layout, agents, operator: this.#operator, say };
    return await Rebuild.begin(parts, members);
  }

  /** Stop the agents, then the tracker. */
  async stop(): Promise<void> {
    await Promise.all(this.#agents.map(({ program }) => program.stop()));
    await this.#tracker.stop();
    await this.#saving;
    await Deno.remove(this.#context.layout.running).catch(() => {});
  }

  async #whatIsMissing(groups: Set<string>): Promise<string | undefined> {
    const present = this.#agents.filter(({ isRemoved, down }) =>
      !isRemoved && down === undefined
    );
    const facts: AgentFacts[] = present.map(({ planned, said }) => ({
      index: planned.index,
      group: planned.group,
      node: said?.node,
    }));
    let trouble = "";
    const views = await this.#operator.groups()
      .catch((error): GroupView[] | undefined => {
        trouble = `: ${messageOf(error)}`;
        return undefined;
      });
    const line = missing(facts, views);
    if (line !== undefined && views === undefined) return line + trouble;
    if (line !== undefined) return line;
    for (const { planned, said } of present) {
      const isServing = await this.#operator.isServing(said?.url ?? "")
        .catch(() => false);
      if (!isServing) return `waiting until node-${planned.index} serves`;
    }
    for (const group of groups) {
      const canPlace = await this.#operator.canPlace(group).catch(() => false);
      if (!canPlace) return `waiting until ${group} takes uploads`;
    }
    return undefined;
  }

  /** Look again and again until nothing is missing; say what changes. */
  async #until(look: () => Promise<string | undefined>): Promise<void> {
    let told: string | undefined;
    let sinceMs = this.#ports.nowMs();
    for (;;) {
      this.#ports.signal.throwIfAborted();
      const line = await look();
      if (line === undefined) return;
      await this.#giveUpIfHopeless();
      if (line !== told && this.#ports.nowMs() - sinceMs > 2000) {
        this.#ports.say(line);
        told = line;
        sinceMs = this.#ports.nowMs();
      }
      await this.#ports.sleep(LOOK_MS, this.#ports.signal);
    }
  }

  async #giveUpIfHopeless(): Promise<void> {
    if (this.#tracker.deaths >= DEATHS_MAX) {
      throw await this.#failure(this.#tracker);
    }
    for (const slot of this.#agents) {
      const isKnown = slot.down !== undefined || slot.isRemoved;
      if (isKnown || slot.program.deaths < DEATHS_MAX) continue;
      const failure = await this.#failure(slot.program);
      slot.down = failure.message;
      const others = this.#agents.filter(({ planned, down, isRemoved }) =>
        planned.group === slot.planned.group && down === undefined && !isRemoved
      );
      const isFatal = failure instanceof PortTakenError ||
        others.length === 0 || await this.#isNew(slot);
      if (isFatal) throw failure;
      this.#ports.say(`${failure.message}\n  going on without it`);
    }
  }

  async #failure(program: Supervised): Promise<CliError> {
    const log = this.#context.layout.log(program.name);
    const lines = program.failure === undefined
      ? await lastLines(log, 12)
      : [program.failure];
    const message = `${program.name} cannot start; it said last:\n    ${
      lines.join("\n    ")
    }`;
    return lines.some((line) => /address already in use/i.test(line))
      ? new PortTakenError(message, `see ${log}`)
      : new CliError(message, `see ${log}`);
  }

  /** Whether it has never joined; one whose identity is damaged has. */
  async #isNew({ planned }: AgentSlot): Promise<boolean> {
    return await identityOf(this.#context.layout, planned)
      .then((node) => node === undefined, () => false);
  }

  /** Before each start of an agent: a token while it has no identity. */
  async #prepareAgent(slot: AgentSlot): Promise<ProgramSpec> {
    const { layout } = this.#context;
    const { planned } = slot;
    await Deno.mkdir(layout.node(planned.index), {
      recursive: true,
      mode: 0o700,
    });
    const node = await identityOf(layout, planned);
    if (node === undefined) {
      await provideToken(layout, planned, this.#operator);
    } else {
      await this.#stopIfRemoved(slot, node);
    }
    return agentSpec(this.#context, planned, (line) => {
      const ready = parseReady(line);
      if (ready === undefined) return;
      slot.said = ready;
      this.#saveRunning();
      void removeToken(layout, planned);
    });
  }

  /** A node that an operator removed would only be refused again and again. */
  async #stopIfRemoved(slot: AgentSlot, node: number): Promise<void> {
    const members = await this.#members();
    if (members === undefined || members.has(node)) return;
    slot.isRemoved = true;
    this.#ports.say(
      `${slot.program.name} (node ${node}) was removed from its group: not started; remove ${
        this.#context.layout.node(slot.planned.index)
      } to let a new node take its place`,
    );
    // Not awaited: it waits for the loop that we are called from.
    void slot.program.stop();
  }

  /**
   * Our nodes must not be all unknown: then the shared KV store is another one,
   * and starting would look like an operator had removed everything.
   */
  async #mustKnowOurNodes(): Promise<void> {
    const { layout, plan } = this.#context;
    const nodes: number[] = [];
    for (const planned of plan.agents) {
      // One that is damaged is told when that agent is started.
      const node = await identityOf(layout, planned).catch(() => undefined);
      if (node !== undefined) nodes.push(node);
    }
    const members = await this.#members();
    if (nodes.length === 0 || members === undefined) return;
    if (nodes.some((node) => members.has(node))) return;
    throw new CliError(
      `The tracker knows none of the nodes in ${layout.data}`,
      `was ${layout.tracker} removed or replaced? Bring it back; if it is lost, \`kedge start --rebuild-kv\` makes a new one and keeps every file`,
    );
  }

  /** Every member of every group; `undefined` when the tracker is silent. */
  async #members(): Promise<Set<number> | undefined> {
    try {
      const groups = await this.#operator.groups();
      return new Set(
        groups.flatMap(({ register }) =>
          register.members.map(({ node }) => node)
        ),
      );
    } catch {
      return undefined;
    }
  }

  /** Keep `running.json` true: who runs with which process number. */
  #saveRunning(): void {
    const text = JSON.stringify({
      supervisor_pid: Deno.pid,
      tracker: this.#context.plan.tracker,
      tracker_pid: this.trackerPid,
      agents: this.agents,
    });
    this.#saving = this.#saving
      .then(() => writeWhole(this.#context.layout.running, text + "\n", 0o644))
      .catch(() => {});
  }
}

function parseReady(line: string): z.infer<typeof ReadyLine> | undefined {
  try {
    return ReadyLine.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
