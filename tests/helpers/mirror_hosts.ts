/**
 * Two hosts on this machine with a cable between them, as different as two
 * machines under one kernel can be: each has its own name, network, processes,
 * `/dev`, `/etc`, `/run` and mounts. So two mirrors can run side by side, both
 * with a `/dev/drbd1`, as their configuration says.
 *
 * Everything is made for one test and goes with its scope. Needs root.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Child, type Finished, isInstalled, run } from "./child.ts";
import { eventually } from "./eventually.ts";
import { whyNoDeviceNodes } from "./mirror_hosts_needs.ts";
import { childrenOf } from "./proc.ts";
import type { Scope } from "./scope.ts";
import { ROOT } from "./stack.ts";

/** Programs beside those of device nodes. */
const PROGRAMS = ["bash", "ip", "nsenter", "unshare"];
/** Longest time of a command that a test types, in ms. */
const COMMAND_MS = 60_000;

/** Why such hosts cannot be made here; `undefined`: they can. */
export async function whyNoMirrorHosts(): Promise<string | undefined> {
  const lack = await whyNoDeviceNodes();
  if (lack !== undefined) return lack;
  for (const program of PROGRAMS) {
    if (!await isInstalled(program)) return `${program} is not installed`;
  }
  const probe = ["unshare", "-m", "-u", "-n", "-p", "-f", "true"] as const;
  const { code } = await run(probe);
  return code === 0 ? undefined : "namespaces cannot be made here";
}

/** What a host is. */
export interface MirrorHostOptions {
  /** Its name, as `uname -n` says it. */
  readonly name: string;
  /** Its address and the length of the network's prefix. */
  readonly address: string;
  /** Bytes of its disk. */
  readonly diskBytes: number;
  /** What its disk is called; `/dev/data/mysql` when missing. */
  readonly diskPath?: string;
  /** Files of its own: path to content. */
  readonly files: Readonly<Record<string, string>>;
}

/** One of the hosts. */
export class MirrorHost {
  private constructor(
    readonly scope: Scope,
    readonly options: MirrorHostOptions,
    /** Process that keeps the host's namespaces, seen from outside. */
    readonly pid: number,
    /** The file behind its disk. */
    readonly image: string,
  ) {}

  /** Start a host; it ends with the scope. */
  static async start(
    scope: Scope,
    options: MirrorHostOptions,
  ): Promise<MirrorHost> {
    const dir = await scope.tempDir();
    const image = `${dir}/disk`;
    await Deno.create(image).then((file) => file.close());
    await Deno.truncate(image, options.diskBytes);
    const disk = await must(["losetup", "--find", "--show", image]);
    scope.defer(() => run(["losetup", "--detach", disk.trim()]));
    const namespaces = ["--mount", "--uts", "--net", "--pid", "--mount-proc"];
    const holder = Child.start(scope, {
      command: [
        ...["unshare", "--fork", "--kill-child", ...namespaces] as const,
        ...["bash", "-c", SETUP, "host", dir, options.name],
      ],
    } as { command: [string, ...string[]] });
    await holder.line(/^ready$/);
    const [pid] = childrenOf(holder.pid);
    assert(pid !== undefined);
    const host = new MirrorHost(scope, options, pid, image);
    scope.defer(() => host.#leave());
    const { diskPath = "/dev/data/mysql" } = options;
    await host.must(
      `mkdir -p $(dirname ${diskPath}) && ln -s ${disk.trim()} ${diskPath}`,
    );
    for (const [path, content] of Object.entries(options.files)) {
      await host.must(`mkdir -p $(dirname ${path}) && cat >${path}`, content);
    }
    return host;
  }

  /** Run a line of shell, as typed by root on this host. */
  async type(line: string, stdin?: string): Promise<Finished> {
    const command = [
      ...["timeout", "-k", "2", `${COMMAND_MS / 1000}`] as const,
      ...["nsenter", "-t", `${this.pid}`, "-m", "-u", "-n", "-p", "-w/"],
      ...["bash", "-c", line],
    ] as const;
    const env = this.scope.environment({
      PATH: `${ROOT}infra/bin:${Deno.env.get("PATH")}:/usr/sbin:/sbin`,
    });
    return await run(command, {
      env,
      ...(stdin === undefined ? {} : { stdin }),
    });
  }

  /** {@linkcode type}, which must succeed; its output without the last newline. */
  async must(line: string, stdin?: string): Promise<string> {
    const { code, stdout, stderr } = await this.type(line, stdin);
    const what = `${this.options.name}# ${line}\n${stdout}${stderr}`;
    assert.equal(code, 0, what);
    return stdout.trimEnd();
  }

  /** Lines of its daemon's log. */
  async log(): Promise<string> {
    return (await this.type("cat /run/kedge/mirror.log")).stdout;
  }

  /** Process of its daemon, by the host's own numbers. */
  async daemonPid(): Promise<number> {
    const text = await this.must("kedge mirror status --json");
    return (JSON.parse(text) as { pid: number }).pid;
  }

  /** Before the host ends: nothing of it may stay in the kernel. */
  async #leave(): Promise<void> {
    await this.type(LEAVE);
  }
}

/** Two hosts. */
export class MirrorHosts {
  private constructor(readonly a: MirrorHost, readonly b: MirrorHost) {}

  /** Start two hosts with a cable between them. */
  static async start(
    scope: Scope,
    [first, second]: readonly [MirrorHostOptions, MirrorHostOptions],
  ): Promise<MirrorHosts> {
    const a = await MirrorHost.start(scope, first);
    const b = await MirrorHost.start(scope, second);
    const id = crypto.randomUUID().slice(0, 8);
    await must([
      ...["ip", "link", "add", `km${id}a`, "type", "veth"] as const,
      ...["peer", "name", `km${id}b`],
    ]);
    await plug(a, `km${id}a`);
    await plug(b, `km${id}b`);
    return new MirrorHosts(a, b);
  }

  /** Pull the cable. */
  async cut(): Promise<void> {
    await this.a.must("ip link set eth0 down");
  }

  /** Put it back. */
  async mend(): Promise<void> {
    await this.a.must("ip link set eth0 up");
    const up = "ip -o link show eth0 | grep -q LOWER_UP";
    await eventually(
      async () => (await this.a.type(up)).code === 0,
      { what: "the cable to carry" },
    );
  }
}

async function plug(host: MirrorHost, link: string): Promise<void> {
  await must(["ip", "link", "set", link, "netns", `${host.pid}`]);
  const { address } = host.options;
  await host.must(
    `ip link set ${link} name eth0 && ip addr add ${address} dev eth0 && ` +
      "ip link set eth0 up && ip link set lo up",
  );
}

async function must(
  command: readonly [string, ...string[]],
): Promise<string> {
  const { code, stdout, stderr } = await run(command);
  assert.equal(code, 0, `${command.join(" ")}: ${stderr}`);
  return stdout;
}

/**
 * Arguments: a folder for the host, and its name.
 * Handlers of a configuration may want to restart the host: under one kernel
 * that would be everybody's, so the ways to do it lead nowhere.
 */
const SETUP = `
set -e
dir=$1
hostname "$2"
mkdir "$dir/dev"
mount -t tmpfs -o mode=755 tmpfs "$dir/dev"
for node in null zero full random urandom tty fuse loop-control; do
  cp -a "/dev/$node" "$dir/dev/"
done
for n in $(seq 0 39); do mknod "$dir/dev/loop$n" b 7 "$n"; done
mkdir "$dir/dev/pts" "$dir/dev/shm"
ln -s /proc/self/fd "$dir/dev/fd"
mkdir "$dir/etc"
mount -t tmpfs -o mode=755 tmpfs "$dir/etc"
cp -a /etc/. "$dir/etc"
rm -rf "$dir/etc/drbd.conf" "$dir/etc/drbd.d"
mount --move "$dir/etc" /etc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /var/lib/kedge
mount -t tmpfs -o mode=755 tmpfs /var/lib/kedge
mount -t tmpfs -o mode=755 tmpfs /mnt
[ ! -e /proc/sysrq-trigger ] || mount --bind /dev/null /proc/sysrq-trigger
for program in reboot halt poweroff; do
  path=$(command -v "$program") && mount --bind "$(command -v false)" "$path" || true
done
mount --move "$dir/dev" /dev
echo ready
while :; do sleep 3600 & wait; done
`;

/**
 * Loop devices outlive namespaces: only those over this host's nodes go. File
 * systems on them go first: one that is left is unmounted by the last process of
 * the host, and if that serves the node, the kernel waits for it forever.
 */
const LEAVE = `
awk '$5 ~ "^/mnt" && / \\/dev\\// { print $5 }' /proc/self/mountinfo | tac |
  while read -r at; do timeout 5 umount "$at" || umount -l "$at"; done
for record in /run/kedge/nodes/*/node.json; do
  [ -e "$record" ] || continue
  losetup -d "$(sed 's/.*"block":"\\([^"]*\\)".*/\\1/' "$record")"
done
`;
