/**
 * Two hosts of a mirror on this machine: a run folder and a name each, disks in
 * files, loopback addresses; commands as people type them.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Finished, run } from "./child.ts";
import { eventually } from "./eventually.ts";
import type { Scope } from "./scope.ts";

const BIN = fileURLToPath(new URL("../../infra/bin/", import.meta.url));

/** How the two hosts are made. */
export interface PairOptions {
  /** Size of each disk, in bytes. */
  readonly diskBytes: number;
  /** More statements for the resource. */
  readonly statements?: string;
  /** Another volume beside volume 0, minor 2. */
  readonly hasSecond?: boolean;
}

/** One host. */
export class DrbdHost {
  constructor(
    readonly name: string,
    readonly place: {
      readonly scope: Scope;
      readonly config: string;
      readonly runDir: string;
      readonly disk: string;
    },
  ) {}

  /** `drbdadm …`, to its end. */
  drbdadm(...args: string[]): Promise<Finished> {
    return this.run("drbdadm", "-c", this.place.config, ...args);
  }

  /** The same; an exit code other than 0 is an error. Gives its output. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.drbdadm(...args);
    if (code === 0) return stdout.trimEnd();
    throw new Error(`${args.join(" ")} on ${this.name}: ${code} ${stderr}`);
  }

  /** A program of `infra/bin`, to its end. */
  run(program: string, ...args: string[]): Promise<Finished> {
    return run([this.path(program), ...args], { env: this.env });
  }

  /** Path of a program of `infra/bin`. */
  path(program: string): string {
    return join(BIN, program);
  }

  /** What every command of this host gets. */
  get env(): Record<string, string> {
    return this.place.scope.environment({
      KEDGE_HOST: this.name,
      KEDGE_RUN_DIR: this.place.runDir,
      // Both hosts are on this machine: they cannot share /dev/drbd1.
      KEDGE_DEVICE_NODES: "off",
      KEDGE_DENO: Deno.execPath(),
    });
  }

  /** Wait until a command prints this. */
  until(command: string, text: string): Promise<unknown> {
    return eventually(async () => await this.ok(command, "mysql") === text, {
      what: `"drbdadm ${command}" on ${this.name} to say ${text}`,
      deadlineMs: 60_000,
      pauseMs: 200,
    });
  }
}

/** Two hosts with the resource `mysql`, minor 1, as in DRBD's tutorial. */
export async function drbdPair(
  scope: Scope,
  options: PairOptions,
): Promise<[DrbdHost, DrbdHost]> {
  const dir = await scope.tempDir();
  const config = join(dir, "drbd.conf");
  const port = freePort();
  const names = ["ha-node1", "ha-node2"] as const;
  const hosts = names.map((name) => join(dir, `${name}.disk`));
  for (const disk of hosts.flatMap((disk) => [disk, `${disk}2`])) {
    await Deno.writeFile(disk, new Uint8Array());
    await Deno.truncate(disk, options.diskBytes);
  }
  const second = (disk: string | undefined) =>
    options.hasSecond
      ? `volume 1 { device minor 2; disk ${disk}2; meta-disk internal; }`
      : "";
  const sides = names.map((name, index) => `
  on ${name} {
    volume 0 { device minor 1; disk ${hosts[index]}; meta-disk internal; }
    ${second(hosts[index])}
    address 127.0.0.${index + 1}:${port};
  }`);
  await Deno.writeTextFile(
    config,
    `global { usage-count no; }
common { protocol C; }
resource mysql {
  protocol C;
  syncer { rate 100M; verify-alg sha1; }
  ${options.statements ?? ""}${sides.join("")}
}
`,
  );
  const [one, two] = names.map((name, index) =>
    new DrbdHost(name, {
      scope,
      config,
      runDir: join(dir, `run-${index + 1}`),
      disk: hosts[index] ?? "",
    })
  );
  if (one === undefined || two === undefined) throw new Error("no hosts");
  for (const host of [one, two]) {
    scope.defer(() => host.run("kedge", "mirror", "stop"));
  }
  return [one, two];
}

/** A port that was free on both addresses a moment ago. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.2", port: 0 });
  return listener.addr.port;
}
