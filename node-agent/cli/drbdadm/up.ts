/** `up` and `down`: everything of a resource, in order. */

import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import { ensureDaemon } from "../mirror/daemon_process.ts";
import { report, send, volumesOf } from "./daemon_commands.ts";
import { isDone } from "./replies.ts";
import { saidOptions } from "./said_options.ts";
import type { Session, Target } from "./session.ts";
import { metaLine, type SaidOptions, setupLine } from "./setup_lines.ts";

/** The minor or volume exists already: `up` goes on. */
const EXISTS = 161;
/** There is no connection to end. */
const NO_CONNECTION = 162;

/** `drbdadm up`: starts the daemon too. */
export async function up(session: Session): Promise<number> {
  const targets = session.targets();
  const { identity } = session.given;
  const said = targets.map(({ config }) =>
    saidOptions(session.conf(), config, identity)
  );
  upLines(targets, said).forEach((line) => session.trace(line));
  if (session.isDry || targets.length === 0) return 0;
  await startDaemon(session);
  let exit = 0;
  for (const [index, target] of targets.entries()) {
    exit = Math.max(exit, await upOne(session, target, said[index]));
  }
  return exit;
}

/** The commands of 8.4, stage by stage over all resources as it does. */
export function upLines(
  targets: readonly Target[],
  said: readonly SaidOptions[],
): string[] {
  const each = (make: (target: Target, said: SaidOptions) => string[]) =>
    targets.flatMap((target, index) => {
      const options = said[index];
      return options === undefined ? [] : make(target, options);
    });
  return [
    ...each((target, said) => [
      setupLine("new-resource", target.config, { said }),
      ...volumesOf(target).map((volume) =>
        setupLine("new-minor", target.config, { volume, said })
      ),
    ]),
    ...each((target, said) =>
      volumesOf(target).filter(({ disk }) => disk !== undefined)
        .flatMap((volume) => [
          metaLine("apply-al", volume),
          setupLine("attach", target.config, { volume, said }),
        ])
    ),
    ...each(({ config }, said) => [setupLine("connect", config, { said })]),
  ];
}

/** Start one resource: nothing that is there already is an error but a disk. */
async function upOne(
  session: Session,
  target: Target,
  said: SaidOptions | undefined,
): Promise<number> {
  const created = await create(session, target);
  if (created !== 0) return created;
  const { config } = target;
  const options = said === undefined ? {} : { said };
  const attached = await send(session, target, { kind: "attach" });
  const exit = report(session, target, {
    reply: attached,
    command: "attach",
    setup: setupLine("attach", config, options),
  });
  // As drbdadm: a disk that fails does not keep us from the peer.
  const connected = await send(session, target, {
    kind: "connect",
    discardMyData: false,
    tentative: false,
  });
  return Math.max(
    exit,
    report(session, target, {
      reply: connected,
      command: "connect",
      setup: setupLine("connect", config, options),
    }),
  );
}

/** `new-resource` and `new-minor`. Returns the exit code. */
export async function create(
  session: Session,
  target: Target,
): Promise<number> {
  const { config } = target;
  const { env } = session.context;
  const exportAddress = session.line.own.get("export") ?? env.KEDGE_EXPORT;
  const deviceNodes = !session.has("no-device-node") &&
    env.KEDGE_DEVICE_NODES !== "off";
  const reply = await session.client.create(config.name, {
    config,
    deviceNodes,
    ...(exportAddress === undefined ? {} : { exportAddress }),
  });
  if (reply.code === EXISTS) return 0;
  return report(session, target, {
    reply,
    command: "new-resource",
    setup: setupLine("new-resource", config),
  });
}

/** Start the daemon unless it runs, and say so. */
export async function startDaemon(session: Session): Promise<void> {
  const { runDir, context } = session.given;
  const { isNew, logFile } = await ensureDaemon(runDir, context);
  if (isNew) session.warn(`drbdadm: mirror daemon started, log ${logFile}`);
}

/** `drbdadm down`: nothing to do is fine. */
export async function down(session: Session): Promise<number> {
  let exit = 0;
  for (const target of session.targets()) {
    session.trace(setupLine("down", target.config));
    if (session.isDry) continue;
    exit = Math.max(exit, await downOne(session, target));
  }
  return exit;
}

/** End one resource: demote, tell the peer, give the disk up, forget it. */
export async function downOne(
  session: Session,
  target: Target,
): Promise<number> {
  const { name } = target.config;
  if (await session.running(name) === undefined) return 0;
  const whole = { config: target.config, volume: undefined };
  for (const kind of ["secondary", "disconnect", "detach"] as const) {
    const reply = await send(
      session,
      whole,
      kind === "secondary" ? { kind } : { kind, force: false },
    );
    const isNothing = reply.code === NO_CONNECTION || kind === "detach";
    if (isDone(reply) || isNothing) continue;
    return failed(session, target.config, reply);
  }
  const reply = await session.client.remove(name);
  return isDone(reply) ? 0 : failed(session, target.config, reply);
}

function failed(
  session: Session,
  config: ResourceConfig,
  reply: Parameters<typeof report>[2]["reply"],
): number {
  return report(session, { config, volume: undefined }, {
    reply,
    command: "down",
    setup: setupLine("down", config),
  });
}
