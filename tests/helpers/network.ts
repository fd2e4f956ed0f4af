/**
 * Hosts on one machine: a bridge and network namespaces, made for one test and
 * removed with it. Needs root, `ip` (iproute2) and `nft` (nftables).
 *
 * ```text
 *  test process ── bridge 10.213.N.1 ──┬── namespace "tracker" 10.213.N.2
 *                                      ├── namespace "a"       10.213.N.11
 *                                      └── namespace "b"       10.213.N.12
 * ```
 *
 * Faults are rules at the receiving end: what one host drops says nothing about
 * the other direction.
 *
 * @module
 */

import { isInstalled, run } from "./child.ts";
import { say } from "./say.ts";
import type { Scope } from "./scope.ts";

/** A host of a {@linkcode Network}. */
export interface Host {
  /** Name within the test. */
  readonly name: string;
  /** Its address. */
  readonly address: string;
  /** Words to put before a command that shall run there. */
  readonly prefix: readonly string[];
}

/**
 * Whether network namespaces can be made here; says why not.
 *
 * @param test Name of the test that is going to be skipped.
 */
export async function hasNamespaces(test: string): Promise<boolean> {
  const reason = await whyNoNamespaces();
  if (reason !== undefined) say(`SKIPPED ${test}: ${reason}`);
  return reason === undefined;
}

async function whyNoNamespaces(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "network namespaces need root";
  for (const program of ["ip", "nft", "nsenter"]) {
    if (!await isInstalled(program)) return `${program} is not installed`;
  }
  const name = `kt-probe-${crypto.randomUUID().slice(0, 6)}`;
  if ((await run(["ip", "netns", "add", name])).code !== 0) {
    return "network namespaces cannot be made here";
  }
  await run(["ip", "netns", "del", name]);
  return undefined;
}

/** Hosts, and the cables between them. */
export class Network {
  readonly #id: string;
  readonly #subnet: string;
  readonly #hosts = new Map<string, Host>();

  private constructor(id: string, subnet: string) {
    this.#id = id;
    this.#subnet = subnet;
  }

  /** Make an empty network that goes with the scope. */
  static async make(scope: Scope): Promise<Network> {
    const id = crypto.randomUUID().slice(0, 6);
    const bridge = `kt${id}`;
    const taken = (await run(["ip", "-4", "-o", "addr"])).stdout;
    const free = shuffled(254).find((n) => !taken.includes(` 10.213.${n}.`));
    if (free === undefined) throw new Error("no free network 10.213.N.0/24");
    const subnet = `10.213.${free}`;
    await must("ip", "link", "add", bridge, "type", "bridge");
    scope.defer(() => must("ip", "link", "del", bridge));
    await must("ip", "addr", "add", `${subnet}.1/24`, "dev", bridge);
    await must("ip", "link", "set", bridge, "up");
    return new Network(id, subnet);
  }

  /**
   * Add a host.
   *
   * @param name Short, unique in this network.
   * @param index Last part of its address, 2 to 254.
   */
  async host(scope: Scope, name: string, index: number): Promise<Host> {
    const namespace = `kt-${this.#id}-${name}`;
    const [outer, inner] = [`v${this.#id}${index}`, `w${this.#id}${index}`];
    const address = `${this.#subnet}.${index}`;
    const inside = within(namespace);
    await must("ip", "netns", "add", namespace);
    scope.defer(() => must("ip", "netns", "del", namespace));
    await must("ip", "link", "add", outer, "type", "veth", "peer", inner);
    await must("ip", "link", "set", inner, "netns", namespace);
    await must("ip", "link", "set", outer, "master", `kt${this.#id}`);
    await must("ip", "link", "set", outer, "up");
    await must(...inside, "ip", "link", "set", "lo", "up");
    await must(...inside, "ip", "addr", "add", `${address}/24`, "dev", inner);
    await must(...inside, "ip", "link", "set", inner, "up");
    await must(...inside, "nft", RULES);
    const host = { name, address, prefix: inside };
    this.#hosts.set(name, host);
    return host;
  }

  /** Lose everything that `to` would receive from `from`. */
  async cutOneWay(from: string, to: string): Promise<void> {
    const { address } = this.#host(from);
    await must(
      ...this.#inside(to),
      "nft",
      `add rule inet kedge in ip saddr ${address} drop`,
    );
  }

  /** Lose everything between two hosts. */
  async cut(a: string, b: string): Promise<void> {
    await this.cutOneWay(a, b);
    await this.cutOneWay(b, a);
  }

  /** Mend every cable. */
  async heal(): Promise<void> {
    for (const { name } of this.#hosts.values()) {
      await must(...this.#inside(name), "nft", "flush chain inet kedge in");
    }
  }

  #inside(name: string): readonly [string, ...string[]] {
    return within(`kt-${this.#id}-${this.#host(name).name}`);
  }

  #host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
  }
}

const RULES =
  "add table inet kedge; add chain inet kedge in { type filter hook input priority 0; }";

/**
 * Words before a command that runs in a network name space. Not `ip netns exec`:
 * that copies every mount of the machine, and what a test beside this one
 * mounted would be busy until the command ends.
 */
function within(namespace: string): readonly [string, ...string[]] {
  return ["nsenter", `--net=/run/netns/${namespace}`, "--"];
}

async function must(...command: [string, ...string[]]): Promise<void> {
  const { code, stderr } = await run(command);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

function shuffled(count: number): number[] {
  return Array.from(
    { length: count },
    (_, i) => ({ n: i + 1, r: Math.random() }),
  )
    .sort((a, b) => a.r - b.r).map(({ n }) => n);
}
