/**
 * A tracker and agents as processes of their own, each of which a test may
 * kill, stop, freeze and start again with the same data, on loopback or on hosts
 * of a {@linkcode Network}.
 *
 * @module
 */

import { Api } from "./api.ts";
import { Child } from "./child.ts";
import { eventually } from "./eventually.ts";
import { type Host, Network } from "./network.ts";
import type { Scope } from "./scope.ts";
import { kedgeCommand, loopbackAddress, ROOT } from "./stack.ts";

/** What to run. */
export interface ClusterOptions {
  /** Number of agents; all in `group1`. Default 2. */
  readonly agents?: number;
  /** Hosts of their own, named `tracker`, `a`, `b`, … */
  readonly isNetworked?: boolean;
  /** More settings of every agent, as environment variables. */
  readonly agentEnv?: Record<string, string>;
  /** More settings of the tracker, as environment variables. */
  readonly trackerEnv?: Record<string, string>;
  /** Level of uploads that do not ask for one. */
  readonly level?: "A" | "B" | "C";
}

/** Longest time until an agent is ready, in milliseconds. */
const READY_MS = 30_000;

/** A process that can be started again with the same data. */
export class Managed {
  #child: Child | undefined;
  readonly #scope: Scope;
  readonly #spec: ManagedSpec;

  /** Describe it; nothing runs yet. */
  constructor(scope: Scope, spec: ManagedSpec) {
    this.#scope = scope;
    this.#spec = spec;
  }

  /** Name within the test. */
  get name(): string {
    return this.#spec.name;
  }

  /** Base URL. */
  get url(): string {
    return this.#spec.url;
  }

  /** Folder of its data. */
  get dir(): string {
    return this.#spec.dir;
  }

  /** The running process. */
  get child(): Child {
    if (this.#child === undefined) throw new Error(`${this.name} never ran`);
    return this.#child;
  }

  /** Process ID. */
  get pid(): number {
    return this.child.pid;
  }

  /** Start it, with more environment variables for this run only. */
  start(env: Record<string, string> = {}): void {
    this.#child = Child.start(this.#scope, {
      command: this.#spec.command,
      env: { ...this.#spec.env, ...env },
    });
  }

  /** Start it and wait until it answers. */
  async startAndWait(env: Record<string, string> = {}): Promise<void> {
    this.start(env);
    await this.untilUp();
  }

  /** Wait until it answers. */
  async untilUp(): Promise<void> {
    await eventually(async () => {
      if (this.child.ended) throw new Error("it ended");
      const answer = await fetch(`${this.url}/health`, {
        signal: AbortSignal.timeout(2_000),
      });
      await answer.body?.cancel();
      return answer.ok;
    }, { what: `${this.name} to answer`, deadlineMs: READY_MS })
      .catch((error) => {
        throw new Error(`${error.message}\n${this.child.text}`);
      });
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.child.kill();
  }

  /** SIGTERM and wait. */
  async stop(): Promise<void> {
    await this.child.stop();
  }

  /** SIGSTOP. */
  pause(): void {
    this.child.signal("SIGSTOP");
  }

  /** SIGCONT. */
  resume(): void {
    this.child.signal("SIGCONT");
  }
}

/** An agent of a {@linkcode Cluster}. */
export class Agent extends Managed {
  #node: number | undefined;

  /** Its number, known after its first start. */
  get node(): number {
    if (this.#node === undefined) throw new Error(`${this.name} has no number`);
    return this.#node;
  }

  /** Learn the number from the line that the agent prints when ready. */
  async untilJoined(): Promise<void> {
    const line = await this.child.line(/"ready":true/, READY_MS);
    this.#node = (JSON.parse(line) as { node: number }).node;
  }
}

interface ManagedSpec {
  readonly name: string;
  readonly url: string;
  readonly dir: string;
  readonly command: [string, ...string[]];
  readonly env: Record<string, string>;
}

/** A tracker and its agents. */
export class Cluster {
  readonly #scope: Scope;
  readonly #options: ClusterOptions;
  readonly #address: string;
  /** Hosts and cables, when the cluster is networked. */
  readonly network: Network | undefined;
  /** The tracker. */
  readonly tracker: Managed;
  /** The agents, in the order of their numbers. */
  readonly agents: Agent[] = [];
  /** Client of the tracker, with the operator's key. */
  readonly api: Api;
  /** Folder of everything. */
  readonly dir: string;

  private constructor(
    scope: Scope,
    options: ClusterOptions,
    made: {
      dir: string;
      key: string;
      network: Network | undefined;
      host: Host | undefined;
    },
  ) {
    this.#scope = scope;
    this.#options = options;
    this.network = made.network;
    this.dir = made.dir;
    this.#address = made.host?.address ?? loopbackAddress();
    const dir = `${made.dir}/tracker`;
    const url = `http://${this.#address}:8080`;
    this.tracker = new Managed(scope, {
      name: "tracker",
      url,
      dir,
      command: within(made.host, [
        Deno.execPath(),
        ...["run", "-A", "--quiet", "--config", `${ROOT}deno.json`],
        `${ROOT}functions/serve.ts`,
      ]),
      env: {
        KEDGE_LISTEN: `${this.#address}:8080`,
        KEDGE_KV: `${dir}/kv.db`,
        KEDGE_ACCESS: made.network === undefined ? "open" : "key",
        KEDGE_ADMIN_KEY_FILE: `${dir}/admin.key`,
        ...options.trackerEnv,
      },
    });
    this.api = new Api(url, made.key);
  }

  /** Start everything and wait until all agents are in sync. */
  static async start(
    scope: Scope,
    options: ClusterOptions = {},
  ): Promise<Cluster> {
    const dir = await scope.tempDir();
    await Deno.mkdir(`${dir}/tracker`);
    const key = crypto.randomUUID() + crypto.randomUUID();
    await Deno.writeTextFile(`${dir}/tracker/admin.key`, key, { mode: 0o600 });
    const network = options.isNetworked ? await Network.make(scope) : undefined;
    const host = await network?.host(scope, "tracker", 2);
    const cluster = new Cluster(scope, options, { dir, key, network, host });
    await cluster.tracker.startAndWait();
    await cluster.api.call("POST", "/v1/groups", {
      name: "group1",
      settings: { level: options.level ?? "B" },
    });
    for (let i = 0; i < (options.agents ?? 2); i++) await cluster.addAgent();
    await cluster.untilInSync();
    return cluster;
  }

  /** Join one more agent and wait until it has its number. */
  async addAgent(env: Record<string, string> = {}): Promise<Agent> {
    const index = this.agents.length;
    const name = "abcdefgh"[index] ?? `n${index}`;
    const host = await this.network?.host(this.#scope, name, 11 + index);
    const address = host?.address ?? this.#address;
    const dir = `${this.dir}/${name}`;
    const { token } = await this.api.call<{ token: string }>(
      "POST",
      "/v1/tokens",
      { kind: "join", group: "group1", expiresS: 600 },
    );
    const port = 8081 + index;
    const command = kedgeCommand([
      ...["agent", "--json", "--data", dir, "--tracker", this.tracker.url],
      ...["--listen", `${address}:${port}`],
      ...["--peer-listen", `${address}:${port + 1000}`],
    ]);
    const agent = new Agent(this.#scope, {
      name,
      url: `http://${address}:${port}`,
      dir,
      command: within(host, command),
      env: {
        KEDGE_JOIN_TOKEN: token,
        KEDGE_GROUP: "group1",
        KEDGE_RESERVED_STORAGE_SPACE: "64MB",
        ...this.#options.agentEnv,
        ...env,
      },
    });
    this.agents.push(agent);
    agent.start();
    await agent.untilJoined();
    return agent;
  }

  /** An agent by its place. */
  agent(index: number): Agent {
    const agent = this.agents[index];
    if (agent === undefined) throw new Error(`no agent ${index}`);
    return agent;
  }

  /** Two agents: the usual case. */
  get pair(): [Agent, Agent] {
    return [this.agent(0), this.agent(1)];
  }

  /** Wait until exactly these agents (all when missing) are in sync. */
  async untilInSync(
    agents: readonly Agent[] = this.agents,
    deadlineMs = 30_000,
  ): Promise<void> {
    const wanted = agents.map(({ node }) => node).sort((a, b) => a - b);
    await eventually(async () => {
      const { register } = await this.api.group();
      if (`${register.insync}` === `${wanted}`) return true;
      throw new Error(`in sync are ${register.insync} at ${register.epoch}`);
    }, { what: `nodes ${wanted} to be in sync`, deadlineMs })
      .catch((error) => {
        throw new Error(`${error.message}\n${this.logTails()}`);
      });
  }

  /** Wait until uploads are placed at every one of these agents. */
  async untilPlaced(agents: readonly Agent[] = this.agents): Promise<void> {
    for (const agent of agents) {
      await eventually(() => this.api.placeAt(agent.node), {
        what: `uploads to be placed at ${agent.name}`,
      });
    }
  }

  /** Epoch of the register. */
  async epoch(): Promise<number> {
    return (await this.api.group()).register.epoch;
  }

  /** Last lines of every process, for messages. */
  logTails(): string {
    return [this.tracker, ...this.agents].map((process) =>
      `--- ${process.name}\n${process.child.text.slice(-2_000)}`
    ).join("\n");
  }
}

function within(
  host: Host | undefined,
  command: [string, ...string[]],
): [string, ...string[]] {
  const [first, ...rest] = [...(host?.prefix ?? []), ...command];
  return [first ?? command[0], ...rest];
}
